"""Many images in one: samples as images, and images as tiles of a mosaic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, int] | tuple[int, int, int]


def as_image_shape(image_shape: Sequence[int] | None, n_features: int) -> Shape:
    """Return (height, width[, channels]); None takes a square gray image.

    Raises
    ------
    ValueError
        The shape does not have as many values as a sample has features.
    """
    if image_shape is None:
        side = math.isqrt(n_features)
        if side * side != n_features:
            raise ValueError(
                f"image_shape must be given: {n_features} features are not a square image; "
                "use (height, width) or (height, width, 3) for colours, or (1, "
                f"{n_features}) to show a sample as a strip"
            )
        return side, side
    shape = tuple(int(n) for n in image_shape)
    if len(shape) not in (2, 3) or min(shape) < 1 or math.prod(shape) != n_features:
        raise ValueError(
            f"image_shape={image_shape!r} does not fit {n_features} features; it must be "
            "(height, width) or (height, width, channels) with that many values"
        )
    if len(shape) == 3 and shape[2] not in (1, 3, 4):
        raise ValueError(f"image_shape={image_shape!r}; channels must be 1, 3 or 4")
    if len(shape) == 3 and shape[2] == 1:
        shape = shape[:2]
    return shape  # type: ignore[return-value]


def as_matrix(values: Any, name: str) -> Array:
    """Return a finite matrix of samples; images of more dimensions become rows."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold numbers, got dtype {array.dtype}")
    if array.ndim < 2 or array.size == 0:
        raise ValueError(f"{name} must be a matrix of samples, got shape {array.shape}")
    array = array.reshape(len(array), -1)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, it holds NaN or infinity")
    return array


def gaps_of(shape: Shape) -> tuple[int, int]:
    """Return the pixels between two tiles, one above the other and side by side.

    Strips, samples of one row, form a matrix.
    """
    height, width = shape[:2]
    if height == 1:
        return 0, max(1, round(0.04 * width))
    gap = max(1, round(0.08 * min(height, width)))
    return gap, gap


def mosaic(tiles: Array, shape: Shape) -> Array:
    """Put images side by side.

    Parameters
    ----------
    tiles : ndarray of shape (n_rows, n_columns, n_features)
        Images; NaN is a tile that stays empty.
    shape : tuple
        Of one image.

    Returns
    -------
    ndarray of shape (height, width) or (height, width, channels)
        With NaN in the gaps between tiles.
    """
    n_rows, n_columns = tiles.shape[:2]
    height, width = shape[:2]
    below, beside = gaps_of(shape)
    size = n_rows * (height + below) - below, n_columns * (width + beside) - beside
    whole = np.full((*size, *shape[2:]), np.nan)
    for row in range(n_rows):
        for column in range(n_columns):
            top, left = row * (height + below), column * (width + beside)
            whole[top : top + height, left : left + width] = tiles[row, column].reshape(shape)
    return whole


def as_colors(whole: Array, low: float, high: float) -> Array:
    """Return a mosaic of colour images as RGBA in [0, 1], transparent in the gaps."""
    scaled = np.clip((whole - low) / (high - low if high > low else 1.0), 0, 1)
    alpha = np.isfinite(whole[..., :1]).astype(float)
    if whole.shape[2] == 4:
        alpha = alpha * np.nan_to_num(scaled[..., 3:])
    return np.concatenate([np.nan_to_num(scaled[..., :3]), alpha], axis=2)


def centers(n: int, size: int, gap: int) -> Array:
    """Return where the tiles' centres are, in pixels of the mosaic."""
    return np.arange(n) * (size + gap) + (size - 1) / 2
