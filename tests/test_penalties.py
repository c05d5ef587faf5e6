"""Penalties on parameters and activities against the reference and finite differences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from conftest import assert_close
from hypothesis import given
from hypothesis import strategies as st

from pyae import regularizers
from pyae._backend import core
from pyae.reference import penalties

Array = Any

L1L2S: list[dict[str, Any]] = [
    {"name": "l1l2"},
    {"name": "l1l2", "l1": 0.3},
    {"name": "l1l2", "l2": 0.7},
    {"name": "l1l2", "l1": 0.01, "l2": 0.002},
]
SPARSITIES: list[dict[str, Any]] = [
    {"name": "kl_sparsity"},
    {"name": "kl_sparsity", "rho": 0.3, "beta": 2.5},
    {"name": "kl_sparsity", "rho": 0.9, "beta": 0.0},
]
DTYPES = [np.float32, np.float64]
both_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])


def name_of(spec: Any) -> str:
    return "-".join(map(str, spec.values()))


parameter = pytest.mark.parametrize("spec", L1L2S, ids=name_of)
activity = pytest.mark.parametrize("spec", L1L2S + SPARSITIES, ids=name_of)

SHAPES = [*[(n,) for n in range(1, 41)], (3, 5), (17, 33), (70_001,)]


@parameter
@both_dtypes
def test_parameter_penalty_is_the_reference(spec: Any, dtype: Any) -> None:
    for shape in SHAPES:
        w = np.random.default_rng(1).normal(size=shape).astype(dtype)
        w.flat[:: max(w.size // 3, 1)] = 0
        value, gradient = core.parameter_penalty(spec, w)
        wide = w.astype(np.float64)
        slope = np.zeros_like(wide)
        penalties.add_weight_gradient(spec, wide, slope)
        assert isinstance(value, float)
        # 64 vectors are summed in w's dtype, then in double.
        assert_close(dtype(value), penalties.weight_penalty(spec, wide), terms=16)
        assert_close(gradient, slope)


@activity
@both_dtypes
@pytest.mark.parametrize("rows", [1, 2, 7, 64, 1000])
def test_activity_penalty_is_the_reference(spec: Any, rows: int, dtype: Any) -> None:
    for units in [1, 2, 3, 5, 8, 13, 32, 33, 40]:
        y = np.random.default_rng(units).uniform(0.01, 0.99, (rows, units)).astype(dtype)
        if spec["name"] == "l1l2":
            y -= dtype(0.5)
        value, gradient = core.activity_penalty(spec, y)
        wide = y.astype(np.float64)
        # A unit's mean adds up `rows` numbers; near rho the divergence's two terms cancel.
        terms = 4 + math.sqrt(rows)
        rho, beta = spec.get("rho", 0.05), spec.get("beta", 1.0)
        kl = spec["name"] == "kl_sparsity"
        mean = wide.mean(axis=0)
        size = beta * np.sum(rho / mean + (1 - rho) / (1 - mean)) if kl else 0
        slope = beta / rows * (rho / mean + (1 - rho) / (1 - mean)) * np.ones_like(y) if kl else 0
        assert_close(dtype(value), penalties.activity_penalty(spec, wide), scale=size, terms=terms)
        expected = np.asarray(penalties.activity_gradient(spec, wide))
        assert_close(gradient, expected, "derivative", scale=slope, terms=terms)


CLOSED_FORMS: list[tuple[dict[str, Any], Any, float, Any]] = [  # spec, y, value, gradient
    ({"name": "l1l2", "l1": 2.0}, [[1.0, -3.0], [0.0, 2.0]], 6.0, [[1, -1], [0, 1]]),
    ({"name": "l1l2", "l2": 2.0}, [[1.0, -3.0], [0.0, 2.0]], 14.0, [[2, -6], [0, 4]]),
    ({"name": "kl_sparsity", "rho": 0.5}, [[0.5, 0.25], [0.5, 0.75]], 0.0, [[0, 0], [0, 0]]),
    (
        {"name": "kl_sparsity", "rho": 0.5, "beta": 2.0},
        [[0.25], [0.25]],
        2 * (0.5 * math.log(2) + 0.5 * math.log(2 / 3)),
        [[2 / 3 - 2], [2 / 3 - 2]],
    ),
    # A dead unit: its mean is clipped to 1e-7 and it has no gradient; so has one that is always on.
    (
        {"name": "kl_sparsity", "rho": 0.5},
        [[0.0], [0.0]],
        0.5 * math.log(0.5 / 1e-7) + 0.5 * math.log(0.5 / (1 - 1e-7)),
        [[0], [0]],
    ),
    (
        {"name": "kl_sparsity", "rho": 0.5},
        [[1.0], [3.0]],
        0.5 * math.log(0.5 / (1 - 1e-7)) + 0.5 * math.log(0.5 / (1 - (1 - 1e-7))),
        [[0], [0]],
    ),
]


@both_dtypes
@pytest.mark.parametrize(("spec", "y", "value", "gradient"), CLOSED_FORMS)
def test_closed_forms(spec: Any, y: Any, value: float, gradient: Any, dtype: Any) -> None:
    actual, slope = core.activity_penalty(spec, np.array(y, dtype))
    assert_close(dtype(actual), dtype(value), scale=1)
    assert_close(slope, np.array(gradient, float), scale=1)


@parameter
def test_an_activity_penalty_is_a_parameter_penalty_over_the_batch(spec: Any) -> None:
    y = np.random.default_rng(0).normal(size=(6, 5))
    value, gradient = core.activity_penalty(spec, y)
    whole, whole_gradient = core.parameter_penalty(spec, y)
    assert_close(value, whole / 6)
    assert_close(gradient, whole_gradient / 6)


@activity
@given(rows=st.integers(1, 6), units=st.integers(1, 9), seed=st.integers(0, 999))
def test_gradient_is_the_finite_difference(spec: Any, rows: int, units: int, seed: int) -> None:
    y = np.random.default_rng(seed).uniform(0.05, 0.95, (rows, units))
    functions = [core.activity_penalty]
    if spec["name"] == "l1l2":
        y *= np.where(np.arange(units) % 2, 1, -1)
        functions.append(core.parameter_penalty)
    h = 1e-6
    for function in functions:
        slopes = np.empty_like(y)
        for at in np.ndindex(y.shape):
            step = np.zeros_like(y)
            step[at] = h
            slopes[at] = (function(spec, y + step)[0] - function(spec, y - step)[0]) / (2 * h)
        np.testing.assert_allclose(function(spec, y)[1], slopes, rtol=1e-6, atol=1e-7)


@both_dtypes
def test_the_sign_of_zero_has_no_gradient(dtype: Any) -> None:
    w = np.array([0.0, -0.0, 1e-40, -1e-40], dtype)
    value, gradient = core.parameter_penalty({"name": "l1l2", "l1": 0.5}, w)
    assert gradient.tolist() == [0.0, 0.0, 0.5, -0.5]
    assert_close(dtype(value), float(np.abs(w.astype(float)).sum()) / 2)


def test_every_penalty_is_tested() -> None:
    tested = {spec["name"]: set() for spec in L1L2S + SPARSITIES}
    for spec in L1L2S + SPARSITIES:
        tested[spec["name"]] |= set(spec) - {"name"}
    table = core.tables()["penalties"]
    assert tested == {name: set(entry["fields"]) for name, entry in table.items()}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        ("l1", regularizers.L1L2(l1=0.01)),
        ("l2", regularizers.L1L2(l2=0.01)),
        ({"name": "l1l2", "l1": 0.5}, regularizers.L1(0.5)),
        (regularizers.L2(0.3), regularizers.L1L2(l2=0.3)),
        ("kl_sparsity", regularizers.KLSparsity(rho=0.05, beta=1.0)),
    ],
)
def test_regularizers_are_found_by_name_spec_and_object(given: Any, expected: Any) -> None:
    assert regularizers.resolve_activity(given, "activity_regularizer") == expected


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: regularizers.L1(-1.0), ValueError, "l1"),
        (lambda: regularizers.L2(math.nan), ValueError, "l2"),
        (lambda: regularizers.L1L2(l2=math.inf), ValueError, "l2"),
        (lambda: regularizers.L1L2(l1="x"), TypeError, "l1"),
        (lambda: regularizers.KLSparsity(rho=0.0), ValueError, "rho"),
        (lambda: regularizers.KLSparsity(rho=1.0), ValueError, "rho"),
        (lambda: regularizers.KLSparsity(beta=-1.0), ValueError, "beta"),
        (lambda: regularizers.resolve_activity("l3", "kernel_regularizer"), ValueError, "l3"),
        (lambda: regularizers.resolve_activity(0.1, "kernel_regularizer"), TypeError, "kernel_reg"),
        (
            lambda: regularizers.resolve_parameter(regularizers.KLSparsity(), "kernel_regularizer"),
            TypeError,
            "kernel_regularizer",
        ),
    ],
)
def test_what_is_refused(call: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()
