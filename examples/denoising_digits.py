"""Denoising handwritten digits, next to the best that a linear method can do.

A denoising autoencoder (Vincent et al. 2010) sees an image with noise, fresh in every epoch, and
learns to give back the clean one:

    ``minimise  loss(x, decoder(encoder(x + noise)))``

so it cannot just copy: it has to know what digits look like. Here Gaussian noise of standard
deviation 0.5 is added to pixels in [0, 1] (images are then barely readable). Principal component
analysis, which projects on the directions in which digits vary most, is given the number of
components that is best on the very test images.

Expect: the noise has a squared error of about 64 * 0.25 = 16 an image; PCA removes most of it; the
autoencoder leaves little more than half of what PCA leaves.

Run ``python denoising_digits.py [picture.png]``.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

import pyae
from pyae.plotting import ReconstructionDisplay

NOISE = 0.5


def main(output: str = "denoising_digits.png") -> dict[str, Any]:
    """Print the errors, write a picture and return the numbers."""
    X, digits = pyae.datasets.load_digits()
    is_test = np.arange(len(X)) % 5 == 4
    train, test = X[~is_test], X[is_test]
    rng = np.random.default_rng(0)
    noisy = test + rng.normal(0, NOISE, test.shape).astype(np.float32)

    model = pyae.DenoisingAutoencoder(
        32,
        hidden_layer_sizes=(256,),
        code_activation="relu",
        output_activation="sigmoid",
        noise=pyae.noise.Gaussian(NOISE),
        max_epochs=150,
        batch_size=64,
        random_state=0,
    )
    model.fit(train)
    restored = {"noisy": noisy, "PCA": _best_pca(train, test, noisy), "pyae": model.denoise(noisy)}
    errors = {name: float(np.square(r - test).sum(axis=1).mean()) for name, r in restored.items()}
    print("squared error of a test image, summed over its 64 pixels:")
    for name, error in errors.items():
        print(f"  {name:<6} {error:6.2f}")

    shown = [int(np.flatnonzero(digits[is_test] == digit)[0]) for digit in range(10)]
    del restored["noisy"]
    display = ReconstructionDisplay.from_predictions(
        test, restored, X_noisy=noisy, samples=shown, cmap="gray_r", vmin=0, vmax=1
    )
    display.save(output)
    print(f"picture: {output}")
    return errors


def _best_pca(train: Any, test: Any, noisy: Any) -> Any:
    """Return what PCA restores, with the number of components that is best on these images."""
    restored = []
    for k in range(1, 31):
        pca = PCA(k).fit(train)
        restored.append(pca.inverse_transform(pca.transform(noisy)))
    return min(restored, key=lambda images: np.square(images - test).sum())


if __name__ == "__main__":
    main(*sys.argv[1:])
