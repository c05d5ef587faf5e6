"""A network of dense layers: one flat array of parameters, one of gradients, and back-propagation.

The flat order is ``W0, b0, W1, b1, ...`` without padding; a layer without a bias has none, a tied
layer has only its bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import losses, penalties
from .arrays import Array, Spec, split_spec
from .initializers import initial_kernel
from .layer import Dense, LayerSpec, cut, transposed_views
from .optimizers import build_optimizer


@dataclass(frozen=True)
class BatchLoss:
    """A batch's loss in parts: ``total = data + penalty``.

    `data_sum` is ``sum_i w_i l_i`` and `n_counted` the number of samples a mean divides it by.
    """

    data: float
    penalty: float
    data_sum: float
    n_counted: int

    @property
    def total(self) -> float:
        """The loss of the batch, penalties included."""
        return self.data + self.penalty


class Network:
    """A network of a spec ``{"layers": [...], "loss": {...}, "optimizer": {...}}``.

    Parameters
    ----------
    spec : mapping
        The same JSON-able spec that the compiled network takes.
    n_features : int
        The width of the input.
    seed : int
        Seeds the initial kernels, the shuffles and the noise.
    dtype : "float32" or "float64"

    Attributes
    ----------
    parameters, gradients : arrays (n_parameters,)
    is_kernel : bool array (n_parameters,)
        Which parameters belong to kernels.
    optimizer : Optimizer
        Keeps its slots and its step counter from one training to the next.
    epochs_trained : int

    Examples
    --------
    >>> spec = {
    ...     "layers": [{"units": 2, "activation": {"name": "tanh"}}, {"units": 3}],
    ...     "loss": {"name": "mean_squared_error"},
    ...     "optimizer": {"name": "adam"},
    ... }
    >>> network = Network(spec, n_features=3, seed=0)
    >>> network.parameters.shape, network.forward(np.ones((5, 3))).shape
    ((17,), (5, 3))
    """

    def __init__(
        self, spec: Spec, n_features: int, seed: int = 0, dtype: npt.DTypeLike = "float32"
    ) -> None:
        self.seed = seed
        self.dtype = np.dtype(dtype)
        self.loss_name, self.loss_params = split_spec(spec["loss"])
        self.loss = losses.get(self.loss_name)
        self.reduction = self.loss_params.pop("reduction", "sum_over_batch_size")
        if self.reduction not in ("sum_over_batch_size", "sum"):
            raise ValueError(f"a network cannot be trained on reduction {self.reduction!r}")
        self.optimizer = build_optimizer(spec.get("optimizer") or {"name": "adam"})
        self.epochs_trained = 0

        layer_specs: list[LayerSpec] = []
        for layer_spec in spec["layers"]:
            fan_in = layer_specs[-1].units if layer_specs else n_features
            layer_specs.append(LayerSpec.read(layer_spec, fan_in))
        if not layer_specs:
            raise ValueError("a network needs at least one layer")
        self._lay_out(layer_specs)
        for index, layer in enumerate(self.layers):
            s = layer.spec
            if s.tied_to is None:
                layer.W[...] = initial_kernel(s.kernel_initializer, s.fan_in, s.units, index, seed)

    def _lay_out(self, layer_specs: Sequence[LayerSpec]) -> None:
        """Make the flat arrays and the layers' views into them."""
        shapes: list[tuple[int, ...]] = []
        hidden: list[tuple[slice, tuple[int, int]]] = []  # kernels but the first and the last
        n_parameters = 0
        for index, s in enumerate(layer_specs):
            start = n_parameters
            if s.tied_to is None:
                shapes.append((s.fan_in, s.units))
                n_parameters += s.fan_in * s.units
                if 0 < index < len(layer_specs) - 1:
                    hidden.append((slice(start, n_parameters), (s.fan_in, s.units)))
            if s.use_bias:
                shapes.append((s.units,))
                n_parameters += s.units
        self.optimizer.hidden_kernels = hidden
        self.parameters = np.zeros(n_parameters, dtype=self.dtype)
        self.gradients = np.zeros(n_parameters, dtype=self.dtype)
        masks = [np.full(np.prod(shape), len(shape) > 1) for shape in shapes]
        self.is_kernel = np.concatenate([np.zeros(0, dtype=bool), *masks])
        self.parameter_views = cut(self.parameters, shapes)
        self.gradient_views = cut(self.gradients, shapes)

        views = iter(zip(self.parameter_views, self.gradient_views, strict=True))
        self.layers: list[Dense] = []
        kernels: dict[int, tuple[Array, Array]] = {}
        for index, s in enumerate(layer_specs):
            if s.tied_to is None:
                kernels[index] = next(views)
            W, dW = kernels[index] if s.tied_to is None else transposed_views(s, kernels)
            b, db = next(views) if s.use_bias else (None, None)
            self.layers.append(Dense(s, W, dW, b, db))

    def get_weights(self) -> list[Array]:
        """Return copies of ``[W0, b0, W1, b1, ...]``."""
        return [view.copy() for view in self.parameter_views]

    def set_weights(self, weights: Sequence[npt.ArrayLike]) -> None:
        """Set ``[W0, b0, W1, b1, ...]``."""
        arrays = [np.asarray(weight) for weight in weights]
        expected = [view.shape for view in self.parameter_views]
        if [array.shape for array in arrays] != expected:
            raise ValueError(f"weights have shapes {[a.shape for a in arrays]}, not {expected}")
        for view, array in zip(self.parameter_views, arrays, strict=True):
            view[...] = array

    def forward(self, X: npt.ArrayLike, upto: int | None = None) -> Array:
        """Return the outputs (n, units) of the last layer, or of the first `upto` layers."""
        y = np.asarray(X, dtype=self.dtype)
        for layer in self.layers[:upto]:
            _, y = layer.forward(y)
        return y

    def penalty(self, X: npt.ArrayLike) -> float:
        """Return all penalties: on weights, and on the layers' outputs for the batch X."""
        return self._penalty(self._forward(X)[1][1:])

    def loss_and_gradients(
        self, X: npt.ArrayLike, t: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> tuple[float, list[Array]]:
        """Return the loss of a batch, penalties included, and ``[dW0, db0, ...]``.

        X is (m, n_features); t is (m, units), or (m,) for class numbers or a single output.
        """
        batch = self.backward(X, t, sample_weight)
        return batch.total, [view.copy() for view in self.gradient_views]

    def batch_loss(
        self, X: npt.ArrayLike, t: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> BatchLoss:
        """Return the loss of a batch in parts, without gradients."""
        zs, ys = self._forward(X)
        return self._loss(zs[-1], ys, self._targets(t, ys[-1]), sample_weight)[0]

    def backward(
        self, X: npt.ArrayLike, t: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> BatchLoss:
        """Fill `gradients` with the derivative of the batch's total loss, and return the loss."""
        zs, ys = self._forward(X)  # zs[l] (m, units_l); ys[0] = X, ys[l + 1] = f(zs[l])
        t = self._targets(t, ys[-1])
        batch, factors = self._loss(zs[-1], ys, t, sample_weight)

        self.gradients.fill(0)
        dz, dy = self._loss_derivatives(t, zs[-1], ys[-1], factors)
        for index in range(len(self.layers) - 1, -1, -1):
            layer, x, z, y = self.layers[index], ys[index], zs[index], ys[index + 1]
            regularizer = layer.spec.activity_regularizer
            if regularizer is not None:
                d_penalty = penalties.activity_gradient(regularizer, y)
                dy = d_penalty if dy is None else dy + d_penalty
            if dy is not None:
                through_y = layer.back_through_activation(z, dy)
                dz = through_y if dz is None else dz + through_y
            assert dz is not None
            layer.add_gradients(x, dz)
            if index > 0:
                dy = layer.back_to_input(dz)
                dz = None
        self._add_penalty_gradients()
        return batch

    @property
    def l1_penalties(self) -> Array:
        """The L1 penalty of each parameter: (n_parameters,)."""
        return self._penalties("l1")

    @property
    def l2_penalties(self) -> Array:
        """The L2 penalty of each parameter: (n_parameters,)."""
        return self._penalties("l2")

    @property
    def is_free(self) -> Array:
        """Whether each parameter has no penalty: (n_parameters,)."""
        return np.asarray((self._penalties("l1") == 0) & (self._penalties("l2") == 0))

    def _penalties(self, which: str) -> Array:
        specs = [layer.spec for layer in self.layers]
        return self.spread(
            [(spec.kernel_regularizer or {}).get(which, 0) for spec in specs],
            [(spec.bias_regularizer or {}).get(which, 0) for spec in specs],
        )

    def spread(self, of_kernels: Sequence[float], of_biases: Sequence[float]) -> Array:
        """Return each layer's number of its kernel and of its bias for all parameters (n,)."""
        spread = np.zeros_like(self.parameters)
        views = iter(cut(spread, [view.shape for view in self.parameter_views]))
        for layer, of_kernel, of_bias in zip(self.layers, of_kernels, of_biases, strict=True):
            if layer.spec.tied_to is None:
                next(views)[...] = of_kernel
            if layer.b is not None:
                next(views)[...] = of_bias
        return spread

    @property
    def _from_logits(self) -> bool:
        """Whether the output activation is the loss's canonical link."""
        link = self.layers[-1].spec.activation.name
        return self.loss.link == link and not self.loss_params.get("from_logits", False)

    @property
    def _link_params(self) -> dict[str, Any]:
        return {k: v for k, v in self.loss_params.items() if k != "from_logits"}

    def _forward(self, X: npt.ArrayLike) -> tuple[list[Array], list[Array]]:
        zs: list[Array] = []
        ys = [np.asarray(X, dtype=self.dtype)]
        for layer in self.layers:
            z, y = layer.forward(ys[-1])
            zs.append(z)
            ys.append(y)
        return zs, ys

    def _targets(self, t: npt.ArrayLike, y: Array) -> Array:
        t = np.asarray(t)
        if t.ndim == 1 and self.loss.targets != "classes":
            t = t[:, np.newaxis]
        return losses.prepare_targets(self.loss_name, t, y)

    def _loss(
        self, z: Array, ys: list[Array], t: Array, sample_weight: npt.ArrayLike | None
    ) -> tuple[BatchLoss, Array]:
        """Return the loss and the factor (m, 1) of each sample's gradient."""
        if self._from_logits:
            assert self.loss.per_sample_from_logits is not None
            values = self.loss.per_sample_from_logits(t, z, **self._link_params)  # (m,)
        else:
            values = self.loss.per_sample(t, ys[-1], **self.loss_params)  # (m,)
        n = losses.n_counted(t, len(values), self.loss_params.get("ignore_class"))
        weight = losses.sample_factors(n, values.shape, sample_weight, "sum", np.float64)
        data_sum = float(np.sum(weight * values))
        factors = losses.sample_factors(
            n, values.shape, sample_weight, self.reduction, self.dtype
        )  # (m,)
        divisor = 1 if self.reduction == "sum" else max(n, 1)
        batch = BatchLoss(data_sum / divisor, self._penalty(ys[1:]), data_sum, n)
        return batch, factors[:, np.newaxis]

    def _loss_derivatives(
        self, t: Array, z: Array, y: Array, factors: Array
    ) -> tuple[Array | None, Array | None]:
        """Return the data loss's (dz, None) with the canonical link, else (None, dy)."""
        if self._from_logits:
            assert self.loss.dz is not None
            return factors * self.loss.dz(t, z, y=y, **self._link_params), None
        return None, factors * self.loss.gradient_per_sample(t, y, **self.loss_params)

    def _penalty(self, ys: Sequence[Array]) -> float:
        total = 0.0
        for layer, y in zip(self.layers, ys, strict=True):
            if layer.spec.tied_to is None:
                total += penalties.weight_penalty(layer.spec.kernel_regularizer, layer.W)
            if layer.b is not None:
                total += penalties.weight_penalty(layer.spec.bias_regularizer, layer.b)
            total += penalties.activity_penalty(layer.spec.activity_regularizer, y)
        return total

    def _add_penalty_gradients(self) -> None:
        for layer in self.layers:
            if layer.spec.tied_to is None:
                penalties.add_weight_gradient(layer.spec.kernel_regularizer, layer.W, layer.dW)
            if layer.b is not None and layer.db is not None:
                penalties.add_weight_gradient(layer.spec.bias_regularizer, layer.b, layer.db)
