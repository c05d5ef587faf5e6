"""The NumPy reference against computations that share no code with it.

Philox is held to its published vectors, activations to arbitrary-precision arithmetic (`decimal`),
every derivative to finite differences, the rest to closed forms.
"""

from __future__ import annotations

import decimal
import functools
import itertools
import math
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from pyae.reference import (
    ACTIVATIONS,
    INITIALIZERS,
    LOSSES,
    OPTIMIZERS,
    SCHEDULES,
    Network,
    build_optimizer,
    clip_gradients,
    corrupt,
    evaluate,
    initial_kernel,
    learning_rate_at,
    loss,
    loss_gradient,
    penalties,
    permutation,
    random,
    train,
)
from pyae.reference.corruption import with_feature_range

EPS = 1e-7
SMALLEST = np.finfo(np.float64).tiny


def central_difference(f: Callable[[np.ndarray], Any], x: np.ndarray, h: float = 1e-6) -> Any:
    """Return the derivatives of `f` by every entry of x, entries along the first axis."""
    columns = []
    for i in range(x.size):
        step = np.zeros(x.shape)
        step.flat[i] = h
        columns.append((f(x + step) - f(x - step)) / (2 * h))
    return np.array(columns)


# ---------------------------------------------------------------------------------------- random

PHILOX_VECTORS = [  # from the known-answer file of Random123: counter, key, words
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


def _hex(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), PHILOX_VECTORS)
def test_philox_gives_the_published_words(counter: str, key: str, expected: str) -> None:
    k0, k1 = _hex(key)
    assert random.philox4x32(_hex(counter), (k0, k1)).tolist() == _hex(expected)


@pytest.mark.parametrize(("counter", "key", "expected"), PHILOX_VECTORS)
def test_words_lay_out_counter_and_key(counter: str, key: str, expected: str) -> None:
    c0, c1, c2, c3 = _hex(counter)
    k0, k1 = _hex(key)
    words = random.words(k0 | k1 << 32, c0 | c1 << 32, c2, stream=c3 & 0xFF, attempt=c3 >> 8)
    assert words.tolist() == _hex(expected)


def test_words_broadcast_like_single_calls() -> None:
    index = np.arange(6).reshape(2, 3) * 2**31
    epochs = np.array([0, 1, 2**32 + 7])
    together = random.words(5, index, epochs, random.NOISE)
    for (i, j), number in np.ndenumerate(index):
        alone = random.words(5, int(number), int(epochs[j]) % 2**32, random.NOISE)
        assert np.array_equal(together[i, j], alone)


def test_a_seed_outside_64_bits_is_refused() -> None:
    for seed in (-1, 2**64):
        with pytest.raises(ValueError, match="seed"):
            random.words(seed, 0, 0, 0)


