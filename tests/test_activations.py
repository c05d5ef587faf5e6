"""Activations and their derivatives against the NumPy reference in float64."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import assert_close, case_id
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pyae import activations
from pyae._backend import core
from pyae.reference import ACTIVATIONS
from pyae.reference.gelu import normal_density

Array = Any
Case = tuple[str, dict[str, Any]]

ELEMENTWISE: list[Case] = [
    ("linear", {}),
    ("relu", {}),
    ("sigmoid", {}),
    ("softplus", {}),
    ("softsign", {}),
    ("tanh", {}),
    ("selu", {}),
    ("elu", {}),
    ("elu", {"alpha": 0.5}),
    ("elu", {"alpha": 0.0}),
    ("exponential", {}),
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.0}),
    ("leaky_relu", {"negative_slope": 1.5}),
    ("relu6", {}),
    ("gelu", {}),
    ("gelu", {"approximate": True}),
    ("silu", {}),
    ("mish", {}),
    ("hard_sigmoid", {}),
]
ROWWISE: list[Case] = [
    ("softmax", {}),
    ("log_softmax", {}),
    ("top_k", {}),
    ("top_k", {"k": 1}),
    ("top_k", {"k": 3}),
]
CASES = ELEMENTWISE + ROWWISE
DTYPES = [np.float32, np.float64]


every_case = pytest.mark.parametrize("case", CASES, ids=case_id)
elementwise = pytest.mark.parametrize("case", ELEMENTWISE, ids=case_id)
both_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])

_MAGNITUDES = [0.0, 1e-40, 1e-30, 1e-10, 1e-5, 0.5, 1.0, 3.0, 6.0, 20.0, 40.0, 88.0, 104.0, 1e4]


def grid(dtype: Any) -> Array:
    """Return zero of both signs, tiny and huge numbers, and dense random ones."""
    rng = np.random.default_rng(2)
    magnitudes = np.array(_MAGNITUDES)
    dense = [rng.uniform(-a, a, 3000) for a in (1e-3, 1.0, 4.0, 12.0, 40.0, 110.0)]
    return np.concatenate([magnitudes, -magnitudes, *dense]).astype(dtype)


def reference(case: Case, x: Array) -> Array:
    name, params = case
    return ACTIVATIONS[name].value(x.astype(np.float64), **params)


def value(case: Case, x: Any) -> Array:
    name, params = case
    return getattr(activations, name)(x, **params)


# Where a formula's terms cancel, the size of these terms: the result's error is one of theirs.
def _gelu_terms(x: Array, approximate: bool = False) -> Array:
    if not approximate:
        return np.abs(x) * normal_density(x)
    u = 2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    e = np.exp(-np.abs(u))
    return np.abs(x) * e / (1 + e) ** 2 * 2 * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x * x)


def _sigmoid_slope(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return e / (1 + e) ** 2


CANCELLATION: dict[tuple[str, str], Callable[..., Array]] = {
    ("hard_sigmoid", "value"): lambda x: np.where(np.abs(x + 3) < 1, 0.5, 0.0),  # 1/2 - 1/2 at -3
    ("gelu", "vjp"): _gelu_terms,  # the derivative crosses zero near -0.75
    ("silu", "vjp"): lambda x: np.abs(x) * _sigmoid_slope(x),  # near -1.28
    ("mish", "vjp"): lambda x: np.abs(x) * 2 * _sigmoid_slope(x),  # near -1.19
}
# These multiply something that may be subnormal by x.
TIMES_X = {"gelu", "silu", "mish"}


def _growth(case: Case, x: Array) -> Array | float:
    """Return by how much rounding errors grow beyond a few of the result's own."""
    if case == ("gelu", {"approximate": True}):
        # The lower tail is e^u; the rounding of u, some hundreds in size, is relative in e^u.
        u = 1.6 * np.abs(x + 0.044715 * x**3)
        return np.where(x < 0, 1 + np.minimum(u, 750) / 100, 1)
    return 1.0


