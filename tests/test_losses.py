"""Losses, their gradients and reductions against the NumPy reference in float64."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import assert_close, case_id
from hypothesis import given, settings
from hypothesis import strategies as st

from pyae import losses
from pyae._backend import core
from pyae.reference import ACTIVATIONS, LOSSES, loss, loss_gradient
from pyae.reference.losses import REDUCTIONS

Array = Any
Case = tuple[str, dict[str, Any]]

EPS = 1e-7
TABLE = core.tables()["losses"]
CLASSES: dict[str, type[losses.Loss]] = {
    "binary_crossentropy": losses.BinaryCrossentropy,
    "categorical_crossentropy": losses.CategoricalCrossentropy,
    "sparse_categorical_crossentropy": losses.SparseCategoricalCrossentropy,
    "poisson": losses.Poisson,
    "kl_divergence": losses.KLDivergence,
    "mean_squared_error": losses.MeanSquaredError,
    "mean_absolute_error": losses.MeanAbsoluteError,
    "mean_absolute_percentage_error": losses.MeanAbsolutePercentageError,
    "mean_squared_logarithmic_error": losses.MeanSquaredLogarithmicError,
    "cosine_similarity": losses.CosineSimilarity,
    "huber": losses.Huber,
    "log_cosh": losses.LogCosh,
}
CASES: list[Case] = [
    ("binary_crossentropy", {}),
    ("binary_crossentropy", {"label_smoothing": 0.1}),
    ("binary_crossentropy", {"from_logits": True}),
    ("binary_crossentropy", {"from_logits": True, "label_smoothing": 0.3}),
    ("categorical_crossentropy", {}),
    ("categorical_crossentropy", {"label_smoothing": 0.1}),
    ("categorical_crossentropy", {"from_logits": True}),
    ("categorical_crossentropy", {"from_logits": True, "label_smoothing": 0.3}),
    ("sparse_categorical_crossentropy", {}),
    ("sparse_categorical_crossentropy", {"from_logits": True}),
    ("sparse_categorical_crossentropy", {"ignore_class": -1}),
    ("sparse_categorical_crossentropy", {"from_logits": True, "ignore_class": 0}),
    ("poisson", {}),
    ("kl_divergence", {}),
    ("mean_squared_error", {}),
    ("mean_absolute_error", {}),
    ("mean_absolute_percentage_error", {}),
    ("mean_squared_logarithmic_error", {}),
    ("cosine_similarity", {}),
    ("huber", {}),
    ("huber", {"delta": 0.3}),
    ("huber", {"delta": 4.0}),
    ("log_cosh", {}),
]
DTYPES = [np.float32, np.float64]


every_case = pytest.mark.parametrize("case", CASES, ids=case_id)
both_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])


# ------------------------------------------------------------------------------------ test data


def draw_targets(case: Case, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return targets within the domain that the loss declares, its ends included."""
    name, params = case
    low, high = TABLE[name]["domain"]
    if TABLE[name]["classes"]:
        t = rng.integers(0, shape[-1], shape[:-1])
        ignored = params.get("ignore_class")
        return t if ignored is None else np.where(rng.random(t.shape) < 0.3, ignored, t)
    ends = [end for end in (low, high, 0.0) if math.isfinite(end)]
    if math.isfinite(high):
        t = rng.uniform(low, high, shape)
    else:
        t = low + rng.exponential(2, shape) if math.isfinite(low) else rng.normal(0, 3, shape)
    return np.where(rng.random(shape) < 0.3, rng.choice(ends, shape), t)


