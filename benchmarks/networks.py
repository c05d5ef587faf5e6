"""The five networks, their work, their first weights and their loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

LEARNING_RATE = 1e-3
BETA_1 = 0.9
BETA_2 = 0.999
EPSILON = 1e-7


@dataclass(frozen=True)
class BenchmarkNetwork:
    """An autoencoder and how it is trained: Adam, float32, whole batches only.

    `code_l1` is an L1 penalty on the middle layer's output: its sum, divided by the batch size.
    """

    widths: tuple[int, ...]
    hidden: str
    output: str
    loss: str
    batch_size: int
    n_steps: int  # of an epoch
    data: str
    code_l1: float = 0.0

    @property
    def name(self) -> str:
        return "-".join(str(width) for width in self.widths)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(in, out) of each layer's kernel."""
        return list(zip(self.widths[:-1], self.widths[1:], strict=True))

    @property
    def activations(self) -> list[str]:
        """Name of each layer's activation."""
        return [self.hidden] * (len(self.shapes) - 1) + [self.output]

    @property
    def code_layer(self) -> int:
        """Number of the layer whose output is the code."""
        return len(self.shapes) // 2 - 1

    @property
    def step_gflop(self) -> float:
        """Work of the products of one training step, in 1e9 floating-point operations.

        Three products a layer (forward, kernel gradient, input gradient), each of 2*batch*in*out;
        the first layer's input gradient is never needed.
        """
        sizes = [n_in * n_out for n_in, n_out in self.shapes]
        return 2.0 * self.batch_size * (3 * sum(sizes) - sizes[0]) / 1e9

    @property
    def forward_gflop(self) -> float:
        """Work of the products of one row's prediction, in 1e9 floating-point operations."""
        return 2.0 * sum(n_in * n_out for n_in, n_out in self.shapes) / 1e9

    def describe(self) -> str:
        """The network in words."""
        loss = {"mean_squared_error": "MSE", "binary_crossentropy": "BCE"}[self.loss]
        penalty = f" + L1({self.code_l1:g}) on the code" if self.code_l1 else ""
        return (
            f"{self.hidden} hidden, {self.output} output, {loss}{penalty}, "
            f"Adam, batch {self.batch_size}, {self.n_steps} steps an epoch"
        )

    def spec(self) -> dict[str, Any]:
        """The network as the JSON-able description that pyae and its reference understand."""
        layers: list[dict[str, Any]] = []
        for number, ((_, units), activation) in enumerate(
            zip(self.shapes, self.activations, strict=True)
        ):
            penalized = self.code_l1 and number == self.code_layer
            layers.append(
                {
                    "type": "dense",
                    "units": units,
                    "activation": {"name": activation},
                    "use_bias": True,
                    "kernel_initializer": {"name": "glorot_uniform"},
                    "kernel_regularizer": None,
                    "bias_regularizer": None,
                    "activity_regularizer": (
                        {"name": "l1l2", "l1": self.code_l1, "l2": 0.0} if penalized else None
                    ),
                    "tied_to": None,
                }
            )
        optimizer = {
            "name": "adam",
            "learning_rate": LEARNING_RATE,
            "beta_1": BETA_1,
            "beta_2": BETA_2,
            "epsilon": EPSILON,
            "clipnorm": None,
            "clipvalue": None,
            "global_clipnorm": None,
        }
        loss = {"name": self.loss, "reduction": "sum_over_batch_size"}
        if self.loss == "binary_crossentropy":
            loss |= {"from_logits": False, "label_smoothing": 0.0}  # type: ignore[dict-item]
        return {"layers": layers, "loss": loss, "optimizer": optimizer}


NETWORKS = {
    network.name: network
    for network in (
        BenchmarkNetwork(
            widths=(64, 32, 64),
            hidden="relu",
            output="linear",
            loss="mean_squared_error",
            batch_size=32,
            n_steps=560,
            data="digits",
        ),
        BenchmarkNetwork(
            widths=(784, 32, 784),
            hidden="relu",
            output="sigmoid",
            loss="binary_crossentropy",
            batch_size=256,
            n_steps=76,
            data="images",
        ),
        BenchmarkNetwork(
            widths=(784, 128, 64, 32, 64, 128, 784),
            hidden="relu",
            output="sigmoid",
            loss="binary_crossentropy",
            batch_size=256,
            n_steps=76,
            data="images",
        ),
        BenchmarkNetwork(
            widths=(784, 1000, 500, 250, 30, 250, 500, 1000, 784),
            hidden="sigmoid",
            output="sigmoid",
            loss="binary_crossentropy",
            batch_size=256,
            n_steps=19,
            data="images",
        ),
        BenchmarkNetwork(
            widths=(512, 4096, 512),
            hidden="relu",
            output="linear",
            loss="mean_squared_error",
            batch_size=4096,
            n_steps=3,
            data="gaussian",
            code_l1=1e-4,
        ),
    )
}


def first_weights(network: BenchmarkNetwork, seed: int = 0) -> list[Array]:
    """[W1, b1, W2, b2, ...], Glorot-uniform kernels (in, out) and zero biases, for every side."""
    rng = np.random.default_rng(seed)
    weights: list[Array] = []
    for n_in, n_out in network.shapes:
        limit = np.sqrt(6.0 / (n_in + n_out))
        weights.append(rng.uniform(-limit, limit, (n_in, n_out)).astype(np.float32))
        weights.append(np.zeros(n_out, dtype=np.float32))
    return weights


def _activate(name: str, z: Array) -> Array:
    if name == "relu":
        return np.asarray(np.maximum(z, np.float32(0)))
    if name == "sigmoid":
        e = np.exp(-np.abs(z))
        return np.where(z >= 0, 1 / (1 + e), e / (1 + e)).astype(np.float32)
    return z


def forward(network: BenchmarkNetwork, weights: Sequence[Array], X: Array) -> Array:
    """The network's output for `X`."""
    y = X
    for number, activation in enumerate(network.activations):
        y = _activate(activation, y @ weights[2 * number] + weights[2 * number + 1])
    return y


def training_loss(network: BenchmarkNetwork, weights: Sequence[Array], X: Array) -> float:
    """The network's mean loss over `X`, penalty included.

    One function judges the weights of every side, so that equal numbers mean equal training.
    """
    total = 0.0
    last = len(network.shapes) - 1
    for start in range(0, len(X), 1024):
        t = y = z = X[start : start + 1024]
        for number, activation in enumerate(network.activations):
            z = y @ weights[2 * number] + weights[2 * number + 1]
            y = _activate(activation, z)
            if network.code_l1 and number == network.code_layer:
                total += network.code_l1 * float(np.abs(y).sum(dtype=np.float64))
            if number == last and network.loss == "binary_crossentropy":
                values = np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))
                total += float(values.mean(axis=1).sum(dtype=np.float64))
            elif number == last:
                total += float(np.square(y - t).mean(axis=1).sum(dtype=np.float64))
    return total / len(X)