@elementwise
@both_dtypes
def test_value_is_the_reference(case: Case, dtype: Any) -> None:
    x = grid(dtype)
    wide = x.astype(np.float64)
    scale = CANCELLATION.get((case[0], "value"), np.zeros_like)(wide)
    assert_close(
        value(case, x),
        reference(case, x),
        "normal_cdf" if case == ("gelu", {}) else "default",
        scale=scale,
        terms=_growth(case, wide),
        subnormals=1 + np.abs(wide) * (case[0] in TIMES_X),
    )


@elementwise
@both_dtypes
def test_vjp_is_the_reference(case: Case, dtype: Any) -> None:
    name, params = case
    x = grid(dtype)
    if name == "exponential":
        x = x[x < np.log(np.finfo(dtype).max)]  # beyond, e^x is infinite where dy e^x may not be
    dy = np.random.default_rng(4).uniform(-2, 2, x.size).astype(dtype)
    wide, above = x.astype(np.float64), dy.astype(np.float64)
    scale = CANCELLATION.get((name, "vjp"), lambda x, **_: np.zeros_like(x))(wide, **params)
    assert_close(
        activations.vjp(name, x, dy, **params),
        ACTIVATIONS[name].vjp(wide, above, **params),
        "derivative",
        scale=scale * np.abs(above),
        terms=_growth(case, wide),
        subnormals=(1 + np.abs(wide) * (name in TIMES_X)) * (1 + np.abs(above)),
    )


def rows(dtype: Any, n: int) -> Array:
    """Return rows of n logits: small, large, equal, with one entry far above the others."""
    rng = np.random.default_rng(n)
    small = rng.normal(0, 2, (6, n))
    large = rng.uniform(-1e4, 1e4, (3, n))
    equal = np.full((1, n), 1e4)
    ends = np.where(rng.random((3, n)) < 0.5, -1e4, 1e4)
    dominated = np.where(np.arange(n) == n // 2, 30.0, rng.normal(0, 3, (3, n)))
    tiny = rng.normal(0, 1, (1, n)) * 1e-30
    return np.concatenate([small, large, equal, ends, dominated, tiny]).astype(dtype)


WIDTHS = [*range(1, 41), 257, 1000]


def _below_the_top(x: Array) -> Array:
    """How far entries are below their row's largest, which has no effect beyond e^-750."""
    return np.minimum(x.max(axis=-1, keepdims=True) - x, 750)


@both_dtypes
def test_softmax_is_the_reference(dtype: Any) -> None:
    for n in WIDTHS:
        x = rows(dtype, n)
        # The rounding of the exponent x - max, up to 100 in size, is a relative error of e^(x-max).
        terms = 1 + _below_the_top(x.astype(np.float64)) + np.sqrt(n)
        assert_close(activations.softmax(x), reference(("softmax", {}), x), terms=terms)


@both_dtypes
def test_log_softmax_is_the_reference(dtype: Any) -> None:
    for n in WIDTHS:
        x = rows(dtype, n)
        # Where one entry is far above the others its value is about -e^-gap, gap being rounded.
        below = np.sort(_below_the_top(x.astype(np.float64)), axis=-1)
        gap = below[:, 1:2] if n > 1 else 0
        assert_close(activations.log_softmax(x), reference(("log_softmax", {}), x), terms=1 + gap)


@both_dtypes
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_rowwise_vjp_is_the_reference(name: str, dtype: Any) -> None:
    for n in WIDTHS:
        x = rows(dtype, n)
        dy = np.random.default_rng(n).uniform(-1, 1, x.shape).astype(dtype)
        wide, above = x.astype(np.float64), dy.astype(np.float64)
        y = ACTIVATIONS["softmax"].value(wide)
        # dx is a difference of two sums over the row.
        if name == "softmax":
            scale = y * (np.abs(above) + np.sum(y * np.abs(above), axis=-1, keepdims=True))
        else:
            scale = np.abs(above) + y * np.abs(above).sum(axis=-1, keepdims=True)
        assert_close(
            activations.vjp(name, x, dy),
            ACTIVATIONS[name].vjp(wide, above),
            "derivative",
            scale=scale,
            terms=1 + _below_the_top(wide) + np.sqrt(n),
        )


def _codes(dtype: Any, n: int) -> Array:
    """Return rows of n values: random, mostly negative, all negative, infinite, with many ties."""
    rng = np.random.default_rng(n)
    x = rng.normal(size=(9, n))
    x[2] -= 1.5
    x[3] = -np.abs(x[3])
    x[4, rng.integers(0, n, 2)] = INF
    x[5, rng.integers(0, n, 2)] = -INF
    x[6] = rng.integers(-2, 3, n)
    x[7] = 1.0
    x[8] *= 1e-310 if dtype == np.float64 else 1e-42
    return x.astype(dtype)


@both_dtypes
@pytest.mark.parametrize("k", [1, 2, 5, 32, 100])
def test_top_k_is_the_reference(k: int, dtype: Any) -> None:
    for n in [*WIDTHS, 700, 2048, 5003]:
        x = _codes(dtype, n)
        y = activations.top_k(x, k)
        expected = reference(("top_k", {"k": k}), x)
        assert np.array_equal(y, expected)
        assert ((y > 0).sum(axis=-1) == np.minimum((x > 0).sum(axis=-1), k)).all()
        dy = np.random.default_rng(n).normal(size=x.shape).astype(dtype)
        assert np.array_equal(activations.vjp("top_k", x, dy, k=k), dy * (expected > 0))


@given(hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(-5, 5)), st.integers(1, 70))
def test_top_k_keeps_the_largest(x: Array, k: int) -> None:
    y = activations.top_k(x, k)
    kept = y > 0
    assert np.array_equal(y[kept], x[kept])
    assert not y[~kept].any()
    assert kept.sum() == min(k, (x > 0).sum())
    if kept.any() and not kept.all():
        assert x[kept].min() >= x[~kept].max()