def draw_predictions(case: Case, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return predictions of the kind the loss takes, with ends and clipped ones among them."""
    name, params = case
    kind = "real" if params.get("from_logits") else LOSSES[name].predictions
    if kind == "real":
        return rng.normal(0, 3, shape)
    if kind == "nonnegative":
        ends = rng.choice([0, EPS / 3], shape)
        return np.where(rng.random(shape) < 0.2, ends, rng.gamma(2, size=shape))
    if kind == "unit":
        ends = rng.choice([0.0, 1.0, EPS / 3, 1 - EPS / 3, 3 * EPS, 1 - 5 * EPS], shape)
        return np.where(rng.random(shape) < 0.3, ends, rng.random(shape))
    p = rng.gamma(0.5, size=shape) + 3 * EPS  # rows need not sum to 1: they are normalised
    return np.where(rng.random(shape) < 0.2, 1e-9, p)


def draw(
    case: Case, shape: tuple[int, ...], dtype: Any, seed: int = 0
) -> tuple[Array, Array, Array]:
    """Return targets, predictions and sample weights."""
    rng = np.random.default_rng([seed, *shape])
    t, p = draw_targets(case, shape, rng), draw_predictions(case, shape, rng).astype(dtype)
    w = np.where(rng.random(shape[:-1]) < 0.2, 0, rng.uniform(0, 2, shape[:-1])).astype(dtype)
    w.flat[0] = 1  # all weights must not be zero
    return (t if t.dtype == np.int64 else t.astype(dtype)), p, w


def widened(*arrays: Array) -> list[Array]:
    return [a if a is None or a.dtype == np.int64 else a.astype(np.float64) for a in arrays]


# --------------------------------------------------------------------------------- conditioning
# The size of the terms that a formula adds, where it can be much larger than their sum; a value's
# error is one of its terms'. Arguments are t, p (n, d) in float64 and the parameters.


def _class_targets(case: Case, t: Array, p: Array) -> Array:
    """Return the (smoothed) targets as rows of p's shape."""
    name, params = case
    if TABLE[name]["classes"]:
        hot = np.arange(p.shape[-1]) == t[..., np.newaxis]
        ignored = params.get("ignore_class")
        return hot * 1.0 if ignored is None else hot & (t != ignored)[..., np.newaxis]
    s = params.get("label_smoothing", 0)
    return t * (1 - s) + s / (2 if name == "binary_crossentropy" else p.shape[-1])


def value_terms(case: Case, t: Array, p: Array) -> Array:
    name, params = case
    d = p.shape[-1]
    if name == "binary_crossentropy" and params.get("from_logits"):
        s = _class_targets(case, t, p)  # z - z t, which is exact for t of 0 and 1
        return np.mean(np.abs(p) * ((s > 0) & (s < 1)), axis=-1)
    if name.endswith("categorical_crossentropy"):
        s = _class_targets(case, t, p)
        if params.get("from_logits"):  # sums of positive terms
            return np.zeros(p.shape[:-1])
        q = np.clip(p / p.sum(axis=-1, keepdims=True), EPS, 1)  # log of a rounded quotient
        return np.sum(s * (1 - np.log(q)), axis=-1)
    if name == "poisson":
        return np.mean(p + t * (1 + np.abs(np.log(p + EPS))), axis=-1)
    if name == "kl_divergence":
        t, p = np.clip(t, EPS, 1), np.clip(p, EPS, 1)
        return np.sum(t * (1 + np.abs(np.log(t / p))), axis=-1)
    if name == "mean_squared_logarithmic_error":  # the square of a difference of logarithms
        a, b = np.log1p(t), np.log1p(p)
        return np.mean(2 * np.abs(a - b) * (a + b), axis=-1)
    if name == "cosine_similarity":
        lengths = np.linalg.norm(t, axis=-1) * np.linalg.norm(p, axis=-1)
        return np.sum(np.abs(t * p), axis=-1) / np.maximum(lengths, EPS**2)
    if name == "huber":
        return np.mean(params.get("delta", 1) * np.abs(p - t), axis=-1)
    if name == "log_cosh":
        return np.mean(np.abs(p - t) * (np.abs(p - t) >= 1), axis=-1)
    return np.zeros(p.shape[:-1]) / d


def gradient_terms(case: Case, t: Array, p: Array) -> Array:
    name, params = case
    d = p.shape[-1]
    if name.endswith("crossentropy") and params.get("from_logits"):  # y sum(t) - t
        s = _class_targets(case, t, p)
        if name == "binary_crossentropy":
            return (ACTIVATIONS["sigmoid"].value(p) + s) / d
        return ACTIVATIONS["softmax"].value(p) * s.sum(axis=-1, keepdims=True) + s
    if name == "binary_crossentropy":
        s, q = _class_targets(case, t, p), np.clip(p, EPS, 1 - EPS)
        return (q + s) / (q * (1 - q)) / d
    if name.endswith("categorical_crossentropy"):
        total = p.sum(axis=-1, keepdims=True)
        q = p / total
        slope = _class_targets(case, t, p) / q * (q >= EPS)
        return (slope + np.sum(slope * q, axis=-1, keepdims=True)) / total
    if name == "poisson":
        return (1 + t / (p + EPS)) / d
    if name == "mean_squared_logarithmic_error":
        return 2 * (np.log1p(t) + np.log1p(p)) / (1 + p) / d
    if name == "cosine_similarity":
        t_length = np.maximum(np.linalg.norm(t, axis=-1, keepdims=True), EPS)
        p_length = np.maximum(np.linalg.norm(p, axis=-1, keepdims=True), EPS)
        return (np.abs(t) / t_length + np.abs(p) / p_length) / p_length
    return np.zeros_like(p)


def below_one_half(case: Case, t: Array, p: Array) -> tuple[Array, Array]:
    """Mirror binary probabilities above 1/2, which changes no value: ``l(t, p) = l(1-t, 1-p)``.

    The reference clips to 1 - eps as rounded, which has ten digits of eps; below 1/2 it is exact.
    """
    if case[0] != "binary_crossentropy" or case[1].get("from_logits"):
        return t, p
    return np.where(p > 0.5, 1 - t, t), np.where(p > 0.5, 1 - p, p)


def exponents(case: Case, p: Array) -> Any:
    """Return the size of the exponents z - max(z): their rounding is relative in the softmax."""
    if not (case[0].endswith("categorical_crossentropy") and case[1].get("from_logits")):
        return np.zeros_like(p)
    return p.max(axis=-1, keepdims=True) - p


def additions(d: int) -> float:
    """How many rounding errors a sum of d terms adds to those of a term, at most."""
    return 1 + d / 8


# ------------------------------------------------------------------------------- value, gradient


@every_case
@both_dtypes
def test_values_are_the_reference(case: Case, dtype: Any) -> None:
    name, params = case
    for d in [*range(1, 41), 200]:
        t, p, _ = draw(case, (7, d), dtype)
        wide_t, wide_p = widened(t, p)
        actual = getattr(losses, name)(t, p, **params)
        assert actual.dtype == dtype
        assert_close(
            actual,
            LOSSES[name].per_sample(*below_one_half(case, wide_t, wide_p), **params),
            scale=value_terms(case, wide_t, wide_p),
            terms=additions(d) + np.max(exponents(case, wide_p), axis=-1),
        )


@every_case
@both_dtypes
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_reductions_are_the_reference(
    case: Case, dtype: Any, weighted: bool, reduction: Any
) -> None:
    name, params = case
    for shape in [(1, 3), (9, 1), (33, 5), (2, 3, 4)]:
        t, p, w = draw(case, shape, dtype)
        w = w if weighted else None
        wide_t, wide_p, wide_w = widened(t, p, w)
        actual = CLASSES[name](reduction=reduction, **params)(t, p, w)
        mirrored = below_one_half(case, wide_t, wide_p)
        expected = loss(name, *mirrored, wide_w, reduction, **params)
        scale = value_terms(case, wide_t, wide_p) * (1 if w is None else wide_w)
        terms = additions(shape[-1]) + exponents(case, wide_p).max(axis=-1)
        if reduction == "none":
            assert actual.dtype == dtype
        else:
            assert isinstance(actual, float)
            actual = dtype(actual)  # a sum in double of values in dtype
            scale = scale.sum() / (scale.size if reduction == "sum_over_batch_size" else 1)
            terms = terms.max()
        assert_close(actual, expected, scale=scale, terms=terms)


@every_case
@both_dtypes
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gradients_are_the_reference(
    case: Case, dtype: Any, weighted: bool, reduction: Any
) -> None:
    name, params = case
    for shape in [*[(3, d) for d in range(1, 41)], (50, 7), (2, 3, 4)]:
        t, p, w = draw(case, shape, dtype)
        w = w if weighted else None
        wide_t, wide_p, wide_w = widened(t, p, w)
        actual = CLASSES[name](reduction=reduction, **params).gradient(t, p, w)
        factor = np.ones(shape[:-1]) if w is None else wide_w
        if reduction == "sum_over_batch_size":
            ignored = params.get("ignore_class")
            factor = factor / max(np.sum(t != ignored) if ignored is not None else factor.size, 1)
        assert actual.dtype == dtype
        assert_close(
            actual,
            loss_gradient(name, wide_t, wide_p, wide_w, reduction, **params),
            "derivative",
            scale=gradient_terms(case, wide_t, wide_p) * factor[..., np.newaxis],
            terms=additions(shape[-1]) + exponents(case, wide_p),
        )


def _smooth_predictions(case: Case, t: Array, p: Array) -> Array:
    """Move predictions away from where the value has no derivative: clips, kinks, t itself."""
    name, params = case
    if params.get("from_logits"):
        return p
    if LOSSES[name].predictions == "probabilities":
        return p + 0.01
    if LOSSES[name].predictions in ("unit", "nonnegative"):
        return np.clip(p, 0.01, 0.99)
    distance = np.abs(p - t)
    delta = params.get("delta", 1.0)
    near = (distance < 1e-3) | (np.abs(distance - delta) < 1e-3)
    return np.where(near, t + delta / 2, p)


@every_case
@settings(max_examples=20)
@given(
    n=st.integers(1, 5),
    d=st.integers(1, 9),
    reduction=st.sampled_from(REDUCTIONS),
    seed=st.integers(0, 999),
)
def test_gradient_is_the_finite_difference(
    case: Case, n: int, d: int, reduction: Any, seed: int
) -> None:
    name, params = case
    t, p, w = draw(case, (n, d), np.float64, seed)
    p = _smooth_predictions(case, t, p)
    function = CLASSES[name](reduction=reduction, **params)
    total = CLASSES[name](reduction="sum" if reduction == "none" else reduction, **params)
    h = 1e-6
    slopes = np.empty_like(p)
    for at in np.ndindex(p.shape):
        step = np.zeros_like(p)
        step[at] = h
        slopes[at] = (total(t, p + step, w) - total(t, p - step, w)) / (2 * h)
    size = 1 + np.abs(total(t, p, w))
    np.testing.assert_allclose(function.gradient(t, p, w), slopes, rtol=1e-5, atol=1e-8 * size)


# ------------------------------------------------------------------------------------- the ends

LOGITS = [0.0, 1e-40, -1e-30, 1e-10, 1.0, -1.0, 20.0, -20.0, 88.0, -104.0, 1e4, -1e4]


@both_dtypes
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_binary_crossentropy_of_logits_keeps_its_digits(target: float, dtype: Any) -> None:
    # It is softplus(-z) for a target of 1 and softplus(z) for 0, however confident.
    z = np.array(LOGITS, dtype)
    actual = losses.binary_crossentropy(np.full((z.size, 1), target), z[:, np.newaxis], True)
    assert_close(actual, ACTIVATIONS["softplus"].value((z if target == 0 else -z).astype(float)))


@both_dtypes
@pytest.mark.parametrize("name", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_crossentropy_of_logits_keeps_its_digits(name: str, dtype: Any) -> None:
    # With two classes and logits (z, 0) it is softplus(-z), as the binary one.
    z = np.array(LOGITS, dtype)
    p = np.stack([z, np.zeros_like(z)], axis=1)
    t = np.zeros(z.size, int) if name.startswith("sparse") else np.tile([1.0, 0.0], (z.size, 1))
    actual = getattr(losses, name)(t, p, from_logits=True)
    assert_close(actual, ACTIVATIONS["softplus"].value(-z.astype(float)))


@pytest.mark.parametrize(
    "name", ["binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"]
)
@both_dtypes
def test_huge_logits_give_finite_losses_and_gradients(name: str, dtype: Any) -> None:
    p = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4], [1e4, 1e4, 1e4]], dtype)
    t: Any = [0, 1, 2] if name.startswith("sparse") else np.eye(3)[[1, 1, 0]]
    function = CLASSES[name](from_logits=True)
    wide = np.asarray(t), p.astype(np.float64)
    assert_close(dtype(function(t, p)), loss(name, *wide, from_logits=True))
    expected = loss_gradient(name, *wide, from_logits=True)
    assert_close(function.gradient(t, p), expected, scale=0.2)