@pytest.mark.parametrize("m", [1, 2, 10, 2**31 + 1, 2**32 - 1])
def test_bounded_is_the_scaled_64_bit_number(m: int) -> None:
    k = np.arange(40)
    drawn = random.bounded(2**63 + 9, k, m, 3, random.SHUFFLE).tolist()
    for number, value in zip(k.tolist(), drawn, strict=True):
        x = [int(word) for word in random.words(2**63 + 9, number // 2, 3, random.SHUFFLE)]
        hi, lo = x[2:] if number % 2 else x[:2]
        assert value == (hi * 2**32 + lo) * m >> 64
        assert 0 <= value < m


def test_bounded_is_uniform() -> None:
    counts = np.bincount(random.bounded(1, np.arange(60000), 6, 0, 0).astype(int), minlength=6)
    chi_square = float((np.square(counts - 10000) / 10000).sum())
    assert chi_square < 25.7  # the 1e-4 quantile for 5 degrees of freedom


def test_uniforms_map_the_ends_of_a_word_inside_the_interval() -> None:
    word = np.array([0, 2**31, 2**32 - 1], dtype=np.uint32)
    expected = [2.0**-33, 0.5 + 2.0**-33, 1 - 2.0**-33]
    assert random.uniform_from_word(word).tolist() == expected


def test_normals_are_box_muller_of_the_uniforms() -> None:
    u = random.uniforms(7, 11, 2, random.INIT)
    z = random.normals(7, 11, 2, random.INIT)
    for i in (0, 2):
        assert z[i] ** 2 + z[i + 1] ** 2 == pytest.approx(-2 * math.log(u[i]), rel=1e-12)
        turn = math.atan2(z[i + 1], z[i]) / (2 * math.pi) % 1
        assert turn == pytest.approx(u[i + 1], abs=1e-12)


def test_normals_have_normal_moments() -> None:
    z = random.normals(0, np.arange(50000), 0, random.NOISE).ravel()
    moments = [float(np.mean(z**k)) for k in (1, 2, 3, 4)]
    assert moments == pytest.approx([0, 1, 0, 3], abs=0.06)
    assert np.mean(np.abs(z) < 1) == pytest.approx(math.erf(1 / math.sqrt(2)), abs=0.005)


@pytest.mark.parametrize("n", [0, 1, 2, 7, 1000])
def test_permutation_permutes(n: int) -> None:
    assert sorted(random.permutation(n, 3, 0).tolist()) == list(range(n))


def test_permutation_follows_seed_and_epoch_and_is_uniform() -> None:
    assert np.array_equal(permutation(50, 1, 2), permutation(50, 1, 2))
    assert not np.array_equal(permutation(50, 1, 2), permutation(50, 1, 3))
    assert not np.array_equal(permutation(50, 1, 2), permutation(50, 2, 2))
    orders = [tuple(permutation(3, seed, 0).tolist()) for seed in range(3000)]
    counts = [orders.count(order) for order in itertools.permutations(range(3))]
    assert min(counts) > 400
    assert max(counts) < 600


# ----------------------------------------------------------------------------------- activations

DIGITS = decimal.Context(prec=800, Emax=10**9, Emin=-(10**9))


@functools.cache
def _pi() -> Decimal:
    a, b, t, p = Decimal(1), 1 / Decimal(2).sqrt(), Decimal("0.25"), 1  # Gauss and Legendre
    for _ in range(11):
        a_next = (a + b) / 2
        b, t = (a * b).sqrt(), t - p * (a - a_next) ** 2
        a, p = a_next, 2 * p
    return (a + b) ** 2 / (4 * t)


def _tanh(x: Decimal) -> Decimal:
    e = (2 * x).exp()
    return (e - 1) / (e + 1)


def _erf(x: Decimal) -> Decimal:
    # 2/sqrt(pi) e^(-x^2) sum of 2^n x^(2n+1) / (2n+1)!!, whose terms have one sign.
    term = total = x
    n = 0
    while abs(term) > abs(total) * Decimal(10) ** -790:
        n += 1
        term *= 2 * x * x / (2 * n + 1)
        total += term
    return 2 / _pi().sqrt() * (-x * x).exp() * total


def _elu(x: Decimal, alpha: Decimal = Decimal(1)) -> Decimal:
    return x if x > 0 else alpha * (x.exp() - 1)


def _gelu(x: Decimal) -> Decimal:
    return x * (1 + _erf(x / Decimal(2).sqrt())) / 2 if abs(x) < 50 else max(x, Decimal(0))


def _gelu_tanh(x: Decimal) -> Decimal:
    return x / 2 * (1 + _tanh((2 / _pi()).sqrt() * (x + Decimal("0.044715") * x**3)))


SELU_ALPHA, SELU_SCALE = Decimal("1.6732632423543772848"), Decimal("1.0507009873554804934")

EXACT: list[tuple[str, dict[str, Any], Callable[[Decimal], Decimal]]] = [
    ("linear", {}, lambda x: x),
    ("relu", {}, lambda x: max(x, Decimal(0))),
    ("sigmoid", {}, lambda x: 1 / (1 + (-x).exp())),
    ("softplus", {}, lambda x: (1 + x.exp()).ln()),
    ("softsign", {}, lambda x: x / (1 + abs(x))),
    ("tanh", {}, _tanh),
    ("elu", {}, _elu),
    ("elu", {"alpha": 0.25}, lambda x: _elu(x, Decimal("0.25"))),
    ("selu", {}, lambda x: SELU_SCALE * _elu(x, SELU_ALPHA)),
    ("exponential", {}, lambda x: x.exp()),
    ("leaky_relu", {}, lambda x: x if x > 0 else Decimal("0.2") * x),
    ("leaky_relu", {"negative_slope": 0.5}, lambda x: x if x > 0 else x / 2),
    ("relu6", {}, lambda x: min(max(x, Decimal(0)), Decimal(6))),
    ("gelu", {}, _gelu),
    ("gelu", {"approximate": True}, _gelu_tanh),
    ("silu", {}, lambda x: x / (1 + (-x).exp())),
    ("mish", {}, lambda x: x * _tanh((1 + x.exp()).ln())),
    ("hard_sigmoid", {}, lambda x: min(max(x / 6 + Decimal("0.5"), Decimal(0)), Decimal(1))),
]
POINTS = [-700.0, -300.1, -37.4, -20.3, -12.7, -5.5, -2.9, -1.1, -0.3, -1e-8]
POINTS += [1e-8, 0.1, 0.9, 2.3, 3.7, 5.9, 6.1, 15.3, 40.7, 300.1, 700.0]


@pytest.mark.parametrize(("name", "params", "exact"), EXACT)
def test_activation_is_exact_to_the_tails(
    name: str, params: dict[str, Any], exact: Callable[[Decimal], Decimal]
) -> None:
    h = Decimal(10) ** -40
    with decimal.localcontext(DIGITS):
        values = [float(exact(Decimal(x))) for x in POINTS]
        slopes = [float((exact(Decimal(x) + h) - exact(Decimal(x) - h)) / (2 * h)) for x in POINTS]
    x = np.array(POINTS)
    y = ACTIVATIONS[name].value(x, **params)
    dx = ACTIVATIONS[name].vjp(x, np.full_like(x, 2.0), **params)
    np.testing.assert_allclose(y, values, rtol=1e-14, atol=SMALLEST)
    np.testing.assert_allclose(dx, 2 * np.array(slopes), rtol=1e-14, atol=SMALLEST)


ROWS: list[list[float]] = [
    [0.0, -50.0, 3.0],
    [1e4, -1e4, 0.0],
    [700.0, -30.0, 699.5],
    [1.0, 1.0, 1.0],
    [0, -40, -45],
]


def test_softmax_and_log_softmax_are_exact() -> None:
    x = np.array(ROWS)
    with decimal.localcontext(DIGITS):
        e = [[Decimal(entry).exp() for entry in row] for row in ROWS]
        shares = [[entry / sum(row, Decimal(0)) for entry in row] for row in e]
        logs = [[float(share.ln()) for share in row] for row in shares]
    y = np.array([[float(share) for share in row] for row in shares])
    np.testing.assert_allclose(ACTIVATIONS["softmax"].value(x), y, rtol=1e-13, atol=SMALLEST)
    np.testing.assert_allclose(ACTIVATIONS["log_softmax"].value(x), logs, rtol=1e-13)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_vjp_is_the_derivative(name: str) -> None:
    generator = np.random.default_rng(0)
    x, dy = generator.normal(size=(2, 3, 4)) * 2
    numeric = central_difference(lambda x: np.sum(dy * ACTIVATIONS[name].value(x)), x)
    np.testing.assert_allclose(ACTIVATIONS[name].vjp(x, dy), numeric.reshape(3, 4), atol=2e-9)


KINKS = [
    ("relu", {}, [0.0], [0.0]),
    ("relu6", {}, [0.0, 6.0], [0.0, 0.0]),
    ("leaky_relu", {"negative_slope": 0.3}, [0.0], [0.3]),
    ("hard_sigmoid", {}, [-3.0, 3.0], [0.0, 0.0]),
    ("elu", {"alpha": 2.0}, [0.0], [2.0]),
    ("selu", {}, [0.0], [float(SELU_SCALE * SELU_ALPHA)]),
]


@pytest.mark.parametrize(("name", "params", "x", "expected"), KINKS)
def test_derivative_at_kinks(
    name: str, params: dict[str, float], x: list[float], expected: list[float]
) -> None:
    dx = ACTIVATIONS[name].vjp(x, np.ones(len(x)), **params)
    np.testing.assert_allclose(dx, expected, rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activation_is_calm_at_the_ends_and_keeps_the_dtype(name: str, dtype: str) -> None:
    x = np.array([[-1e4, -800.0, -90.0, 0.0], [90.0, 800.0, 1e4, -0.0]], dtype=dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = ACTIVATIONS[name].value(x)
        dx = ACTIVATIONS[name].vjp(x, np.ones_like(x))
    assert y.dtype == dx.dtype == np.dtype(dtype)
    assert not np.isnan(y).any()
    assert not np.isnan(dx).any()
    if name != "exponential":
        assert np.isfinite(y).all()
        assert np.isfinite(dx).all()


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_float32_activation_is_the_rounded_float64_one(name: str) -> None:
    x = np.linspace(-9, 9, 64, dtype=np.float32).reshape(4, 16)
    dy = np.cos(x)
    a = ACTIVATIONS[name]
    np.testing.assert_allclose(a.value(x), a.value(x.astype(float)), rtol=3e-6, atol=1e-30)
    np.testing.assert_allclose(a.vjp(x, dy), a.vjp(x.astype(float), dy.astype(float)), atol=3e-6)


# ---------------------------------------------------------------------------------------- losses

LOG = math.log
HAND_LOSSES = [  # name, params, t, p, one value a sample
    ("binary_crossentropy", {}, [[1.0, 0.0]], [[0.9, 0.2]], -(LOG(0.9) + LOG(0.8)) / 2),
    ("binary_crossentropy", {}, [[1.0, 0.0]], [[0.0, 1.0]],
     -LOG(EPS)),
    ("binary_crossentropy", {"label_smoothing": 0.2}, [[1.0]], [[0.7]],
     -(0.9 * LOG(0.7) + 0.1 * LOG(0.3))),
    ("binary_crossentropy", {"from_logits": True}, [[1.0, 0.0]], [[-1000.0, 3.0]],
     (1000 + 3 + math.log1p(math.exp(-3))) / 2),
    ("categorical_crossentropy", {}, [[0.0, 1.0, 0.0]], [[1.0, 2.0, 1.0]], -LOG(0.5)),
    ("categorical_crossentropy", {"label_smoothing": 0.3}, [[0.0, 1.0]], [[0.2, 0.8]],
     -(0.15 * LOG(0.2) + 0.85 * LOG(0.8))),
    ("categorical_crossentropy", {"from_logits": True}, [[1.0, 0.0]], [[-1000.0, 1000.0]], 2000.0),
    ("sparse_categorical_crossentropy", {}, [1], [[0.2, 0.6]], -LOG(0.75)),
    ("sparse_categorical_crossentropy", {}, [[1]], [[0.2, 0.6]], -LOG(0.75)),
    ("sparse_categorical_crossentropy", {"ignore_class": 1}, [1], [[0.2, 0.6]], 0.0),
    ("sparse_categorical_crossentropy", {"from_logits": True}, [0], [[0.0, 0.0]], LOG(2)),
    ("poisson", {}, [[2.0, 0.0]], [[3.0, 1.0]], (3 - 2 * LOG(3 + EPS) + 1) / 2),
    ("kl_divergence", {}, [[0.25, 0.75]], [[0.5, 0.5]], 0.25 * LOG(0.5) + 0.75 * LOG(1.5)),
    ("kl_divergence", {}, [[1.0, 0.0]], [[0.0, 1.0]], LOG(1 / EPS) + EPS * LOG(EPS)),
    ("mean_squared_error", {}, [[1.0, 2.0]], [[4.0, 4.0]], 6.5),
    ("mean_absolute_error", {}, [[1.0, 2.0]], [[4.0, 0.0]], 2.5),
    ("mean_absolute_percentage_error", {}, [[2.0, -4.0]], [[1.0, -3.0]], 37.5),
    ("mean_absolute_percentage_error", {}, [[0.0]], [[1.0]], 1e9),
    ("mean_squared_logarithmic_error", {}, [[math.e - 1]], [[math.e**3 - 1]], 4.0),
    ("mean_squared_logarithmic_error", {}, [[-5.0]], [[math.e - 1]],
     (1 - math.log1p(EPS)) ** 2),
    ("cosine_similarity", {}, [[3.0, 0.0]], [[1.0, 1.0]], -math.sqrt(0.5)),
    ("cosine_similarity", {}, [[0.0, 0.0]], [[1.0, 1.0]], 0.0),
    ("huber", {}, [[0.0, 0.0]], [[0.5, 3.0]], (0.125 + 2.5) / 2),
    ("huber", {"delta": 4.0}, [[0.0, 0.0]], [[0.5, 3.0]], (0.125 + 4.5) / 2),
    ("log_cosh", {}, [[0.0, 0.0]], [[2.0, -0.5]],
     (LOG(math.cosh(2)) + LOG(math.cosh(0.5))) / 2),
    ("log_cosh", {}, [[0.0]], [[1e-9]], 5e-19),
    ("log_cosh", {}, [[0.0]], [[-1e4]], 1e4 - LOG(2)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "params", "t", "p", "expected"), HAND_LOSSES)
def test_loss_has_the_value_worked_by_hand(
    name: str, params: dict[str, Any], t: Any, p: Any, expected: float
) -> None:
    values = loss(name, t, p, reduction="none", **params)
    np.testing.assert_allclose(values, [expected], rtol=1e-13, atol=1e-300)


def test_every_loss_has_a_value_worked_by_hand() -> None:
    assert {case[0] for case in HAND_LOSSES} == set(LOSSES)


def loss_arguments(name: str, from_logits: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return targets and predictions from a loss's domain, away from kinks and clips."""
    generator = np.random.default_rng(1)
    shape = (6, 4)
    draw: dict[str, Callable[[], Any]] = {
        "real": lambda: generator.normal(size=shape) * 2,
        "nonnegative": lambda: generator.uniform(0.1, 3, size=shape),
        "unit": lambda: generator.uniform(0.05, 0.95, size=shape),
        "probabilities": lambda: generator.dirichlet(np.full(4, 3.0), size=6),
        "classes": lambda: generator.integers(0, 4, size=6),
    }
    t = draw[LOSSES[name].targets]()
    p = draw["real" if from_logits else LOSSES[name].predictions]()
    if LOSSES[name].predictions == "probabilities" and not from_logits:
        p = p * generator.uniform(0.5, 0.9, size=(6, 1))  # rows need not sum to 1
    return t, p


LOSS_PARAMS: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in sorted(LOSSES)]
LOSS_PARAMS += [
    ("huber", {"delta": 0.4}),
    ("binary_crossentropy", {"label_smoothing": 0.1}),
    ("binary_crossentropy", {"from_logits": True}),
    ("binary_crossentropy", {"from_logits": True, "label_smoothing": 0.1}),
    ("categorical_crossentropy", {"label_smoothing": 0.1}),
    ("categorical_crossentropy", {"from_logits": True}),
    ("categorical_crossentropy", {"from_logits": True, "label_smoothing": 0.1}),
    ("sparse_categorical_crossentropy", {"ignore_class": 2}),
    ("sparse_categorical_crossentropy", {"from_logits": True}),
    ("sparse_categorical_crossentropy", {"from_logits": True, "ignore_class": 2}),
]


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "none"])
@pytest.mark.parametrize(("name", "params"), LOSS_PARAMS)
def test_loss_gradient_is_the_derivative(name: str, params: dict[str, Any], reduction: str) -> None:
    t, p = loss_arguments(name, params.get("from_logits", False))
    weight = np.array([1.0, 0.5, 2.0, 0.0, 3.0, 1.5])

    def total(p: np.ndarray) -> float:
        return float(np.sum(loss(name, t, p, weight, reduction, **params)))

    gradient = loss_gradient(name, t, p, weight, reduction, **params)
    numeric = central_difference(total, p).reshape(p.shape)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-7, atol=2e-8)


@pytest.mark.parametrize("name", sorted(n for n in LOSSES if LOSSES[n].link))
def test_dz_is_the_derivative_through_the_link(name: str) -> None:
    entry = LOSSES[name]
    assert entry.link
    assert entry.per_sample_from_logits
    assert entry.dz
    t, z = loss_arguments(name, from_logits=True)
    p = ACTIVATIONS[entry.link].value(z)
    np.testing.assert_allclose(
        entry.per_sample_from_logits(t, z), entry.per_sample(t, p), rtol=1e-12
    )
    chained = ACTIVATIONS[entry.link].vjp(z, entry.gradient_per_sample(t, p))
    np.testing.assert_allclose(entry.dz(t, z), chained, atol=1e-14)


CLIPPED = [
    ("binary_crossentropy", [[1.0, 0.0, 1.0]], [[0.0, 1.0, 0.5]], [0, 0, -2 / 3]),
    ("categorical_crossentropy", [[1.0, 0.0]], [[1e-9, 1.0]], [0, 0]),
    ("kl_divergence", [[1.0, 0.0]], [[1e-9, 0.5]], [0, -2e-7]),
    ("mean_squared_logarithmic_error", [[1.0, 1.0]], [[-0.5, 1.0]], [0, 0]),
    ("mean_absolute_error", [[1.0, 2.0]], [[1.0, 3.0]], [0, 0.5]),
    ("mean_absolute_percentage_error", [[1.0, 2.0]], [[1.0, 3.0]], [0, 25]),
    ("cosine_similarity", [[0.0, 2.0]], [[0.0, 0.0]], [0, -1e7]),
]


@pytest.mark.parametrize(("name", "t", "p", "expected"), CLIPPED)
def test_loss_gradient_at_clips_and_kinks(name: str, t: Any, p: Any, expected: Any) -> None:
    np.testing.assert_allclose(loss_gradient(name, t, p), [expected], rtol=1e-13)


def test_reductions_count_values_and_weights() -> None:
    t, p, weight = np.zeros((3, 1)), np.array([[1.0], [2.0], [3.0]]), [1.0, 0.0, 2.0]
    mse = functools.partial(loss, "mean_squared_error", t, p)
    assert mse() == pytest.approx(14 / 3)
    assert mse(weight) == pytest.approx(19 / 3)
    assert mse(weight, "sum") == 19
    assert np.array_equal(mse(weight, "none"), [1, 0, 18])


def test_an_ignored_class_leaves_the_mean() -> None:
    name, p = "sparse_categorical_crossentropy", [[0.5, 0.5]] * 3
    assert loss(name, [0, -1, 1], p, ignore_class=-1) == pytest.approx(LOG(2))
    assert loss(name, [0, -1, 1], p, [1.0, 9.0, 3.0], ignore_class=-1) == pytest.approx(2 * LOG(2))
    assert loss(name, [-1, -1, -1], p, ignore_class=-1) == 0
    assert not loss_gradient(name, [-1, -1, -1], p, ignore_class=-1).any()


# ------------------------------------------------------------------ penalties, schedules, clipping


def test_penalties_by_hand() -> None:
    y = np.array([[0.2, 1.0], [0.4, -3.0]])
    elastic = {"name": "l1l2", "l1": 0.5, "l2": 2.0}
    assert penalties.weight_penalty(elastic, y) == pytest.approx(0.5 * 4.6 + 2 * 10.2)
    assert penalties.activity_penalty(elastic, y) == pytest.approx((0.5 * 4.6 + 2 * 10.2) / 2)
    sparsity = {"name": "kl_sparsity", "rho": 0.1, "beta": 3.0}
    r = [0.3, EPS]  # the second unit's mean, -1, is clipped
    expected = 3 * sum(0.1 * LOG(0.1 / rj) + 0.9 * LOG(0.9 / (1 - rj)) for rj in r)
    assert penalties.activity_penalty(sparsity, y) == pytest.approx(expected, rel=1e-12)
    assert not penalties.activity_gradient(sparsity, y)[:, 1].any()
    assert penalties.weight_penalty(None, y) == penalties.activity_penalty(None, y) == 0


HALVING = {"initial_learning_rate": 0.8, "decay_steps": 10, "decay_rate": 0.5}
STEPS: list[tuple[Any, int, float]] = [
    (0.3, 5, 0.3),
    ({"name": "constant", "learning_rate": 0.2}, 9, 0.2),
    ({"name": "exponential", **HALVING}, 20, 0.2),
    ({"name": "exponential", **HALVING}, 5, 0.8 * math.sqrt(0.5)),
    ({"name": "exponential", **HALVING, "staircase": True}, 19, 0.4),
    ({"name": "inverse_time", **HALVING}, 10, 0.8 / 1.5),
    ({"name": "inverse_time", **HALVING, "staircase": True}, 29, 0.8 / 2),
    ({"name": "cosine", "initial_learning_rate": 0.8, "decay_steps": 10}, 5, 0.4),
    ({"name": "cosine", "initial_learning_rate": 0.8, "decay_steps": 10, "alpha": 0.25}, 99, 0.2),
    ({"name": "piecewise", "boundaries": [3, 6], "values": [0.3, 0.2, 0.1]}, 3, 0.3),
    ({"name": "piecewise", "boundaries": [3, 6], "values": [0.3, 0.2, 0.1]}, 4, 0.2),
    ({"name": "piecewise", "boundaries": [3, 6], "values": [0.3, 0.2, 0.1]}, 7, 0.1),
    ({"name": "warm_up", "warmup_steps": 4, "then": 0.4}, 0, 0.1),
    ({"name": "warm_up", "warmup_steps": 4, "then": 0.4}, 3, 0.4),
    ({"name": "warm_up", "warmup_steps": 4, "then": 0.4, "start_factor": 0.5}, 1, 0.3),
    ({"name": "warm_up", "warmup_steps": 4, "then": {"name": "exponential", **HALVING}}, 14, 0.4),
]


@pytest.mark.parametrize(("rate", "step", "expected"), STEPS)
def test_schedule_by_hand(rate: Any, step: int, expected: float) -> None:
    assert learning_rate_at(rate, step) == pytest.approx(expected, rel=1e-13)


def test_every_schedule_is_tested() -> None:
    assert {rate["name"] for rate, _, _ in STEPS if isinstance(rate, dict)} == set(SCHEDULES)


@pytest.mark.parametrize(
    ("clipping", "expected"),
    [
        ({}, [3, 4, 0.5, -12]),
        ({"clipvalue": 2.0}, [2, 2, 0.5, -2]),
        ({"clipnorm": 1.0}, [0.6, 0.8, 0.5 / math.hypot(0.5, 12), -12 / math.hypot(0.5, 12)]),
        ({"clipnorm": 6.0}, [3, 4, 3 / math.hypot(0.5, 12), -72 / math.hypot(0.5, 12)]),
        ({"global_clipnorm": 1.0}, np.array([3, 4, 0.5, -12]) / math.sqrt(169.25)),
        ({"global_clipnorm": 14.0}, [3, 4, 0.5, -12]),
    ],
)
def test_clipping_by_hand(clipping: dict[str, float], expected: Any) -> None:
    g = np.array([3.0, 4.0, 0.5, -12.0])
    clip_gradients(g, [g[:2], g[2:]], **clipping)
    np.testing.assert_allclose(g, expected, rtol=1e-14)


# ------------------------------------------------------------------------------------ optimizers

LR = 0.1
G = np.array([0.5, -2.0, 1e-3])
MU_1, MU_2 = 0.9 * (1 - 0.5 * 0.96), 0.9 * (1 - 0.5 * 0.96**2)
K = 7  # updates by the constant gradient G


def _geometric(q: float, k: int) -> float:
    return (1 - q**k) / (1 - q)


CONSTANT_GRADIENT = [  # where K (or the given number of) steps along a constant gradient arrive
    ("sgd", {}, K, -LR * K * G),
    ("sgd", {"momentum": 0.8}, K, -LR * G * sum(_geometric(0.8, k) for k in range(1, K + 1))),
    ("sgd", {"momentum": 0.8, "nesterov": True}, K,
     -LR * G * sum(_geometric(0.8, k + 1) for k in range(1, K + 1))),
    ("rmsprop", {}, K, -LR * sum(G / np.sqrt(G**2 * (1 - 0.9**k) + EPS) for k in range(1, K + 1))),
    ("rmsprop", {"momentum": 0.5}, 2,
     -LR * (1.5 * G / np.sqrt(0.1 * G**2 + EPS) + G / np.sqrt(0.19 * G**2 + EPS))),
    ("rmsprop", {"centered": True}, 1, -LR * G / np.sqrt((0.1 - 0.01) * G**2 + EPS)),
    ("adagrad", {}, K, -LR * sum(G / np.sqrt(0.1 + k * G**2 + EPS) for k in range(1, K + 1))),
    ("adadelta", {}, 1, -LR * G * np.sqrt(EPS) / np.sqrt(0.05 * G**2 + EPS)),
    # After bias correction m^ = G and v^ = G^2 at every step.
    ("adam", {}, K,
     -LR * sum(G / (np.abs(G) + EPS / math.sqrt(1 - 0.999**k)) for k in range(1, K + 1))),
    ("adamw", {"weight_decay": 0.0}, K,
     -LR * sum(G / (np.abs(G) + EPS / math.sqrt(1 - 0.999**k)) for k in range(1, K + 1))),
    ("muon", {"adam_lr_ratio": 0.5}, K,  # without a network no kernel is a hidden one's
     -LR / 2 * sum(G / (np.abs(G) + EPS / math.sqrt(1 - 0.999**k)) for k in range(1, K + 1))),
    ("nadam", {}, 1, -LR * (MU_2 * 0.1 / (1 - MU_1 * MU_2) + 1) * G / (np.abs(G) + EPS)),
]  # fmt: skip


FIRST_ORDER = set(OPTIMIZERS) - {"lbfgs", "newton_cg", "kfac"}  # which need an objective


@pytest.mark.parametrize(("name", "params", "n_steps", "expected"), CONSTANT_GRADIENT)
def test_optimizer_along_a_constant_gradient(
    name: str, params: dict[str, Any], n_steps: int, expected: np.ndarray
) -> None:
    optimizer = build_optimizer({"name": name, "learning_rate": LR, **params})
    w = np.zeros(3)
    for _ in range(n_steps):
        optimizer.step(w, G.copy())
    np.testing.assert_allclose(w, expected, rtol=1e-12)
    assert optimizer.iterations == n_steps


def test_every_optimizer_is_tested() -> None:
    assert {case[0] for case in CONSTANT_GRADIENT} == FIRST_ORDER


def test_adamw_decays_kernels_only() -> None:
    optimizer = build_optimizer({"name": "adamw", "learning_rate": 0.1, "weight_decay": 0.5})
    w = np.array([2.0, -4.0, 8.0])
    for _ in range(3):
        optimizer.step(w, np.zeros(3), np.array([True, True, False]))
    np.testing.assert_allclose(w, [2 * 0.95**3, -4 * 0.95**3, 8.0], rtol=1e-14)


def test_adadelta_accumulates_its_own_steps() -> None:
    optimizer = build_optimizer({"name": "adadelta", "learning_rate": 1.0, "rho": 0.5})
    w = np.zeros(1)
    a = u = x = 0.0
    for g in (1.0, -3.0, 0.5):
        optimizer.step(w, np.array([g]))
        a = 0.5 * a + 0.5 * g * g
        d = -g * math.sqrt((u + EPS) / (a + EPS))
        u = 0.5 * u + 0.5 * d * d
        x += d
    assert w[0] == pytest.approx(x, rel=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(FIRST_ORDER))
def test_optimizer_descends_a_parabola(name: str, dtype: str) -> None:
    rate = {"adadelta": 20.0, "adagrad": 0.5}.get(name, 0.05)
    optimizer = build_optimizer({"name": name, "learning_rate": rate})
    w = np.array([3.0, -2.0], dtype=dtype)
    curvature = np.array([1.0, 4.0], dtype=dtype)
    for _ in range(300):
        optimizer.step(w, curvature * w)
    assert w.dtype == np.dtype(dtype)
    assert np.abs(w).max() < 0.1


# --------------------------------------------------------------------- initializers and corruption

VARIANCE = {"glorot": 2 / (300 + 200), "he": 2 / 300, "lecun": 1 / 300}


@pytest.mark.parametrize("shape", ["uniform", "normal"])
@pytest.mark.parametrize("family", sorted(VARIANCE))
def test_scaled_initializer_has_its_moments(family: str, shape: str) -> None:
    w = initial_kernel({"name": f"{family}_{shape}"}, 300, 200, layer=1, seed=4)
    stddev = math.sqrt(VARIANCE[family])
    assert w.mean() == pytest.approx(0, abs=4 * stddev / math.sqrt(w.size))
    assert w.std() == pytest.approx(stddev, rel=0.01)
    limit = math.sqrt(3) if shape == "uniform" else 2 / 0.8796256610342398
    assert 0.99 * limit * stddev < np.abs(w).max() <= limit * stddev


def test_truncated_normal_redraws_only_what_is_outside() -> None:
    w = initial_kernel({"name": "lecun_normal"}, 100, 40, layer=2, seed=8)
    z = w.ravel() * 0.8796256610342398 * 10  # stddev 1/10
    plain = random.normals(8, np.arange(1000), 2, random.INIT).ravel()
    inside = np.abs(plain) <= 2
    np.testing.assert_allclose(z[inside], plain[inside], rtol=1e-12)
    assert 0.9 < inside.mean() < 1
    first = int(np.flatnonzero(~inside)[0])
    attempts = (random.normals(8, first // 4, 2, random.INIT, a)[first % 4] for a in range(1, 99))
    assert z[first] == pytest.approx(next(v for v in attempts if abs(v) <= 2), rel=1e-12)


@pytest.mark.parametrize(("fan_in", "fan_out"), [(9, 4), (4, 9), (5, 5), (1, 3)])
def test_orthogonal_kernel_is_orthogonal(fan_in: int, fan_out: int) -> None:
    spec = {"name": "orthogonal", "gain": 3.0}
    w = initial_kernel(spec, fan_in, fan_out, layer=0, seed=1)
    assert w.shape == (fan_in, fan_out)
    gram = w.T @ w if fan_in >= fan_out else w @ w.T
    np.testing.assert_allclose(gram, 9 * np.eye(min(fan_in, fan_out)), atol=1e-13)
    # With R's diagonal positive, Q^T A is upper triangular with a positive diagonal.
    n, k = max(fan_in, fan_out), min(fan_in, fan_out)
    blocks = np.arange(-(-n * k // 4))
    a = random.normals(1, blocks, 0, random.INIT).ravel()[: n * k].reshape(n, k)
    r = (w if fan_in >= fan_out else w.T).T @ a
    np.testing.assert_allclose(r, np.triu(r), atol=1e-12)
    assert (np.diagonal(r) > 0).all()


def test_sparse_kernel_connects_each_unit_to_k_inputs() -> None:
    w = initial_kernel({"name": "sparse", "n_connections": 5, "stddev": 2.0}, 40, 300, 0, 3)
    assert np.array_equal((w != 0).sum(axis=0), np.full(300, 5))
    per_input = (w != 0).sum(axis=1)  # expected 37.5 each
    assert per_input.min() > 12
    assert per_input.max() < 70
    assert w[w != 0].std() == pytest.approx(2, rel=0.08)
    plain = random.normals(3, np.arange(3000), 0, random.INIT).reshape(40, 300)
    np.testing.assert_array_equal(w[w != 0], 2 * plain[w != 0])
    assert (initial_kernel({"name": "sparse"}, 3, 4, 0, 3) != 0).all()


@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_initializer_follows_seed_and_layer(name: str) -> None:
    def draw(layer: int, seed: int) -> list[float]:
        return list(initial_kernel({"name": name}, 7, 5, layer, seed).ravel())

    assert draw(0, 1) == draw(0, 1)
    if name == "zeros":
        assert not any(draw(0, 1))
    else:
        assert draw(0, 1) != draw(1, 1)
        assert draw(0, 1) != draw(0, 2)


NOISES = [
    {"name": "gaussian", "stddev": 0.5},
    {"name": "masking", "rate": 0.3},
    {"name": "salt_and_pepper", "rate": 0.4, "low": -5.0, "high": 7.0},
]


@pytest.mark.parametrize("spec", NOISES)
@pytest.mark.parametrize("n_features", [1, 6, 8])
def test_noise_belongs_to_the_row_and_not_to_the_batch(spec: Any, n_features: int) -> None:
    X = np.random.default_rng(0).uniform(1, 2, size=(40, n_features)).astype(np.float32)
    whole = corrupt(spec, X, np.arange(40), epoch=2, seed=9)
    rows = np.array([31, 4, 17])
    np.testing.assert_array_equal(corrupt(spec, X[rows], rows, epoch=2, seed=9), whole[rows])
    assert whole.dtype == np.float32
    for epoch, seed in ((3, 9), (2, 8)):
        assert not np.array_equal(corrupt(spec, X, np.arange(40), epoch, seed), whole)


def test_noise_has_its_rates() -> None:
    X = np.random.default_rng(0).uniform(1, 2, size=(1000, 50))
    rows = np.arange(1000)
    n = (corrupt(NOISES[0], X, rows, 0, 1) - X) / 0.5
    assert [n.mean(), n.std(), (n**4).mean()] == pytest.approx([0, 1, 3], abs=0.06)
    masked = corrupt(NOISES[1], X, rows, 0, 1)
    assert (masked == 0).mean() == pytest.approx(0.3, abs=0.01)
    assert np.array_equal(masked[masked != 0], X[masked != 0])
    salted = corrupt(NOISES[2], X, rows, 0, 1)
    assert (salted == -5).mean() == pytest.approx(0.2, abs=0.01)
    assert (salted == 7).mean() == pytest.approx(0.2, abs=0.01)
    kept = (salted != -5) & (salted != 7)
    assert np.array_equal(salted[kept], X[kept])


def test_salt_and_pepper_takes_each_feature_s_range() -> None:
    X = np.array([[0.0, 10.0], [1.0, 30.0], [0.5, 20.0]])
    spec = with_feature_range({"name": "salt_and_pepper", "rate": 1.0, "high": 2.0}, X)
    noisy = corrupt(spec, np.tile(X, (20, 1)), np.arange(60), 0, 0)
    assert set(noisy[:, 0]) == {0.0, 2.0}
    assert set(noisy[:, 1]) == {10.0, 2.0}


# ------------------------------------------------------------------------- networks and training


def dense(units: int, activation: str = "linear", **entries: Any) -> dict[str, Any]:
    return {"type": "dense", "units": units, "activation": {"name": activation}, **entries}


def model(*layers: dict[str, Any], loss: Any = "mean_squared_error", **optimizer: Any) -> Any:
    loss = {"name": loss} if isinstance(loss, str) else loss
    return {"layers": list(layers), "loss": loss, "optimizer": {"name": "sgd", **optimizer}}


ELASTIC = {"name": "l1l2", "l1": 0.01, "l2": 0.02}
SPARSE = {"name": "kl_sparsity", "rho": 0.1, "beta": 0.5}
SCCE = {"name": "sparse_categorical_crossentropy"}
NETWORKS = {
    "plain": model(dense(4, "tanh"), dense(3)),
    "deep": model(dense(4, "gelu"), dense(5, "selu"), dense(2, "mish"), dense(3), loss="log_cosh"),
    "parameters of activations": model(
        {"units": 4, "activation": {"name": "elu", "alpha": 0.3}}, dense(3), loss="huber"
    ),
    "softmax in the middle": model(dense(4, "softmax"), dense(4, "log_softmax"), dense(3)),
    "softmax at the end without its loss": model(dense(3, "softmax")),
    "tied": model(dense(4, "sigmoid"), dense(3, "sigmoid", tied_to=0), loss="binary_crossentropy"),
    "tied twice": model(
        dense(4, "tanh"), dense(2, "tanh"), dense(4, "tanh", tied_to=1), dense(3, tied_to=0)
    ),
    "tied without bias, penalties": model(
        dense(4, "tanh", kernel_regularizer=ELASTIC, use_bias=False),
        dense(3, use_bias=False, tied_to=0),
    ),
    "penalties": model(
        dense(4, "tanh", kernel_regularizer=ELASTIC, activity_regularizer=ELASTIC),
        dense(3, bias_regularizer=ELASTIC),
    ),
    "sparse code": model(dense(4, "sigmoid", activity_regularizer=SPARSE), dense(3)),
    "penalty on the output of a link": model(
        dense(4, "tanh"), dense(3, "sigmoid", activity_regularizer=SPARSE),
        loss="binary_crossentropy",
    ),
    "categorical": model(
        dense(3, "softmax"), loss={"name": "categorical_crossentropy", "label_smoothing": 0.1}
    ),
    "classes": model(dense(4, "softplus"), dense(3, "softmax"), loss=SCCE),
    "classes, one ignored": model(dense(3, "softmax"), loss={**SCCE, "ignore_class": 1}),
    "classes through another activation": model(dense(3, "sigmoid"), loss=SCCE),
    "binary through another activation": model(
        dense(3, "hard_sigmoid"), loss="binary_crossentropy"
    ),
    "sum": model(dense(3, "tanh"), loss={"name": "mean_squared_error", "reduction": "sum"}),
    "sum with a link": model(
        dense(3, "sigmoid"), loss={"name": "binary_crossentropy", "reduction": "sum"}
    ),
}  # fmt: skip


def batch(spec: Any, m: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs (m, 3) and targets that suit the loss of a spec."""
    generator = np.random.default_rng(2)
    X = generator.normal(size=(m, 3))
    t = {
        "classes": np.arange(m) % 3,
        "unit": generator.uniform(size=(m, 3)),
        "probabilities": generator.dirichlet(np.ones(3), size=m),
    }.get(LOSSES[spec["loss"]["name"]].targets, generator.normal(size=(m, 3)))
    return X, t


def scrambled(spec: Any, seed: int = 0) -> Network:
    """Return a float64 network on three features with no parameter at zero."""
    network = Network(spec, 3, seed, "float64")
    generator = np.random.default_rng(seed)
    network.parameters[...] += generator.normal(size=network.parameters.size) * 0.3
    return network


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", sorted(NETWORKS))
def test_network_gradients_are_the_derivatives(case: str, weighted: bool) -> None:
    network = scrambled(NETWORKS[case])
    X, t = batch(NETWORKS[case])
    weight = np.array([1.0, 0.5, 2.0, 0.0, 3.0]) if weighted else None
    start = network.parameters.copy()
    value, gradients = network.loss_and_gradients(X, t, weight)
    flat = network.gradients.copy()

    def total(parameters: np.ndarray) -> float:
        network.parameters[...] = parameters
        return network.loss_and_gradients(X, t, weight)[0]

    numeric = central_difference(total, start)
    np.testing.assert_allclose(flat, numeric, rtol=1e-7, atol=2e-9)
    np.testing.assert_array_equal(np.concatenate([g.ravel() for g in gradients]), flat)
    network.parameters[...] = start
    data, penalty = network.batch_loss(X, t, weight).data, network.penalty(X)
    assert value == pytest.approx(data + penalty, rel=1e-14)


@pytest.mark.parametrize("case", ["plain", "tied", "classes", "categorical", "penalties"])
def test_network_loss_is_the_loss_of_its_output(case: str) -> None:
    spec = NETWORKS[case]
    network = scrambled(spec)
    X, t = batch(spec)
    weight = np.linspace(0, 2, 5)
    params = {key: value for key, value in spec["loss"].items() if key != "name"}
    expected = loss(spec["loss"]["name"], t, network.forward(X), weight, **params)
    assert network.batch_loss(X, t, weight).data == pytest.approx(expected, rel=1e-12)


def test_layout_of_parameters() -> None:
    network = scrambled(NETWORKS["tied twice"])
    W0, b0, W1, b1, b2, b3 = weights = network.get_weights()
    assert [w.shape for w in weights] == [(3, 4), (4,), (4, 2), (2,), (4,), (3,)]
    flat = np.concatenate([w.ravel() for w in weights])
    np.testing.assert_array_equal(flat, network.parameters)
    kernels = np.concatenate([np.full(w.size, w.ndim == 2) for w in weights])
    np.testing.assert_array_equal(network.is_kernel, kernels)
    X, _ = batch(NETWORKS["tied twice"])
    code = np.tanh(np.tanh(X @ W0 + b0) @ W1 + b1)
    np.testing.assert_allclose(network.forward(X, upto=2), code, rtol=1e-14)
    y = np.tanh(code @ W1.T + b2) @ W0.T + b3
    np.testing.assert_allclose(network.forward(X), y, rtol=1e-13)

    network.set_weights([2 * w for w in weights])
    np.testing.assert_array_equal(network.parameters, 2 * flat)
    with pytest.raises(ValueError, match="shapes"):
        network.set_weights([W0.T, *weights[1:]])


def test_new_network_has_initial_kernels_and_zero_biases() -> None:
    network = Network(model(dense(4), dense(3, tied_to=0), dense(2)), 3, seed=6, dtype="float32")
    W0, b0, b1, W2, b2 = network.get_weights()
    glorot = {"name": "glorot_uniform"}
    np.testing.assert_array_equal(W0, initial_kernel(glorot, 3, 4, 0, 6).astype(np.float32))
    np.testing.assert_array_equal(W2, initial_kernel(glorot, 3, 2, 2, 6).astype(np.float32))
    assert not np.concatenate([b0, b1, b2]).any()
    assert network.forward(np.ones((2, 3))).dtype == np.float32


def test_the_link_is_stable_where_probabilities_saturate() -> None:
    network = Network(model(dense(3, "sigmoid"), loss="binary_crossentropy"), 3, dtype="float32")
    network.set_weights([1000 * np.eye(3), np.zeros(3)])
    value, (dW, _) = network.loss_and_gradients(np.ones((1, 3)), np.zeros((1, 3)))
    assert value == pytest.approx(1000)
    np.testing.assert_allclose(dW, np.full((3, 3), 1 / 3), rtol=1e-6)


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        (model(dense(3, "sigmod")), "activation 'sigmod'"),
        (model(dense(3), loss="mse"), "loss 'mse'"),
        (model(dense(3), loss={"name": "huber", "reduction": "none"}), "reduction 'none'"),
        (model(dense(3, kernel_initializer={"name": "one"})), "initializer 'one'"),
        (model(dense(4), dense(2, tied_to=0)), "transposed kernel"),
        (model(dense(4), dense(3, tied_to=1)), "earlier layer"),
        (model(dense(4, unit=3)), "unit"),
        (model(), "at least one layer"),
    ],
)
def test_bad_specs_are_refused(spec: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Network(spec, 3)


def line(n: int = 23) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    X = generator.normal(size=(n, 3))
    return X, X @ np.array([[1.0, 0.5], [-2.0, 0.0], [0.3, 0.7]]) + [0.1, -0.4]


def test_training_a_line_is_gradient_descent_on_it() -> None:
    X, Y = line()
    network = Network(model(dense(2), learning_rate=0.1, momentum=0.5), 3, seed=5, dtype="float64")
    W, b = network.get_weights()
    vW, vb = np.zeros_like(W), np.zeros_like(b)
    losses = []
    for epoch in range(3):
        total = 0.0
        order = permutation(23, 5, epoch)
        for rows in (order[:10], order[10:20], order[20:]):
            e = X[rows] @ W + b - Y[rows]
            total += float((e**2).sum()) / 2
            vW = 0.5 * vW - 0.1 * X[rows].T @ e / len(rows)
            vb = 0.5 * vb - 0.1 * e.mean(axis=0)
            W, b = W + vW, b + vb
        losses.append(total / 23)
    history = train(network, X, Y, epochs=3, batch_size=10)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-12)
    assert history["learning_rate"] == [0.1] * 3
    for trained, expected in zip(network.get_weights(), (W, b), strict=True):
        np.testing.assert_allclose(trained, expected, rtol=1e-12)


def test_training_continues_where_it_stopped() -> None:
    spec = model(dense(4, "tanh", activity_regularizer=ELASTIC), dense(2), name="adam")
    X, Y = line()
    noise = {"name": "gaussian", "stddev": 0.1}
    together, apart = Network(spec, 3, 1), Network(spec, 3, 1)
    losses = train(together, X, Y, epochs=3, batch_size=8, noise=noise)["loss"]
    first = train(apart, X, Y, epochs=1, batch_size=8, noise=noise)["loss"]
    rest = train(apart, X, Y, epochs=2, batch_size=8, noise=noise)["loss"]
    assert first + rest == losses
    np.testing.assert_array_equal(apart.parameters, together.parameters)


@pytest.mark.parametrize("spec", NOISES)
def test_training_corrupts_inputs_by_row_and_epoch_and_keeps_targets(spec: Any) -> None:
    network = scrambled(model(dense(3, "tanh"), learning_rate=0.0))
    X = np.random.default_rng(6).normal(size=(20, 3))
    history = train(network, X, epochs=3, batch_size=6, noise=spec)
    expected = [
        np.square(network.forward(corrupt(spec, X, np.arange(20), epoch, network.seed)) - X).mean()
        for epoch in range(3)
    ]
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-12)


def test_max_steps_stops_in_the_middle_of_an_epoch() -> None:
    X, Y = line()  # three batches an epoch
    network = Network(model(dense(2), name="adam"), 3)
    history = train(network, X, Y, epochs=100, batch_size=8, max_steps=50)
    assert network.optimizer.iterations == 50
    assert len(history["loss"]) == network.epochs_trained == 17


@pytest.mark.parametrize("case", ["penalties", "sparse code", "sum", "classes, one ignored"])
def test_history_is_a_mean_over_samples(case: str) -> None:
    spec = {**NETWORKS[case], "optimizer": {"name": "sgd", "learning_rate": 0.0}}
    network = scrambled(spec)
    X, t = batch(spec, m=7)
    weight = np.linspace(0, 2, 7)
    parts = [
        network.batch_loss(X[s], t[s], weight[s]) for s in (slice(3), slice(3, 6), slice(6, 7))
    ]
    n = {"sum": 1, "classes, one ignored": 5}.get(case, 7)
    sizes = (3, 3, 1)
    expected = sum(part.data_sum for part in parts) / n
    expected += sum(m * part.penalty for m, part in zip(sizes, parts, strict=True)) / 7
    history = train(
        network, X, t, epochs=2, batch_size=3, sample_weight=weight, shuffle=False,
        validation_data=(X, t, weight),
    )  # fmt: skip
    assert history["loss"] == pytest.approx([expected] * 2, rel=1e-13)
    assert history["val_loss"] == pytest.approx([expected] * 2, rel=1e-13)
    assert evaluate(network, X, t, weight, batch_size=3) == pytest.approx(expected, rel=1e-13)


def test_training_clips_and_follows_its_schedule() -> None:
    rate = {"name": "piecewise", "boundaries": [0], "values": [1.0, 0.25]}
    network = Network(model(dense(1), learning_rate=rate, clipvalue=0.01), 1, dtype="float64")
    network.set_weights([[[0.0]], [0.0]])
    train(network, [[1.0]], [[100.0]], epochs=3, batch_size=1)
    np.testing.assert_allclose(network.parameters, 0.01 * (1 + 0.25 + 0.25), rtol=1e-14)


def test_a_linear_autoencoder_learns_the_principal_subspace() -> None:
    generator = np.random.default_rng(4)
    X = generator.normal(size=(200, 6)) @ np.diag([3.0, 2.0, 1.0, 0.5, 0.3, 0.1])
    X -= X.mean(axis=0)
    network = Network(model(dense(2), dense(6), name="adam", learning_rate=0.03), 6, 0, "float64")
    train(network, X, epochs=500, batch_size=200)
    tail = np.linalg.svd(X, compute_uv=False)[2:]
    best = float(np.square(tail).sum()) / X.size
    assert best <= evaluate(network, X) < 1.001 * best


def test_a_denoising_autoencoder_learns_clean_targets() -> None:
    X = np.random.default_rng(5).integers(0, 2, size=(200, 2)).repeat(8, axis=1).astype(np.float32)
    spec = model(
        dense(8, "relu"), dense(16, "sigmoid"), loss="binary_crossentropy", name="adam",
        learning_rate=0.02,
    )  # fmt: skip
    network = Network(spec, 16, 0)
    noise = {"name": "salt_and_pepper", "rate": 0.3}
    history = train(network, X, epochs=40, batch_size=50, noise=noise)
    assert history["loss"][-1] < 0.1 * history["loss"][0]
    noisy = corrupt(with_feature_range(noise, X), X, np.arange(200), epoch=999, seed=1)
    assert np.mean(np.round(network.forward(noisy)) != X) < 0.2 * np.mean(noisy != X)
