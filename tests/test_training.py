"""Whole training runs: against the reference loop, closed forms and simulations by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pyae
from pyae import losses, noise, optimizers, regularizers, schedules
from pyae.callbacks import Callback, EarlyStopping
from pyae.reference import Network, evaluate, learning_rate_at, train

RUN = 1e-9  # relative: rounding grows over the updates of a run
SEED = 7


def dense(units: int, activation: Any = "linear", **options: Any) -> pyae.Dense:
    return pyae.Dense(units, activation, **options)


def autoencoder(**options: Any) -> pyae.Sequential:
    """Return a small model 6-4-6 whose runs are quick."""
    settings_ = {"optimizer": "adam", "dtype": "float64", "random_state": SEED, **options}
    return pyae.Sequential([dense(4, "tanh"), dense(6)], **settings_)


def data(n: int = 50, n_features: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(n, n_features))


def classes(n: int, n_classes: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, n_classes, n)


def same_weights(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def assert_weights_close(
    actual: Sequence[np.ndarray], expected: Sequence[np.ndarray], tolerance: float = RUN
) -> None:
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance * abs(e).max(initial=1e-3))


def assert_run_equals_reference(
    model: pyae.Sequential,
    X: np.ndarray,
    y: np.ndarray | None = None,
    validation_data: tuple[np.ndarray, ...] | None = None,
    noise: noise.Noise | None = None,
    **options: Any,
) -> None:
    """Train both from the same start, and compare losses, rates and weights."""
    network = Network(model.spec, X.shape[1], seed=SEED, dtype="float64")
    expected = train(
        network,
        X,
        y,
        validation_data=validation_data,
        noise=None if noise is None else noise.to_spec(),
        **options,
    )
    history = model.fit(X, y, validation_data=validation_data, noise=noise, **options).history
    assert set(history) == set(expected)
    for key in set(expected) - {"seconds"}:
        np.testing.assert_allclose(history[key], expected[key], rtol=RUN, atol=0, err_msg=key)
    assert_weights_close(model.get_weights(), network.get_weights())


# ------------------------------------------------------------------------- runs of the reference

NETWORKS: dict[str, Callable[[], tuple[Any, ...]]] = {
    "autoencoder": lambda: ([dense(4, "relu"), dense(6)], "mean_squared_error", None),
    "sigmoid-bce": lambda: (
        [dense(4, "relu"), dense(6, "sigmoid")],
        "binary_crossentropy",
        None,
    ),
    "softmax-cce": lambda: (
        [dense(5, "gelu"), dense(3, "softmax")],
        losses.CategoricalCrossentropy(label_smoothing=0.1),
        np.eye(3)[classes(50, 3)],
    ),
    "softmax-scce": lambda: (
        [dense(5, "silu"), dense(3, "softmax")],
        losses.SparseCategoricalCrossentropy(ignore_class=2),
        classes(50, 3),
    ),
    "logits-scce": lambda: (
        [dense(5, "tanh"), dense(3)],
        losses.SparseCategoricalCrossentropy(from_logits=True),
        classes(50, 3),
    ),
    "regression-sum": lambda: (
        [dense(5, "softplus"), dense(1)],
        losses.Huber(delta=0.3, reduction="sum"),
        data(50, 1, seed=2)[:, 0],
    ),
    "tied": lambda: (
        [dense(5, "tanh"), dense(3, "tanh"), dense(5, "tanh", tied_to=1), dense(6, tied_to=0)],
        "log_cosh",
        None,
    ),
    "sparse": lambda: (
        [dense(8, "sigmoid", activity_regularizer=regularizers.KLSparsity(0.1, 0.5)), dense(6)],
        "mean_squared_error",
        None,
    ),
    "penalties": lambda: (
        [
            dense(8, "relu", kernel_regularizer="l2", activity_regularizer="l1"),
            dense(6, "sigmoid", kernel_regularizer="l1", bias_regularizer="l2"),
        ],
        losses.BinaryCrossentropy(label_smoothing=0.05),
        None,
    ),
    "deep": lambda: (
        [dense(12, "elu"), dense(7, "mish"), dense(2), dense(7, "selu"), dense(6, "softplus")],
        "poisson",
        None,
    ),
    "one layer": lambda: ([dense(6, use_bias=False)], "cosine_similarity", None),
}

RUNS: dict[str, dict[str, Any]] = {
    "plain": {},
    "in order": {"shuffle": False},
    "short last batch": {"batch_size": 16},
    "one batch": {"batch_size": 64},
    "one sample a batch": {"batch_size": 1, "epochs": 1},
    "weights": {"sample_weight": np.linspace(0, 2, 50), "batch_size": 16},
    "gaussian": {"noise": noise.Gaussian(0.2), "batch_size": 16},
    "masking": {"noise": noise.Masking(0.3), "shuffle": False},
    "salt and pepper": {"noise": noise.SaltAndPepper(0.4), "batch_size": 7},
    "salt and pepper, ends": {"noise": noise.SaltAndPepper(0.4, low=-1.0, high=2.0)},
    "all": {"noise": noise.Gaussian(0.1), "sample_weight": np.linspace(1, 2, 50), "batch_size": 7},
}


@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_run_equals_the_reference(
    network: Callable[[], tuple[Any, ...]], options: dict[str, Any]
) -> None:
    layers, loss, y = network()
    model = pyae.Sequential(layers, loss=loss, dtype="float64", random_state=SEED)
    assert_run_equals_reference(model, data(), y, **{"epochs": 3, "batch_size": 10, **options})


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("network", ["autoencoder", "tied", "penalties", "sparse"])
def test_validation_equals_the_reference(network: str, parts: int) -> None:
    layers, loss, _ = NETWORKS[network]()
    model = pyae.Sequential(layers, loss=loss, dtype="float64", random_state=SEED)
    held_out = data(19, seed=5)
    full = (held_out, held_out[::-1].copy(), np.linspace(0, 3, 19))
    assert_run_equals_reference(
        model, data(), validation_data=full[:parts], epochs=4, batch_size=20
    )


def test_validation_of_classes_equals_the_reference() -> None:
    layers, loss, y = NETWORKS["softmax-scce"]()
    model = pyae.Sequential(layers, loss=loss, dtype="float64", random_state=SEED)
    held_out = (data(31, seed=5), classes(31, 3, seed=6))
    assert_run_equals_reference(model, data(), y, validation_data=held_out, epochs=3, batch_size=8)


def test_validation_loss_is_that_of_evaluate_and_of_the_trained_weights() -> None:
    model, held_out = autoencoder(), data(23, seed=3)
    seen = []
    history = model.fit(
        data(),
        epochs=4,
        validation_data=held_out,
        noise=noise.Gaussian(0.5),
        callbacks=lambda epoch, logs: seen.append(model.evaluate(held_out)),
    )
    np.testing.assert_allclose(history.history["val_loss"], seen, rtol=1e-13)


OPTIMIZERS = [
    optimizers.SGD(0.1),
    optimizers.SGD(0.1, momentum=0.9),
    optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    optimizers.RMSprop(0.01),
    optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    optimizers.Adagrad(0.1),
    optimizers.Adadelta(1.0),
    optimizers.Adam(0.01),
    optimizers.AdamW(0.01, weight_decay=0.1),
    optimizers.Nadam(0.01),
    optimizers.Muon(0.02),
    optimizers.SGD(0.1, clipvalue=1e-3),
    optimizers.SGD(0.1, clipnorm=1e-2),
    optimizers.Adam(0.01, global_clipnorm=1e-2),
    optimizers.Adam(schedules.Exponential(0.05, decay_steps=5, decay_rate=0.5)),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: o.name)
@pytest.mark.parametrize("network", ["autoencoder", "tied", "penalties"])
def test_run_with_each_optimizer_equals_the_reference(
    network: str, optimizer: optimizers.Optimizer
) -> None:
    layers, loss, _ = NETWORKS[network]()
    model = pyae.Sequential(
        layers, loss=loss, optimizer=optimizer, dtype="float64", random_state=SEED
    )
    assert_run_equals_reference(model, data(), epochs=4, batch_size=12)


@settings(max_examples=40, deadline=None)
@given(
    network=st.sampled_from(sorted(NETWORKS)),
    optimizer=st.sampled_from(OPTIMIZERS),
    batch_size=st.integers(1, 60),
    epochs=st.integers(1, 3),
    shuffle=st.booleans(),
    corruption=st.sampled_from(
        [None, noise.Gaussian(0.1), noise.Masking(0.5), noise.SaltAndPepper(0.2)]
    ),
    weighted=st.booleans(),
    validated=st.booleans(),
)
def test_random_runs_equal_the_reference(
    network: str,
    optimizer: optimizers.Optimizer,
    batch_size: int,
    epochs: int,
    shuffle: bool,
    corruption: noise.Noise | None,
    weighted: bool,
    validated: bool,
) -> None:
    layers, loss, y = NETWORKS[network]()
    model = pyae.Sequential(
        layers, loss=loss, optimizer=optimizer, dtype="float64", random_state=SEED
    )
    X = data()
    # As many rows as go into one batch, so that a penalty on a batch's mean has one meaning.
    rows = min(batch_size, 9)
    held_out = (X[:rows], X[:rows] if y is None else y[:rows])
    assert_run_equals_reference(
        model,
        X,
        y,
        validation_data=held_out if validated else None,
        epochs=epochs,
        batch_size=batch_size,
        shuffle=shuffle,
        noise=corruption,
        sample_weight=np.linspace(0.5, 2, 50) if weighted else None,
    )


def test_float32_run_follows_the_float64_run() -> None:
    single, double = autoencoder(dtype="float32"), autoencoder()
    single.fit(data(), epochs=5)
    double.fit(data(), epochs=5)
    assert single.get_weights()[0].dtype == np.float32
    assert_weights_close(single.get_weights(), double.get_weights(), 1e-4)


def test_shuffling_matters_and_the_seed_too() -> None:
    runs = []
    for options, shuffle in [({}, True), ({}, False), ({"random_state": SEED + 1}, True)]:
        model = autoencoder(**options).build(6)
        model.set_weights(autoencoder().build(6).get_weights())
        model.fit(data(), shuffle=shuffle, batch_size=8)
        runs.append(model.get_weights())
    assert not same_weights(runs[0], runs[1])
    assert not same_weights(runs[0], runs[2])


# ------------------------------------------------------------------------------- going on, sizes

CONTINUED = {
    "plain": {},
    "noise and weights": {"noise": noise.Gaussian(0.3), "sample_weight": np.linspace(0, 2, 50)},
    "in order": {"shuffle": False},
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: o.name)
@pytest.mark.parametrize("options", CONTINUED.values(), ids=CONTINUED)
def test_two_fits_are_one(options: dict[str, Any], optimizer: optimizers.Optimizer) -> None:
    once, twice = autoencoder(optimizer=optimizer), autoencoder(optimizer=optimizer)
    whole = once.fit(data(), epochs=5, batch_size=16, **options).history
    first = twice.fit(data(), epochs=2, batch_size=16, **options).history
    second = twice.fit(data(), epochs=3, batch_size=16, **options).history
    assert same_weights(once.get_weights(), twice.get_weights())
    for key in ("loss", "learning_rate"):
        assert whole[key] == first[key] + second[key]


def test_everything_but_training_leaves_the_run_as_it_is() -> None:
    quiet, busy = autoencoder(), autoencoder()
    X = data()
    for _ in range(3):
        quiet.fit(X, batch_size=16)
        busy.predict(X) if busy.built else None
        busy.fit(X, batch_size=16)
        busy.evaluate(X)
        busy.loss_and_gradients(X)
        busy.forward(X, upto=1)
        busy.set_weights(busy.get_weights())
    assert same_weights(quiet.get_weights(), busy.get_weights())


def still(**options: Any) -> pyae.Sequential:
    """Return a model that training does not move: its rate is below half a unit of rounding."""
    return autoencoder(optimizer=optimizers.SGD(1e-30), **options)


@pytest.mark.parametrize(("n", "batch_size"), [(10, 4), (7, 5), (5, 4), (33, 32), (3, 100)])
@pytest.mark.parametrize("weighted", [False, True])
def test_epoch_loss_is_the_mean_over_samples(n: int, batch_size: int, weighted: bool) -> None:
    X = data(n) * np.linspace(0.1, 5, n)[:, None]  # unequal samples: a mean of means would differ
    weights = np.linspace(0.2, 3, n) if weighted else np.ones(n)
    model = still().build(6)
    values = weights * ((model.predict(X) - X) ** 2).mean(axis=1)
    history = model.fit(X, batch_size=batch_size, sample_weight=weights if weighted else None)
    assert history.history["loss"] == [pytest.approx(values.mean(), rel=1e-12)]
    if n % batch_size and n > batch_size:
        order = np.arange(0, n, batch_size)
        model_in_order = still()
        model_in_order.fit(X, batch_size=batch_size, sample_weight=weights, shuffle=False)
        mean_of_means = np.mean([values[s : s + batch_size].mean() for s in order])
        assert model_in_order.history.history["loss"][0] != pytest.approx(mean_of_means, rel=1e-3)


def test_epoch_loss_counts_classes_that_are_not_ignored() -> None:
    y = np.array([0, 1, 2, 2, 2, 1, 0, 0, 1, 2])
    model = pyae.Sequential(
        [dense(3, "softmax")],
        loss=losses.SparseCategoricalCrossentropy(ignore_class=2),
        optimizer=optimizers.SGD(1e-30),
        dtype="float64",
        random_state=SEED,
    ).build(6)
    X = data(10)
    p = model.predict(X)
    expected = -np.log(p[y != 2, y[y != 2]]).mean()
    assert model.fit(X, y, batch_size=4).history["loss"][0] == pytest.approx(expected, rel=1e-12)


def test_epoch_loss_of_the_sum_reduction_is_a_sum() -> None:
    X = data(10)
    model = still(loss=losses.MeanSquaredError(reduction="sum")).build(6)
    expected = ((model.predict(X) - X) ** 2).mean(axis=1).sum()
    assert model.fit(X, batch_size=4).history["loss"][0] == pytest.approx(expected, rel=1e-12)


def test_epoch_loss_holds_the_penalties() -> None:
    layers = [dense(4, "tanh", kernel_regularizer="l2", activity_regularizer="l1"), dense(6)]
    model = pyae.Sequential(
        layers, optimizer=optimizers.SGD(1e-30), dtype="float64", random_state=SEED
    ).build(6)
    X = data(10)
    code, kernel = model.forward(X, upto=1), model.get_weights()[0]
    expected = (
        ((model.predict(X) - X) ** 2).mean()
        + 0.01 * (kernel**2).sum()
        + 0.01 * abs(code).sum() / len(X)
    )
    assert model.fit(X, batch_size=4).history["loss"][0] == pytest.approx(expected, rel=1e-12)
    assert model.evaluate(X, batch_size=3) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 31])
def test_fewer_samples_than_a_batch(n: int) -> None:
    assert_run_equals_reference(autoencoder(), data(n), epochs=3, batch_size=32)


@pytest.mark.parametrize("batch_size", [2**40, 2**61])
def test_huge_batch_size_is_all_samples(batch_size: int) -> None:
    a, b = autoencoder(), autoencoder()
    a.fit(data(), batch_size=batch_size)
    b.fit(data(), batch_size=50)
    assert same_weights(a.get_weights(), b.get_weights())


def test_more_epochs_than_memory_could_list() -> None:
    """An open end, left to a callback: 10^12 epochs are no reason to set memory aside."""
    model = autoencoder()

    def stop(epoch: int, logs: Any) -> None:
        model.stop_training = epoch == 2

    assert len(model.fit(data(), epochs=10**12, callbacks=stop).history["loss"]) == 3


def test_one_feature() -> None:
    model = pyae.Sequential([dense(3, "tanh"), dense(1)], dtype="float64", random_state=SEED)
    assert_run_equals_reference(model, data(40, 1), epochs=3, batch_size=16)


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5])
@pytest.mark.parametrize(
    "corruption", [None, noise.Gaussian(0.1), noise.SaltAndPepper(0.5)], ids=str
)
def test_constant_feature(value: float, corruption: noise.Noise | None) -> None:
    X = data()
    X[:, 2] = value
    assert_run_equals_reference(autoencoder(), X, epochs=3, batch_size=16, noise=corruption)


def test_constant_data() -> None:
    model = autoencoder(optimizer=optimizers.Adam(0.05))
    model.fit(np.full((20, 6), 0.7), epochs=300)
    np.testing.assert_allclose(model.predict(np.full((1, 6), 0.7)), 0.7, atol=1e-3)


# -------------------------------------------------------------------------------- early stopping


class Recorder(Callback):
    """Keeps weights and logs of each epoch."""

    def __init__(self) -> None:
        self.weights: list[list[np.ndarray]] = []
        self.logs: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.weights.append(self.model.get_weights())
        self.logs.append(dict(logs))


def bumpy() -> pyae.Sequential:
    """Return a model whose losses go up and down."""
    return autoencoder(optimizer=optimizers.SGD(1.5, momentum=0.8))


def simulate(values: list[float], patience: int, min_delta: float) -> tuple[int, int, bool]:
    """Return how many epochs are run, the best one and whether it was stopped."""
    best, best_epoch, waited = math.inf, -1, 0
    for epoch, value in enumerate(values):
        if value < best - min_delta:
            best, best_epoch, waited = value, epoch, 0
        else:
            waited += 1
            if waited >= max(patience, 1):
                return epoch + 1, best_epoch, True
    return len(values), best_epoch, False


EPOCHS = 40
TRAIN = {"batch_size": 10, "validation_data": data(20, seed=9), "epochs": EPOCHS}


@pytest.fixture(scope="module")
def free_run() -> Recorder:
    """A run that nothing stops."""
    recorder = Recorder()
    bumpy().fit(data(), callbacks=recorder, **TRAIN)
    return recorder


@pytest.mark.parametrize("restore", [True, False])
@pytest.mark.parametrize("min_delta", [0.0, 1e-4, 1e-2])
@pytest.mark.parametrize("patience", [0, 1, 2, 3, 5, 1000])
@pytest.mark.parametrize("monitor", ["loss", "val_loss"])
def test_early_stopping_equals_a_simulation(
    free_run: Recorder, monitor: Any, patience: int, min_delta: float, restore: bool
) -> None:
    values = [logs[monitor] for logs in free_run.logs]
    n_epochs, best_epoch, stopped = simulate(values, patience, min_delta)
    model = bumpy()
    history = model.fit(
        data(), callbacks=EarlyStopping(monitor, patience, min_delta, restore), **TRAIN
    )
    assert history.history[monitor] == values[:n_epochs]
    assert history.best_epoch == best_epoch
    assert history.stopped_early is stopped
    expected = free_run.weights[best_epoch if restore else n_epochs - 1]
    assert same_weights(model.get_weights(), expected)


def test_the_simulated_runs_are_of_several_kinds(free_run: Recorder) -> None:
    """The test above sees improvement, worsening, early and late stops."""
    for monitor in ("loss", "val_loss"):
        values = [logs[monitor] for logs in free_run.logs]
        ends = {simulate(values, patience, 0.0)[0] for patience in (0, 2, 3, 5, 1000)}
        assert len(ends) >= 3
        assert min(ends) < EPOCHS


def test_early_stopping_monitors_validation_by_default() -> None:
    with pytest.raises(ValueError, match="validation_data"):
        autoencoder().fit(data(), callbacks=EarlyStopping())


def test_early_stopping_object_serves_again() -> None:
    stopping = EarlyStopping("loss", patience=2, min_delta=10.0)
    for _ in range(2):
        assert len(autoencoder().fit(data(), epochs=10, callbacks=stopping).epoch) == 3


def test_callbacks_see_the_epoch_that_early_stopping_ends_with() -> None:
    seen: list[int] = []
    stopping = EarlyStopping("loss", patience=3, min_delta=10.0)
    callbacks = [lambda epoch, logs: seen.append(epoch), stopping]
    autoencoder().fit(data(), epochs=10, callbacks=callbacks)
    assert seen == [0, 1, 2, 3]


def test_training_goes_on_after_early_stopping() -> None:
    model = autoencoder()
    model.fit(data(), epochs=10, callbacks=EarlyStopping("loss", min_delta=10.0))
    assert model.fit(data(), epochs=20).history["loss"][-1] < model.evaluate(data()) * 2


# ------------------------------------------------------------------------------------- schedules

SCHEDULES: list[Any] = [
    0.02,
    schedules.Constant(0.02),
    schedules.Exponential(0.05, decay_steps=7, decay_rate=0.7),
    schedules.Exponential(0.05, decay_steps=7, decay_rate=0.7, staircase=True),
    schedules.InverseTime(0.05, decay_steps=7, decay_rate=0.7),
    schedules.Cosine(0.05, decay_steps=12, alpha=0.1),
    schedules.Piecewise([4, 9], [0.1, 0.01, 0.001]),
    schedules.WarmUp(6, then=schedules.Cosine(0.05, decay_steps=10), start_factor=0.2),
]


@pytest.mark.parametrize("rate", SCHEDULES, ids=repr)
def test_history_records_the_rate_of_the_last_update(rate: Any) -> None:
    model = autoencoder(optimizer=optimizers.SGD(rate))
    recorded = []
    for _ in range(2):  # the count of updates goes on over fits
        recorded += model.fit(data(), epochs=3, batch_size=20).history["learning_rate"]
    spec = model.spec["optimizer"]["learning_rate"]
    last_steps = [3 * epoch + 2 for epoch in range(6)]
    expected = [
        rate if isinstance(rate, float) else learning_rate_at(spec, step) for step in last_steps
    ]
    np.testing.assert_allclose(recorded, expected, rtol=1e-14)


# ------------------------------------------------------------------------------------- callbacks


class Diary(Callback):
    """Writes down what happens."""

    def __init__(self, name: str, pages: list[Any]) -> None:
        self.name, self.pages = name, pages

    def on_train_begin(self, model: pyae.Sequential) -> None:
        assert self.model is model
        self.pages.append((self.name, "begin"))

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.pages.append((self.name, epoch, sorted(logs)))

    def on_train_end(self, history: pyae.History) -> None:
        self.pages.append((self.name, "end", len(history.epoch)))


def test_callbacks_are_called_in_order() -> None:
    pages: list[Any] = []
    autoencoder().fit(data(), epochs=2, callbacks=[Diary("a", pages), Diary("b", pages)])
    keys = ["learning_rate", "loss", "seconds"]
    assert pages == [
        ("a", "begin"), ("b", "begin"), ("a", 0, keys), ("b", 0, keys), ("a", 1, keys),
        ("b", 1, keys), ("a", "end", 2), ("b", "end", 2),
    ]  # fmt: skip


def test_logs_are_the_history() -> None:
    recorder = Recorder()
    history = (
        autoencoder().fit(data(), epochs=3, validation_data=data(5), callbacks=[recorder]).history
    )
    assert set(history) == {"loss", "val_loss", "learning_rate", "seconds"}
    for key, values in history.items():
        assert [logs[key] for logs in recorder.logs] == values
    assert all(0 <= s < 10 for s in history["seconds"])


def test_changing_the_logs_changes_no_history() -> None:
    history = autoencoder().fit(data(), callbacks=lambda epoch, logs: logs.clear())
    assert set(history.history) == {"loss", "learning_rate", "seconds"}


@pytest.mark.parametrize("last", [0, 3])
def test_stop_training(last: int) -> None:
    model, other = autoencoder(), autoencoder()

    def stop(epoch: int, logs: Any) -> None:
        model.stop_training = epoch == last

    history = model.fit(data(), epochs=10, callbacks=stop)
    other.fit(data(), epochs=last + 1)
    assert history.epoch == list(range(last + 1))
    assert not history.stopped_early
    assert same_weights(model.get_weights(), other.get_weights())
    assert len(model.fit(data(), epochs=2).epoch) == 2  # a later fit is not stopped


def test_stop_training_with_restored_weights() -> None:
    recorder = Recorder()
    model = bumpy()

    def stop(epoch: int, logs: Any) -> None:
        model.stop_training = epoch == 9

    history = model.fit(
        data(), callbacks=[recorder, stop, EarlyStopping("loss", patience=1000)], **TRAIN
    )
    best = int(np.argmin([logs["loss"] for logs in recorder.logs]))
    assert history.best_epoch == best
    assert same_weights(model.get_weights(), recorder.weights[best])


class Trouble(Exception):
    pass


@pytest.mark.parametrize("where", ["on_train_begin", "on_epoch_end", "on_train_end"])
def test_exception_in_a_callback(where: str) -> None:
    class Raising(Callback):
        pass

    def fail(*args: Any) -> None:
        if where != "on_epoch_end" or args[0] == 2:
            raise Trouble(where)

    callback = Raising()
    setattr(callback, where, fail)
    model, other = autoencoder(), autoencoder()
    with pytest.raises(Trouble, match=where):
        model.fit(data(), epochs=5, callbacks=callback)
    done = {"on_train_begin": 0, "on_epoch_end": 3, "on_train_end": 5}[where]
    if done:
        other.fit(data(), epochs=done)
        assert same_weights(model.get_weights(), other.get_weights())
        assert len(model.history.epoch) == done
    # Training goes on as if nothing had happened.
    model.fit(data(), epochs=2)
    other.fit(data(), epochs=2)
    assert same_weights(model.get_weights(), other.get_weights())
    assert np.isfinite(model.predict(data())).all()


def test_the_model_can_be_used_within_a_callback() -> None:
    plain, watched = autoencoder(), autoencoder()
    X = data()
    outputs = []

    def use(epoch: int, logs: Any) -> None:
        outputs.append(watched.predict(X))
        assert watched.evaluate(X) == pytest.approx(((outputs[-1] - X) ** 2).mean(), rel=1e-12)
        assert watched.forward(X, upto=1).shape == (len(X), 4)
        assert watched.n_parameters == 58
        watched.set_weights(watched.get_weights())

    plain.fit(X, epochs=3)
    watched.fit(X, epochs=3, callbacks=use)
    assert same_weights(plain.get_weights(), watched.get_weights())
    assert np.array_equal(outputs[-1], plain.predict(X))
    assert not np.array_equal(outputs[0], outputs[1])


def test_set_weights_within_a_callback_takes_effect() -> None:
    first = autoencoder().build(6).get_weights()
    model = autoencoder(optimizer="sgd")  # it has no memory
    model.fit(
        data(), epochs=2, shuffle=False, callbacks=lambda epoch, logs: model.set_weights(first)
    )
    assert same_weights(model.get_weights(), first)
    losses_ = model.history.history["loss"]
    assert losses_[0] == losses_[1]


def test_fit_within_a_callback_is_refused() -> None:
    model, other = autoencoder(), autoencoder()
    messages = []

    def again(epoch: int, logs: Any) -> None:
        with pytest.raises(RuntimeError, match="being trained") as error:
            model.fit(data(), epochs=1)
        messages.append(str(error.value))

    history = model.fit(data(), epochs=3, callbacks=again)
    other.fit(data(), epochs=3)
    assert len(messages) == 3
    assert same_weights(model.get_weights(), other.get_weights())
    assert model.history is history
    assert history.history["loss"] == other.history.history["loss"]


def test_a_refused_fit_within_a_callback_does_not_undo_stop_training() -> None:
    model = autoencoder()

    def stop_and_try(epoch: int, logs: Any) -> None:
        model.stop_training = True
        with pytest.raises(RuntimeError, match="being trained"):
            model.fit(data())

    assert len(model.fit(data(), epochs=5, callbacks=stop_and_try).epoch) == 1


# ------------------------------------------------------------------------------------ divergence


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "nadam", "muon"])
def test_divergence(optimizer: str, dtype: str) -> None:
    settings_ = {"name": optimizer, "learning_rate": 1e30 if dtype == "float32" else 1e250}
    model = autoencoder(optimizer=settings_, dtype=dtype)
    with pytest.warns(pyae.DivergenceWarning, match=r"epoch \d+ of 6.*1e\+(30|250)") as caught:
        history = model.fit(data(), epochs=6, batch_size=25)
    assert len(caught) == 1
    assert history.diverged
    epoch = int(str(caught[0].message).split("epoch ")[1].split(" ")[0])
    assert len(history.epoch) == epoch - 1  # those that were finished
    assert np.isfinite(history.history.get("loss", [])).all()
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert caught[0].filename == __file__


@pytest.mark.parametrize("optimizer", OPTIMIZERS[:11], ids=lambda o: o.name)
def test_training_again_after_divergence_starts_afresh(optimizer: optimizers.Optimizer) -> None:
    """Huge data diverge in the first epoch; afterwards the optimizer remembers nothing of them."""
    model, fresh = autoencoder(optimizer=optimizer), autoencoder(optimizer=optimizer)
    first = fresh.build(6).get_weights()
    with pytest.warns(pyae.DivergenceWarning, match="epoch 1 of 1"):
        model.fit(data() * 1e200, batch_size=50)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    model.set_weights(first)
    again = model.fit(data(), epochs=4, batch_size=16)
    assert not again.diverged
    assert again.history["loss"] == fresh.fit(data(), epochs=4, batch_size=16).history["loss"]
    assert same_weights(model.get_weights(), fresh.get_weights())


@pytest.mark.parametrize("restore", [True, False])
@pytest.mark.parametrize("monitor", ["loss", "val_loss"])
def test_divergence_with_early_stopping(monitor: Any, restore: bool) -> None:
    rate = schedules.Piecewise([11], [0.01, 1e250])  # steps 0 ... 11 are 4 epochs of 3
    model, recorder = autoencoder(optimizer=optimizers.SGD(rate)), Recorder()
    stopping = EarlyStopping(monitor, patience=50, restore_best_weights=restore)
    with pytest.warns(pyae.DivergenceWarning, match=r"epoch 5 of 9.*1e\+250"):
        history = model.fit(
            data(),
            epochs=9,
            batch_size=20,
            validation_data=data(9, seed=4),
            callbacks=[stopping, recorder],
        )
    assert history.diverged
    assert not history.stopped_early
    assert len(history.epoch) == 4
    assert history.best_epoch == int(np.argmin(history.history[monitor]))
    weights = model.get_weights()
    assert all(np.isfinite(w).all() for w in weights)
    if restore:
        assert same_weights(weights, recorder.weights[history.best_epoch])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", [optimizers.SGD, optimizers.Adam, optimizers.RMSprop])
@pytest.mark.parametrize("small", [0.0, 1e-20])
def test_divergence_keeps_the_weights_before_the_bad_update(
    optimizer: Any, small: float, dtype: str
) -> None:
    """An update that overflows in some weights only is taken back in all of them."""
    largest = float(np.finfo(dtype).max)
    rate = schedules.Piecewise([2], [1e-9, largest])  # the fourth update, of three an epoch
    model = pyae.Sequential(
        [dense(6)],
        losses.MeanSquaredError(reduction="sum"),
        optimizer(rate),
        dtype=dtype,
        random_state=SEED,
    )
    recorder = Recorder()
    X = data()
    X[:, 0] = small  # the gradient of the kernel's first row is small, its weights stay finite
    model.build(6).set_weights([np.full((6, 6), 2.0), np.zeros(6)])
    with pytest.warns(pyae.DivergenceWarning, match="epoch 2 of 3"):
        model.fit(X * 1e3, epochs=3, batch_size=20, callbacks=recorder)
    assert len(recorder.weights) == 1
    assert same_weights(model.get_weights(), recorder.weights[0])


def test_divergence_calls_on_train_end() -> None:
    pages: list[Any] = []
    with pytest.warns(pyae.DivergenceWarning):
        autoencoder().fit(data() * 1e200, epochs=3, callbacks=Diary("a", pages))
    assert pages == [("a", "begin"), ("a", "end", 0)]


def test_reference_evaluate_agrees_after_a_run() -> None:
    layers, loss, y = NETWORKS["softmax-scce"]()
    model = pyae.Sequential(layers, loss=loss, dtype="float64", random_state=SEED)
    model.fit(data(), y, epochs=2)
    network = Network(model.spec, 6, dtype="float64")
    network.set_weights(model.get_weights())
    for batch_size in (1, 7, 256):
        value = model.evaluate(data(), y, batch_size=batch_size)
        assert value == pytest.approx(evaluate(network, data(), y), rel=1e-12)