CLIPPED: list[tuple[str, Any, Any, Any, Any]] = [  # name, t, p, value, gradient: by hand
    ("binary_crossentropy", [[1.0]], [[0.0]], [-math.log(EPS)], [[0.0]]),
    ("binary_crossentropy", [[0.0]], [[1.0]], [-math.log(EPS)], [[0.0]]),
    ("binary_crossentropy", [[1.0]], [[1.0]], [-math.log1p(-EPS)], [[0.0]]),
    ("binary_crossentropy", [[1.0]], [[0.5]], [math.log(2)], [[-2.0]]),
    ("categorical_crossentropy", [[0.0, 1.0]], [[1.0, 0.0]], [-math.log(EPS)], [[0.0, 0.0]]),
    ("categorical_crossentropy", [[1.0, 0.0]], [[2.0, 2.0]], [math.log(2)], [[-0.25, 0.25]]),
    ("categorical_crossentropy", [[1.0]], [[3.0]], [-math.log1p(-EPS)], [[0.0]]),
    ("sparse_categorical_crossentropy", [1], [[1.0, 0.0]], [-math.log(EPS)], [[0.0, 0.0]]),
    ("poisson", [[2.0]], [[0.0]], [-2 * math.log(EPS)], [[1 - 2 / EPS]]),
    ("kl_divergence", [[0.0]], [[1.0]], [EPS * math.log(EPS)], [[-EPS]]),
    ("kl_divergence", [[1.0]], [[0.0]], [-math.log(EPS)], [[0.0]]),
    ("kl_divergence", [[1.0]], [[1.5]], [0.0], [[0.0]]),
    ("mean_absolute_error", [[1.0, 1.0]], [[1.0, 3.0]], [1.0], [[0.0, 0.5]]),
    ("mean_absolute_percentage_error", [[0.0]], [[1.0]], [100 / EPS], [[100 / EPS]]),
    ("mean_absolute_percentage_error", [[-2.0]], [[-2.0]], [0.0], [[0.0]]),
    ("mean_squared_logarithmic_error", [[0.0]], [[-0.5]], [0.0], [[0.0]]),
    ("mean_squared_logarithmic_error", [[0.0]], [[0.0]], [0.0], [[0.0]]),
    ("cosine_similarity", [[0.0, 0.0]], [[3.0, 4.0]], [0.0], [[0.0, 0.0]]),
    ("cosine_similarity", [[1.0, 0.0]], [[0.0, 0.0]], [0.0], [[-1 / EPS, 0.0]]),
    ("cosine_similarity", [[3.0, 4.0]], [[3.0, 4.0]], [-1.0], [[0.0, 0.0]]),
    ("huber", [[0.0]], [[-1.0]], [0.5], [[-1.0]]),
    ("huber", [[0.0]], [[3.0]], [2.5], [[1.0]]),
    ("log_cosh", [[0.0]], [[1e4]], [1e4 - math.log(2)], [[1.0]]),
    ("log_cosh", [[0.0]], [[-0.25]], [math.log1p(2 * math.sinh(0.125) ** 2)], [[math.tanh(-0.25)]]),
]


