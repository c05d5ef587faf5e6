"""Checks of single arguments, whose errors name the argument, what came and what is allowed."""

from __future__ import annotations

import operator
import secrets
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np
import numpy.typing as npt


def integer(value: Any, name: str, allowed: str = "an integer") -> int:
    """Return a value that is an integer, of Python's or NumPy's kind, but no boolean."""
    if isinstance(value, bool):
        raise TypeError(f"{name} must be {allowed}, got {value!r}")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be {allowed}, got {value!r}") from None


def positive_int(value: Any, name: str, allowed: str = "an integer", *, bits: int = 62) -> int:
    """Return an integer of at least 1 that sizes can be computed from."""
    result = integer(value, name, allowed)
    if result < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    if result >= 2**bits:
        raise ValueError(f"{name} must be less than 2**{bits}, got {value}")
    return result


def layer_size(value: Any, name: str) -> int:
    """Return a number of units that a layer can have."""
    return positive_int(value, name, bits=31)


def boolean(value: Any, name: str) -> bool:
    """Return True or False, of Python's or NumPy's kind: the text "no" would count as True."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def items(value: Any, name: str, allowed: str) -> list[Any]:
    """Return the items of a collection that has an order, and is no text."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, str | bytes | Mapping | Set) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be {allowed}, got {value!r}")
    return list(value)


def choice(value: Any, name: str, allowed: Sequence[str | None]) -> Any:
    """Return a value that is one of some texts, or None where that is among them."""
    if not isinstance(value, str | None) or value not in allowed:
        *first, last = map(repr, allowed)
        raise ValueError(f"{name} must be {', '.join(first)} or {last}, got {value!r}")
    return value


def verbosity(value: Any) -> int:
    """Return 0, 1 or 2; True and False are 1 and 0."""
    if not isinstance(value, bool | np.bool_):
        value = integer(value, "verbose", "0, 1 or 2")
    if not 0 <= value <= 2:
        raise ValueError(f"verbose must be 0, 1 or 2, got {value!r}")
    return int(value)


def number(value: Any, name: str, allowed: str = "a number") -> float:
    """Return a value that is a real number: no boolean, text or array, but one of no axes."""
    kind = getattr(getattr(value, "dtype", None), "kind", "f")
    try:
        if isinstance(value, bool | str | bytes | type) or not hasattr(value, "__float__"):
            raise TypeError
        if getattr(value, "shape", ()) or kind in "bcSUmM":
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be {allowed}, got {value!r}") from None
    except OverflowError:
        raise ValueError(f"{name} is too large for a number of 64 bits, got {value!r}") from None


def positive_float(value: Any, name: str, allowed: str = "a number") -> float:
    """Return a finite number above 0."""
    result = number(value, name, allowed)
    if not 0 < result < float("inf"):
        raise ValueError(f"{name} must be positive and finite, got {value!r}")
    return result


def not_negative(value: Any, name: str) -> float:
    """Return a finite number of at least 0."""
    result = number(value, name)
    if not 0 <= result < float("inf"):
        raise ValueError(f"{name} must be finite and not negative, got {value!r}")
    return result


def thread_count(n_threads: Any) -> int:
    """Return a number of threads."""
    result = integer(n_threads, "n_threads", "an integer or None")
    if not 1 <= result <= 4096:
        raise ValueError(f"n_threads must be from 1 to 4096, got {n_threads}")
    return result


def float_dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Return float32 or float64."""
    try:
        if not isinstance(dtype, str | type | np.dtype):
            raise TypeError  # NumPy takes None for float64, and what has a dtype for that
        result = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype must be 'float32' or 'float64', got {dtype!r}") from None
    if result not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    return result


def seed_of(random_state: Any) -> int:
    """Return a 64-bit seed from None, an integer or a NumPy generator."""
    if random_state is None:
        return secrets.randbits(64)
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(0, 2**64, dtype=np.uint64))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(0, 2**32, dtype=np.uint64))
    allowed = "an integer, a numpy.random.Generator or RandomState, or None"
    seed = integer(random_state, "random_state", allowed)
    if not 0 <= seed < 2**64:
        raise ValueError(f"random_state must be from 0 to 2**64 - 1, got {random_state}")
    return seed
