"""The vectorised elementary functions against computations of higher precision, in ulp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import TOLERANCES, assert_close, ulp_errors
from hypothesis import given
from hypothesis import strategies as st

from pyae._backend import core

Wide = Any  # an array of np.longdouble

_PI = np.longdouble("3.14159265358979323846264338327950288")
_INVERSE_SQRT_2PI = np.longdouble("0.398942280401432677939946059934381868")

needs_wide = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="long double is no wider than double here"
)


def _normal_pdf(x: Wide) -> Wide:
    return _INVERSE_SQRT_2PI * np.exp(-x * x / 2)


def _normal_cdf(x: Wide) -> Wide:
    """Phi by its Taylor series near 0, by the continued fraction of Mills's ratio in the tails."""
    near = np.clip(x, -3, 3)
    term = total = near
    for k in range(1, 90):
        term = term * near * near / (2 * k + 1)
        total = total + term
    series = np.longdouble(0.5) + _normal_pdf(near) * total
    a = np.maximum(np.abs(x), 3)
    ratio = a
    for k in range(300, 0, -1):
        ratio = a + k / ratio
    tail = _normal_pdf(a) / ratio
    return np.where(np.abs(x) <= 3, series, np.where(x > 0, 1 - tail, tail))


def _turn(x: Wide, even: Callable[[Wide], Wide], odd: Callable[[Wide], Wide], first: int) -> Wide:
    """Return a quarter-wave formula; the reduction to an eighth of a turn is exact."""
    quarter = np.rint(4 * x)
    angle = 2 * _PI * (x - quarter / 4)
    which = (quarter.astype(int) + first) % 4
    values = [even(angle), odd(angle), -even(angle), -odd(angle)]
    return np.select([which == i for i in range(4)], values)


def _sin_turn(x: Wide) -> Wide:
    return _turn(x, np.sin, np.cos, 0)


def _cos_turn(x: Wide) -> Wide:
    return _turn(x, np.sin, np.cos, 1)


ALL = (-np.inf, np.inf)
FUNCTIONS: dict[str, tuple[Callable[[Wide], Wide], tuple[float, float]]] = {  # formula, range
    "exp": (np.exp, ALL),
    "expm1": (np.expm1, ALL),
    "log": (np.log, (0, np.inf)),
    "log1p": (np.log1p, (-1, np.inf)),
    "log1p_unit": (np.log1p, (0, 1)),
    "tanh": (np.tanh, ALL),
    "sqrt": (np.sqrt, (0, np.inf)),
    "normal_cdf": (_normal_cdf, (-60, 60)),
    "normal_pdf": (_normal_pdf, (-60, 60)),
    "sin_turn": (_sin_turn, (0, 1)),
    "cos_turn": (_cos_turn, (0, 1)),
}
CORRECTLY_ROUNDED = {"sqrt"}  # the processor's own
DTYPES = [np.float32, pytest.param(np.float64, marks=needs_wide)]


def _every_scale(dtype: Any, n: int) -> Any:
    """Return numbers evenly spaced in their bit patterns: all exponents, both signs."""
    bits = 32 if dtype == np.float32 else 64
    unsigned = np.uint32 if bits == 32 else np.uint64
    step = 2**bits // n | 1
    patterns = (np.arange(n, dtype=np.uint64) * np.uint64(step)).astype(unsigned)
    values = patterns.view(dtype)
    return values[np.isfinite(values)]


