"""Muon: its polynomials, its orthogonal updates, deep networks, manners; the rest in the tables."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import assert_close

import pyae
from pyae import reference, schedules
from pyae.optimizers import Adam, Muon
from pyae.reference import muon
from pyae.regularizers import L2

Array = Any

both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


def same(a: list[Array], b: list[Array]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# ----------------------------------------------------------------------------------- polynomials


def nearest_to_one(low: float, high: float) -> Array:
    """Return a, b, c of the odd quintic with the least largest distance from 1: Remez's exchange.

    The distance is E with alternating signs at both ends and at the two extrema between.
    """
    at = np.array([low, (3 * low + high) / 4, (low + 3 * high) / 4, high])
    signs = np.array([1, -1, 1, -1])
    for _ in range(100):
        a, b, c, _ = np.linalg.solve(np.column_stack([at, at**3, at**5, signs]), np.ones(4))
        root = np.sqrt(9 * b**2 - 20 * a * c)
        at[1:3] = np.sqrt((-3 * b + np.array([-root, root])) / (10 * c))
    return np.array([a, b, c])


def test_each_polynomial_is_the_best_after_those_before_it() -> None:
    """From [0.001, 1]; the lower end is not taken below 0.024 times the upper one (section 3.4).

    What that makes of the interval is scaled so that 1 is its middle.
    """
    low, high = 1e-3, 1.0
    for coefficients in muon.POLAR_EXPRESS[:-2]:
        best = nearest_to_one(max(low, 0.02407327424182761 * high), high)
        ends = [best @ [x, x**3, x**5] for x in (low, high)]
        best = best * (2 / sum(ends))
        np.testing.assert_allclose(coefficients, best, rtol=1e-12)
        low, high = min(ends) * 2 / sum(ends), 2 - min(ends) * 2 / sum(ends)
    # The interval is next to nothing now, and the polynomial its limit, 1 + O((x - 1)^3).
    assert high - low < 0.01
    np.testing.assert_allclose(muon.POLAR_EXPRESS[-2], [15 / 8, -10 / 8, 3 / 8], atol=2e-6)
    assert muon.POLAR_EXPRESS[-1] == (15 / 8, -10 / 8, 3 / 8)


# ------------------------------------------------------------------------------ orthogonal updates

SHAPES = [(1, 1), (1, 9), (9, 1), (7, 7), (20, 33), (33, 20), (130, 64), (64, 131)]
STEPS = {3: (0.12, 1.88), 4: (0.42, 1.57), 5: (0.84, 1.13), 6: (0.994, 1.002)}


def spread(shape: tuple[int, int], least: float) -> Array:
    """Return a matrix whose singular values go from 1 down to `least`."""
    rng = np.random.default_rng(3)
    U, _, V = np.linalg.svd(rng.normal(size=shape), full_matrices=False)
    return U @ (np.geomspace(1, least, min(shape))[:, np.newaxis] * V)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_come_near_to_one(shape: tuple[int, int], steps: int) -> None:
    x = spread(shape, 0.02) * 1e-5
    U, s, V = np.linalg.svd(x, full_matrices=False)
    assert s[-1] > 1e-3 * np.linalg.norm(x)
    core = U.T @ muon.orthogonalize(x, steps) @ V.T
    low, high = STEPS[steps]
    assert low < np.diag(core).min() <= np.diag(core).max() < high
    np.testing.assert_allclose(core - np.diag(np.diag(core)), 0, atol=1e-11)


@pytest.mark.parametrize("shape", SHAPES)
def test_eight_steps_are_the_polar_factor(shape: tuple[int, int]) -> None:
    x = spread(shape, 0.02)
    U, _, V = np.linalg.svd(x, full_matrices=False)
    for steps in (8, 9, 12):
        np.testing.assert_allclose(muon.orthogonalize(x, steps), U @ V, atol=1e-11)


@both_dtypes
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_first_update_is_the_gradients_polar_factor(
    shape: tuple[int, int], momentum: float, dtype: str
) -> None:
    """Of the middle kernel: all momenta of one gradient have its direction."""
    r, c = shape
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(4 * r + 9, r)), 9 * rng.normal(size=(4 * r + 9, 2 * c))
    layers = [pyae.Dense(n, kernel_initializer="orthogonal") for n in (r, c, 2 * c)]
    optimizer = Muon(0.1, momentum, ns_steps=10)
    model = pyae.Sequential(layers, optimizer=optimizer, dtype=dtype, random_state=0).build(r)
    start, gradient = (w[2].astype(float) for w in (model.get_weights(), gradients(model, X, y)))
    model.fit(X, y, batch_size=len(X))
    U, s, V = np.linalg.svd(gradient, full_matrices=False)
    assert s[-1] > 3e-3 * np.linalg.norm(gradient)
    step = (start - model.get_weights()[2]) / (0.1 * 0.2 * np.sqrt(max(shape)))
    np.testing.assert_allclose(step, U @ V, atol=3e3 * EPS[dtype])


def gradients(model: pyae.Sequential, X: Array, y: Array) -> list[Array]:
    return model.loss_and_gradients(X, y)[1]


def test_zeros_stay_zeros() -> None:
    assert not muon.orthogonalize(np.zeros((3, 5)), 4).any()
    layers = [pyae.Dense(4, "relu", kernel_initializer="zeros"), pyae.Dense(5), pyae.Dense(2)]
    model = pyae.Sequential(layers, optimizer=Muon(), random_state=0).build(3)
    before = model.get_weights()
    model.fit(np.ones((10, 3)), np.ones((10, 2)), epochs=3)
    assert np.array_equal(before[2], model.get_weights()[2])  # its inputs are 0


# ------------------------------------------------------------------------------------- references

NETWORKS: dict[str, Callable[[], list[pyae.Dense]]] = {
    "deep": lambda: [
        pyae.Dense(31, "tanh"),
        pyae.Dense(17, "gelu", kernel_regularizer=L2(1e-3)),
        pyae.Dense(17, "softplus", use_bias=False),
        pyae.Dense(40, "sigmoid"),
        pyae.Dense(9),
    ],
    "tied": lambda: [
        pyae.Dense(20, "tanh"),
        pyae.Dense(6, "tanh"),
        pyae.Dense(20, "tanh", tied_to=1),
        pyae.Dense(9, use_bias=False, tied_to=0),
    ],
    "tied at the end": lambda: [
        pyae.Dense(12, "tanh"),
        pyae.Dense(9, "tanh"),
        pyae.Dense(12, use_bias=False, tied_to=1),
    ],
}


def problem(units: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(8)
    X = rng.normal(size=(200, 9))
    return X, np.tanh(X @ rng.normal(size=(9, units)))


def both_sides(
    network: str, dtype: str, optimizer: Muon, epochs: int
) -> tuple[list[Array], list[Array]]:
    layers = NETWORKS[network]()
    X, y = problem(layers[-1].units)
    model = pyae.Sequential(layers, optimizer=optimizer, dtype=dtype, random_state=4)
    losses = model.fit(X, y, epochs=epochs, batch_size=50).history["loss"]
    assert losses[-1] < 0.9 * losses[0]
    spec = json.loads(json.dumps(model.spec))
    judge = reference.Network(spec, X.shape[1], seed=4, dtype=dtype)
    reference.train(judge, X, y, epochs=epochs, batch_size=50)
    return model.get_weights(), judge.get_weights()


@pytest.mark.parametrize("steps", [1, 2, 3, 8])
@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("network", NETWORKS)
def test_updates_are_the_reference(network: str, nesterov: bool, steps: int) -> None:
    optimizer = Muon(schedules.Cosine(0.02, 40), nesterov=nesterov, ns_steps=steps)
    for actual, expected in zip(*both_sides(network, "float64", optimizer, 8), strict=True):
        assert_close(actual, expected, "training", scale=np.abs(expected).max())


@pytest.mark.parametrize("network", NETWORKS)
def test_updates_in_float32_are_the_reference(network: str) -> None:
    """A step magnifies the smallest of directions, and their rounding errors, a hundredfold."""
    for actual, expected in zip(*both_sides(network, "float32", Muon(0.02), 3), strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-4 * np.abs(expected).max())


@both_dtypes
def test_without_hidden_layers_it_is_adam(dtype: str) -> None:
    X, y = problem(3)
    weights = []
    for optimizer in (
        Muon(0.05, adam_lr_ratio=0.5, adam_beta_1=0.8, adam_beta_2=0.9, epsilon=1e-5),
        Adam(0.025, beta_1=0.8, beta_2=0.9, epsilon=1e-5),
    ):
        layers = [pyae.Dense(7, "tanh"), pyae.Dense(3)]
        model = pyae.Sequential(layers, optimizer=optimizer, dtype=dtype, random_state=0)
        model.fit(X, y, epochs=5)
        weights.append(model.get_weights())
    assert same(*weights)


# --------------------------------------------------------------------------------------- real data


def autoencoder(optimizer: Any, dtype: str = "float32", **options: Any) -> pyae.Sequential:
    sizes = [(64, "sigmoid"), (32, "sigmoid"), (4, "linear"), (32, "sigmoid"), (64, "sigmoid")]
    layers = [pyae.Dense(units, activation) for units, activation in sizes]
    layers.append(pyae.Dense(64, "sigmoid"))
    return pyae.Sequential(
        layers, "binary_crossentropy", optimizer, dtype=dtype, random_state=0, **options
    )


def digits() -> Array:
    return pyae.datasets.load_digits()[0].astype(np.float32)  # (1797, 64) in [0, 1]


def test_a_deep_autoencoder_goes_where_adam_is_slow_to() -> None:
    """Both with rates that fall to 0; the best of Adam's is behind after as many updates."""
    X = digits()
    epochs, batch_size = 60, 150
    updates = epochs * -(-len(X) // batch_size)
    errors = []
    for optimizer, rate in [(Muon, 0.06), *((Adam, rate) for rate in (1e-2, 2e-2, 3e-2, 6e-2))]:
        model = autoencoder(optimizer(schedules.Cosine(rate, updates)))
        model.fit(X, epochs=epochs, batch_size=batch_size)
        errors.append(float(np.mean((model.predict(X) - X) ** 2)))
    assert errors[0] < 0.75 * min(errors[1:])


# ----------------------------------------------------------------------------------------- manners


@both_dtypes
@pytest.mark.parametrize("clip", [{}, {"clipnorm": 0.01}, {"global_clipnorm": 0.01}])
def test_the_same_bits_for_any_number_of_threads(clip: dict[str, float], dtype: str) -> None:
    X = digits()[:600]
    results = []
    for n_threads in (1, 2, 3):
        # Wide enough that threads share products and sums.
        layers = [pyae.Dense(n, "tanh") for n in (150, 211, 130)]
        model = pyae.Sequential(
            [*layers, pyae.Dense(64)],
            optimizer=Muon(**clip),
            dtype=dtype,
            random_state=1,
            n_threads=n_threads,
        )
        losses = model.fit(X, epochs=3, batch_size=200).history["loss"]
        results.append([*model.get_weights(), np.array(losses)])
    assert results[0][-1][-1] < results[0][-1][0]
    assert all(same(result, results[0]) for result in results)


DUPLICATES: dict[str, Callable[[pyae.Sequential, Path], pyae.Sequential]] = {
    "pickle": lambda model, path: pickle.loads(pickle.dumps(model)),
    "deepcopy": lambda model, path: copy.deepcopy(model),
    "file": lambda model, path: (model.save(path), pyae.load(path))[1],  # type: ignore[func-returns-value]
}


@both_dtypes
@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
def test_fits_and_copies_go_on_where_the_last_ended(
    duplicate: Any, dtype: str, tmp_path: Path
) -> None:
    X = digits()[:500]
    whole, parts = (autoencoder(Muon(schedules.Cosine(0.02, 60)), dtype) for _ in range(2))
    whole.fit(X, epochs=9, batch_size=100)
    parts.fit(X, epochs=4, batch_size=100)
    parts = duplicate(parts, tmp_path / "model")
    parts.fit(X, epochs=2, batch_size=100)
    parts.fit(X, epochs=3, batch_size=100)
    assert same(whole.get_weights(), parts.get_weights())


@both_dtypes
def test_divergence_leaves_weights_as_they_were(dtype: str) -> None:
    """A momentum that is not finite, of the middle kernel alone, stops the update of all."""
    X = digits()[:100]
    model = autoencoder(Muon(), dtype)
    model.fit(X, epochs=1, batch_size=100)
    before = model.get_weights()
    network = model._built_network()
    for bad in (np.nan, np.inf):
        state = network.state()
        state["slots"][before[0].size + before[1].size + 5] = bad
        network.set_state(state)
        with pytest.warns(pyae.DivergenceWarning):
            assert model.fit(X, epochs=1, batch_size=100).diverged
        assert same(model.get_weights(), before)


def test_a_norm_beyond_the_largest_number_is_divergence() -> None:
    X = digits()[:100]
    model = autoencoder(Muon(), "float64")
    model.fit(X, epochs=1, batch_size=100)
    before = model.get_weights()
    network = model._built_network()
    state = network.state()
    first = before[0].size + before[1].size
    state["slots"][first : first + 9] = 1e200
    network.set_state(state)
    with pytest.warns(pyae.DivergenceWarning):
        assert model.fit(X, epochs=1, batch_size=100).diverged
    assert same(model.get_weights(), before)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("momentum", 1.0),
        ("momentum", -0.1),
        ("ns_steps", 0),
        ("ns_steps", 2.5),
        ("ns_steps", 101),
        ("adam_lr_ratio", 0.0),
        ("adam_beta_1", 1.0),
        ("adam_beta_2", -1.0),
        ("epsilon", 0.0),
        ("nesterov", "yes"),
        ("clipnorm", -1.0),
        ("learning_rate", 0.0),
    ],
)
def test_bad_arguments_are_named(field: str, value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=field):
        Muon(**{field: value})