@both_dtypes
def test_a_confident_log_softmax_keeps_its_digits(dtype: Any) -> None:
    # -log(1 + e^-20) at the top entry: the logarithm of a rounded 1 + e^-20 would have few digits.
    x = np.array([[20.0, 0.0], [0.0, -12.0], [40.0, 0.0]], dtype)
    assert_close(activations.log_softmax(x)[:, 0], -np.log1p(np.exp(-np.array([20.0, 12, 40]))))


# ------------------------------------------------------------------------------ kinds of arrays


def _kinds_of_arrays(x: Array) -> list[tuple[str, Any]]:
    """Return the same values (4, 6) as arrays of other layouts and types."""
    padded = np.zeros((8, 18), x.dtype)
    padded[::2, ::3] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    return [
        ("strided", padded[::2, ::3]),
        ("reversed", x[::-1, ::-1].copy()[::-1, ::-1]),
        ("fortran", np.asfortranarray(x)),
        ("transposed", np.ascontiguousarray(x.T).T),
        ("read-only", read_only),
    ]


@every_case
@both_dtypes
def test_layout_does_not_matter(case: Case, dtype: Any) -> None:
    name, params = case
    x = np.random.default_rng(5).normal(0, 3, (4, 6)).astype(dtype)
    dy = np.random.default_rng(6).normal(0, 1, (4, 6)).astype(dtype)
    plain, plain_dx = value(case, x), activations.vjp(name, x, dy, **params)
    for (kind, array), (_, above) in zip(_kinds_of_arrays(x), _kinds_of_arrays(dy), strict=True):
        before = array.copy()
        result = value(case, array)
        assert result.dtype == dtype, kind
        assert np.array_equal(result, plain), kind
        assert np.array_equal(activations.vjp(name, array, above, **params), plain_dx), kind
        assert np.array_equal(array, before), kind


@both_dtypes
def test_byte_order_does_not_matter(dtype: Any) -> None:
    x = np.random.default_rng(5).normal(0, 3, (4, 6)).astype(dtype)
    swapped = x.astype(x.dtype.newbyteorder())
    for case in CASES:
        name, params = case
        result = value(case, swapped)
        assert result.dtype == dtype
        assert np.array_equal(result, value(case, x))
        dx = activations.vjp(name, swapped, swapped, **params)
        assert np.array_equal(dx, activations.vjp(name, x, x, **params))


