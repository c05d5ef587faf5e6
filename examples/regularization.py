"""Regularization at work: a network far too large for its data, held back in four ways.

Forty noisy points of a smooth curve are learned by a network of 2 x 64 tanh units, 4353
parameters. Left alone it goes through the noise: a small error on its points, a large one on
others. What helps, each a line of code:

- L2, ``+ l2 * sum(W^2)``: all weights small, so the curve is smooth;
- L1, ``+ l1 * sum(|W|)``: the same, and many weights (nearly) zero;
- noise: the inputs are jittered afresh every epoch, so no single point can be learned by heart;
- early stopping: held-out points say when the error on data not trained on is at its least.

Expect: the plain network has the least training error and the largest test error, two to five times
that of the others; and L1 leaves hardly a weight that is not near zero.

Run ``python regularization.py [picture.png]``.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

import pyae

Array = npt.NDArray[Any]

EPOCHS = 3000


def curve(x: Array) -> Array:
    """Return the truth behind the points."""
    return np.sin(3 * x) * (1 - 0.4 * x)


def network(penalty: Any = None) -> pyae.Sequential:
    """Return a network that is too large, with a penalty on its kernels."""
    # Wide initial kernels, so that it can bend as sharply as the noise does.
    initializer = pyae.initializers.HeNormal()
    return pyae.Sequential(
        [
            pyae.Dense(64, "tanh", kernel_initializer=initializer, kernel_regularizer=penalty),
            pyae.Dense(64, "tanh", kernel_regularizer=penalty),
            pyae.Dense(1, kernel_regularizer=penalty),
        ],
        optimizer=pyae.optimizers.Adam(1e-2),
        dtype="float64",
        random_state=0,
    )


def main(output: str = "regularization.png") -> dict[str, Any]:
    """Print the errors, write a picture and return the numbers."""
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(-1.5, 1.5, 40))[:, None]
    y = curve(x) + rng.normal(0, 0.4, x.shape)
    x_test = np.linspace(-1.5, 1.5, 1001)[:, None]
    y_test = curve(x_test)
    held_out = np.arange(len(x)) % 4 == 2

    stop = pyae.callbacks.EarlyStopping(patience=EPOCHS)  # to the end, then back to the best
    ways: dict[str, tuple[Any, dict[str, Any]]] = {
        "nothing": (None, {}),
        "L2": (pyae.regularizers.L2(1e-3), {}),
        "L1": (pyae.regularizers.L1(1e-3), {}),
        "noise": (None, {"noise": pyae.noise.Gaussian(0.1)}),
        "early stopping": (
            None,
            {"validation_data": (x[held_out], y[held_out]), "callbacks": [stop]},
        ),
    }
    figure = Figure(figsize=(10, 5.6), dpi=150, layout="constrained", facecolor="white")
    axes = figure.subplots(2, 3, sharex=True, sharey=True).ravel()
    axes[-1].set_visible(False)
    results = {}
    print("way              training error   test error   weights below 0.01")
    for ax, (name, (penalty, options)) in zip(axes, ways.items(), strict=False):
        model = network(penalty)
        train = ~held_out if "validation_data" in options else np.full(len(x), True)
        model.fit(x[train], y[train], epochs=EPOCHS, batch_size=40, **options)
        kernels = np.concatenate([w.ravel() for w in model.get_weights()[::2]])
        results[name] = {
            "train": float(np.square(model.predict(x[train]) - y[train]).mean()),
            "test": float(np.square(model.predict(x_test) - y_test).mean()),
            "small": float((np.abs(kernels) < 0.01).mean()),
        }
        train_error, test_error, small = results[name].values()
        print(f"{name:<16} {train_error:14.4f}   {test_error:10.4f}   {small:18.0%}")
        ax.plot(x_test, y_test, color="0.6", linewidth=3, alpha=0.6)
        ax.plot(x_test, model.predict(x_test), color="#3f90da")
        ax.plot(x[train], y[train], "o", color="0.2", markersize=4)
        ax.plot(x[~train], y[~train], "o", color="0.2", markersize=4, fillstyle="none")
        ax.set(title=f"{name}: test error {test_error:.3f}", ylim=(-2.2, 2.2))
    figure.savefig(output)
    print(f"picture: {output} (gray: the truth; open circles: held out)")
    return results


if __name__ == "__main__":
    main(*sys.argv[1:])
