"""An autoencoder knows its training data, and nothing else.

Trained on handwritten digits, an autoencoder restores other digits well. Give it pieces of
photographs of the same size (scikit-learn's sample images), digits upside down, or digits with
their pixels shuffled, and it fails: the squared error, as a share of the images' own variance
around their mean, is many times that of digits.

That is a limit (digits do not teach it faces), and a use: an error above what nearly all known
samples have marks a sample as something else. The last column says how many are found above the
99% quantile of held-out digits.

Run ``python specific_to_its_data.py [picture.png]``.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from sklearn.datasets import load_sample_images

import pyae
from pyae.plotting import ErrorDistributionDisplay, ReconstructionDisplay

Array = npt.NDArray[Any]


def photograph_pieces(n: int) -> Array:
    """Return gray pieces of 8 x 8 pixels of two photographs, each stretched to [0, 1]."""
    rng = np.random.default_rng(0)
    pieces: list[Array] = []
    pictures = [picture.mean(axis=2)[::4, ::4] for picture in load_sample_images().images]
    while len(pieces) < n:
        picture = pictures[len(pieces) % 2]
        top, left = rng.integers(0, np.array(picture.shape) - 8)
        piece = picture[top : top + 8, left : left + 8]
        if piece.std() > 10:  # sky alone is no challenge
            pieces.append(((piece - piece.min()) / np.ptp(piece)).ravel())
    return np.array(pieces, dtype=np.float32)


def main(output: str = "specific_to_its_data.png") -> dict[str, Any]:
    """Print the errors, write a picture and return the numbers."""
    X, _ = pyae.datasets.load_digits()
    is_test = np.arange(len(X)) % 5 == 4
    train, test = X[~is_test], X[is_test]
    epochs = 150
    model = pyae.Sequential(
        [
            pyae.Dense(128, "relu"),
            pyae.Dense(16),
            pyae.Dense(128, "relu"),
            pyae.Dense(64, "sigmoid"),
        ],
        loss="binary_crossentropy",
        optimizer=pyae.optimizers.Adam(pyae.schedules.Cosine(3e-3, epochs * -(-len(train) // 64))),
        random_state=0,
    )
    model.fit(train, epochs=epochs, batch_size=64)

    order = np.random.default_rng(0).permutation(64)
    groups = {
        "digits": test,
        "upside down": test[:, ::-1],
        "shuffled pixels": test[:, order],
        "photographs": photograph_pieces(len(test)),
    }
    errors = {name: np.square(model.predict(g) - g).sum(axis=1) for name, g in groups.items()}
    limit = float(np.quantile(errors["digits"], 0.99))
    results = {}
    print("data              error   of the variance   above 99% of digits")
    for name, images in groups.items():
        variance = float(images.var(axis=0).sum())
        results[name] = {
            "error": float(errors[name].mean()),
            "share": float(errors[name].mean()) / variance,
            "found": float((errors[name] > limit).mean()),
        }
        r = results[name]
        print(f"{name:<16}{r['error']:7.2f} {r['share']:17.0%} {r['found']:21.0%}")

    figure = Figure(figsize=(9, 5.8), dpi=150, layout="constrained", facecolor="white")
    top, bottom = figure.subplots(2, 1, height_ratios=[1, 2])
    columns = np.concatenate([images[:4] for images in groups.values()])
    rows = {"original": columns, "reconstruction": model.predict(columns)}
    ReconstructionDisplay(rows=rows, image_shape=(8, 8)).plot(top, cmap="gray_r")
    for i, name in enumerate(groups):
        top.text((i + 0.5) / 4, 1.04, name, transform=top.transAxes, ha="center", weight="bold")
    ErrorDistributionDisplay.from_predictions(errors, quantile=0.99, ax=bottom, scale="log")
    figure.savefig(output)
    print(f"picture: {output}")
    return results


if __name__ == "__main__":
    main(*sys.argv[1:])