@every_case
@both_dtypes
def test_any_number_of_axes(case: Case, dtype: Any) -> None:
    name, params = case
    x = np.random.default_rng(7).normal(0, 3, (2, 3, 5)).astype(dtype)
    whole = value(case, x)
    assert whole.shape == x.shape
    assert np.array_equal(value(case, x.reshape(6, 5)), whole.reshape(6, 5))
    assert np.array_equal(value(case, x[1, 2]), whole[1, 2])
    dx = activations.vjp(name, x, x, **params)
    assert np.array_equal(activations.vjp(name, x[1, 2], x[1, 2], **params), dx[1, 2])


@pytest.mark.parametrize("x", [2.0, np.float64(-0.5), np.float32(0.25), 3, np.array(1.5)], ids=str)
def test_a_number_gives_a_number_s_shape(x: Any) -> None:
    for case in ELEMENTWISE:
        result = value(case, x)
        assert np.shape(result) == ()
        assert_close(result, reference(case, np.asarray(x)))


@elementwise
def test_no_values_give_no_values(case: Case) -> None:
    for shape in [(0,), (0, 3), (3, 0)]:
        assert value(case, np.zeros(shape)).shape == shape


NUMBERS: list[tuple[str, Any, Any]] = [  # kind, array_like, dtype of the result
    ("list", [[-1.5, 0.0, 2.0]], np.float64),
    ("integers", np.array([[-3, 0, 2]]), np.float64),
    ("int8", np.array([[-3, 0, 2]], np.int8), np.float64),
    ("uint64", np.array([[0, 3, 2]], np.uint64), np.float64),
    ("booleans", np.array([[True, False]]), np.float64),
    ("list of integers", [1, 2, 3], np.float64),
    ("float16", np.array([[-1.5, 0.25, 3.0]], np.float16), None),  # its width is not promised
    ("long double", np.array([[-1.5, 0.25]], np.longdouble), np.float64),
    ("objects", np.array([[-1.5, 2]], object), np.float64),
]


@every_case
@pytest.mark.parametrize(("kind", "x", "dtype"), NUMBERS, ids=[n[0] for n in NUMBERS])
def test_numbers_of_other_types(case: Case, kind: str, x: Any, dtype: Any) -> None:
    result = value(case, x)
    assert dtype is None or result.dtype == dtype
    wide = np.asarray(x).astype(np.float64)
    assert_close(result, reference(case, wide), scale=0.5 if case[0] == "hard_sigmoid" else 0)


# ------------------------------------------------------------------------------------- position


@elementwise
@both_dtypes
def test_a_value_does_not_depend_on_its_place(case: Case, dtype: Any) -> None:
    name, params = case
    rng = np.random.default_rng(8)
    x, dy = rng.normal(0, 5, (2, 40)).astype(dtype)
    whole, whole_dx = value(case, x), activations.vjp(name, x, dy, **params)
    for n in range(1, 40):
        for part in (slice(n), slice(n, None)):
            assert np.array_equal(value(case, x[part]), whole[part])
            dx = activations.vjp(name, x[part], dy[part], **params)
            assert np.array_equal(dx, whole_dx[part])


@elementwise
@both_dtypes
def test_a_long_array_is_the_sum_of_its_parts(case: Case, dtype: Any) -> None:
    x = np.random.default_rng(9).normal(0, 5, 30_001).astype(dtype)  # shared out among threads
    whole = value(case, x)
    for start in range(0, x.size, 4999):
        part = slice(start, start + 4999)
        assert np.array_equal(value(case, x[part]), whole[part])


@pytest.mark.parametrize("case", ROWWISE, ids=case_id)
@both_dtypes
def test_a_row_does_not_depend_on_the_others(case: Case, dtype: Any) -> None:
    name, _ = case
    for n in (1, 3, 8, 17, 40):
        x = np.random.default_rng(n).normal(0, 5, (301, n)).astype(dtype)
        whole, dx = value(case, x), activations.vjp(name, x, x)
        for i in (0, 1, 150, 300):
            assert np.array_equal(value(case, x[i]), whole[i])
            assert np.array_equal(activations.vjp(name, x[i], x[i]), dx[i])


