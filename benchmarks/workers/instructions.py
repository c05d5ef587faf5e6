"""Fixed workloads whose instructions are counted: ``python instructions.py WORKLOAD STEPS``.

Every run sets all workloads up and does one step of each, so that the difference of two runs of
different `STEPS` is what the steps of one workload cost and nothing else. Only public names and
``pyae._backend.core``, so that it runs with older and newer revisions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[[], object]


def _autoencoder(widths: tuple[int, ...], output: str, loss: str) -> Any:
    import pyae

    layers = [pyae.Dense(units, "relu") for units in widths[1:-1]]
    layers.append(pyae.Dense(widths[-1], output))
    model = pyae.Sequential(layers, loss=loss, n_threads=1, random_state=0)
    return model.build(widths[0])


def _training(widths: tuple[int, ...], output: str, loss: str, rows: int, batch: int) -> Step:
    model = _autoencoder(widths, output, loss)
    X = np.random.default_rng(0).random((rows, widths[0]), dtype=np.float32)
    return lambda: model.fit(X, X, epochs=1, batch_size=batch)


def _prediction(rows: int) -> Step:
    model = _autoencoder((64, 32, 64), "linear", "mean_squared_error")
    X = np.random.default_rng(0).random((rows, 64), dtype=np.float32)
    return lambda: model.predict(X)


def _products(shapes: list[tuple[int, int, int]], dtype: str) -> Step:
    """Each shape (m, k, n) in all three forms."""
    from pyae._backend import core

    rng = np.random.default_rng(0)
    calls = []
    for m, k, n in shapes:
        for transpose_a, transpose_b in ((False, False), (True, False), (False, True)):
            a = rng.standard_normal((k, m) if transpose_a else (m, k)).astype(dtype)
            b = rng.standard_normal((n, k) if transpose_b else (k, n)).astype(dtype)
            calls.append((a, b, transpose_a, transpose_b))

    def step() -> None:
        for a, b, transpose_a, transpose_b in calls:
            core.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)

    return step


def _activations(dtype: str) -> Step:
    import pyae

    rng = np.random.default_rng(0)
    x = (3 * rng.standard_normal((64, 784))).astype(dtype)
    dy = rng.standard_normal(x.shape).astype(dtype)
    names = ("relu", "sigmoid", "tanh", "softplus", "gelu", "elu")

    def step() -> None:
        for name in names:
            getattr(pyae.activations, name)(x)
            pyae.activations.vjp(name, x, dy)

    return step


def _losses() -> Step:
    import pyae

    rng = np.random.default_rng(0)
    t = rng.random((64, 784), dtype=np.float32)
    p = rng.uniform(0.01, 0.99, t.shape).astype(np.float32)
    losses = [pyae.losses.MeanSquaredError(), pyae.losses.BinaryCrossentropy()]

    def step() -> None:
        for loss in losses:
            loss(t, p)
            loss.gradient(t, p)

    return step


SMALL = [(1, 64, 32), (32, 64, 32), (256, 784, 32)]

# Name of a workload: how it is set up, and how many steps are counted.
WORKLOADS: dict[str, tuple[Callable[[], Step], int]] = {
    "train 64-32-64, 10 batches of 32": (
        lambda: _training((64, 32, 64), "linear", "mean_squared_error", 320, 32), 20,
    ),
    "train 784-32-784 BCE, 1 batch of 256": (
        lambda: _training((784, 32, 784), "sigmoid", "binary_crossentropy", 256, 256), 5,
    ),
    "train 64-32-16-32-64 BCE, 5 batches of 32": (
        lambda: _training((64, 32, 16, 32, 64), "sigmoid", "binary_crossentropy", 160, 32), 20,
    ),
    "predict 1 row of 64-32-64": (lambda: _prediction(1), 500),
    "predict 256 rows of 64-32-64": (lambda: _prediction(256), 50),
    "small products, float32": (lambda: _products(SMALL, "float32"), 10),
    "small products, float64": (lambda: _products(SMALL, "float64"), 10),
    "product 256 x 256 x 256, float32": (lambda: _products([(256, 256, 256)], "float32"), 5),
    "activations, float32": (lambda: _activations("float32"), 5),
    "activations, float64": (lambda: _activations("float64"), 5),
    "losses, float32": (_losses, 10),
}  # fmt: skip


def main(chosen: str, n_steps: int) -> None:
    import pyae  # here and above, since the parent only reads the table

    pyae.set_num_threads(1)
    steps = {name: make() for name, (make, _) in WORKLOADS.items()}
    for step in steps.values():
        step()
    for _ in range(n_steps):
        steps[chosen]()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
