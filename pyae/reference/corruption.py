"""Corruption of training inputs; the targets stay clean.

The noise of row `r` (its number in the data set), column `c` and epoch `e` depends on
``(seed, e, r, c)`` alone: number ``c % 4`` of block ``r ceil(n_features / 4) + c // 4``.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .arrays import Array, Spec, look_up, split_spec
from .random import NOISE, Words, normals, words


def _blocks(rows: npt.ArrayLike, n_features: int) -> npt.NDArray[np.uint64]:
    """Return the block numbers of some rows: (m, ceil(n_features / 4))."""
    n_blocks = -(-n_features // 4)
    r = np.asarray(rows, dtype=np.uint64)
    first = r[:, np.newaxis] * np.uint64(n_blocks)  # (m, 1)
    return np.asarray(first + np.arange(n_blocks, dtype=np.uint64), dtype=np.uint64)


def _row_words(rows: npt.ArrayLike, n_features: int, epoch: int, seed: int) -> Words:
    blocks = words(seed, _blocks(rows, n_features), epoch, NOISE)  # (m, n_blocks, 4)
    return blocks.reshape(len(blocks), -1)[:, :n_features]


def _threshold(rate: float) -> int:
    return math.floor(rate * 2**32)


def gaussian(x: Array, rows: npt.ArrayLike, epoch: int, seed: int, stddev: float) -> Array:
    """Return ``x + stddev n``, n standard normal: (m, n_features)."""
    blocks = normals(seed, _blocks(rows, x.shape[1]), epoch, NOISE)  # (m, n_blocks, 4)
    n = blocks.reshape(len(blocks), -1)[:, : x.shape[1]].astype(x.dtype)
    return np.asarray(x + stddev * n)


def masking(x: Array, rows: npt.ArrayLike, epoch: int, seed: int, rate: float) -> Array:
    """Return x with each entry set to 0 with probability `rate`: (m, n_features)."""
    masked = _row_words(rows, x.shape[1], epoch, seed) < _threshold(rate)
    return np.where(masked, 0, x)


def salt_and_pepper(
    x: Array,
    rows: npt.ArrayLike,
    epoch: int,
    seed: int,
    rate: float,
    low: npt.ArrayLike,
    high: npt.ArrayLike,
) -> Array:
    """Return x with each entry set to `low` or `high`, with probability ``rate/2`` each.

    `low` and `high` are numbers or one value a feature, (n_features,).
    """
    word = _row_words(rows, x.shape[1], epoch, seed)
    noisy = np.where(word < _threshold(rate), np.asarray(high, dtype=x.dtype), x)
    return np.where(word < _threshold(rate / 2), np.asarray(low, dtype=x.dtype), noisy)


CORRUPTIONS = {"gaussian": gaussian, "masking": masking, "salt_and_pepper": salt_and_pepper}


def with_feature_range(spec: Spec | None, X: npt.ArrayLike) -> dict[str, object] | None:
    """Return the noise spec with salt and pepper's missing ends filled in from X (n, d)."""
    if spec is None:
        return None
    filled = dict(spec)
    if filled["name"] == "salt_and_pepper":
        X = np.asarray(X)
        if filled.get("low") is None:
            filled["low"] = X.min(axis=0)
        if filled.get("high") is None:
            filled["high"] = X.max(axis=0)
    return filled


def corrupt(spec: Spec | None, x: Array, rows: npt.ArrayLike, epoch: int, seed: int) -> Array:
    """Return the rows x (m, n_features) corrupted as the noise spec says; None leaves them."""
    if spec is None:
        return x
    name, params = split_spec(spec)
    return np.asarray(look_up(CORRUPTIONS, name, "noise")(x, rows, epoch, seed, **params))
