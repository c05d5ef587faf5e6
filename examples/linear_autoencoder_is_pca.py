"""A linear autoencoder finds the space that PCA finds (Bourlard & Kamp 1988, Baldi & Hornik 1989).

Without activations the network is ``x' = (x W1 + b1) W2 + b2``, a map of rank k, and by the theorem
of Eckart and Young no map of rank k has a smaller squared error than the projection on the k first
principal axes: the sum of the other eigenvalues of the covariance matrix is a floor. All local
minima of the network are global ones (there are only saddle points besides), so a good optimizer
arrives there. The decoder's rows then span PCA's space; they are another basis of it, since
``W1 A`` and ``A^-1 W2`` make the same network for every invertible matrix A.

Encoder and decoder share one kernel here (tied weights, ``W2 = W1^T``): the floor is the same, and
the way down is much shorter, because directions in which the data hardly vary do not hold it up.

The script trains on digits (pixels / 16), for k = 2, 8, 16 and 32, and prints the error of an image
(squared, summed over the pixels, mean), its distance from the floor, and the largest angle between
the two spaces.

Expect: the floor to six digits, and angles below 0.001 radians.

Run ``python linear_autoencoder_is_pca.py [picture.png]``.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from scipy.linalg import subspace_angles

import pyae
from pyae.plotting import FiltersDisplay


def main(output: str = "linear_autoencoder_is_pca.png") -> dict[int, dict[str, float]]:
    """Print the comparison, write a picture and return the numbers."""
    X = pyae.datasets.load_digits()[0].astype(np.float64)
    mean = X.mean(axis=0)
    _, s, axes = np.linalg.svd(X - mean, full_matrices=False)
    results = {}
    print(" k    error    floor   beyond it   largest angle")
    for k in (2, 8, 16, 32):
        model = pyae.Autoencoder(
            k,
            optimizer=pyae.optimizers.LBFGS(),
            tied_weights=True,
            batch_size=len(X),
            max_epochs=2000,
            dtype="float64",
            random_state=0,
        )
        model.fit(X)
        error = float(model.reconstruction_error(X).mean())
        floor = float(np.square(s[k:]).sum() / len(X))
        decoder = model.model_.get_weights()[0].T  # (k, n_features)
        angle = float(subspace_angles(decoder.T, axes[:k].T).max())
        results[k] = {"error": error, "floor": floor, "angle": angle}
        print(f"{k:2} {error:8.4f} {floor:8.4f}    {error / floor - 1:8.1e}        {angle:8.1e}")
        if k == 8:
            both = np.concatenate([_normalized(decoder), axes[:8]])
    display = FiltersDisplay.from_weights(both, scale="each", n_columns=8)
    display.ax_.set_title("8 rows of the decoder (above) and 8 principal axes: one space")
    display.save(output)
    print(f"picture: {output}")
    return results


def _normalized(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