# --------------------------------------------------------------------------------------- limits

INF, NAN = np.inf, np.nan
AT_INFINITY: list[tuple[str, float, float]] = [  # name, f(-inf), f(inf)
    ("linear", -INF, INF),
    ("relu", 0.0, INF),
    ("sigmoid", 0.0, 1.0),
    ("softplus", 0.0, INF),
    ("tanh", -1.0, 1.0),
    ("elu", -1.0, INF),
    ("exponential", 0.0, INF),
    ("leaky_relu", -INF, INF),
    ("relu6", 0.0, 6.0),
    ("hard_sigmoid", 0.0, 1.0),
]


@pytest.mark.parametrize(("name", "low", "high"), AT_INFINITY)
@both_dtypes
def test_limits_at_infinity(name: str, low: float, high: float, dtype: Any) -> None:
    result = getattr(activations, name)(np.array([-INF, INF] * 5, dtype))
    assert result.tolist() == [low, high] * 5


@every_case
@both_dtypes
def test_nan_comes_through(case: Case, dtype: Any) -> None:
    x = np.full((3, 11), 0.5, dtype)
    x[1, 4] = x[2, 10] = NAN
    expected = np.isnan(x)
    if case in ROWWISE:
        expected[:] = expected.any(axis=-1, keepdims=True)
    assert np.array_equal(np.isnan(value(case, x)), expected)


@every_case
@both_dtypes
def test_the_ends_of_the_range_are_finite(case: Case, dtype: Any) -> None:
    name, params = case
    x = np.array([[-1e4, -1e3, 0.0, 1e3, 1e4]], dtype)
    if name != "exponential":  # e^1e4 is infinite
        assert np.isfinite(value(case, x)).all()
        assert np.isfinite(activations.vjp(name, x, np.ones_like(x), **params)).all()


# ----------------------------------------------------------------------------------- properties

vectors = hnp.arrays(np.float64, st.integers(1, 20), elements=st.floats(-8, 8))


@every_case
@settings(max_examples=20)
@given(x=vectors, seed=st.integers(0, 2**32 - 1))
def test_vjp_is_the_finite_difference(case: Case, x: Array, seed: int) -> None:
    name, params = case
    kinks = np.array([-3.0, 0.0, 3.0, 6.0])
    near = np.abs(x[:, np.newaxis] - kinks).min(axis=1) < 1e-3
    x = np.where(near, x + 0.01, x)
    if name == "top_k":  # no two values near one another
        x = np.argsort(np.argsort(x)) - x.size / 2 + 0.25
    dy = np.random.default_rng(seed).uniform(-1, 1, x.size)
    dx = activations.vjp(name, x, dy, **params)
    h = 1e-5
    steps = h * np.eye(x.size)
    slopes = (value(case, x + steps) - value(case, x - steps)) @ dy / (2 * h)
    if case in ELEMENTWISE:
        slopes = dy * (value(case, x + h) - value(case, x - h)) / (2 * h)
    size = 1 + np.abs(value(case, x)).max()
    np.testing.assert_allclose(dx, slopes, rtol=1e-6, atol=1e-7 * size)


@given(vectors)
def test_identities(x: Array) -> None:
    a = activations
    assert_close(a.sigmoid(x) + a.sigmoid(-x), np.ones_like(x))
    assert_close(a.softplus(x) - a.softplus(-x), x, scale=10)
    assert_close(a.tanh(x), 2 * a.sigmoid(2 * x) - 1, scale=1)
    assert_close(a.gelu(x) - a.gelu(-x), x)
    assert_close(a.silu(x) - a.silu(-x), x)
    assert_close(a.relu(x) - a.relu(-x), x)


@given(vectors, st.floats(-1e3, 1e3))
def test_softmax_sums_to_one_and_ignores_a_shift(x: Array, shift: float) -> None:
    y = activations.softmax(x)
    assert_close(y.sum(), np.float64(1))
    assert_close(activations.softmax(x + shift), y)
    assert_close(activations.log_softmax(x), np.log(y), scale=1)