@pytest.mark.parametrize(("name", "t", "p", "value", "gradient"), CLIPPED)
@both_dtypes
def test_clips_and_kinks_by_hand(
    name: str, t: Any, p: Any, value: Any, gradient: Any, dtype: Any
) -> None:
    p = np.array(p, dtype)
    assert_close(getattr(losses, name)(t, p), np.array(value))
    # The gradient's terms cancel where prediction and target are parallel.
    scale = 1 / 5 if name == "cosine_similarity" and np.any(p) else 0
    assert_close(CLASSES[name]().gradient(t, p), np.array(gradient), scale=scale)


@both_dtypes
@pytest.mark.parametrize("name", ["mean_squared_error", "mean_absolute_error", "huber", "log_cosh"])
def test_errors_of_all_sizes(name: str, dtype: Any) -> None:
    e = np.array([0.0, -0.0, 1e-40, 1e-18, 1e-10, -1e-5, 1.0, -1.0, 88.0, -104.0, 1e4, -1e4], dtype)
    t, p = np.zeros((e.size, 1), dtype), e[:, np.newaxis]
    wide = t.astype(float), p.astype(float)
    scale = value_terms((name, {}), *wide)
    assert_close(getattr(losses, name)(t, p), LOSSES[name].per_sample(*wide), scale=scale)
    assert_close(
        CLASSES[name](reduction="sum").gradient(t, p), loss_gradient(name, *wide, reduction="sum")
    )


