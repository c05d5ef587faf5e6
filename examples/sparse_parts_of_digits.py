"""Sparse parts of digits: each image as a sum of a few of many parts.

A sparse autoencoder has a large code, here as many units as an image has pixels, of which at most
six may be active for an image: the six largest stay, the others are set to 0 (top-k). The
reconstruction is then a sum of six entries of a dictionary that was learned with it:

    ``x ~ mean + sum over the six active j of code_j * part_j``

PCA with six components describes an image by six numbers as well, but always of the same six
directions. Choosing six of many fits each image better; the parts are strokes and their places.

Expect: clearly more of the variance explained than PCA does with as many numbers, few dead
units, and parts that look like pieces of digits.

Run ``python sparse_parts_of_digits.py [picture.png]``.
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score

import pyae
from pyae.plotting import CodeActivityDisplay, FiltersDisplay, ReconstructionDisplay

ACTIVE = 6
UNITS = 64


def main(output: str = "sparse_parts_of_digits.png") -> dict[str, float]:
    """Print the comparison, write a picture and return the numbers."""
    X, _ = pyae.datasets.load_digits()
    is_test = np.arange(len(X)) % 5 == 4
    train, test = X[~is_test], X[is_test]
    model = pyae.SparseAutoencoder(UNITS, n_active=ACTIVE, max_epochs=200, random_state=0).fit(
        train
    )
    pca = PCA(ACTIVE).fit(train)
    restored = {
        f"PCA, {ACTIVE} components": pca.inverse_transform(pca.transform(test)),
        f"sparse, {ACTIVE} of {UNITS}": model.reconstruct(test),
    }
    explained = [
        float(r2_score(test, images, multioutput="variance_weighted"))
        for images in restored.values()
    ]
    code = model.transform(test)
    results = {
        "pca": explained[0],
        "sparse": explained[1],
        "l0": float((code != 0).sum(axis=1).mean()),
        "most_active": int((code != 0).sum(axis=1).max()),
        "dead": len(model.dead_units_),
    }
    print(f"variance of test images explained by PCA, {ACTIVE} components  {explained[0]:.3f}")
    print(f"variance explained by {ACTIVE} of {UNITS} parts                   {explained[1]:.3f}")
    print(f"active units an image, mean {results['l0']:.2f}; dead units {results['dead']}")

    figure = Figure(figsize=(11, 8), dpi=150, layout="constrained", facecolor="white")
    grid = figure.add_gridspec(2, 2, height_ratios=[1.9, 1])
    ax = figure.add_subplot(grid[0, 0])
    FiltersDisplay.from_weights(model.components_, scale="each", max_units=100, ax=ax)
    ax.set_title("parts")
    ax = figure.add_subplot(grid[0, 1])
    CodeActivityDisplay.from_predictions(code, ax=ax)
    ax = figure.add_subplot(grid[1, :])
    ReconstructionDisplay.from_predictions(test, restored, n_images=14, ax=ax, cmap="gray_r")
    figure.savefig(output)
    print(f"picture: {output}")
    return results


if __name__ == "__main__":
    main(*sys.argv[1:])
