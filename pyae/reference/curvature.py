"""The Gauss-Newton matrix of a network's loss, and random numbers that have it for a covariance.

``G = sum_i f_i J_i^T H_i J_i``, with J_i the derivative of a sample's outputs by the parameters,
H_i the second derivative of its loss by the outputs, and f_i its factor in the batch's loss.
Penalties are not in G. Where the last activation is the loss's canonical link, the outputs are the
logits. Schraudolph, "Fast curvature matrix-vector products for second-order gradient descent",
2002.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from . import losses
from .activations import sigmoid, softmax
from .arrays import Array
from .network import Network
from .random import CURVATURE, words

EPS = 1e-7
FEW = 256  # rows that a share of a batch has at least


def _smoothed(t: Array, label_smoothing: float) -> Array:
    return t * (1 - label_smoothing) + label_smoothing / 2


def _binary(t: Array, p: Array, from_logits: bool = False, label_smoothing: float = 0.0) -> Array:
    if from_logits:
        return sigmoid(p) * sigmoid(-p)
    t, q = _smoothed(t, label_smoothing), 1 - p
    return np.where((p >= EPS) & (q >= EPS), t / p**2 + (1 - t) / q**2, 0)


# The second derivative of each feature's loss by its prediction: functions (t, p, **params).
CURVATURES: dict[str, Callable[..., Array]] = {
    "binary_crossentropy": _binary,
    "poisson": lambda t, p: t / (p + EPS) ** 2,
    "kl_divergence": lambda t, p: np.where((p >= EPS) & (p <= 1), np.clip(t, EPS, 1) / p**2, 0),
    "mean_squared_error": lambda t, p: np.full_like(p, 2),
    "huber": lambda t, p, delta=1.0: (np.abs(p - t) <= delta).astype(p.dtype),
    "log_cosh": lambda t, p: 1 - np.tanh(p - t) ** 2,
}


class Curvature:
    """G of a batch X (n, n_features), at a network's present parameters.

    `rows` is the stretch of the batch that stands for all of it. `d` (rows, units) is the diagonal
    of the H_i, times the factors of the samples; with `minus_square` they are
    ``diag(q) - q q^T`` of ``q = softmax(z)``.
    """

    def __init__(
        self,
        network: Network,
        X: Array,
        T: npt.ArrayLike,
        weight: npt.ArrayLike | None = None,
        rows: slice = slice(None),
    ) -> None:
        self.network = network
        self.zs, self.ys = network._forward(X[rows])
        t = network._targets(np.asarray(T), network._forward(X)[1][-1])  # (n, ...)
        params = dict(network.loss_params)
        self.at_logits = network._from_logits
        p = self.zs[-1] if self.at_logits else self.ys[-1]  # (rows, units)
        counted = losses.n_counted(t, len(X), params.get("ignore_class"))
        scale = len(X) if network.reduction == "sum" else len(X) / max(counted, 1)
        f = np.full(len(p), scale / len(p))  # (rows,)
        if weight is not None:
            f = f * np.asarray(weight)[rows]
        t = t[rows]
        self.minus_square = "categorical" in network.loss_name
        if self.minus_square:
            if not self.at_logits and not params.get("from_logits"):
                raise ValueError("a softmax's cross-entropy is convex in its logits only")
            self.q = softmax(p)
            if network.loss_name == "categorical_crossentropy":
                s = params.get("label_smoothing", 0.0)
                f = f * (t.sum(axis=-1) * (1 - s) + s)
            elif "ignore_class" in params:
                f = f * (t.reshape(len(p)) != params["ignore_class"])
        else:
            if self.at_logits:
                params["from_logits"] = True
            self.q = CURVATURES[network.loss_name](t, p, **params)
            if network.loss_name != "kl_divergence":  # the others are means over features
                f = f / p.shape[1]
        self.f = f[:, np.newaxis].astype(p.dtype)  # (rows, 1)

    def product(self, v: Array) -> Array:
        """Return G v for v (n_parameters,)."""
        self.network.gradients.fill(0)
        for layer, x, dz in self._back(self._outputs(self.tangent(v))):
            self.network.layers[layer].add_gradients(x, dz)
        return np.array(self.network.gradients)

    def form(self, u: Array, v: Array) -> float:
        """Return u^T G v."""
        return float(np.sum(self.tangent(u) * self._outputs(self.tangent(v))))

    def samples(self, turn: int) -> list[tuple[int, Array, Array]]:
        """Return (layer, x, dz) of each layer, the last one first, with random dz (rows, units).

        Those of the last one are a root of f_i H_i times random signs.
        """
        signs = random_signs(self.network.seed, turn, *self.q.shape).astype(self.q.dtype)
        r = np.sqrt(self.q) * signs
        if self.minus_square:
            r = r - self.q * r.sum(axis=1, keepdims=True)
        return self._back(np.sqrt(self.f) * r)

    def diagonal(self, turn: int) -> Array:
        """Return an estimate of G's diagonal: the sum of the squares of such samples."""
        self.network.gradients.fill(0)
        for layer, x, dz in self.samples(turn):
            self.network.layers[layer].add_gradients(x**2, dz**2)
        return np.array(self.network.gradients)

    def tangent(self, v: Array) -> Array:
        """Return J v (rows, units): how fast the outputs change with the parameters along v."""
        own, r = self.network.parameters.copy(), np.zeros_like(self.ys[0])
        for index, layer in enumerate(self.network.layers):
            through = r @ layer.W
            self.network.parameters[...] = v  # the layer's views are those of v for a moment
            r = through + self.ys[index] @ layer.W
            if layer.b is not None:
                r = r + layer.b
            self.network.parameters[...] = own
            if not (self.at_logits and index + 1 == len(self.network.layers)):
                r = self._jvp(index, r)
        return r

    def _jvp(self, index: int, r: Array) -> Array:
        spec, z = self.network.layers[index].spec, self.zs[index]
        if spec.activation.name == "log_softmax":  # the only one whose Jacobian is not symmetric
            return np.asarray(r - np.sum(softmax(z) * r, axis=-1, keepdims=True))
        return spec.activation.vjp(z, r, **spec.activation_params)

    def _outputs(self, r: Array) -> Array:
        """Return f_i H_i r_i."""
        if self.minus_square:
            r = r - np.sum(self.q * r, axis=1, keepdims=True)
        return np.asarray(self.f * self.q * r)

    def _back(self, dy: Array) -> list[tuple[int, Array, Array]]:
        """Carry a derivative by the outputs back to each layer's z."""
        passed, last = [], len(self.network.layers) - 1
        for index in range(last, -1, -1):
            layer = self.network.layers[index]
            at_logits = self.at_logits and index == last
            dz = dy if at_logits else layer.back_through_activation(self.zs[index], dy)
            passed.append((index, self.ys[index], dz))
            dy = layer.back_to_input(dz)
        return passed


def random_signs(seed: int, turn: int, rows: int, columns: int) -> Array:
    """Return random signs (rows, columns): bits of whole groups of eight blocks a row."""
    per_row = math.ceil(columns / 1024) * 8
    index = np.arange(rows * per_row).reshape(rows, per_row)
    stream = words(seed, index, turn, CURVATURE).reshape(rows, -1)  # (rows, 4 per_row)
    bits = stream[:, :, np.newaxis] >> np.arange(32, dtype=np.uint32) & 1  # (rows, words, 32)
    return np.where(bits.reshape(rows, -1)[:, :columns] == 1, -1.0, 1.0)


def share_of(n_rows: int, share: float, turn: int) -> slice:
    """Return another stretch of a batch's rows in each turn."""
    count = min(n_rows, max(math.ceil(share * n_rows), FEW))
    first = turn % (n_rows // count) * count
    return slice(first, first + count)
