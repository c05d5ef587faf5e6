"""What the tests share: one table of tolerances and one way to compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sklearn
from hypothesis import settings

settings.register_profile("pyae", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("pyae")

SKLEARN = tuple(int(part) for part in sklearn.__version__.split(".")[:2])


def sklearn_penalty(l1_ratio: float) -> dict[str, Any]:
    """Return how scikit-learn's LogisticRegression is told a penalty: by name too, before 1.8."""
    if SKLEARN >= (1, 8):
        return {"l1_ratio": l1_ratio}
    return {"penalty": "elasticnet", "l1_ratio": l1_ratio} if l1_ratio else {"penalty": "l2"}


def rounded_to_bfloat16(x: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return the nearest numbers with 8 significant bits, ties to even."""
    bits = np.asarray(x, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32)


@dataclass(frozen=True)
class Tolerance:
    """How far a result may be from the float64 computation of the same inputs.

    A float64 result is held to the error `relative`, a float32 one to `ulps`, units in the last
    place of that result; so is a float64 one where the yardstick is a long double. `reason` says
    why an entry differs from the default.
    """

    relative: float = 1e-12
    ulps: float = 4.0
    reason: str = ""


TOLERANCES: dict[str, Tolerance] = {
    "default": Tolerance(),
    "normal_cdf": Tolerance(
        ulps=6.0,
        reason="a product of five rounded factors (two exponentials, a polynomial, a quotient)",
    ),
    "derivative": Tolerance(
        ulps=6.0,
        reason="a sum of products of rounded factors, and then times dy",
    ),
    "optimum": Tolerance(
        relative=1e-8,
        reason="Newton's last step squares an error that tol=1e-12 bounds at about 1e-5",
    ),
    "flat optimum": Tolerance(
        relative=3e-5,
        reason="a loss within 1e-12 of the minimum is all that is known, and its curvature small",
    ),
    "training": Tolerance(
        relative=1e-9,
        ulps=50.0,
        reason="dozens of updates, each of which builds on the rounding errors of those before it",
    ),
}

_SMALLEST = {np.dtype(np.float32): 2.0**-149, np.dtype(np.float64): 2.0**-1074}


def units(expected: npt.ArrayLike, dtype: npt.DTypeLike, scale: npt.ArrayLike = 0.0) -> Any:
    """Return one unit in the last place of `dtype` at ``max(abs(expected), scale)``."""
    size = np.maximum(np.abs(np.asarray(expected, dtype=np.longdouble)), scale)
    largest = np.finfo(dtype).max
    clipped = np.where(np.isfinite(size), np.minimum(size, largest), 0)
    with np.errstate(over="ignore"):  # next to the largest number
        spacing = np.spacing(clipped.astype(dtype))
    return np.where(np.isfinite(spacing), spacing, np.spacing(largest / 2)).astype(np.float64)


def ulp_errors(actual: npt.NDArray[Any], expected: npt.ArrayLike) -> Any:
    """Return the distance of `actual` from a more precise `expected`, in ulp of actual's dtype.

    Equal infinities and NaN in the same place count 0, NaN or infinity in a wrong place infinity.
    An `expected` beyond the largest number counts as that dtype's infinity.
    """
    wide = np.asarray(expected, dtype=np.longdouble)
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = wide.astype(actual.dtype)
        same = (actual == rounded) | (np.isnan(actual) & np.isnan(rounded))
        comparable = np.isfinite(actual) & np.isfinite(wide)
        distance = np.abs(actual.astype(np.longdouble) - wide) / units(wide, actual.dtype)
    return np.where(comparable, distance, np.where(same, 0.0, np.inf)).astype(np.float64)


def assert_close(
    actual: Any,
    expected: Any,
    key: str = "default",
    *,
    scale: npt.ArrayLike = 0.0,
    terms: npt.ArrayLike = 1.0,
    subnormals: npt.ArrayLike = 1.0,
) -> None:
    """Assert that `actual` (float32 or float64) is `expected`, within the table's tolerance.

    Parameters
    ----------
    actual : array or float
        Its dtype chooses the tolerance; a Python float is a float64.
    expected : array
        The float64 computation of the same inputs.
    key : str
        The entry of `TOLERANCES`.
    scale : array_like
        The size of the largest term where terms cancel: errors are measured against
        ``max(abs(expected), scale)``.
    terms : array_like
        How many rounding errors add up, such as the length of a sum, or by how much one grows, such
        as the size of an exponent. For float32 alone: 1e-12 is thousands of ulp of a float64.
    subnormals : array_like
        What multiplies an intermediate result that may be subnormal, and so may be off by half the
        smallest positive number.
    """
    actual = np.asarray(actual)
    expected = np.asarray(expected, dtype=np.float64)
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    assert actual.dtype in (np.float32, np.float64), f"dtype {actual.dtype}"
    tolerance = TOLERANCES[key]
    if actual.dtype == np.float64:
        allowed = tolerance.relative * np.maximum(np.abs(expected), scale)
        allowed = np.where(np.isfinite(allowed), allowed, 0.0)
    else:
        allowed = tolerance.ulps * units(expected, np.float32, scale) * terms
    allowed = allowed + tolerance.ulps * np.asarray(subnormals) * _SMALLEST[actual.dtype]
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = expected.astype(actual.dtype)
        same = (actual == rounded) | (np.isnan(actual) & np.isnan(rounded))
        near = np.abs(actual.astype(np.float64) - expected) <= allowed
    wrong = np.flatnonzero(~(same | near).ravel())
    if wrong.size:
        lines = [
            f"  [{i}] got {actual.ravel()[i]!r}, expected {expected.ravel()[i]!r}"
            for i in wrong[:5].tolist()
        ]
        worst = f"{wrong.size} of {actual.size} values differ ({key}, {actual.dtype}):"
        raise AssertionError("\n".join([worst, *lines]))


def case_id(case: Any) -> str | None:
    """Return how pytest names a case of a name and its parameters; None leaves it to pytest."""
    if not isinstance(case, tuple):
        return None
    name, params = case
    return "-".join([name, *(f"{key}={value}" for key, value in params.items())])