@given(vectors, st.integers(0, 19))
def test_softmax_follows_a_permutation(x: Array, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(x.size)
    assert_close(activations.softmax(x[order]), activations.softmax(x)[order])


# ----------------------------------------------------------------------------- names and errors


def test_every_activation_is_tested() -> None:
    assert {name for name, _ in CASES} == set(activations.names())
    tested = {(name, param) for name, params in CASES for param in params}
    for name, entry in core.tables()["activations"].items():
        for field in entry["fields"]:
            assert (name, field) in tested


@every_case
def test_activation_objects_and_specs_are_the_functions(case: Case) -> None:
    name, params = case
    x = np.linspace(-3, 3, 13)
    activation = activations.Activation(name, **params)
    assert np.array_equal(activation(x), value(case, x))
    assert activations.resolve(activation.to_spec()) == activation
    assert eval(repr(activation), {"Activation": activations.Activation}) == activation
    assert hash(activations.resolve(activation.to_spec())) == hash(activation)
    if not params:
        assert activations.resolve(getattr(activations, name)) == activation


INVALID: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: activations.Activation("relo"), ValueError, "relo.*relu"),
    (lambda: activations.vjp("gelo", [1.0], [1.0]), ValueError, "gelo.*gelu"),
    (lambda: activations.Activation("elu", beta=1.0), ValueError, "beta.*alpha"),
    (lambda: activations.vjp("relu", [1.0], [1.0], alpha=1.0), ValueError, "alpha"),
    (lambda: activations.elu([1.0], alpha=-1.0), ValueError, "alpha"),
    (lambda: activations.elu([1.0], alpha=NAN), ValueError, "alpha"),
    (lambda: activations.leaky_relu([1.0], negative_slope=-0.1), ValueError, "negative_slope"),
    (lambda: activations.leaky_relu([1.0], negative_slope=INF), ValueError, "negative_slope"),
    (lambda: activations.gelu([1.0], approximate="tanh"), TypeError, "approximate"),
    (lambda: activations.top_k([1.0], k=0), ValueError, "k must be in"),
    (lambda: activations.top_k([1.0], k=-3), ValueError, "k must be in"),
    (lambda: activations.top_k([1.0], k=2.5), ValueError, "k must be an integer"),
    (lambda: activations.top_k([1.0], k=1e300), ValueError, "k must be in"),
    (lambda: activations.top_k([1.0], k=NAN), ValueError, "k must be in"),
    (lambda: activations.top_k([1.0], k="2"), TypeError, "'k'"),
    (lambda: activations.top_k(1.0), ValueError, "x must have a last axis"),
    (lambda: activations.vjp("relu", [1.0, 2.0], [1.0]), ValueError, "dy"),
    (lambda: activations.vjp("relu", [[1.0, 2.0]], [1.0, 2.0]), ValueError, "dy"),
    (lambda: activations.relu(["a"]), TypeError, "x"),
    (lambda: activations.relu([1j]), TypeError, "x"),
    (lambda: activations.relu(None), TypeError, "x"),
    (lambda: activations.vjp("relu", [1.0], ["a"]), TypeError, "dy"),
    (lambda: activations.softmax(1.0), ValueError, "x"),
    (lambda: activations.softmax(np.zeros((3, 0))), ValueError, "x"),
    (lambda: activations.log_softmax(1.0), ValueError, "x"),
    (lambda: activations.resolve(3), TypeError, "activation"),
    (lambda: activations.resolve({"name": "relo"}), ValueError, "relo"),
    (lambda: activations.resolve(np.tanh), TypeError, "activation"),
]


@pytest.mark.parametrize(
    ("call", "error", "match"), INVALID, ids=[f"{i}-{case[2]}" for i, case in enumerate(INVALID)]
)
def test_what_is_refused(call: Callable[[], Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


def test_functions_take_their_parameters_by_name_or_place() -> None:
    for name in activations.names():
        parameters = list(inspect.signature(getattr(activations, name)).parameters)
        assert parameters == ["x", *core.tables()["activations"][name]["fields"]]
