"""L-BFGS: closed forms, other libraries' optima, the reference step by step, and its manners."""

from __future__ import annotations

import copy
import math
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import assert_close, sklearn_penalty
from hypothesis import given, settings
from hypothesis import strategies as st

import pyae
from pyae import noise, reference
from pyae.optimizers import LBFGS
from pyae.regularizers import L1, L1L2, L2, KLSparsity

Array = Any

ROOT = Path(pyae.__file__).parents[1]


def fit(
    model: pyae.Sequential, X: Array, y: Array = None, epochs: int = 1000, **options: Any
) -> Any:
    """Fit on full batches; each epoch is an iteration."""
    return model.fit(X, y, epochs=epochs, batch_size=len(X), **options)


def linear(units: int, optimizer: Any = "lbfgs", **options: Any) -> pyae.Sequential:
    layer = pyae.Dense(units, **options)
    return pyae.Sequential([layer], optimizer=optimizer, dtype="float64", random_state=0)


def digits() -> tuple[Array, Array]:
    X, y = pyae.datasets.load_digits()  # (1797, 64) in [0, 1]
    return X.astype(np.float64), y


# --------------------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("condition", [1.0, 30.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_linear_regression_is_the_closed_form(condition: float, weighted: bool, l2: float) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 6)) * np.geomspace(1, 1 / condition, 6)
    y = X @ rng.normal(size=(6, 2)) * condition + rng.normal(size=(80, 2)) + 1
    weights = rng.uniform(0.1, 3, 80) if weighted else np.ones(80)
    model = linear(2, kernel_regularizer=L2(l2) if l2 else None)
    history = fit(model, X, y, sample_weight=weights)
    # The mean over samples and outputs of w (x W + b - y)^2, plus l2 |W|^2.
    A = np.column_stack([X, np.ones(80)])
    normal = A.T @ (weights[:, None] * A) / 160 + l2 * np.diag([1.0] * 6 + [0.0])
    expected = np.linalg.solve(normal, A.T @ (weights[:, None] * y) / 160)
    actual = np.vstack([model.get_weights()[0], model.get_weights()[1]])
    assert history.converged
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())


# Directions in which the data hardly vary make the encoder's problem ill-conditioned; with tied
# weights the gaps between the principal components are all that matters.
FLOORS = [  # k, tied, iterations, relative error of the sum of squares, mean over samples
    (2, True, 100, 1e-8),
    (8, True, 150, 1e-8),
    (16, True, 250, 1e-8),
    (32, True, 600, 1e-8),
    (2, False, 1500, 1e-8),
    (8, False, 1000, 1e-6),
]


@pytest.mark.parametrize(("k", "tied", "iterations", "relative"), FLOORS)
def test_a_linear_autoencoder_reaches_the_floor_of_pca(
    k: int, tied: bool, iterations: int, relative: float
) -> None:
    X = digits()[0]
    X -= X.mean(axis=0)
    floor = float(np.sum(np.linalg.svd(X, compute_uv=False)[k:] ** 2) / len(X))
    assert round(floor, 4) == {2: 3.3553, 8: 1.5304, 16: 0.7068, 32: 0.1579}[k]
    code = pyae.Dense(k, use_bias=False)
    layers = [code, pyae.Dense(64, use_bias=False, tied_to=code if tied else None)]
    model = pyae.Sequential(layers, optimizer="lbfgs", dtype="float64", random_state=0)
    fit(model, X, epochs=iterations)
    error = model.evaluate(X, batch_size=len(X)) * 64
    assert floor * (1 - 1e-12) < error < floor * (1 + relative)


def test_rosenbrock() -> None:
    def rosenbrock(w: Array) -> tuple[float, Array]:
        x, y = w
        gradient = [-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)]
        return (1 - x) ** 2 + 100 * (y - x * x) ** 2, np.array(gradient)

    optimizer, w = reference.LBFGS(), np.array([-1.2, 1.0])
    for _ in range(60):
        w, _ = optimizer.minimize(rosenbrock, w, *rosenbrock(w))
    np.testing.assert_allclose(w, 1, rtol=1e-12)
    assert optimizer.converged


def test_a_curved_valley() -> None:
    """One weight times another is 1, between two hyperbolas: from far off along the valley."""
    layers = [pyae.Dense(1, use_bias=False, kernel_regularizer=L2(1e-4)) for _ in range(2)]
    model = pyae.Sequential(layers, optimizer="lbfgs", dtype="float64").build(1)
    model.set_weights([[[30.0]], [[-1.0]]])
    X = np.array([[1.0], [-2.0]])
    history = fit(model, X, X)
    a, b = (w.item() for w in model.get_weights())
    # 2.5 (ab - 1)^2 + 1e-4 (a^2 + b^2) is least at a = b, 5 (a^2 - 1) + 2e-4 = 0
    np.testing.assert_allclose([abs(a), abs(b)], math.sqrt(1 - 4e-5), rtol=1e-7)
    assert a * b > 0
    assert history.converged


