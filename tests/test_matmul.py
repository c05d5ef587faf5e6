"""The dense product, which all layers go through, against NumPy's in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import rounded_to_bfloat16
from hypothesis import given
from hypothesis import strategies as st

from pyae._backend import core

Array = Any
DTYPES = [np.float32, np.float64]
both_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])

SHAPES = [  # rows, inner, columns
    (1, 1, 1),
    (1, 7, 1),
    (1, 64, 33),
    (33, 64, 1),
    (2, 3, 5),
    (5, 1, 9),
    (7, 13, 11),
    (16, 16, 16),
    (17, 255, 31),
    (6, 256, 16),
    (13, 257, 15),
    (31, 513, 29),
    (64, 100, 63),
    (97, 101, 103),
    (200, 31, 257),
    (130, 1, 130),
    (1, 513, 200),
    (200, 513, 1),
    (256, 300, 192),
    (301, 211, 259),
    # Around the depths that are cut into blocks, of few rows and of many.
    *((rows, inner, 65) for rows in (25, 401) for inner in (320, 321, 512, 513, 1024, 1025)),
    # Rows whose addresses fall into the same sets of a cache are packed, under more panels than a
    # few; of few rows and of many.
    *((rows, inner, 300) for rows in (25, 450) for inner in (512, 768, 1024)),
    (401, 2049, 40),
    (256, 784, 48),
    (450, 20000, 64),
]
TRANSPOSES = [(False, False), (False, True), (True, False), (True, True)]


def operands(rows: int, inner: int, columns: int, dtype: Any, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(rows, inner)), rng.normal(size=(inner, columns))
    return a.astype(dtype), b.astype(dtype)


def product(a: Array, b: Array, ta: bool, tb: bool, n_threads: int = 0) -> Array:
    """Return a b, from operands that are stored transposed where `ta` or `tb` says so."""
    left = np.ascontiguousarray(a.T) if ta else a
    right = np.ascontiguousarray(b.T) if tb else b
    return core.matmul(left, right, ta, tb, n_threads)


def assert_product(result: Array, a: Array, b: Array) -> None:
    """Assert the standard bound: an entry's error is at most K u sum |a||b| (Higham, 2002, 3.5).

    With K terms added in any order it is ``gamma_K sum |a||b|``, ``gamma_K = K u/(1 - K u)``; u is
    half an ulp of 1. The expected product is exact enough: it is computed in long double.
    """
    wide_a, wide_b = a.astype(np.longdouble), b.astype(np.longdouble)
    expected = wide_a @ wide_b
    unit = np.finfo(a.dtype).eps / 2
    bound = (a.shape[1] + 1) * unit * (np.abs(wide_a) @ np.abs(wide_b))
    assert result.shape == expected.shape
    assert result.dtype == a.dtype
    assert (np.abs(result - expected) <= bound).all()


@both_dtypes
@pytest.mark.parametrize(("ta", "tb"), TRANSPOSES)
@pytest.mark.parametrize(("m", "k", "n"), SHAPES)
def test_error_is_within_the_standard_bound(
    m: int, k: int, n: int, ta: bool, tb: bool, dtype: Any
) -> None:
    a, b = operands(m, k, n, dtype)
    assert_product(product(a, b, ta, tb), a, b)


@both_dtypes
@pytest.mark.parametrize(("ta", "tb"), TRANSPOSES)
@pytest.mark.parametrize(
    ("m", "k", "n"),
    [
        (1, 513, 200),
        (33, 64, 1),
        (97, 101, 103),
        (301, 211, 259),
        (64, 2000, 512),
        (500, 1100, 70),
    ],
)
def test_the_same_bits_for_any_number_of_threads(
    m: int, k: int, n: int, ta: bool, tb: bool, dtype: Any
) -> None:
    a, b = operands(m, k, n, dtype)
    one = product(a, b, ta, tb, 1)
    for n_threads in range(2, 9):
        assert np.array_equal(product(a, b, ta, tb, n_threads), one)


@both_dtypes
def test_a_big_product(dtype: Any) -> None:
    a, b = operands(700, 900, 800, dtype)
    assert_product(core.matmul(a, b)[::97], a[::97], b)


@given(
    st.tuples(*[st.integers(1, 70)] * 3),
    st.sampled_from(TRANSPOSES),
    st.sampled_from(DTYPES),
    st.integers(0, 99),
)
def test_any_shape(
    shape: tuple[int, int, int], transposes: tuple[bool, bool], dtype: Any, seed: int
) -> None:
    a, b = operands(*shape, dtype, seed)
    assert_product(product(a, b, *transposes), a, b)


@both_dtypes
@pytest.mark.parametrize("k", [1, 255, 256, 257, 513])
def test_integers_are_multiplied_exactly(k: int, dtype: Any) -> None:
    rng = np.random.default_rng(k)
    a = rng.integers(-9, 10, (19, k)).astype(dtype)
    b = rng.integers(-9, 10, (k, 23)).astype(dtype)
    for ta, tb in TRANSPOSES:
        assert np.array_equal(product(a, b, ta, tb), a @ b)


@both_dtypes
@pytest.mark.parametrize(("ta", "tb"), TRANSPOSES)
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("m", "k", "n"), [(1, 9, 1), (7, 13, 11), (40, 300, 35)])
def test_special_values_reach_their_rows_and_columns_only(
    m: int, k: int, n: int, special: float, ta: bool, tb: bool, dtype: Any
) -> None:
    rng = np.random.default_rng(0)
    a = rng.uniform(0.5, 1, (m, k)).astype(dtype)
    b = rng.uniform(0.5, 1, (k, n)).astype(dtype)
    expected = a @ b
    a[m // 2, k - 1] = special
    expected[m // 2] = special
    result = product(a, b, ta, tb)
    others = np.isfinite(expected)
    assert np.array_equal(result[~others], expected[~others], equal_nan=True)
    assert np.isfinite(result[others]).all()

    swapped = product(b.T.copy(), a.T.copy(), tb, ta)  # the same in the right operand
    assert np.array_equal(np.isfinite(swapped), others.T)


@both_dtypes
def test_infinity_times_zero_is_nan(dtype: Any) -> None:
    a, b = np.full((3, 4), np.inf, dtype), np.zeros((4, 5), dtype)
    assert np.isnan(core.matmul(a, b)).all()


@both_dtypes
def test_subnormal_and_huge_numbers(dtype: Any) -> None:
    tiny, huge = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    one = np.ones((1, 1), dtype)
    assert core.matmul(np.full((3, 1), tiny, dtype), one).tolist() == [[tiny]] * 3
    assert core.matmul(np.full((3, 1), huge, dtype), 2 * one).tolist() == [[np.inf]] * 3


@both_dtypes
def test_a_row_of_the_product_is_close_to_its_own_product(dtype: Any) -> None:
    a, b = operands(50, 257, 37, dtype)
    whole = core.matmul(a, b)
    for i in (0, 1, 49):
        assert_product(core.matmul(a[i : i + 1], b), a[i : i + 1], b)
        assert_product(whole[i : i + 1], a[i : i + 1], b)


def test_what_is_refused() -> None:
    a, b = np.ones((2, 3)), np.ones((3, 4))
    with pytest.raises(ValueError, match="do not fit"):
        core.matmul(b, a)
    with pytest.raises(ValueError, match="do not fit"):
        core.matmul(a, b, transpose_a=True)
    with pytest.raises(ValueError, match="two-dimensional"):
        core.matmul(a[0], b)
    with pytest.raises(TypeError):
        core.matmul(a, b.astype(np.float32))


@pytest.mark.parametrize(("ta", "tb"), TRANSPOSES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_products_of_bfloat16(shape: tuple[int, int, int], ta: bool, tb: bool) -> None:
    a, b = operands(*shape, np.float32)
    left = np.ascontiguousarray(a.T) if ta else a
    right = np.ascontiguousarray(b.T) if tb else b
    results = [core.matmul(left, right, ta, tb, threads, bfloat16=True) for threads in (1, 2, 3)]
    assert_product(results[0], rounded_to_bfloat16(a), rounded_to_bfloat16(b))
    assert all((result == results[0]).all() for result in results)


def test_rounding_to_bfloat16_at_the_ends() -> None:
    values = [0.0, -0.0, 1.0, 1.00390625, 1.01171875, 3.4e38, -1e-40, np.inf, -np.inf, np.nan]
    a = np.array(values, dtype=np.float32)[:, np.newaxis]
    result = core.matmul(a, np.ones((1, 1), dtype=np.float32), bfloat16=True)
    # 1 + 2^-8 and 1 + 3 * 2^-8 lie half way; 3.4e38 rounds to a number beyond 2^128 - 2^119
    expected = [0.0, -0.0, 1.0, 1.0, 1.015625, np.inf, rounded_to_bfloat16(a[6])[0]]
    # the instruction takes subnormal numbers for 0
    np.testing.assert_allclose(result[:7, 0], expected, rtol=0, atol=1e-38)
    np.testing.assert_array_equal(result[7:, 0], [np.inf, -np.inf, np.nan])


def test_workers_of_a_larger_job_stay_out_of_a_smaller_one() -> None:
    # Those that are called to the first product come late, when the second one is made.
    a, b = operands(800, 600, 96, np.float32)
    small_a, small_b = operands(300, 200, 300, np.float32, seed=1)
    expected = core.matmul(small_a, small_b, n_threads=1)
    for _ in range(300):
        core.matmul(a, b, n_threads=32)
        assert np.array_equal(core.matmul(small_a, small_b, n_threads=2), expected)
