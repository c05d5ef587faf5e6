"""Images of smooth curves: a data set that has six degrees of freedom and needs no download.

Every value comes from a bit generator whose stream NumPy keeps, and from additions, products,
square roots and roundings of single numbers, in a fixed order: the same bits on every processor.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pyae._arguments import positive_int, seed_of

_SIDE: Final = 28
_MARGIN: Final = 6  # pixels; a spline exceeds its points' box by a tenth of it, so none leaves
_STEPS: Final = 64  # of each half of a curve; the longest is less than a pixel
_SPREAD: Final = 0.108  # ink that each pixel gives to its two neighbours, along each axis
_STRENGTH: Final = 1.92  # ink of one pixel of length; like margin and spread by the errors told
_CHUNK: Final = 100  # images at a time, which fit into a cache

_Array = npt.NDArray[np.float64]


def make_curves(n_samples: int = 30_000, random_state: Any = 0) -> npt.NDArray[np.float32]:
    """Draw smooth curves, each a cubic spline through three random points: images of 28 x 28.

    The points lie in a square, 6 pixels from the image's borders: the first in its left third, the
    second in its middle and the third in its right third, uniformly. The natural cubic spline
    through a, b, c is, from a to b with t from 0 to 1,
    ``a + (b-a) t + (a-2b+c) (t^3-t)/4``, and from c to b likewise. Its ink is even along its
    length, deposited bilinearly on the four pixels around each place, blurred by
    ``[0.108, 0.784, 0.108]`` along both axes, multiplied by 1.92 and cut off at 1.

    The images are made after the description of the CURVES data of the literature on optimizers
    [1]_ [2]_, which they are not. Where the points lie, width and strength of the ink are chosen
    such that models whose training is easy do as well here as was published there. Squared error
    an image, of the last 10,000 after training on the first 20,000:

    ============================  ======  =========
    model                         here    published
    ============================  ======  =========
    the mean image                16.00   about 16
    PCA, 18 components            5.91    5.90
    logistic PCA, 18 components   2.17    2.45
    logistic PCA, 6 components    7.79    7.64
    ============================  ======  =========

    Logistic PCA is an autoencoder with a linear code, logistic output and cross-entropy, without
    other layers.

    Parameters
    ----------
    n_samples : int, default 30000
        How many images; by custom the first 20,000 are for training and 10,000 for the test. Fewer
        are the first of more.
    random_state : int, numpy.random.Generator or numpy.random.RandomState, default 0
        The seed. None: a new one each time.

    Returns
    -------
    X : ndarray of shape (n_samples, 784), float32
        One image a row, row of pixels after row of pixels; 0 is paper and 1 is ink.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is outside its limits.

    References
    ----------
    .. [1] Hinton & Salakhutdinov, "Reducing the dimensionality of data with neural networks",
       Science 313 (2006), supporting material.
    .. [2] Martens, "Deep learning via Hessian-free optimization", ICML 2010.

    Examples
    --------
    >>> from pyae.datasets import make_curves
    >>> X = make_curves(100)
    >>> X.shape, X.dtype.name, float(X.min()), float(X.max())
    ((100, 784), 'float32', 0.0, 1.0)
    """
    n_samples = positive_int(n_samples, "n_samples")
    bits = np.random.PCG64(seed_of(random_state))
    X = np.empty((n_samples, _SIDE * _SIDE), dtype=np.float32)
    for start in range(0, n_samples, _CHUNK):
        rows = X[start : start + _CHUNK]
        # NumPy promises a bit generator's stream for good, but not what a Generator makes of it.
        uniform = (bits.random_raw(6 * len(rows)) >> np.uint64(11)) * 2.0**-53
        points = uniform.reshape(-1, 3, 2)
        points[:, :, 0] = (np.arange(3) + points[:, :, 0]) / 3
        points = _MARGIN + (_SIDE - 1 - 2 * _MARGIN) * points
        ink = _blurred(_blurred(_deposited(_splines(points)), 1), 2)
        rows[:] = np.minimum(_STRENGTH * ink, 1).reshape(len(rows), -1)
    return X


def _splines(points: _Array) -> _Array:
    """Return curves (n, 2, 2 steps + 1) through points (n, 3, 2)."""
    a, b, c = (points[:, i, :, np.newaxis] for i in range(3))
    t = np.arange(_STEPS + 1) / _STEPS
    bend = (a - 2 * b + c) * ((t * t * t - t) / 4)
    from_a = a + (b - a) * t + bend
    from_c = c + (b - c) * t + bend
    return np.concatenate([from_a, from_c[..., -2::-1]], axis=-1)


def _deposited(curves: _Array) -> _Array:
    """Return images (n, side, side) of the length of curve around each pixel."""
    change = curves[..., 1:] - curves[..., :-1]
    length = np.sqrt(change[:, 0] * change[:, 0] + change[:, 1] * change[:, 1])
    x, y = np.moveaxis((curves[..., 1:] + curves[..., :-1]) / 2, 1, 0)  # of each step's middle
    column, row = np.floor(x), np.floor(y)
    right, down = x - column, y - row
    pixel = (row * _SIDE + column).astype(np.intp)
    pixel += np.arange(len(curves))[:, np.newaxis] * _SIDE**2
    images = np.zeros(len(curves) * _SIDE**2)
    for offset, share in (
        (0, (1 - right) * (1 - down)),
        (1, right * (1 - down)),
        (_SIDE, (1 - right) * down),
        (_SIDE + 1, right * down),
    ):
        weights = (share * length).ravel()
        images += np.bincount((pixel + offset).ravel(), weights, minlength=len(images))
    return images.reshape(-1, _SIDE, _SIDE)


def _blurred(images: _Array, axis: int) -> _Array:
    """Return images whose pixels have given part of their ink to their neighbours along an axis."""
    given = np.moveaxis(_SPREAD * images, axis, 0)
    result = (1 - 2 * _SPREAD) * images
    view = np.moveaxis(result, axis, 0)
    view[1:] += given[:-1]
    view[:-1] += given[1:]
    return result
