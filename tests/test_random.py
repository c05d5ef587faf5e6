"""Random numbers, initial kernels and corruption against Random123 and the NumPy reference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from conftest import assert_close
from hypothesis import given
from hypothesis import strategies as st

import pyae
from pyae import reference
from pyae._backend import core
from pyae.reference import random as reference_random

Array = Any

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
seeds = st.integers(0, 2**64 - 1)

# ---------------------------------------------------------------------------------------- words

# The known answers of Random123 (kat_vectors: philox4x32, 10 rounds): counter, key, words.
KNOWN = [
    (
        (0x00000000, 0x00000000, 0x00000000, 0x00000000),
        (0x00000000, 0x00000000),
        (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
    ),
    (
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_words_are_random123_s(counter: Any, key: Any, words: Any) -> None:
    c0, c1, c2, c3 = counter
    # The last counter word is stream | attempt << 8.
    result = core.random_words(key[0] | key[1] << 32, c3 & 0xFF, c2, c3 >> 8, c0 | c1 << 32, 1)
    assert result.dtype == np.uint32
    assert result.tolist() == [list(words)]


@given(
    seed=seeds,
    stream=st.integers(0, 3),
    turn=st.integers(0, 2**32 - 1),
    attempt=st.integers(0, 2**24 - 1),
    first=st.integers(0, 2**64 - 100),
    blocks=st.integers(1, 40),
)
def test_words_are_the_reference(
    seed: int, stream: int, turn: int, attempt: int, first: int, blocks: int
) -> None:
    index = np.uint64(first) + np.arange(blocks, dtype=np.uint64)
    expected = reference_random.words(seed, index, turn, stream, attempt)
    assert np.array_equal(core.random_words(seed, stream, turn, attempt, first, blocks), expected)


def test_an_epoch_counts_modulo_2_to_the_32() -> None:
    for turn in (2**32, 2**32 + 7):
        expected = core.random_words(5, 1, turn - 2**32, 0, 0, 3)
        assert np.array_equal(core.random_words(5, 1, turn, 0, 0, 3), expected)


def test_words_are_uniform_and_streams_unrelated() -> None:
    n = 40_000
    bits = [
        np.unpackbits(core.random_words(seed, stream, turn, 0, 0, n // 4).view(np.uint8))
        for seed, stream, turn in [(0, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 0)]
    ]
    sigma = 0.5 / math.sqrt(bits[0].size)
    for i, a in enumerate(bits):
        assert abs(a.mean() - 0.5) < 5 * sigma
        for b in bits[:i]:
            assert abs((a ^ b).mean() - 0.5) < 5 * sigma


# --------------------------------------------------------------------------------- permutations


@given(n=st.integers(0, 300), seed=seeds, epoch=st.integers(0, 2**33))
def test_permutation_is_the_reference(n: int, seed: int, epoch: int) -> None:
    order = core.permutation(n, seed, epoch)
    assert order.dtype == np.int64
    assert np.array_equal(order, reference.permutation(n, seed, epoch))
    assert np.array_equal(np.sort(order), np.arange(n))


def test_a_long_permutation_is_the_reference() -> None:
    assert np.array_equal(core.permutation(20_011, 3, 4), reference.permutation(20_011, 3, 4))


def test_every_place_is_as_likely() -> None:
    # Where the value 0 goes, over 6000 epochs and 6 places: the 1e-6 quantile of chi^2_5 is 35.9.
    places = [int(np.argmin(core.permutation(6, 11, epoch))) for epoch in range(6000)]
    counts = np.bincount(places, minlength=6)
    assert np.square(counts - 1000).sum() / 1000 < 35.9


# ------------------------------------------------------------------------------ initial kernels

INITIALIZERS: list[dict[str, Any]] = [
    *[{"name": f"{f}_{d}"} for f in ("glorot", "he", "lecun") for d in ("uniform", "normal")],
    {"name": "zeros"},
    {"name": "orthogonal"},
    {"name": "orthogonal", "gain": -1.5},
    {"name": "sparse"},
    {"name": "sparse", "n_connections": 3, "stddev": 0.1},
]
KERNELS = [(1, 1), (1, 5), (5, 1), (3, 7), (17, 4), (16, 16), (40, 33), (33, 100)]

every_initializer = pytest.mark.parametrize(
    "spec", INITIALIZERS, ids=lambda spec: "-".join(map(str, spec.values()))
)


def test_every_initializer_is_tested() -> None:
    assert {spec["name"] for spec in INITIALIZERS} == set(core.tables()["initializers"])


def _kernel_terms(spec: Any, expected: Array) -> Any:
    """Return the size of the terms that cancel where an entry is small.

    An entry of an orthogonal kernel is a difference of columns; a normal one is r cos(2 pi u), and
    the reference rounds the angle, which matters where the cosine crosses zero.
    """
    if spec["name"].endswith("uniform"):
        return 0
    return np.abs(expected).max()


@every_initializer
@pytest.mark.parametrize(("fan_in", "fan_out"), KERNELS)
def test_initial_kernel_is_the_reference(spec: Any, fan_in: int, fan_out: int) -> None:
    for seed, layer in [(0, 0), (2**64 - 1, 3), (12345, 1)]:
        actual = core.initial_kernel(spec, seed, layer, fan_in, fan_out)
        expected = reference.initial_kernel(spec, fan_in, fan_out, layer, seed)
        assert_close(actual, expected, scale=_kernel_terms(spec, expected))


def test_a_truncated_normal_is_redrawn_as_often_as_needed() -> None:
    spec = {"name": "lecun_normal"}  # one in 22 is beyond two deviations, one in 480 twice
    actual = core.initial_kernel(spec, 7, 2, 300, 200)
    expected = reference.initial_kernel(spec, 300, 200, 2, 7)
    assert_close(actual, expected, scale=_kernel_terms(spec, expected))
    limit = 2 * math.sqrt(1 / 300) / 0.87962566103423978
    assert 0.999 * limit < np.abs(actual).max() <= limit


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("glorot_uniform", 2 / 500),
        ("glorot_normal", 2 / 500),
        ("he_uniform", 2 / 200),
        ("he_normal", 2 / 200),
        ("lecun_uniform", 1 / 200),
        ("lecun_normal", 1 / 200),
    ],
)
def test_scaled_kernels_have_their_moments(name: str, variance: float) -> None:
    kernel = core.initial_kernel({"name": name}, 1, 0, 200, 300)
    deviation = math.sqrt(variance)
    assert abs(kernel.mean()) < 5 * deviation / math.sqrt(kernel.size)
    assert kernel.std() == pytest.approx(deviation, rel=0.02)
    if name.endswith("uniform"):
        limit = math.sqrt(3 * variance)
        assert 0.999 * limit < np.abs(kernel).max() < limit


@pytest.mark.parametrize(("fan_in", "fan_out"), KERNELS)
def test_orthogonal_kernels_are_orthogonal(fan_in: int, fan_out: int) -> None:
    kernel = core.initial_kernel({"name": "orthogonal", "gain": 2.0}, 3, 0, fan_in, fan_out)
    tall = kernel if fan_in >= fan_out else kernel.T
    assert_close(tall.T @ tall, 4 * np.eye(min(fan_in, fan_out)), scale=4)


@pytest.mark.parametrize(("fan_in", "n_connections"), [(40, 15), (40, 40), (7, 15), (40, 1)])
def test_sparse_kernels_have_as_many_connections(fan_in: int, n_connections: int) -> None:
    spec = {"name": "sparse", "n_connections": n_connections}
    kernel = core.initial_kernel(spec, 3, 0, fan_in, 50)
    assert (np.count_nonzero(kernel, axis=0) == min(n_connections, fan_in)).all()
    if n_connections == 1:  # and every input is as likely
        assert np.count_nonzero(kernel, axis=1).max() < 12


def test_kernels_differ_by_seed_and_layer() -> None:
    kernels = [
        core.initial_kernel({"name": "he_normal"}, seed, layer, 4, 5)
        for seed in (0, 1, 2**63)
        for layer in (0, 1)
    ]
    assert len({kernel.tobytes() for kernel in kernels}) == len(kernels)


@every_initializer
@both_dtypes
def test_a_model_starts_from_these_kernels(spec: Any, dtype: Any) -> None:
    layers = [pyae.Dense(5, kernel_initializer=spec), pyae.Dense(3, kernel_initializer=spec)]
    model = pyae.Sequential(layers, dtype=dtype, random_state=9).build(7)
    w0, b0, w1, b1 = model.get_weights()
    assert np.array_equal(w0, core.initial_kernel(spec, 9, 0, 7, 5).astype(dtype))
    assert np.array_equal(w1, core.initial_kernel(spec, 9, 1, 5, 3).astype(dtype))
    assert not b0.any()
    assert not b1.any()


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ({"name": "glorot"}, "glorot"),
        ({"name": "sparse", "n_connections": 0}, "n_connections"),
        ({"name": "sparse", "stddev": -1.0}, "stddev"),
        ({"name": "orthogonal", "gain": math.nan}, "gain"),
        ({"name": "zeros", "gain": 1.0}, "gain"),
    ],
)
def test_bad_initializers_are_refused(spec: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        core.initial_kernel(spec, 0, 0, 2, 2)
    with pytest.raises(ValueError, match=match):
        pyae.Dense(2, kernel_initializer=spec)


# ----------------------------------------------------------------------------------- corruption

NOISES: list[dict[str, Any]] = [
    {"name": "gaussian", "stddev": 0.3},
    {"name": "gaussian", "stddev": 0.0},
    {"name": "masking", "rate": 0.25},
    {"name": "masking", "rate": 0.0},
    {"name": "masking", "rate": 1.0},
    {"name": "salt_and_pepper", "rate": 0.4, "low": -1.0, "high": 2.5},
    {"name": "salt_and_pepper", "rate": 1.0, "low": 0.0, "high": 1.0},
    {"name": "salt_and_pepper", "rate": 0.3},
    {"name": "salt_and_pepper", "rate": 0.3, "high": 0.5},
]
every_noise = pytest.mark.parametrize(
    "spec", NOISES, ids=lambda spec: "-".join(map(str, spec.values()))
)


def corrupt(spec: Any, x: Array, rows: Any, seed: int = 5, epoch: int = 2) -> Array:
    """Corrupt rows in the core, each feature's own range being [-column, column + 1]."""
    columns = np.arange(x.shape[1], dtype=float)
    return core.corrupt(
        spec,
        x,
        seed,
        epoch,
        np.asarray(rows, np.int64),
        (-columns).tolist(),
        (columns + 1).tolist(),
    )