def _grid(dtype: Any, low: float, high: float) -> Any:
    """Return finite numbers of all scales inside [low, high], and dense ones where it matters."""
    rng = np.random.default_rng(1)
    dense = [
        rng.uniform(max(low, -a), min(high, a), 20_000)
        for a in (0.01, 1.0, 3.0, 10.0, 90.0, 110.0, 720.0)
        if min(high, a) > max(low, -a)
    ]
    near_one = 1 + rng.uniform(-1e-3, 1e-3, 20_000)
    edges = np.array([0.0, -0.0, 1.0, -1.0, 0.25, 0.5, 0.75, 88.72, -87.34, -103.97, 1e4, -1e4])
    values = [*dense, near_one, edges, np.nextafter(edges, 2e4), np.nextafter(edges, -2e4)]
    x = np.concatenate([_every_scale(dtype, 100_000), np.concatenate(values).astype(dtype)])
    return x[(x >= low) & (x <= high)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_errors_are_a_few_ulp_over_the_whole_range(name: str, dtype: Any) -> None:
    exact, (low, high) = FUNCTIONS[name]
    x = _grid(dtype, low, high)
    wide = np.float64 if dtype == np.float32 else np.longdouble
    if name in ("normal_cdf", "sin_turn", "cos_turn", "normal_pdf"):
        wide = np.longdouble  # their formulas above are written for it
    with np.errstate(all="ignore"):
        expected = exact(x.astype(wide))
    error = ulp_errors(core.elementary(name, x), expected)
    worst = int(error.argmax())
    limit = 0.5 if name in CORRECTLY_ROUNDED else TOLERANCES.get(name, TOLERANCES["default"]).ulps
    assert error[worst] <= limit, f"{name}({x[worst]!r}) is {error[worst]:.3g} ulp off"


def test_every_function_is_tested() -> None:
    with pytest.raises(ValueError, match="unknown function 'cbrt'"):
        core.elementary("cbrt", np.ones(1))
    for name in FUNCTIONS:
        assert core.elementary(name, np.zeros(3)).shape == (3,)


INF, NAN = np.inf, np.nan
SPECIAL = [  # name, argument, result; exact
    ("exp", -INF, 0.0),
    ("exp", INF, INF),
    ("exp", 0.0, 1.0),
    ("exp", -0.0, 1.0),
    ("exp", 1e4, INF),
    ("exp", -1e4, 0.0),
    ("expm1", -INF, -1.0),
    ("expm1", INF, INF),
    ("expm1", -1e4, -1.0),
    ("expm1", 0.0, 0.0),
    ("log", 0.0, -INF),
    ("log", -0.0, -INF),
    ("log", INF, INF),
    ("log", -1.0, NAN),
    ("log", -INF, NAN),
    ("log", 1.0, 0.0),
    ("log1p", -1.0, -INF),
    ("log1p", INF, INF),
    ("log1p", -1.5, NAN),
    ("log1p", -INF, NAN),
    ("log1p", 0.0, 0.0),
    ("tanh", INF, 1.0),
    ("tanh", -INF, -1.0),
    ("tanh", 0.0, 0.0),
    ("sqrt", INF, INF),
    ("sqrt", -1.0, NAN),
    ("sqrt", -0.0, -0.0),
    ("normal_cdf", INF, 1.0),
    ("normal_cdf", -INF, 0.0),
    ("normal_cdf", 0.0, 0.5),
    ("normal_pdf", INF, 0.0),
    ("normal_pdf", -INF, 0.0),
    ("sin_turn", 0.0, 0.0),
    ("sin_turn", 0.5, 0.0),
    ("sin_turn", 0.25, 1.0),
    ("sin_turn", 0.75, -1.0),
    ("cos_turn", 0.0, 1.0),
    ("cos_turn", 0.25, 0.0),
    ("cos_turn", 0.5, -1.0),
    ("cos_turn", 1.0, 1.0),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "x", "expected"), SPECIAL)
def test_special_values_are_exact(name: str, x: float, expected: float, dtype: Any) -> None:
    result = core.elementary(name, np.full(5, x, dtype))
    assert np.array_equal(result, np.full(5, expected, dtype), equal_nan=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_comes_through_and_stays_in_its_place(name: str, dtype: Any) -> None:
    x = np.full(13, 0.5, dtype)
    x[[0, 6, 12]] = NAN
    assert np.array_equal(np.isnan(core.elementary(name, x)), np.isnan(x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tanh_keeps_the_sign_of_zero(dtype: Any) -> None:
    result = core.elementary("tanh", np.array([0.0, -0.0], dtype))
    assert np.signbit(result).tolist() == [False, True]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_result_does_not_depend_on_its_place(name: str, dtype: Any) -> None:
    x = np.random.default_rng(3).uniform(0, 1, 41).astype(dtype)
    whole = core.elementary(name, x)
    for n in range(1, 41):
        assert np.array_equal(core.elementary(name, x[n:].copy()), whole[n:])
        assert np.array_equal(core.elementary(name, x[:n].copy()), whole[:n])


@given(st.floats(-700, 700), st.floats(-700, 700))
def test_exp_and_tanh_are_monotonic_to_a_few_ulp(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    for name in ("exp", "tanh", "normal_cdf"):
        y = core.elementary(name, np.array([low, high]))
        assert y[0] <= y[1] + 8 * np.spacing(abs(y[1]))


@given(st.floats(0, 1, width=32))
def test_sine_and_cosine_lie_on_the_circle(turn: float) -> None:
    x = np.array([turn])
    s, c = core.elementary("sin_turn", x), core.elementary("cos_turn", x)
    assert_close(s * s + c * c, np.ones(1))


@given(st.floats(1e-300, 1e300))
def test_exp_undoes_log(x: float) -> None:
    # An error of one ulp of log x, which is up to 700, is 700 ulp of x.
    back = core.elementary("exp", core.elementary("log", np.array([x])))
    assert_close(back, np.array([x]))
