"""Corruption of validation inputs, once, so that the losses of different epochs compare."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pyae._arrays import Floats, as_floats
from pyae._backend import core
from pyae.noise import Noise


def corrupted(X: npt.ArrayLike, noise: Noise, seed: int, dtype: npt.DTypeLike) -> Floats:
    """Return X with noise, a function of the seed: (n_samples, n_features) of `dtype`."""
    clean = as_floats(X, "X", dtype)
    lows, highs = clean.min(axis=0).tolist(), clean.max(axis=0).tolist()
    rows = np.arange(len(clean), dtype=np.int64)
    return core.corrupt(noise.to_spec(), clean, seed, 0, rows, lows, highs)
