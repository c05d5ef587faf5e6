"""Handwritten digits in two dimensions: a deep autoencoder next to PCA.

Both describe each image of 64 pixels by two numbers, chosen so that the image can be told from them
as well as possible:

- PCA by linear projections, ``code = (x - mean) V``, ``x ~ mean + code V^T``;
- the autoencoder by curved ones, ``code = encoder(x)``, ``x ~ decoder(code)``, each a network.

Neither sees which digit an image shows. Two numbers measure them on images not trained on: the
share of the variance that the reconstruction explains, and how often an image's nearest neighbour
in the plane, among the training images, shows the same digit.

Expect: about 0.28 and 0.5 for PCA; about twice the variance and many more neighbours of the same
digit for the autoencoder, and a plane in which the digits lie apart.

Run ``python digits_in_two_dimensions.py [picture.png]``.
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.neighbors import KNeighborsClassifier

import pyae
from pyae.plotting import LatentGridDisplay, LatentSpaceDisplay


def main(output: str = "digits_in_two_dimensions.png") -> dict[str, dict[str, float]]:
    """Print the comparison, write a picture and return the numbers."""
    X, digits = pyae.datasets.load_digits()
    is_test = np.arange(len(X)) % 5 == 4
    models = {
        "PCA": PCA(2, random_state=0),
        "autoencoder": pyae.Autoencoder(
            2,
            hidden_layer_sizes=(256, 64),
            output_activation="sigmoid",
            loss="binary_crossentropy",
            max_epochs=100,
            batch_size=64,
            random_state=0,
        ),
    }
    results = {}
    print("                variance explained   nearest neighbour of the same digit")
    for name, model in models.items():
        model.fit(X[~is_test])
        train, test = model.transform(X[~is_test]), model.transform(X[is_test])
        nearest = KNeighborsClassifier(1).fit(train, digits[~is_test])
        results[name] = {
            "explained": float(
                r2_score(X[is_test], model.inverse_transform(test), multioutput="variance_weighted")
            ),
            "neighbours": float(nearest.score(test, digits[is_test])),
        }
        print(
            f"{name:<15} {results[name]['explained']:18.2f}   {results[name]['neighbours']:35.2f}"
        )

    figure = Figure(figsize=(13, 4.5), dpi=150, layout="constrained", facecolor="white")
    axes = figure.subplots(1, 3)
    for ax, (name, model) in zip(axes, models.items(), strict=False):
        LatentSpaceDisplay.from_estimator(model, X, digits, ax=ax)
        ax.set_title(name)
    LatentGridDisplay.from_estimator(models["autoencoder"], X, ax=axes[2], cmap="gray_r")
    axes[2].set_title("what the autoencoder makes of the plane")
    figure.savefig(output)
    print(f"picture: {output}")
    return results


if __name__ == "__main__":
    main(*sys.argv[1:])