@both_dtypes
def test_an_ignored_class_has_no_part_in_the_mean(dtype: Any) -> None:
    p = np.full((4, 3), 1 / 3, dtype)
    ignoring = losses.SparseCategoricalCrossentropy(ignore_class=2)
    assert_close(dtype(ignoring([0, 2, 1, 2], p)), dtype(math.log(3)))
    assert ignoring([2, 2, 2, 2], p) == 0.0
    assert not ignoring.gradient([2, 2, 2, 2], p).any()
    gradient = ignoring.gradient([0, 2, 1, 2], p)
    assert not gradient[[1, 3]].any()
    only = losses.SparseCategoricalCrossentropy().gradient([0, 1], p[[0, 2]])
    assert np.array_equal(gradient[[0, 2]], only)


def test_binary_is_two_class_categorical() -> None:
    t, p, _ = draw(("binary_crossentropy", {}), (50, 1), np.float64)
    p = np.clip(p, 1e-3, 1 - 1e-3)
    both = losses.categorical_crossentropy(np.hstack([t, 1 - t]), np.hstack([p, 1 - p]))
    assert_close(losses.binary_crossentropy(t, p), both)


@given(st.integers(0, 999), st.floats(1e-3, 1e3))
def test_normalised_losses_ignore_the_length_of_a_prediction(seed: int, factor: float) -> None:
    for name in ("categorical_crossentropy", "cosine_similarity"):
        t, p, _ = draw((name, {}), (4, 5), np.float64, seed)
        function = getattr(losses, name)
        assert_close(function(t, factor * p), function(t, p), scale=5)


