"""K-FAC and Newton-CG: closed forms, real data, manners; each update of K-FAC: test_optimizers."""

from __future__ import annotations

import contextlib
import copy
import math
import pickle
import signal
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyae
from pyae.optimizers import KFAC, NewtonCG
from pyae.regularizers import L1L2, L2

Array = Any

both = pytest.mark.parametrize("optimizer", [KFAC(), NewtonCG()], ids=lambda o: o.name)


def digits() -> tuple[Array, Array]:
    X, y = pyae.datasets.load_digits()  # (1797, 64) in [0, 1]
    return X.astype(np.float64), y


def classifier(optimizer: Any, dtype: str = "float64", **options: Any) -> pyae.Sequential:
    layers = [
        pyae.Dense(20, "tanh", kernel_regularizer=L1L2(1e-5, 1e-4)),
        pyae.Dense(10, "softmax"),
    ]
    loss = "sparse_categorical_crossentropy"
    return pyae.Sequential(layers, loss, optimizer, dtype=dtype, random_state=1, **options)


def autoencoder(optimizer: Any, dtype: str = "float32", **options: Any) -> pyae.Sequential:
    sizes = [(32, "sigmoid"), (16, "sigmoid"), (4, "linear"), (16, "sigmoid"), (32, "sigmoid")]
    layers = [pyae.Dense(units, activation) for units, activation in sizes]
    layers.append(pyae.Dense(64, "sigmoid"))
    return pyae.Sequential(
        layers, "binary_crossentropy", optimizer, dtype=dtype, random_state=0, **options
    )