# ------------------------------------------------------------------------------ other libraries


def regression_objective(W: Array, b: Array, X: Array, y: Array, l1: float, l2: float) -> float:
    """Return the mean cross-entropy of softmax(X W + b), plus the penalties of W."""
    z = X @ W + b
    z = z - z.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    data = -float(np.mean(log_p[np.arange(len(y)), y]))
    return data + l1 * float(np.abs(W).sum()) + l2 * float(np.sum(W**2))


def softmax_regression(n_classes: int, **options: Any) -> pyae.Sequential:
    return pyae.Sequential(
        [pyae.Dense(n_classes, "softmax", **options)],
        "sparse_categorical_crossentropy",
        "lbfgs",
        dtype="float64",
        random_state=0,
    )


@pytest.mark.parametrize("C", [0.01, 1.0])
def test_multinomial_regression_reaches_scikit_learn_s_optimum(C: float) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y = digits()
    l2 = 1 / (2 * C * len(X))
    model = softmax_regression(10, kernel_regularizer=L2(l2))
    history = fit(model, X, y)
    other = linear_model.LogisticRegression(C=C, tol=1e-12, max_iter=10_000).fit(X, y)
    best = regression_objective(other.coef_.T, other.intercept_, X, y, 0, l2)
    W, b = model.get_weights()
    ours = regression_objective(W, b, X, y, 0, l2)
    assert ours == pytest.approx(best, rel=1e-10)
    assert history.converged
    assert_close(model.evaluate(X, y, batch_size=len(X)), np.float64(ours))
    assert np.array_equal(model.predict(X).argmax(axis=1), other.predict(X))