# ------------------------------------------------------------------------------ kinds of arrays


@every_case
@both_dtypes
def test_layout_does_not_matter(case: Case, dtype: Any) -> None:
    name, params = case
    t, p, w = draw(case, (6, 4), dtype)
    function = CLASSES[name](reduction="none", **params)
    plain, plain_gradient = function(t, p, w), function.gradient(t, p, w)
    spaced_t, spaced_p = np.repeat(t, 2, axis=0)[::2], np.repeat(np.repeat(p, 3, 0), 2, 1)[::3, ::2]
    for other_t, other_p in [
        (spaced_t, spaced_p),
        (np.asfortranarray(t), np.asfortranarray(p)),
        (t[::-1].copy()[::-1], p[::-1, ::-1].copy()[::-1, ::-1]),
    ]:
        before = other_t.copy(), other_p.copy()
        for array in (other_t, other_p):
            array.flags.writeable = False
        assert np.array_equal(function(other_t, other_p, w), plain)
        assert np.array_equal(function.gradient(other_t, other_p, w), plain_gradient)
        assert np.array_equal(other_t, before[0])
        assert np.array_equal(other_p, before[1])


@both_dtypes
def test_byte_order_does_not_matter(dtype: Any) -> None:
    for case in CASES:
        name, params = case
        t, p, w = draw(case, (6, 4), dtype)
        swapped = [a.astype(a.dtype.newbyteorder()) for a in (t, p, w)]
        function = CLASSES[name](reduction="none", **params)
        assert function(*swapped).dtype == dtype
        assert np.array_equal(function(*swapped), function(t, p, w))
        assert np.array_equal(function.gradient(*swapped), function.gradient(t, p, w))


