"""What comes in through the door: arrays of many kinds, taken in place or refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]  # float32 or float64

_READ_IN_PLACE = frozenset("fd?bBhHiIlLqQ")  # dtype characters that the core knows


def as_real_array(value: Any, name: str) -> npt.NDArray[Any]:
    """Return an array of real numbers, the caller's own memory wherever the core can read it.

    float32, float64, integers and booleans stay as they are: of any strides and byte order. Other
    real types (half precision, objects that are numbers) are converted.

    Raises
    ------
    TypeError
        The values are not real numbers.
    """
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise TypeError(f"{name} is a sparse matrix; pass {name}.toarray()")
    if value is None:
        raise TypeError(f"{name} must hold real numbers, got None")
    require_unmasked(value, name)
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{name} is no array of real numbers: {error}") from None
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind in "biu" or (kind == "f" and size in (4, 8)):
        return array
    if kind == "f":
        return array.astype(np.float32 if size < 4 else np.float64)
    if kind == "O":
        try:
            return array.astype(np.float64)
        except OverflowError as error:
            raise ValueError(f"{name} has a value that is too large: {error}") from None
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name} must hold real numbers, got dtype object: {error}") from None
    raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")


def require_unmasked(value: Any, name: str) -> None:
    """Raise a ValueError where a masked array, or a list of these, hides values."""
    rows = value if isinstance(value, list | tuple) else (value,)
    if any(np.ma.is_masked(row) for row in rows):
        raise ValueError(f"{name} has masked values; fill them or leave them out")


def as_samples(value: Any, name: str) -> npt.NDArray[Any]:
    """Return a (n_samples, n_features) array of real numbers."""
    if (  # what most calls give: no further question delays a prediction of one row
        type(value) is np.ndarray
        and value.ndim == 2
        and value.size
        and value.dtype.char in _READ_IN_PLACE
    ):
        return value
    array = as_real_array(value, name)
    if array.ndim != 2:
        hint = (
            f"{name}.reshape(-1, 1) if it is one feature, {name}.reshape(1, -1) if one sample"
            if array.ndim == 1
            else f"{name}.reshape(len({name}), -1) makes each sample one row"
        )
        raise ValueError(
            f"{name} must have two dimensions (n_samples, n_features), got shape {array.shape}; "
            + hint
        )
    if 0 in array.shape:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    return array


def as_targets(value: Any, name: str) -> npt.NDArray[Any]:
    """Return a (n_samples, n_outputs) array; one value a sample may come as (n_samples,)."""
    array = as_real_array(value, name)
    return as_samples(array.reshape(-1, 1) if array.ndim == 1 else array, name)


def as_classes(value: Any, name: str) -> npt.NDArray[Any]:
    """Return labels, (n,), that have an order: all texts, or all numbers.

    Raises
    ------
    TypeError, ValueError
        They have not, are masked, or have another shape.
    """
    require_unmasked(value, name)
    try:
        labels = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must hold one label a sample: {error}") from None
    if labels.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got shape {labels.shape}")
    require_order(labels, name)
    return labels


def require_order(labels: npt.NDArray[Any], name: str) -> None:
    """Raise a TypeError where labels have no order, being of different types."""
    if labels.dtype.kind != "O":
        return
    try:
        np.unique(labels)
    except TypeError:
        kinds = sorted({type(label).__name__ for label in labels.ravel().tolist()})
        raise TypeError(
            f"{name} must hold labels of one type that has an order, got {' and '.join(kinds)}"
        ) from None


def as_weights(value: Any, name: str, n_samples: int, dtype: npt.DTypeLike) -> Floats | None:
    """Return sample weights as a contiguous (n_samples,) array of `dtype`, or None.

    Raises
    ------
    ValueError
        The shape is not (n_samples,), or a weight is negative, NaN, infinite or too large for
        `dtype`, or all are zero, or in `dtype`.
    """
    if value is None:
        return None
    array = as_real_array(value, name)
    if array.shape != (n_samples,):
        raise ValueError(f"{name} must have shape ({n_samples},), got {array.shape}")
    given = as_floats(array, name, np.float64)
    if not np.isfinite(given).all():
        raise ValueError(f"{name} must be finite, but holds NaN or infinity")
    if (given < 0).any():
        raise ValueError(f"{name} must not be negative, got a least value of {given.min()}")
    if not given.any():
        raise ValueError(f"{name} must have a positive value, but all are zero")
    weights = as_floats(given, name, dtype)
    if not np.isfinite(weights).all():
        raise ValueError(f"{name} has values too large for {weights.dtype}: up to {given.max()}")
    if not weights.any():
        raise ValueError(f"{name} has values too small for {weights.dtype}: up to {given.max()}")
    return weights


def within_reach(weights: Floats) -> Floats:
    """Return weights times the power of 2 that brings the largest to [1, 2): no sum overflows.

    For where their scale does not matter: ratios, and so what is made of them, are the same bits.
    """
    return np.asarray(np.ldexp(weights, 1 - np.frexp(weights.max())[1]))


def as_floats(value: Any, name: str, dtype: npt.DTypeLike | None = None) -> Floats:
    """Return a C-contiguous, native array of floats: float32 stays, all else becomes float64."""
    array = as_real_array(value, name)
    if dtype is None:
        single = array.dtype.kind == "f" and array.dtype.itemsize == 4
        dtype = np.float32 if single else np.float64
    with np.errstate(over="ignore"):  # an infinity is refused by name, where it matters
        return np.asarray(array, dtype=dtype, order="C")


def as_inputs(X: npt.NDArray[Any], name: str, dtype: np.dtype[Any]) -> Floats:
    """Return finite samples as floats of `dtype`.

    Raises
    ------
    ValueError
        A value is too large for it; the message is the core's.
    """
    with np.errstate(over="ignore"):
        inputs = np.asarray(X, dtype=dtype)
    if inputs is not X:
        finite = np.isfinite(inputs).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"{name} has NaN, infinity or a value too large for {dtype.name} in row "
                f"{finite.argmin()}"
            )
    return inputs


def require_finite(array: npt.NDArray[Any], name: str) -> None:
    """Raise a ValueError when a value is NaN or infinite."""
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite, but holds {array[where]} at index {where}")
