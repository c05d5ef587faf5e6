"""What every formula begins with: array types, their conversion, the reading of specs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Float64: TypeAlias = npt.NDArray[np.float64]
Spec: TypeAlias = Mapping[str, Any]

EPSILON = 1e-7


def as_float(x: npt.ArrayLike) -> Array:
    """Return `x` as an array of float32 or float64; anything else becomes float64."""
    x = np.asarray(x)
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)


def log1p(e: Array) -> Array:
    """Return ``log(1 + e)`` for ``e >= 0``, several times faster than `numpy.log1p` in float32.

    With ``u`` the rounded ``1 + e`` it is ``log u + (e - (u - 1)) / u``: the second term restores
    what the rounding lost.
    """
    u = 1 + e
    return np.asarray(np.log(u) + (e - (u - 1)) / u)


def split_spec(spec: Spec) -> tuple[str, dict[str, Any]]:
    """Split ``{"name": name, **params}`` into the name and the parameters."""
    params = dict(spec)
    return str(params.pop("name")), params


def look_up(table: Mapping[str, Any], name: str, concept: str) -> Any:
    """Return ``table[name]``, or raise a ValueError that lists the candidates."""
    if name not in table:
        raise ValueError(f"unknown {concept} {name!r}; known: {', '.join(sorted(table))}")
    return table[name]