@pytest.mark.parametrize("name", CLASSES)
def test_integers_lists_and_half_precision(name: str) -> None:
    classes = TABLE[name]["classes"]
    t: Any = [1, 0] if classes else [[1, 0, 1], [0, 1, 0]]
    p: Any = [[1, 2, 1], [1, 1, 3]] if name != "binary_crossentropy" else [[0, 1, 1], [0, 0, 1]]
    function = getattr(losses, name)
    wide = np.array(t, float) if not classes else np.array(t), np.array(p, float)
    expected = LOSSES[name].per_sample(*below_one_half((name, {}), *wide))
    scale = value_terms((name, {}), *wide)
    for kind in (np.int64, np.uint8, np.int16):
        assert_close(function(np.array(t, kind), np.array(p, kind)), expected, scale=scale)
    assert_close(function(t, p), expected, scale=scale)
    assert_close(function(np.array(t), np.array(p, np.float16)), expected, scale=scale)
    assert_close(function(np.array(t, float), np.array(p, np.float32)), expected, scale=scale)


def test_the_predictions_dtype_decides() -> None:
    for t_dtype in DTYPES:
        for p_dtype in DTYPES:
            t, p = np.ones((2, 3), t_dtype), np.zeros((2, 3), p_dtype)
            assert losses.mean_squared_error(t, p).dtype == p_dtype
            assert losses.MeanSquaredError().gradient(t, p).dtype == p_dtype


@every_case
@both_dtypes
def test_a_sample_does_not_depend_on_the_others(case: Case, dtype: Any) -> None:
    name, params = case
    for d in (1, 3, 8, 17):
        t, p, _ = draw(case, (301, d), dtype)
        function = CLASSES[name](reduction="none", **params)
        values, gradient = function(t, p), function.gradient(t, p)
        for rows in (slice(0, 1), slice(100, 107), slice(300, 301)):
            assert np.array_equal(function(t[rows], p[rows]), values[rows])
            assert np.array_equal(function.gradient(t[rows], p[rows]), gradient[rows])


def test_classes_may_come_as_a_column_or_as_whole_floats() -> None:
    p = np.array([[0.2, 0.3, 0.5], [0.6, 0.2, 0.2]])
    plain = losses.sparse_categorical_crossentropy([2, 0], p)
    assert np.array_equal(losses.sparse_categorical_crossentropy([[2], [0]], p), plain)
    assert np.array_equal(losses.sparse_categorical_crossentropy([2.0, 0.0], p), plain)
    assert_close(plain, -np.log([0.5, 0.6]))


@every_case
def test_functions_are_the_unreduced_class(case: Case) -> None:
    name, params = case
    t, p, _ = draw(case, (2, 3, 4), np.float64)
    values = getattr(losses, name)(t, p, **params)
    assert values.shape == (2, 3)
    assert np.array_equal(values, CLASSES[name](reduction="none", **params)(t, p))


# ----------------------------------------------------------------------------- names and errors


def test_every_loss_and_parameter_is_tested() -> None:
    assert set(CLASSES) == set(losses.names()) == {name for name, _ in CASES}
    tested = {(name, param) for name, params in CASES for param in params}
    for name, entry in TABLE.items():
        assert {(name, field) for field in entry["fields"]} <= tested
        assert CLASSES[name].name == name


def test_canonical_links_are_the_references() -> None:
    for name, entry in TABLE.items():
        assert entry["canonical_link"] == LOSSES[name].link


def test_functions_take_their_parameters_by_name_or_place() -> None:
    for name in losses.names():
        parameters = inspect.signature(getattr(losses, name)).parameters
        assert list(parameters) == ["y_true", "y_pred", *TABLE[name]["fields"]]


@every_case
def test_a_loss_is_found_by_name_spec_function_and_object(case: Case) -> None:
    name, params = case
    function = CLASSES[name](reduction="sum", **params)
    assert losses.resolve(function) is function
    assert losses.resolve(function.to_spec()) == function
    assert losses.resolve(name) == losses.resolve(getattr(losses, name)) == CLASSES[name]()