def corrupt_reference(spec: Any, x: Array, rows: Any, seed: int = 5, epoch: int = 2) -> Array:
    columns = np.arange(x.shape[1], dtype=float)
    filled = dict(spec)
    if spec["name"] == "salt_and_pepper":
        filled = {"low": -columns, "high": columns + 1, **spec}
    return reference.corrupt(filled, x.astype(np.float64), rows, epoch, seed)


def test_every_corruption_is_tested() -> None:
    names = {spec["name"] for spec in NOISES}
    assert names | {"none"} == set(core.tables()["corruptions"])
    x = np.ones((2, 3))
    assert np.array_equal(core.corrupt({"name": "none"}, x, 0, 0, np.arange(2)), x)


def _rounded_uniforms(rows: Array, n: int, seed: int, epoch: int) -> Array:
    """Bound what rounding Box and Muller's two uniforms to float32 does to the normals (m, n).

    n0 = r cos(2 pi u1) with r^2 = -2 log u0: |dn| <= |du0|/(u0 r) + 2 pi r |du1|.
    """
    blocks = -(-n // 4)
    index = np.asarray(rows)[:, np.newaxis] * blocks + np.arange(blocks)
    u = reference_random.uniforms(seed, index, epoch, reference_random.NOISE)
    u = u.reshape(len(index), -1, 2)  # (m, pairs, 2)
    half_ulp = np.spacing(u.astype(np.float32)).astype(float) / 2
    r = np.sqrt(-2 * np.log(u[..., 0]))
    bound = half_ulp[..., 0] / (u[..., 0] * r) + 2 * np.pi * r * half_ulp[..., 1]
    return np.repeat(bound, 2, axis=-1)[:, :n]


@every_noise
@pytest.mark.parametrize("n_features", [1, 2, 3, 4, 5, 7, 16, 33, 130])
def test_corruption_is_the_reference(spec: Any, n_features: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(23, n_features))
    rows = rng.choice(10**6, 23)
    expected = corrupt_reference(spec, x, rows)
    size = np.abs(x) + 6 * spec.get("stddev", 0)  # of the two terms, which may cancel
    assert_close(corrupt(spec, x, rows), expected, scale=size)

    single = x.astype(np.float32)
    actual = corrupt(spec, single, rows)
    assert actual.dtype == np.float32
    if spec["name"] == "gaussian":
        # The uniforms are float32 too: the one loss of accuracy beyond a few ulp.
        slack = spec["stddev"] * _rounded_uniforms(rows, n_features, 5, 2)
        expected = corrupt_reference(spec, single, rows)
        expected = np.where(np.abs(actual - expected) <= slack, actual, expected)
        assert_close(actual, expected, scale=size)
    else:
        expected = corrupt_reference(spec, single, rows)
        assert np.array_equal(actual, expected.astype(np.float32))


@every_noise
@both_dtypes
@given(data=st.data())
def test_noise_belongs_to_the_row_and_not_to_the_batch(spec: Any, dtype: Any, data: Any) -> None:
    n_features = data.draw(st.integers(1, 40))
    x = np.random.default_rng(n_features).normal(size=(12, n_features)).astype(dtype)
    whole = corrupt(spec, x, np.arange(12))
    chosen = data.draw(st.lists(st.integers(0, 11), min_size=1, max_size=20))
    assert np.array_equal(corrupt(spec, x[chosen], chosen), whole[chosen])


@both_dtypes
def test_many_rows_are_their_parts(dtype: Any) -> None:
    x = np.zeros((3000, 37), dtype)  # shared out among threads
    spec = {"name": "gaussian", "stddev": 1.0}
    whole = corrupt(spec, x, np.arange(3000))
    for start in range(0, 3000, 700):
        rows = np.arange(start, min(start + 700, 3000))
        assert np.array_equal(corrupt(spec, x[rows], rows), whole[rows])


@both_dtypes
def test_noise_is_fresh_every_epoch_and_for_every_seed(dtype: Any) -> None:
    x = np.zeros((4, 9), dtype)
    spec = {"name": "gaussian", "stddev": 1.0}
    drawn = [
        corrupt(spec, x, np.arange(4), seed, epoch) for seed in (0, 1, 2**63) for epoch in (0, 1)
    ]
    assert len({noisy.tobytes() for noisy in drawn}) == len(drawn)


@both_dtypes
def test_the_caller_s_array_is_left_alone(dtype: Any) -> None:
    x = np.ones((4, 9), dtype)
    x.flags.writeable = False
    for spec in NOISES:
        corrupt(spec, x, np.arange(4))
        assert (x == 1).all()


@both_dtypes
def test_gaussian_noise_is_normal(dtype: Any) -> None:
    noise = corrupt({"name": "gaussian", "stddev": 2.0}, np.zeros((2000, 50), dtype), range(2000))
    z = noise.astype(float) / 2
    n = z.size
    for power, moment, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        assert abs(np.mean(z**power) - moment) < 5 * math.sqrt(variance / n)
    assert abs(np.mean(z[:, :-1] * z[:, 1:])) < 5 / math.sqrt(n)  # neighbours in a row
    assert abs(np.mean(z[:-1] * z[1:])) < 5 / math.sqrt(n)  # and in a column
    beyond = math.erfc(3 / math.sqrt(2))
    assert abs(np.mean(np.abs(z) > 3) - beyond) < 5 * math.sqrt(beyond / n)


@both_dtypes
@pytest.mark.parametrize("rate", [0.0, 0.01, 0.25, 0.5, 1.0])
def test_rates(rate: float, dtype: Any) -> None:
    x = np.full((1000, 100), 0.5, dtype)

    def assert_share(where: Array, p: float) -> None:
        assert abs(where.mean() - p) <= 5 * math.sqrt(p * (1 - p) / where.size)

    assert_share(corrupt({"name": "masking", "rate": rate}, x, range(1000)) == 0, rate)
    ends = {"name": "salt_and_pepper", "rate": rate, "low": 0.0, "high": 1.0}
    noisy = corrupt(ends, x, range(1000))
    assert_share(noisy == 0, rate / 2)
    assert_share(noisy == 1, rate / 2)
    assert_share(noisy == 0.5, 1 - rate)
    assert np.isin(noisy, [0, 0.5, 1]).all()


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: pyae.noise.Gaussian(-0.1), ValueError, "stddev"),
        (lambda: pyae.noise.Gaussian(math.inf), ValueError, "stddev"),
        (lambda: pyae.noise.Gaussian("0.1"), TypeError, "stddev"),
        (lambda: pyae.noise.Masking(1.5), ValueError, "rate"),
        (lambda: pyae.noise.Masking(-0.5), ValueError, "rate"),
        (lambda: pyae.noise.Masking(math.nan), ValueError, "rate"),
        (lambda: pyae.noise.SaltAndPepper(2.0), ValueError, "rate"),
        (lambda: pyae.noise.SaltAndPepper(0.5, low=math.nan), ValueError, "low"),
        (lambda: pyae.noise.SaltAndPepper(0.5, high=math.inf), ValueError, "high"),
        (lambda: pyae.noise.resolve_noise("masking"), TypeError, "Masking"),
        (lambda: pyae.noise.resolve_noise("mask"), ValueError, "mask.*masking"),
        (lambda: pyae.noise.resolve_noise({"name": "masking", "rat": 1}), ValueError, "rat"),
        (lambda: pyae.noise.resolve_noise(0.5), TypeError, "noise"),
    ],
)
def test_bad_noise_is_refused(call: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()