@pytest.mark.parametrize("l1", [0.01, 0.03])
def test_an_l1_penalty_ends_with_exact_zeros(l1: float) -> None:
    """The optimum's own conditions hold, and saga's objective is not lower."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y = digits()
    X, y = X[:200], y[:200]
    model = softmax_regression(10, kernel_regularizer=L1(l1))
    fit(model, X, y, epochs=1500)
    W, b = model.get_weights()
    p = model.predict(X)
    p[np.arange(len(y)), y] -= 1
    slope = X.T @ p / len(y)  # of the smooth part
    zero = W == 0
    assert 0.2 < zero.mean() < 0.999
    assert (np.abs(slope[zero]) <= l1 * (1 + 1e-6)).all()
    np.testing.assert_allclose(slope[~zero], -l1 * np.sign(W[~zero]), atol=1e-6 * l1)
    np.testing.assert_allclose(p.mean(axis=0), 0, atol=1e-8)
    other = linear_model.LogisticRegression(
        C=1 / (l1 * len(y)), solver="saga", tol=1e-4, max_iter=1000, **sklearn_penalty(1.0)
    ).fit(X, y)
    best = regression_objective(other.coef_.T, other.intercept_, X, y, l1, 0)
    ours = regression_objective(W, b, X, y, l1, 0)
    assert best * (1 - 1e-4) < ours < best * (1 + 1e-10)


# ---------------------------------------------------------------------------------- step by step

PENALISED = {
    "plain": lambda: [pyae.Dense(7, "tanh"), pyae.Dense(5)],
    "tied": lambda: [
        pyae.Dense(7, "sigmoid", activity_regularizer=KLSparsity(0.2, 0.1)),
        pyae.Dense(9, tied_to=0, bias_regularizer=L2(0.01)),
    ],
    "l2": lambda: [pyae.Dense(7, "gelu", kernel_regularizer=L2(1e-3)), pyae.Dense(5)],
    "l1": lambda: [
        pyae.Dense(7, "tanh", kernel_regularizer=L1(0.02)),
        pyae.Dense(5, bias_regularizer=L1L2(0.05, 1e-3)),
    ],
}


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("layers", PENALISED)
def test_iterations_are_the_reference(layers: str, weighted: bool, shuffle: bool) -> None:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60, 9))
    y = X if layers == "tied" else np.sin(X @ rng.normal(size=(9, 5)))
    weights = rng.uniform(0, 2, 60) if weighted else None
    model = pyae.Sequential(
        PENALISED[layers](), optimizer=LBFGS(0.8, history_size=4), dtype="float64", random_state=3
    )
    history = fit(model, X, y, epochs=25, sample_weight=weights, shuffle=shuffle)
    network = reference.Network(model.spec, 9, seed=3, dtype="float64")
    expected = reference.train(network, X, y, 25, len(X), sample_weight=weights, shuffle=shuffle)
    assert_close(np.array(history.history["loss"]), np.array(expected["loss"]), "training")
    for actual, w in zip(model.get_weights(), network.get_weights(), strict=True):
        assert_close(actual, w, "training", scale=np.abs(w).max())
        assert np.array_equal(actual == 0, w == 0)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    optimizer=st.builds(
        LBFGS,
        learning_rate=st.sampled_from([1e-3, 0.1, 1.0, 100.0, 1e8]),
        history_size=st.integers(1, 12),
        max_line_search=st.integers(20, 40),
    ),
    activation=st.sampled_from(["tanh", "relu", "gelu", "exponential", "softmax"]),
    dtype=st.sampled_from(["float32", "float64"]),
    l1=st.sampled_from([0.0, 0.01]),
)
def test_the_loss_never_rises(
    seed: int, optimizer: LBFGS, activation: str, dtype: str, l1: float
) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(30, 4))
    layers = [pyae.Dense(6, activation, kernel_regularizer=L1(l1)), pyae.Dense(4)]
    model = pyae.Sequential(layers, optimizer=optimizer, dtype=dtype, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pyae.StallWarning)  # at kinks, or for an absurd rate
        history = fit(model, X, epochs=25)
    losses = np.array([*history.history["loss"], model.evaluate(X, batch_size=len(X))])
    assert not history.diverged
    assert (np.diff(losses) <= 20 * np.finfo(dtype).eps * losses[:-1]).all()
    if len(losses) > 3:
        assert losses[-1] < losses[0]


# --------------------------------------------------------------------------------------- manners


def classifier(optimizer: Any = "lbfgs", dtype: str = "float64", **options: Any) -> Any:
    layers = [
        pyae.Dense(20, "tanh", kernel_regularizer=L1L2(1e-4, 1e-4)),
        pyae.Dense(10, "softmax"),
    ]
    loss = "sparse_categorical_crossentropy"
    return pyae.Sequential(layers, loss, optimizer, dtype=dtype, random_state=1, **options)


def same(a: list[Array], b: list[Array]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [1797, 600])
def test_the_same_bits_for_any_number_of_threads(batch_size: int, dtype: str) -> None:
    X, y = digits()
    results = []
    for n_threads in (1, 2, 3, 8):
        # Wide enough that sums over the parameters are cut into pieces.
        layers = [pyae.Dense(200, "tanh", kernel_regularizer=L2(1e-5)), pyae.Dense(10, "softmax")]
        model = pyae.Sequential(
            layers,
            "sparse_categorical_crossentropy",
            "lbfgs",
            dtype=dtype,
            random_state=1,
            n_threads=n_threads,
        )
        history = model.fit(X, y, epochs=6, batch_size=batch_size)
        results.append([*model.get_weights(), np.array(history.history["loss"])])
    assert results[0][-1][-1] < results[0][-1][0]
    assert all(same(result, results[0]) for result in results)


DUPLICATES = {"pickle": lambda m: pickle.loads(pickle.dumps(m)), "deepcopy": copy.deepcopy}


@pytest.mark.parametrize("batch_size", [1797, 500])
@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
def test_fits_and_copies_go_on_where_the_last_ended(duplicate: Any, batch_size: int) -> None:
    X, y = digits()
    whole, parts = classifier(), classifier()
    whole.fit(X, y, epochs=9, batch_size=batch_size)
    parts.fit(X, y, epochs=4, batch_size=batch_size)
    parts = duplicate(parts)
    parts.fit(X, y, epochs=2, batch_size=batch_size)
    parts.fit(X, y, epochs=3, batch_size=batch_size)
    assert same(whole.get_weights(), parts.get_weights())


def test_training_ends_when_it_has_converged() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    y = X @ rng.normal(size=(3, 2)) + rng.normal(size=(40, 2))
    model = linear(2)
    history = fit(model, X, y)
    assert history.converged
    assert len(history.epoch) < 60
    assert not history.stopped_early
    assert not history.diverged
    before = model.get_weights()
    again = fit(model, X, y)
    assert again.converged
    assert len(again.epoch) <= 3
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)
    assert not fit(model, X, y + 1, epochs=1).converged, "other data are another objective"
    assert not fit(model, X, X[:, :2], epochs=2, noise=noise.Gaussian(0.1)).converged


@pytest.mark.parametrize("tolerance", [1e-2, 1e-5])
def test_tolerance_grad(tolerance: float) -> None:
    X, y = digits()
    model = softmax_regression(10, kernel_regularizer=L2(1e-3))
    model = pyae.Sequential(
        model.layers, model.loss, LBFGS(tolerance_grad=tolerance), dtype="float64", random_state=0
    )
    assert fit(model, X, y).converged
    largest = max(np.abs(g).max() for g in model.loss_and_gradients(X, y)[1])
    assert tolerance / 100 < largest <= tolerance


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_points_where_the_loss_is_not_finite_are_turned_back_from(dtype: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3))
    y = rng.poisson(np.exp(X @ [0.5, -0.3, 0.2]))
    layers = [pyae.Dense(1, "exponential")]
    model = pyae.Sequential(layers, "poisson", LBFGS(1e6), dtype=dtype, random_state=0)
    with np.errstate(all="raise"):
        history = fit(model, X, y, epochs=50)
    assert not history.diverged
    usual = pyae.Sequential(layers, "poisson", "lbfgs", dtype="float64", random_state=0)
    fit(usual, X, y, epochs=200)
    best = usual.evaluate(X, y)
    assert model.evaluate(X, y) == pytest.approx(best, rel=1e-10 if dtype == "float64" else 1e-5)


def test_a_start_that_is_not_finite_diverges() -> None:
    model = linear(1, use_bias=False).build(1)
    model.set_weights([[[1e200]]])
    with pytest.warns(pyae.DivergenceWarning):
        assert fit(model, [[1.0]], [[0.0]]).diverged
    assert model.get_weights()[0] == 1e200


@pytest.mark.parametrize("kept", [0, 1, 7, 2**62])
def test_a_state_that_cannot_be_is_lived_with(kept: int) -> None:
    X, y = digits()
    model = classifier()
    fit(model, X, y, epochs=3)
    before = model.evaluate(X, y)
    network = model._built_network()
    state = network.state()
    state["kept"] = kept
    state["slots"][::7] = math.nan
    network.set_state(state)
    history = fit(model, X, y, epochs=5)
    assert not history.diverged
    assert model.evaluate(X, y) < before


def test_a_state_with_negative_counts_is_refused() -> None:
    network = classifier().build(64)._built_network()
    for name in ("step", "kept", "idle"):
        with pytest.raises(ValueError, match="must not be negative"):
            network.set_state({**network.state(), name: -1})


def test_a_search_that_gives_up_is_no_convergence() -> None:
    X, y = digits()
    model = classifier(optimizer=pyae.optimizers.LBFGS(max_line_search=1))
    with pytest.warns(pyae.StallWarning, match="lbfgs found no step") as caught:
        history = fit(model, X, y, epochs=500)
    assert caught[0].filename == __file__
    _, gradients = model.loss_and_gradients(X, y)
    assert max(np.abs(g).max() for g in gradients) > 1e-6
    assert len(history.history["loss"]) < 500
    assert history.stalled
    assert not history.converged


@pytest.mark.parametrize("scale", [1e-30, 1e15, 1e60])
def test_the_scale_of_targets_does_not_matter(scale: float) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5))
    y = X @ rng.normal(size=5) + 1 + 0.1 * rng.normal(size=200)
    A = np.column_stack([X, np.ones(200)])
    expected = scale * np.linalg.lstsq(A, y)[0]
    model = pyae.Sequential([pyae.Dense(1)], optimizer="lbfgs", dtype="float64", random_state=0)
    fit(model, X, scale * y, epochs=300)
    actual = np.concatenate([model.get_weights()[0].ravel(), model.get_weights()[1]])
    np.testing.assert_allclose(actual, expected, atol=1e-6 * np.abs(expected).max())


def test_an_exact_fit_is_an_optimum_not_a_stall() -> None:
    X = np.random.default_rng(0).normal(size=(30, 4))
    for seed in range(5):
        layers = [pyae.Dense(6), pyae.Dense(4)]
        model = pyae.Sequential(layers, optimizer="lbfgs", dtype="float64", random_state=seed)
        history = fit(model, X, epochs=3000)
        assert history.converged
        assert history.history["loss"][-1] < 1e-24


def test_weights_set_in_a_callback_are_seen() -> None:
    X, y = digits()
    model = classifier()
    start = model.build(64).get_weights()

    def back(epoch: int, logs: Any) -> None:
        if epoch == 1:
            model.set_weights(start)

    loss = fit(model, X, y, epochs=4, callbacks=back).history["loss"]
    assert loss[2] == loss[0]
    assert loss[3] < loss[2]


def test_a_full_batch_is_read_in_place() -> None:
    """The process grows by far less than the data have, shuffled or not."""
    code = """
import resource, sys
import numpy as np, pyae
X = np.random.default_rng(0).normal(size=(20_000, 256))
model = pyae.Sequential([pyae.Dense(1)], optimizer="lbfgs", dtype="float64", random_state=0)
model.fit(X[:1000], X[:1000, :1].copy(), batch_size=1000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
y = X[:, :1].copy()
model.fit(X, y, epochs=2, batch_size=len(X), shuffle=bool(int(sys.argv[1])))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / X.nbytes)
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("reads the size of the process as Linux has it")
    for shuffle in "01":
        command = [sys.executable, "-c", code, shuffle]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert float(result.stdout) < 0.2