T, P = [[0.0, 1.0]], [[0.5, 0.5]]
INVALID: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: losses.resolve("hubber"), ValueError, "hubber.*huber"),
    (lambda: losses.resolve({"name": "huber", "delto": 1}), ValueError, "delto.*delta"),
    (lambda: losses.resolve(3), TypeError, "loss"),
    (lambda: losses.Huber(reduction="mean"), ValueError, "reduction.*sum_over_batch_size"),
    (lambda: losses.Huber(delta=0.0), ValueError, "delta"),
    (lambda: losses.Huber(delta=math.nan), ValueError, "delta"),
    (lambda: losses.huber(T, P, delta=-1.0), ValueError, "delta"),
    (lambda: losses.BinaryCrossentropy(label_smoothing=1.5), ValueError, "label_smoothing"),
    (lambda: losses.CategoricalCrossentropy(label_smoothing=-0.1), ValueError, "label_smoothing"),
    (lambda: losses.BinaryCrossentropy(label_smoothing="x"), TypeError, "label_smoothing"),  # type: ignore[arg-type]
    (lambda: losses.mean_squared_error([[1.0]], P), ValueError, r"y_true.*\(1, 2\).*\(1, 1\)"),
    (lambda: losses.mean_squared_error([0.0, 1.0], P), ValueError, "y_true"),
    (lambda: losses.mean_squared_error(1.0, 1.0), ValueError, "y_pred"),
    (lambda: losses.mean_squared_error(np.zeros((0, 2)), np.zeros((0, 2))), ValueError, "y_pred"),
    (lambda: losses.mean_squared_error(T, [[math.nan, 0.0]]), ValueError, "y_pred.*nan"),
    (lambda: losses.mean_squared_error([[math.inf, 0.0]], P), ValueError, "y_true.*inf"),
    (lambda: losses.mean_squared_error([["a", "b"]], P), TypeError, "y_true"),
    (lambda: losses.mean_squared_error(T, [[1j, 0.0]]), TypeError, "y_pred"),
    (lambda: losses.binary_crossentropy([[0.0, 1.5]], P), ValueError, "y_true.*1.5"),
    (lambda: losses.binary_crossentropy([[-0.1, 1.0]], P), ValueError, "y_true.*-0.1"),
    (lambda: losses.poisson([[-1.0, 1.0]], P), ValueError, "y_true"),
    (lambda: losses.kl_divergence([[2.0, 1.0]], P), ValueError, "y_true"),
    (lambda: losses.mean_squared_logarithmic_error([[-1.0, 1.0]], P), ValueError, "y_true"),
    (lambda: losses.sparse_categorical_crossentropy([2], P), ValueError, "y_true.*0 to 1"),
    (lambda: losses.sparse_categorical_crossentropy([-1], P), ValueError, "y_true"),
    (lambda: losses.sparse_categorical_crossentropy([0.5], P), ValueError, "y_true"),
    (lambda: losses.sparse_categorical_crossentropy([[0, 1]], P), ValueError, "y_true"),
    (lambda: losses.sparse_categorical_crossentropy([-1], P, ignore_class=5), ValueError, "y_true"),
    (lambda: losses.MeanSquaredError()(T, P, [1.0, 2.0]), ValueError, "sample_weight"),
    (lambda: losses.MeanSquaredError()(T, P, [[1.0, 2.0]]), ValueError, "sample_weight"),
    (lambda: losses.MeanSquaredError()(T, P, [-1.0]), ValueError, "sample_weight"),
    (lambda: losses.MeanSquaredError()(T, P, [math.nan]), ValueError, "sample_weight"),
    (lambda: losses.MeanSquaredError().gradient(T, P, [-1.0]), ValueError, "sample_weight"),
    (lambda: losses.MeanSquaredError().gradient(T, [[1.0]]), ValueError, "y_true"),
]


@pytest.mark.parametrize(
    ("call", "error", "match"), INVALID, ids=[f"{i}-{case[2]}" for i, case in enumerate(INVALID)]
)
def test_what_is_refused(call: Callable[[], Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()
