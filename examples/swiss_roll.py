"""Learning a manifold: the Swiss roll, a rolled-up sheet.

The points lie in three dimensions but have two: how far along the spiral, ``t``, and how far along
the axis, ``h``; ``x = (t cos t, h, t sin t)``. PCA with two components can only squash the roll
flat, so that layers fall on one another. An autoencoder with a code of two units can follow the
sheet: its reconstruction is nearly the point itself.

Two numbers measure the codes on points not trained on: the squared error of the reconstruction as
a share of the variance, and how well the nearest codes tell the place on the sheet (``t`` and
``h``, explained by the average of the five nearest neighbours in the code).

Expect: PCA leaves about a third of the variance; the autoencoder less than a twentieth of that,
and its codes know the place on the sheet better.

Run ``python swiss_roll.py [picture.png]``.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import make_swiss_roll
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

import pyae


def main(output: str = "swiss_roll.png") -> dict[str, dict[str, float]]:
    """Print the comparison, write a picture and return the numbers."""
    points, t = make_swiss_roll(3000, random_state=0)
    X = StandardScaler().fit_transform(points)
    place = StandardScaler().fit_transform(np.column_stack([t, points[:, 1]]))
    train, test = slice(0, 2000), slice(2000, None)
    models = {
        "PCA": PCA(2),
        "autoencoder": pyae.Autoencoder(
            2,
            hidden_layer_sizes=(128, 64),
            max_epochs=200,
            random_state=0,
        ),
    }
    results, codes, restored = {}, {}, {}
    print("             error / variance   place told by the code (R^2)")
    for name, model in models.items():
        model.fit(X[train])
        codes[name] = model.transform(X)
        restored[name] = model.inverse_transform(codes[name])
        nearest = KNeighborsRegressor(5).fit(codes[name][train], place[train])
        results[name] = {
            "error": float(np.square(restored[name][test] - X[test]).sum(axis=1).mean() / 3),
            "place": float(nearest.score(codes[name][test], place[test])),
        }
        print(f"{name:<12} {results[name]['error']:16.4f}   {results[name]['place']:28.3f}")

    figure = Figure(figsize=(12, 7), dpi=150, layout="constrained", facecolor="white")
    pictures: dict[str, Any] = {"the roll": X}
    pictures |= {f"restored by {name}": restored[name] for name in models}
    for i, (title, values) in enumerate(pictures.items()):
        ax: Any = figure.add_subplot(2, 3, i + 1, projection="3d")
        ax.scatter(*values.T, c=t, s=3, cmap="viridis")
        ax.view_init(elev=10, azim=-80)
        ax.set(title=title, xticks=[], yticks=[], zticks=[])
    for i, name in enumerate(models):
        ax = figure.add_subplot(2, 3, 5 + i)
        ax.scatter(*codes[name].T, c=t, s=4, cmap="viridis")
        ax.set(title=f"code of {name}", xticks=[], yticks=[])
    figure.text(0.03, 0.25, "colour: how far along the spiral", color="0.35")
    figure.savefig(output)
    print(f"picture: {output}")
    return results


if __name__ == "__main__":
    main(*sys.argv[1:])
