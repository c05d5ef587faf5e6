"""The demonstration behind ``pyae demo``: a denoising autoencoder on real handwritten digits.

A network learns to restore clean images from noisy ones, and is measured on images that it has
never seen against the best that a linear method, principal component analysis, can do.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Final, TextIO, TypedDict

import numpy as np
import numpy.typing as npt

from pyae.datasets import load_digits
from pyae.plotting import ReconstructionDisplay
from pyae.plotting.display import check_picture, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DemoResult", "run"]

Images = npt.NDArray[np.float32]

NOISE_STDDEV: Final = 0.3  # pixels are in [0, 1]
HIDDEN_UNITS: Final = 256
CODE_UNITS: Final = 32
EPOCHS: Final = 300
BATCH_SIZE: Final = 64
LEARNING_RATE: Final = 3e-3


class DemoResult(TypedDict):
    """What `run` measured; an error is squared, summed over the 64 pixels, a mean over images."""

    n_train: int
    n_test: int
    noise_stddev: float
    code_units: int
    error_noisy: float
    error_pca: float
    error_pca_best: float
    pca_best_components: int
    error_pyae: float
    seconds: float
    output: str


def run(
    output: str | os.PathLike[str] = "pyae-demo.png",
    seed: int = 0,
    verbose: int = 1,
    stream: TextIO | None = None,
) -> DemoResult:
    """Train a denoising autoencoder on digits of 8 x 8 pixels, compare it with PCA and draw both.

    Every fifth image is kept for the test. The training images get Gaussian noise, fresh in each
    epoch; the network learns to give back the clean ones. PCA is fitted on the clean training
    images; noisy images are projected on its first components. It is measured twice: with as many
    components as the network's code has units, and with the number that is best on these very test
    images, which favors it.

    Parameters
    ----------
    output : path-like
        The picture to write; its suffix says the format (PNG, PDF, SVG, ...).
    seed : int
        Of the initial weights, the training noise and the test noise, at least 0.
    verbose : {0, 1, 2}
        0: print nothing; 1: a progress bar and the errors; 2: one line an epoch and the errors.
    stream : text file, optional
        Where to print; `sys.stdout` by default.

    Returns
    -------
    dict
        The sizes, ``error_noisy``, ``error_pca``, ``error_pca_best``, ``pca_best_components`` and
        ``error_pyae`` (squared error of an image: the sum over its pixels; mean over the test
        images), the training time in ``seconds`` and the picture's path in ``output``.

    Raises
    ------
    ImportError
        scikit-learn (for the images) or matplotlib (for the picture) is not installed.
    ValueError
        matplotlib does not know `output`'s suffix, or `seed` is negative.
    FileNotFoundError
        `output`'s folder does not exist.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from pyae import demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = demo.run(Path(folder, "digits.png"), verbose=0)
    >>> result["error_pyae"] < 0.6 * result["error_pca_best"]
    True
    """
    import pyae

    if seed < 0:
        raise ValueError(f"seed={seed}; allowed are integers >= 0")
    path = check_picture(output)
    out = sys.stdout if stream is None else stream

    def say(text: str) -> None:
        if verbose:
            print(text, file=out, flush=True)

    X, labels = load_digits()
    is_test = np.arange(len(X)) % 5 == 4
    train, test = X[~is_test], X[is_test]
    rng = np.random.default_rng(seed)
    noisy = test + NOISE_STDDEV * rng.standard_normal(test.shape, dtype=np.float32)

    n_pixels = X.shape[1]
    n_steps = EPOCHS * -(-len(train) // BATCH_SIZE)
    model = pyae.Sequential(
        [
            pyae.Dense(HIDDEN_UNITS, activation="relu"),
            pyae.Dense(CODE_UNITS, activation="relu"),
            pyae.Dense(HIDDEN_UNITS, activation="relu"),
            pyae.Dense(n_pixels, activation="sigmoid"),
        ],
        loss="mean_squared_error",
        optimizer=pyae.optimizers.Adam(pyae.schedules.Cosine(LEARNING_RATE, n_steps)),
        random_state=seed,
    )
    say(
        f"{len(train)} digits of 8 x 8 pixels to train on, {len(test)} others to test; "
        f"noise of {NOISE_STDDEV} on pixels in [0, 1]\n"
        f"training a denoising autoencoder, "
        f"{n_pixels}-{HIDDEN_UNITS}-{CODE_UNITS}-{HIDDEN_UNITS}-{n_pixels}"
    )
    start = time.perf_counter()
    with contextlib.redirect_stdout(out):
        model.fit(
            train,
            train,
            epochs=EPOCHS,
            batch_size=BATCH_SIZE,
            noise=pyae.noise.Gaussian(NOISE_STDDEV),
            validation_data=(noisy, test),  # to look at: nothing is chosen by it
            verbose=verbose,
        )
    seconds = time.perf_counter() - start

    by_pca = _pca(train, noisy)
    best = int(np.argmin([_error(images, test) for images in by_pca])) + 1
    restored = {
        "noisy": noisy,
        f"PCA, {CODE_UNITS} components": by_pca[CODE_UNITS - 1],
        f"PCA, {best} components": by_pca[best - 1],
        f"pyae, code of {CODE_UNITS}": model.predict(noisy),
    }
    errors = [_error(images, test) for images in restored.values()]
    notes = ["", "(as many as the code has units)", "(its best on these images)", ""]

    say("squared error of a test image: the sum over its 64 pixels, mean over the images")
    for name, error, note in zip(restored, errors, notes, strict=True):
        say(f"  {name:<20}{error:8.3f}  {note}".rstrip())

    columns = [int(np.flatnonzero(labels[is_test] == digit)[0]) for digit in range(10)]
    rows = {"clean": test[columns], **{name: images[columns] for name, images in restored.items()}}
    _draw(rows, dict(zip(restored, errors, strict=True)), len(test)).savefig(path)
    say(f"picture: {path}")
    return {
        "n_train": len(train),
        "n_test": len(test),
        "noise_stddev": NOISE_STDDEV,
        "code_units": CODE_UNITS,
        "error_noisy": errors[0],
        "error_pca": errors[1],
        "error_pca_best": errors[2],
        "pca_best_components": best,
        "error_pyae": errors[3],
        "seconds": seconds,
        "output": str(path),
    }


def _error(restored: npt.NDArray[Any], clean: Images) -> float:
    """Return the squared error summed over the pixels, mean over the images."""
    difference = restored.astype(np.float64) - clean
    return float(np.square(difference).sum(axis=1).mean())


def _pca(train: Images, noisy: Images) -> list[Images]:
    """Project noisy images on the first 1, 2, ... principal components of clean training images."""
    mean = train.mean(axis=0)  # (n_pixels,)
    _, _, axes = np.linalg.svd(train - mean, full_matrices=False)  # (n_components, n_pixels)
    scores = (noisy - mean) @ axes.T  # (n_images, n_components)
    return [mean + scores[:, :k] @ axes[:k] for k in range(1, len(axes) + 1)]


def _draw(rows: dict[str, Images], errors: dict[str, float], n_samples: int) -> Figure:
    """Draw one digit a column, and what each method makes of it a row."""
    figure = new_figure((10.4, 5.4))
    ReconstructionDisplay(rows=rows, image_shape=(8, 8), errors=errors, n_samples=n_samples).plot(
        figure.add_subplot(),
        cmap="gray_r",
        vmin=0,
        vmax=1,
        title="Test digits restored from noise",
    )
    return figure
