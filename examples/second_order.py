"""What a look at the curvature is worth: K-FAC against Adam on a deep autoencoder.

Adam divides each entry of the gradient by its own size. Newton's method multiplies the gradient g
by the inverse of the curvature G, which knows how parameters act together:

    w <- w - G^-1 g

For a network G is far too large. K-FAC (Martens & Grosse, "Optimizing neural networks with
Kronecker-factored approximate curvature", ICML 2015) approximates it a layer at a time: with the
covariance A of the layer's inputs and the one S of the derivatives by its outputs,

    G is about A (x) S,    so    G^-1 g is about A^-1 dW S^-1

two small matrices to invert, each with some damping, instead of a large one. The autoencoder
squeezes 64 pixels through layers of 32 and 16 sigmoid units into 4 numbers: as deep and narrow as
plain gradients dislike.

Expect that Adam at each rate first learns the mean digit (an error of 4.7) and is slow to leave it.
K-FAC leaves it about when Adam's best rate does, but then needs few epochs more: in 60 it gets as
far as Adam at that rate in 240. Each of its epochs takes several times as long, so a second buys
less of a lead, and none at first; how much is measured as you run it, for a network this small and
your computer.

Run ``python second_order.py [picture.png]``.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

import pyae

EPOCHS = 240
SHOWN = (10, 30, 60, 240)  # epochs
BATCH = 300
OPTIMIZERS: dict[str, pyae.optimizers.Optimizer] = {
    "K-FAC": pyae.optimizers.KFAC(),
    "Adam, 0.003": pyae.optimizers.Adam(0.003),
    "Adam, 0.01": pyae.optimizers.Adam(0.01),
    "Adam, 0.03": pyae.optimizers.Adam(0.03),
}


def train(
    X: npt.NDArray[np.float32], optimizer: pyae.optimizers.Optimizer
) -> dict[str, list[float]]:
    """Return the squared error of an image in each epoch, and the seconds up to its end."""
    model = pyae.Sequential(
        [
            pyae.Dense(32, "sigmoid"),
            pyae.Dense(16, "sigmoid"),
            pyae.Dense(4),
            pyae.Dense(16, "sigmoid"),
            pyae.Dense(32, "sigmoid"),
            pyae.Dense(64, "sigmoid"),
        ],
        loss="mean_squared_error",
        optimizer=optimizer,
        random_state=0,  # the same weights to start from
    )
    seconds: list[float] = []
    start = time.perf_counter()
    history = model.fit(
        X,
        epochs=EPOCHS,
        batch_size=BATCH,
        callbacks=lambda epoch, logs: seconds.append(time.perf_counter() - start),
    )
    errors = [X.shape[1] * loss for loss in history.history["loss"]]  # the loss is a pixel's
    return {"error": errors, "seconds": seconds}


def main(output: str = "second_order.png") -> dict[str, dict[str, list[float]]]:
    """Print the errors, write a picture and return them, with the seconds, epoch by epoch."""
    X, _ = pyae.datasets.load_digits()
    results = {name: train(X, optimizer) for name, optimizer in OPTIMIZERS.items()}

    # As many seconds as Adam's epochs take, for all.
    limit = min(result["seconds"][-1] for result in results.values())
    print("error after epoch " + "".join(f"{epoch:8}" for epoch in SHOWN), end="")
    print(f"   in {limit:.2f} s   ms an epoch")
    for name, result in results.items():
        error, seconds = result["error"], result["seconds"]
        in_time = error[max(sum(second <= limit for second in seconds) - 1, 0)]
        print(f"{name:<18}" + "".join(f"{error[epoch - 1]:8.3f}" for epoch in SHOWN), end="")
        print(f"{in_time:12.3f} {1000 * seconds[-1] / EPOCHS:13.2f}")

    figure = Figure(figsize=(9, 3.8), dpi=150, layout="constrained", facecolor="white")
    by_epoch, by_second = figure.subplots(1, 2, sharey=True)
    for name, result in results.items():
        width = 2.4 if name == "K-FAC" else 1.2
        by_epoch.semilogy(range(1, EPOCHS + 1), result["error"], linewidth=width, label=name)
        by_second.semilogy(result["seconds"], result["error"], linewidth=width)
    by_epoch.set(xlabel="epoch", ylabel="squared error of an image", title="per epoch")
    by_second.set(xlabel="second", title="per second, here", xlim=(0, 1.5 * limit))
    by_epoch.legend(frameon=False)
    figure.savefig(output)
    print(f"picture: {output}")
    return results


if __name__ == "__main__":
    main(*sys.argv[1:])