def same(a: list[Array], b: list[Array]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# --------------------------------------------------------------------------------- closed forms


@both
@pytest.mark.parametrize("condition", [1.0, 30.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_linear_regression_is_the_closed_form(
    l2: float, weighted: bool, condition: float, optimizer: Any
) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 6)) * np.geomspace(1, 1 / condition, 6)
    y = X @ rng.normal(size=(6, 2)) * condition + rng.normal(size=(80, 2)) + 1
    weights = rng.uniform(0.1, 3, 80) if weighted else np.ones(80)
    layer = pyae.Dense(2, kernel_regularizer=L2(l2) if l2 else None)
    model = pyae.Sequential([layer], optimizer=optimizer, dtype="float64", random_state=0)
    model.fit(X, y, epochs=400, batch_size=80, sample_weight=weights)
    # The mean over samples and outputs of w (x W + b - y)^2, plus l2 |W|^2.
    A = np.column_stack([X, np.ones(80)])
    normal = A.T @ (weights[:, None] * A) / 160 + l2 * np.diag([1.0] * 6 + [0.0])
    expected = np.linalg.solve(normal, A.T @ (weights[:, None] * y) / 160)
    actual = np.vstack([model.get_weights()[0], model.get_weights()[1]])
    np.testing.assert_allclose(actual, expected, atol=1e-6 * np.abs(expected).max())


@both
def test_multinomial_regression_reaches_the_optimum(optimizer: Any) -> None:
    """That of L-BFGS, which test_lbfgs compares with scikit-learn's."""
    X, y = digits()
    losses = []
    for other, epochs in ((optimizer, 60), ("lbfgs", 1000)):
        layer = pyae.Dense(10, "softmax", kernel_regularizer=L2(1 / (2 * len(X))))
        loss = "sparse_categorical_crossentropy"
        model = pyae.Sequential([layer], loss, other, dtype="float64", random_state=0)
        model.fit(X, y, epochs=epochs, batch_size=len(X))
        losses.append(model.evaluate(X, y, batch_size=len(X)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize("rate", [1.0, 0.5, 1.5])
@pytest.mark.parametrize("every", [1, 5])
def test_a_damping_that_alone_makes_steps_short_falls_fast(every: int, rate: float) -> None:
    """One weight w = 1 and (w - 2)^2, whose curvature is 2: first slowly, then by the cube."""
    layer = pyae.Dense(1, use_bias=False)
    optimizer = KFAC(rate, damping=1000.0, damping_every=every)
    model = pyae.Sequential([layer], optimizer=optimizer, dtype="float64").build(1)
    model.set_weights([np.ones((1, 1))])
    expected = 2000.0
    for step in range(1, 31):
        model.fit(np.ones((1, 1)), 2 * np.ones((1, 1)), epochs=1)
        if step <= 20:
            expected *= 0.95 ** min(every, 2)
        elif step % every == 0:
            expected *= 0.95 ** (3 * every)
        assert model._built_network().state()["scalar"] == pytest.approx(expected, rel=1e-9)


def test_a_promise_below_rounding_errors_leaves_the_damping_alone() -> None:
    X, _ = digits()
    model = autoencoder(KFAC(1e-9))
    dampings = []
    for _ in range(30):
        model.fit(X, epochs=1, batch_size=len(X))
        dampings.append(model._built_network().state()["scalar"])
    assert dampings == dampings[:1] * 30


def test_factors_are_the_blocks_of_the_gauss_newton_matrix() -> None:
    """Where all samples have the same input the product of both factors is a layer's block.

    The factors are means over 400 updates that hardly move; the random signs in them leave an error
    of about 1 / sqrt(400 * 256).
    """
    X = np.tile([0.5, -1.0, 2.0], (256, 1))
    Y = np.random.default_rng(0).uniform(size=(256, 2))
    layers = [pyae.Dense(4, "tanh"), pyae.Dense(2, "sigmoid")]
    optimizer = KFAC(1e-9, decay=0.9999, statistics_share=1.0)
    model = pyae.Sequential(layers, optimizer=optimizer, dtype="float64", random_state=0)
    model.fit(X, Y, epochs=400, batch_size=256)
    weights = model.get_weights()
    slots = model._built_network().state()["slots"]
    judge = pyae.Sequential(layers, dtype="float64", random_state=0).build(3)

    def outputs_at(layer: int, place: int, change: float) -> Array:
        changed = [w.copy() for w in weights]
        block = np.concatenate([changed[2 * layer].ravel(), changed[2 * layer + 1]])
        block[place] += change
        changed[2 * layer] = block[: changed[2 * layer].size].reshape(changed[2 * layer].shape)
        changed[2 * layer + 1] = block[changed[2 * layer].size :]
        judge.set_weights(changed)
        return judge.predict(X[:1])[0]

    start = sum(w.size for w in weights)
    for layer, (rows, units) in enumerate([(4, 4), (5, 2)]):
        A = slots[start : start + rows**2].reshape(rows, rows)
        S = slots[start + rows**2 : start + rows**2 + units**2].reshape(units, units)
        start += rows**2 + units**2
        J = np.array(
            [
                (outputs_at(layer, i, 1e-5) - outputs_at(layer, i, -1e-5)) / 2e-5
                for i in range(rows * units)
            ]
        )
        exact = J @ J.T  # the loss is a mean over two outputs: its second derivative is 2 / 2
        np.testing.assert_allclose(np.kron(A, S), exact, atol=0.02 * np.abs(exact).max())


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1e-12, 1e-4, 1e4, 1e12])
def test_the_scale_of_features_does_not_matter(scale: float, dtype: str, optimizer: Any) -> None:
    """A bias beside large features is learned, and large coefficients of small ones."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 10))
    y = X @ rng.normal(size=10) + 3 + 0.1 * rng.normal(size=500)
    A = np.column_stack([X, np.ones(500)])
    least = np.mean((A @ np.linalg.lstsq(A, y)[0] - y) ** 2)
    model = pyae.Sequential([pyae.Dense(1)], optimizer=optimizer, dtype=dtype, random_state=0)
    history = model.fit(scale * X, y, epochs=300, batch_size=500)
    assert history.converged
    # The bias alone, where a penalty or the dtype leaves nothing of the kernel.
    penalised = pyae.Dense(1, kernel_regularizer=L2(0.01))
    for layer, factor in [(penalised, min(scale, 1e-3)), (pyae.Dense(1), 1e-25)]:
        other = pyae.Sequential([layer], optimizer=optimizer, dtype=dtype, random_state=0)
        with np.errstate(all="ignore"):
            other.fit(factor * X, y, epochs=200, batch_size=500)
        assert other.evaluate(factor * X, y, batch_size=500) < 1.05 * np.var(y)
    assert model.evaluate(scale * X, y, batch_size=500) == pytest.approx(least, rel=1e-5)


@pytest.mark.parametrize(
    "optimizer",
    [
        NewtonCG(damping=1e10),
        NewtonCG(damping=1e-30),
        KFAC(damping=1e10),
        KFAC(damping=1e-30),
        KFAC(factor_damping=1e-10),
        KFAC(factor_damping=1e10),
    ],
    ids=repr,
)
def test_only_an_optimum_is_called_converged(optimizer: Any) -> None:
    """In float32, where absurd settings leave steps that change nothing."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    y = X @ rng.normal(size=5) + 1 + 0.1 * rng.normal(size=300)
    model = pyae.Sequential([pyae.Dense(1)], optimizer=optimizer, random_state=0)
    history = model.fit(X, y, epochs=300, batch_size=300)
    assert history.converged
    A = np.column_stack([X, np.ones(300)])
    least = np.mean((A @ np.linalg.lstsq(A, y)[0] - y) ** 2)
    assert model.evaluate(X, y, batch_size=300) == pytest.approx(least, rel=1e-5)


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", ["huber", "log_cosh"])
def test_far_targets_of_flat_losses_are_reached(loss: str, dtype: str, optimizer: Any) -> None:
    """Far from the targets these losses have no second derivative."""
    X = np.random.default_rng(0).normal(size=(500, 4))
    y = X @ [1.0, 2, 3, 4] + 50
    model = pyae.Sequential([pyae.Dense(1)], loss, optimizer, dtype=dtype, random_state=0)
    model.fit(X, y, epochs=300, batch_size=500)
    assert model.evaluate(X, y) < 1e-3


@both
@pytest.mark.parametrize("scale", [1.0, 3e3, 1e4, 1e6])
def test_a_solved_problem_stays_solved(scale: float, optimizer: Any) -> None:
    """Separable classes: the loss tends to 0, and so does the curvature."""
    X = np.random.default_rng(0).normal(size=(1000, 4))
    y = (X[:, 0] + 0.5 * X[:, 1] > 0).astype(int)
    for dtype in ("float32", "float64"):
        layers, loss = [pyae.Dense(2, "softmax")], "sparse_categorical_crossentropy"
        model = pyae.Sequential(layers, loss, optimizer, dtype=dtype, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # near 0 it may end as one or the other
            model.fit(scale * X, y, epochs=200, batch_size=1000)
        assert (model.predict(scale * X).argmax(axis=1) == y).mean() > 0.99


# ------------------------------------------------------------------------------------ real data


@pytest.mark.parametrize(("optimizer", "epochs"), [("kfac", 100), ("newton_cg", 25)])
def test_a_deep_autoencoder_goes_where_adam_is_slow_to(optimizer: str, epochs: int) -> None:
    """After as many updates the best of Adam's rates is far behind."""
    X = digits()[0].astype(np.float32)
    errors = []
    for one in (optimizer, *(pyae.optimizers.Adam(rate) for rate in (1e-3, 1e-2, 3e-2))):
        model = autoencoder(one)
        model.fit(X, epochs=epochs, batch_size=600)
        errors.append(float(np.mean((model.predict(X) - X) ** 2)))
    assert errors[0] < 0.6 * min(errors[1:])


# --------------------------------------------------------------------------------------- manners


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_for_any_number_of_threads(dtype: str, optimizer: Any) -> None:
    X, y = digits()
    results = []
    for n_threads in (1, 2, 3):
        # Wide enough that sums are cut into pieces and factors are inverted by halves.
        layers = [pyae.Dense(150, "tanh", kernel_regularizer=L2(1e-5)), pyae.Dense(10, "softmax")]
        model = pyae.Sequential(
            layers,
            "sparse_categorical_crossentropy",
            optimizer,
            dtype=dtype,
            random_state=1,
            n_threads=n_threads,
        )
        history = model.fit(X, y, epochs=3, batch_size=600)
        results.append([*model.get_weights(), np.array(history.history["loss"])])
    assert results[0][-1][-1] < results[0][-1][0]
    assert all(same(result, results[0]) for result in results)


DUPLICATES = {"pickle": lambda m: pickle.loads(pickle.dumps(m)), "deepcopy": copy.deepcopy}


@both
@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
def test_fits_and_copies_go_on_where_the_last_ended(duplicate: Any, optimizer: Any) -> None:
    X, y = digits()
    whole, parts = classifier(optimizer), classifier(optimizer)
    whole.fit(X, y, epochs=9, batch_size=500)
    parts.fit(X, y, epochs=4, batch_size=500)
    parts = duplicate(parts)
    parts.fit(X, y, epochs=2, batch_size=500)
    parts.fit(X, y, epochs=3, batch_size=500)
    assert same(whole.get_weights(), parts.get_weights())


@both
def test_a_saved_model_goes_on(optimizer: Any, tmp_path: Path) -> None:
    X, y = digits()
    model = classifier(optimizer, "float32")
    model.fit(X, y, epochs=3, batch_size=500)
    model.save(tmp_path / "a")
    loaded = pyae.load(tmp_path / "a")
    for one in (model, loaded):
        one.fit(X, y, epochs=3, batch_size=500)
    assert same(model.get_weights(), loaded.get_weights())


@both
def test_a_start_that_is_not_finite_diverges(optimizer: Any) -> None:
    layer = pyae.Dense(1, use_bias=False)
    model = pyae.Sequential([layer], optimizer=optimizer, dtype="float64").build(1)
    model.set_weights([[[1e200]]])
    with pytest.warns(pyae.DivergenceWarning):
        assert model.fit([[1.0]], [[0.0]]).diverged
    assert model.get_weights()[0] == 1e200


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_rate_that_is_far_too_high(dtype: str, optimizer: Any) -> None:
    """Steps are made as short as the loss wants them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3))
    y = rng.poisson(np.exp(X @ [0.5, -0.3, 0.2])).astype(float)
    wild = type(optimizer)(1e6)
    layers = [pyae.Dense(1, "exponential")]
    model = pyae.Sequential(layers, "poisson", wild, dtype=dtype, random_state=0)
    start = model.build(3).evaluate(X, y)
    history = model.fit(X, y, epochs=50, batch_size=50)
    assert not history.diverged
    assert model.evaluate(X, y) < start


@both
@pytest.mark.parametrize("what", ["nan", "negative"])
def test_a_state_that_cannot_be_is_told(what: str, optimizer: Any) -> None:
    """Nonsense in a state ends a fit with a warning, or is overcome; weights stay finite."""
    X, y = digits()
    model = classifier(optimizer)
    model.fit(X, y, epochs=2, batch_size=600)
    network = model._built_network()
    state = network.state()
    state["slots"][::7] = math.nan if what == "nan" else -1e3
    network.set_state(state)
    before = model.get_weights()
    try:
        history = model.fit(X, y, epochs=2, batch_size=600)
    except pyae.DivergenceWarning:  # warnings are errors here
        assert same(model.get_weights(), before)
    else:
        assert np.isfinite(history.history["loss"]).all()
    assert all(np.isfinite(w).all() for w in model.get_weights())


@both
def test_nothing_to_learn_is_converged(optimizer: Any) -> None:
    X = np.zeros((300, 4))
    model = pyae.Sequential([pyae.Dense(3)], optimizer=optimizer, dtype="float64", random_state=0)
    history = model.fit(X, np.zeros((300, 3)), epochs=5, batch_size=100)
    assert history.converged
    assert history.history["loss"] == [0.0]


@both
def test_an_interrupted_step_changes_nothing(optimizer: Any) -> None:
    """The state after Ctrl-C is that of the updates that were finished."""
    X = np.tile(digits()[0], (2, 1))

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    def state(model: pyae.Sequential) -> list[Array]:
        state = model._built_network().state()
        slots = state["slots"]
        if optimizer.name == "kfac":  # the inverses are made anew
            n = sum(w.size for w in model.get_weights())
            slots = slots[: n + (len(slots) - n) // 2]
        return [slots, state["scalar"], state["step"], *model.get_weights()]

    for delay in (0.02, 0.05, 0.09, 0.14, 0.2):
        model = autoencoder(optimizer).build(64)
        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, delay)
            with pytest.raises(KeyboardInterrupt):
                model.fit(X, epochs=100_000, batch_size=len(X))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        n_updates = model._built_network().n_updates
        other = autoencoder(optimizer).build(64)
        if n_updates:
            other.fit(X, epochs=n_updates, batch_size=len(X))
        assert same(state(model), state(other))


def test_tied_layers_are_refused() -> None:
    code = pyae.Dense(3)
    layers = [code, pyae.Dense(5, tied_to=code)]
    with pytest.raises(ValueError, match="kfac cannot train a layer with tied_to"):
        pyae.Sequential(layers, optimizer="kfac").build(5)
    X = np.random.default_rng(0).normal(size=(100, 5))
    model = pyae.Sequential(layers, optimizer="newton_cg", dtype="float64", random_state=0)
    model.fit(X, epochs=60, batch_size=100)
    assert len(model.get_weights()) == 3
    centred = X - X.mean(axis=0)
    floor = (np.linalg.svd(centred, compute_uv=False)[3:] ** 2).sum() / X.size
    assert floor * (1 - 1e-12) < model.evaluate(X, batch_size=100) < floor * (1 + 1e-6)


@both
@pytest.mark.parametrize("batch_size", [7, 100])
def test_small_and_short_batches(batch_size: int, optimizer: Any) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 4))
    model = pyae.Sequential(
        [pyae.Dense(3, "tanh"), pyae.Dense(4)], optimizer=optimizer, random_state=0
    )
    losses = model.fit(X, epochs=15, batch_size=batch_size).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


@both
def test_batches_of_one_sample_leave_finite_weights(optimizer: Any) -> None:
    """They are no use: each step solves one sample, and the next one another."""
    X = np.random.default_rng(0).normal(size=(30, 4))
    layers = [pyae.Dense(3, "tanh"), pyae.Dense(4)]
    model = pyae.Sequential(layers, optimizer=optimizer, random_state=0)
    with contextlib.suppress(pyae.DivergenceWarning):
        model.fit(X, epochs=15, batch_size=1)
    assert all(np.isfinite(w).all() for w in model.get_weights())
