"""Whatever is wrong gets a TypeError or ValueError that names it, and changes nothing."""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyae
from pyae import losses, noise, optimizers, regularizers, schedules
from pyae._backend import core
from pyae.activations import Activation
from pyae.activations import resolve as resolve_activation
from pyae.callbacks import Callback, EarlyStopping

N, FEATURES = 12, 4


def good() -> np.ndarray:
    return np.random.default_rng(0).uniform(size=(N, FEATURES))


def with_value(value: float, dtype: str = "float64", at: tuple[int, int] = (5, 2)) -> np.ndarray:
    X = good().astype(dtype)
    X[at] = value
    return X


def model_of(**options: Any) -> pyae.Sequential:
    return pyae.Sequential(
        [pyae.Dense(3, "tanh"), pyae.Dense(FEATURES, "sigmoid")], random_state=0, **options
    )


def state_of(model: pyae.Sequential) -> list[Any]:
    """Return all that a refused call must leave as it is."""
    state: list[Any] = [model.built, model.n_features, model.history, repr(model.history)]
    if model.built:
        state += [w.tobytes() for w in model.get_weights()]
        network = model.__getstate__()["_saved"][1]
        state += [network["epochs"], network["step"], network["slots"].tobytes()]
    return state


def trained() -> pyae.Sequential:
    model = model_of()
    model.fit(good(), epochs=2)
    return model


MODELS: dict[str, Callable[[], pyae.Sequential]] = {"new": model_of, "trained": trained}


def refused(
    model: pyae.Sequential,
    call: Callable[[], Any],
    names: str,
    error: Any = (TypeError, ValueError),
) -> None:
    """Assert that a call fails with a message that matches `names`, and that nothing changed."""
    before = state_of(model)
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) in (TypeError, ValueError)
    assert re.search(names, str(caught.value)), f"not named: {caught.value}"
    after = state_of(model)
    assert after[2] is before[2], "the model's history was replaced"
    assert after == before


# ------------------------------------------------------------------------------------- bad arrays

BAD_MATRICES: dict[str, tuple[Any, Any]] = {  # (value, error)
    "complex": (good() + 1j, TypeError),
    "complex objects": (np.array([[1j] * FEATURES] * N, dtype=object), TypeError),
    "text": (np.array([["a"] * FEATURES] * N), TypeError),
    "text objects": (np.array([["a"] * FEATURES] * N, dtype=object), TypeError),
    "bytes": (np.array([[b"a"] * FEATURES] * N), TypeError),
    "datetime": (
        np.array([[datetime.date(2020, 1, 1)] * FEATURES] * N, "datetime64[D]"),
        TypeError,
    ),
    "timedelta": (np.ones((N, FEATURES), "timedelta64[s]"), TypeError),
    "records": (np.zeros((N, FEATURES), dtype=[("a", "f4"), ("b", "f4")]), TypeError),
    "a number": (3.0, ValueError),
    "a text": ("data", TypeError),
    "a dict": ({"a": 1}, TypeError),
    "a function": (len, TypeError),
    "a generator": ((row for row in good()), TypeError),
    "ragged lists": ([[1.0, 2.0, 3.0, 4.0], [1.0]], ValueError),
    "three dimensions": (np.zeros((N, FEATURES, 1)), ValueError),
    "no samples": (np.zeros((0, FEATURES)), ValueError),
    "no features": (np.zeros((N, 0)), ValueError),
    "an empty list": ([], ValueError),
    "NaN": (with_value(math.nan), ValueError),
    "infinity": (with_value(math.inf), ValueError),
    "-infinity": (with_value(-math.inf), ValueError),
    "NaN in float32": (with_value(math.nan, "float32"), ValueError),
    "infinity in float16": (with_value(math.inf, "float16"), ValueError),
    "NaN last": (with_value(math.nan, at=(N - 1, FEATURES - 1)), ValueError),
    "NaN, Fortran order": (np.asfortranarray(with_value(math.nan)), ValueError),
    "NaN, byte-swapped": (with_value(math.nan).astype(">f8"), ValueError),
    "masked values": (np.ma.masked_array(good(), np.eye(N, FEATURES)), ValueError),
    "rows with masked values": (
        list(np.ma.masked_array(good(), np.eye(N, FEATURES))),
        ValueError,
    ),
    "NaN in a list": (with_value(math.nan).tolist(), ValueError),
    "None in a list": ([[1.0, None, 2.0, 3.0]] * N, (TypeError, ValueError)),
    "too large for float32": (with_value(1e39), ValueError),
    "integers too large for a float": ([[10**400, 1, 2, 3]] * N, ValueError),
}
BAD_X = {
    **BAD_MATRICES,
    "one dimension": (np.zeros(FEATURES), ValueError),
}


def fresh(value: Any) -> Any:
    """Return a value that no earlier use has used up."""
    return (row for row in good()) if hasattr(value, "send") else value


@pytest.mark.parametrize("method", ["fit", "loss_and_gradients", "evaluate", "predict", "forward"])
@pytest.mark.parametrize("which", MODELS)
@pytest.mark.parametrize("bad", BAD_X)
def test_bad_x(bad: str, which: str, method: str) -> None:
    value, error = BAD_X[bad]
    model = MODELS[which]()
    if not model.built and method in ("evaluate", "predict", "forward"):
        model.build(FEATURES)
    refused(model, lambda: getattr(model, method)(fresh(value)), r"\bX\b", error)


@pytest.mark.parametrize("method", ["fit", "loss_and_gradients", "evaluate", "predict", "forward"])
@pytest.mark.parametrize("columns", [1, FEATURES - 1, FEATURES + 1])
def test_other_number_of_features(columns: int, method: str) -> None:
    model = trained()
    X = np.zeros((N, columns))
    refused(model, lambda: getattr(model, method)(X), r"\bX\b", ValueError)


@pytest.mark.parametrize("method", ["fit", "loss_and_gradients", "evaluate"])
@pytest.mark.parametrize("which", MODELS)
@pytest.mark.parametrize(
    "bad",
    [
        *BAD_MATRICES,
        "one column too few",
        "one column too many",
        "one row too few",
        "one row too many",
        "one value a sample",
    ],
)
def test_bad_y(bad: str, which: str, method: str) -> None:
    shapes = {
        "one column too few": (N, FEATURES - 1),
        "one column too many": (N, FEATURES + 1),
        "one row too few": (N - 1, FEATURES),
        "one row too many": (N + 1, FEATURES),
        "one value a sample": (N,),
    }
    value, error = (np.zeros(shapes[bad]), ValueError) if bad in shapes else BAD_MATRICES[bad]
    model = MODELS[which]()
    if method == "evaluate" and not model.built:
        model.build(FEATURES)
    refused(model, lambda: getattr(model, method)(good(), fresh(value)), r"\by\b", error)


BAD_WEIGHTS: dict[str, tuple[Any, Any]] = {
    "too short": (np.ones(N - 1), ValueError),
    "too long": (np.ones(N + 1), ValueError),
    "empty": (np.ones(0), ValueError),
    "a column": (np.ones((N, 1)), ValueError),
    "a number": (1.0, ValueError),
    "negative": (np.r_[np.ones(N - 1), -1e-3], ValueError),
    "NaN": (np.r_[np.ones(N - 1), math.nan], ValueError),
    "infinity": (np.r_[np.ones(N - 1), math.inf], ValueError),
    "all zero": (np.zeros(N), ValueError),
    "too large for float32": (np.full(N, 1e39), ValueError),
    "too small for float32": (np.full(N, 1e-60), ValueError),  # all zero, then
    "complex": (np.ones(N) * 1j, TypeError),
    "text": (["a"] * N, TypeError),
    "a text": ("balanced", TypeError),
    "a dict": ({0: 1.0}, TypeError),
}


@pytest.mark.parametrize("method", ["fit", "loss_and_gradients", "evaluate"])
@pytest.mark.parametrize("which", MODELS)
@pytest.mark.parametrize("bad", BAD_WEIGHTS)
def test_bad_sample_weight(bad: str, which: str, method: str) -> None:
    value, error = BAD_WEIGHTS[bad]
    model = MODELS[which]()
    if method == "evaluate" and not model.built:
        model.build(FEATURES)
    call = getattr(model, method)
    refused(model, lambda: call(good(), sample_weight=value), "sample_weight", error)


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [
        ("float32", 1e39, r"has values too large for float32: up to 1e\+39"),
        ("float32", 1e-46, "has values too small for float32: up to 1e-46"),
        ("float32", math.inf, "must be finite, but holds NaN or infinity"),
        ("float32", 0.0, "must have a positive value, but all are zero"),
        ("float64", math.nan, "must be finite, but holds NaN or infinity"),
    ],
)
def test_what_is_said_of_sample_weight(dtype: str, value: float, message: str) -> None:
    model = model_of(dtype=dtype)
    weights = np.full(N, value)
    refused(model, lambda: model.fit(good(), sample_weight=weights), f"^sample_weight {message}$")


BAD_VALIDATION: dict[str, tuple[Any, str]] = {
    "a text": ("data", "validation_data"),
    "a number": (1.0, "validation_data"),
    "nothing": ((), "validation_data"),
    "four parts": ((good(),) * 4, "validation_data"),
    "X of one dimension": ((np.zeros(4), np.zeros(4)), r"validation_data\[0\]"),
    "X with NaN": ((with_value(math.nan), good()), r"validation_data\[0\]"),
    "X complex": ((good() * 1j, good()), r"validation_data\[0\]"),
    "X too narrow": ((good()[:, :2], good()), r"validation_data\[0\]"),
    "X empty": ((good()[:0], good()[:0]), r"validation_data\[0\]"),
    "X alone with NaN": (with_value(math.nan), r"validation_data\[0\]"),
    "X alone, too wide": (np.zeros((N, FEATURES + 1)), r"validation_data\[0\]"),
    "X None": ((None, good()), r"validation_data\[0\]"),
    "y too short": ((good(), good()[:5]), r"validation_data\[1\]"),
    "y too narrow": ((good(), good()[:, :2]), r"validation_data\[1\]"),
    "y with infinity": ((good(), with_value(math.inf)), r"validation_data\[1\]"),
    "y text": ((good(), "data"), r"validation_data\[1\]"),
    "weights too short": ((good(), good(), np.ones(N - 1)), r"validation_data\[2\]"),
    "weights negative": ((good(), good(), -np.ones(N)), r"validation_data\[2\]"),
    "weights NaN": ((good(), good(), np.full(N, math.nan)), r"validation_data\[2\]"),
    "weights zero": ((good(), good(), np.zeros(N)), r"validation_data\[2\]"),
}


@pytest.mark.parametrize("which", MODELS)
@pytest.mark.parametrize("bad", BAD_VALIDATION)
def test_bad_validation_data(bad: str, which: str) -> None:
    value, names = BAD_VALIDATION[bad]
    model = MODELS[which]()
    refused(model, lambda: model.fit(good(), validation_data=value), names)


# ------------------------------------------------------------------------------ domains of targets

OUTSIDE: dict[str, tuple[str, list[Any]]] = {  # loss: (output activation, targets)
    "binary_crossentropy": ("sigmoid", [-1e-3, 1.001, 2.0, -5]),
    "categorical_crossentropy": ("softmax", [-1e-3, 1.5]),
    "kl_divergence": ("softmax", [-0.1, 1.1]),
    "poisson": ("exponential", [-1e-3, -1]),
    "mean_squared_logarithmic_error": ("softplus", [-0.5, -2]),
}
REAL = {
    "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "huber",
    "cosine_similarity", "log_cosh",
}  # fmt: skip


def test_every_loss_has_its_targets_here() -> None:
    assert set(OUTSIDE) | REAL | {"sparse_categorical_crossentropy"} == set(losses.names())


@pytest.mark.parametrize("held_out", [False, True], ids=["trained on", "validated on"])
@pytest.mark.parametrize(
    ("loss", "value"), [(name, value) for name, (_, values) in OUTSIDE.items() for value in values]
)
def test_targets_outside_the_domain(loss: str, value: float, held_out: bool) -> None:
    model = pyae.Sequential([pyae.Dense(FEATURES, OUTSIDE[loss][0])], loss, random_state=0)
    t = good()
    bad = np.array(t)
    bad[-1, -1] = value
    if held_out:
        names = r"validation_data\[1\].*must lie in"
        refused(model, lambda: model.fit(good(), t, validation_data=(good(), bad)), names)
    else:
        refused(model, lambda: model.fit(good(), bad), r"\by\b.*must lie in", ValueError)
        model.fit(good(), t)
        refused(model, lambda: model.evaluate(good(), bad), r"\by\b.*must lie in", ValueError)
        refused(model, lambda: model.loss_and_gradients(good(), bad), r"\by\b.*must lie in")


@pytest.mark.parametrize("loss", [*REAL, "poisson", "mean_squared_logarithmic_error"])
def test_targets_inside_the_domain_are_taken(loss: str) -> None:
    model = pyae.Sequential([pyae.Dense(FEATURES, "softplus")], loss, random_state=0)
    t = good() * 10 if loss not in REAL else good() * 20 - 10
    assert np.isfinite(model.fit(good(), t).history["loss"][0])


def test_an_autoencoder_whose_inputs_are_outside_the_domain() -> None:
    model = pyae.Sequential([pyae.Dense(FEATURES, "sigmoid")], "binary_crossentropy")
    refused(model, lambda: model.fit(good() * 3), r"\bX\b.*must lie in \[0, 1\]", ValueError)


BAD_CLASSES: dict[str, Any] = {
    "too large": np.full(N, 3),
    "negative": np.full(N, -1),
    "fractions": np.full(N, 0.5),
    "just above": np.full(N, 1 + 1e-6),
    "one of them": np.r_[np.zeros(N - 1, int), 7],
    "one-hot": np.eye(3)[np.arange(N) % 3],
    "NaN": np.full(N, math.nan),
    "text": ["cat"] * N,
    "huge": np.full(N, 2**40),
}


@pytest.mark.parametrize("ignored", [None, 1])
@pytest.mark.parametrize("which", ["fit", "loss_and_gradients", "evaluate", "validation_data"])
@pytest.mark.parametrize("bad", BAD_CLASSES)
def test_bad_classes(bad: str, which: str, ignored: int | None) -> None:
    loss = losses.SparseCategoricalCrossentropy(ignore_class=ignored)
    model = pyae.Sequential([pyae.Dense(3, "softmax")], loss, random_state=0)
    t = BAD_CLASSES[bad]
    if which == "validation_data":
        call = lambda: model.fit(good(), np.zeros(N), validation_data=(good(), t))  # noqa: E731
        refused(model, call, r"validation_data\[1\]")
        return
    if which == "evaluate":
        model.build(FEATURES)
    refused(model, lambda: getattr(model, which)(good(), t), r"\by\b")


def test_an_ignored_class_may_be_no_class() -> None:
    loss = losses.SparseCategoricalCrossentropy(ignore_class=-1)
    model = pyae.Sequential([pyae.Dense(3, "softmax")], loss, random_state=0)
    model.fit(good(), np.r_[np.full(5, -1), np.zeros(N - 5)])
    bad = np.r_[np.full(5, -2), np.zeros(N - 5)]
    refused(model, lambda: model.fit(good(), bad), r"\by\b", ValueError)


# ------------------------------------------------------------------------------- options of calls

NOT_SIZES: list[Any] = [0, -1, 1.0, 2.5, True, False, "3", None, [3], math.nan, 2**63, 2**64]


@pytest.mark.parametrize("which", MODELS)
@pytest.mark.parametrize("name", ["epochs", "batch_size"])
@pytest.mark.parametrize("value", NOT_SIZES, ids=repr)
def test_bad_sizes_of_a_fit(value: Any, name: str, which: str) -> None:
    model = MODELS[which]()
    refused(model, lambda: model.fit(good(), **{name: value}), rf"\b{name}\b")


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
@pytest.mark.parametrize(
    ("value", "message"),
    [(0, "at least 1, got 0"), (2**62, rf"less than 2\*\*62, got {2**62}")],
)
def test_which_limit_of_a_size(value: int, message: str, name: str) -> None:
    model = model_of()
    refused(model, lambda: model.fit(good(), **{name: value}), f"^{name} must be {message}$")


@pytest.mark.parametrize("value", NOT_SIZES, ids=repr)
def test_bad_sizes_elsewhere(value: Any) -> None:
    model = trained()
    refused(model, lambda: model.evaluate(good(), batch_size=value), r"\bbatch_size\b")
    new = model_of()
    refused(new, lambda: new.build(value), r"\bn_features\b")
    with pytest.raises((TypeError, ValueError), match=r"\bunits\b"):
        pyae.Dense(value)
    if value is not None:
        with pytest.raises((TypeError, ValueError), match=r"\bn_threads\b"):
            model_of(n_threads=value)
        with pytest.raises((TypeError, ValueError), match=r"\bn_threads\b"):
            pyae.set_num_threads(value)


class Weird:
    def __repr__(self) -> str:
        return "<weird>"


BAD_OPTIONS: list[tuple[str, Any, str]] = [
    ("shuffle", 1, "shuffle"),
    ("shuffle", "yes", "shuffle"),
    ("shuffle", None, "shuffle"),
    ("noise", "gaussian", "noise.*strength"),
    ("noise", "gausian", "noise.*Did you mean 'gaussian'"),
    ("noise", {"name": "gausian", "stddev": 1}, "noise.*Did you mean 'gaussian'"),
    ("noise", {"name": "gaussian", "sdtdev": 1}, "Did you mean 'stddev'"),
    ("noise", {"name": "gaussian", "stddev": -1}, "stddev"),
    ("noise", {"name": "none"}, "noise"),
    ("noise", 0.1, "noise"),
    ("noise", Weird(), "noise"),
    ("noise", noise.Gaussian, "noise"),
    ("callbacks", int, "callbacks must be Callback objects or functions, got <class 'int'>"),
    ("callbacks", [dict], "callbacks must be Callback objects or functions, got <class 'dict'>"),
    ("callbacks", "", "callbacks must be Callback objects or functions, got ''"),
    ("callbacks", {}, r"callbacks must be Callback objects or functions, got \{\}"),
    ("callbacks", {len}, "callbacks must be Callback objects or functions, got {"),
    ("checkpoint", 1, "checkpoint must be a path, got 1"),
    ("checkpoint", "", "checkpoint must be the path of a file, got ''"),
    ("callbacks", 5, "callbacks"),
    ("callbacks", [5], "callbacks"),
    ("callbacks", Callback, "callbacks"),
    ("callbacks", [EarlyStopping], "callbacks"),
    ("callbacks", "early_stopping", "callbacks"),
    ("callbacks", [EarlyStopping("loss"), EarlyStopping("loss")], "callbacks.*at most one"),
    ("callbacks", EarlyStopping(), "validation_data"),
    ("verbose", 3, "verbose"),
    ("verbose", -1, "verbose"),
    ("verbose", "loud", "verbose must be 0, 1 or 2, got 'loud'"),
    ("verbose", 1.5, "verbose must be 0, 1 or 2, got 1.5"),
    ("verbose", [0], r"verbose must be 0, 1 or 2, got \[0\]"),
    ("verbose", None, "verbose"),
]


@pytest.mark.parametrize("which", MODELS)
@pytest.mark.parametrize(
    ("name", "value", "message"), BAD_OPTIONS, ids=[f"{n}={v!r}" for n, v, _ in BAD_OPTIONS]
)
def test_bad_options_of_a_fit(name: str, value: Any, message: str, which: str) -> None:
    model = MODELS[which]()
    refused(model, lambda: model.fit(good(), **{name: value}), message)


def test_a_refused_fit_calls_no_callback() -> None:
    called: list[str] = []

    class Watching(Callback):
        def on_train_begin(self, model: pyae.Sequential) -> None:
            called.append("begin")

        def on_train_end(self, history: pyae.History) -> None:
            called.append("end")

    for y in (with_value(math.nan), good()[:5], good()[:, :2]):
        model = model_of()
        refused(model, lambda model=model, y=y: model.fit(good(), y, callbacks=Watching()), "y")
    assert called == []


@pytest.mark.parametrize("upto", [-1, 3, 10**30, 1.0, "1", True, [1], math.nan], ids=repr)
def test_bad_upto(upto: Any) -> None:
    model = trained()
    refused(model, lambda: model.forward(good(), upto=upto), r"\bupto\b")


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("predict", lambda m: m.predict(good())),
        ("forward", lambda m: m.forward(good(), upto=1)),
        ("evaluate", lambda m: m.evaluate(good())),
        ("get_weights", lambda m: m.get_weights()),
        ("set_weights", lambda m: m.set_weights([])),
        ("n_parameters", lambda m: m.n_parameters),
    ],
)
def test_use_before_build(name: str, call: Callable[[pyae.Sequential], Any]) -> None:
    model = model_of()
    with pytest.raises(RuntimeError, match="not built"):
        call(model)
    assert not model.built


def test_build_for_another_number_of_features() -> None:
    model = trained()
    refused(model, lambda: model.build(FEATURES + 1), "n_features", ValueError)
    assert model.build(FEATURES) is model


# ---------------------------------------------------------------------------------------- weights


def changed(index: int, value: Any) -> list[Any]:
    weights: list[Any] = trained().get_weights()
    weights[index] = value
    return weights


BAD_SETS: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "a number": lambda: 1.0,
    "an empty list": lambda: [],
    "one too few": lambda: trained().get_weights()[:-1],
    "one too many": lambda: [*trained().get_weights(), np.zeros(1)],
    "first of another shape": lambda: changed(0, np.zeros((3, FEATURES))),
    "first flat": lambda: changed(0, np.zeros(3 * FEATURES)),
    "last of another shape": lambda: changed(3, np.zeros((FEATURES, 1))),
    "last a number": lambda: changed(3, 0.0),
    "NaN": lambda: changed(3, np.array([0, 0, 0, math.nan])),
    "infinity": lambda: changed(3, np.array([0, 0, 0, math.inf])),
    "too large for float32": lambda: changed(3, np.array([0, 0, 0, 1e39])),
    "complex": lambda: changed(3, np.zeros(4) * 1j),
    "text": lambda: changed(3, ["a"] * 4),
    "none within": lambda: changed(3, None),
    "ragged": lambda: changed(3, [[1.0], [1.0, 2.0]]),
}


@pytest.mark.parametrize("bad", BAD_SETS)
def test_bad_weights(bad: str) -> None:
    model = trained()
    refused(model, lambda: model.set_weights(BAD_SETS[bad]()), r"\bweights\b")


# ----------------------------------------------------------------------------------- descriptions


def dense(**options: Any) -> Callable[[], Any]:
    return lambda: pyae.Dense(**{"units": 3, **options})


def sequential(**options: Any) -> Callable[[], Any]:
    return lambda: pyae.Sequential(**{"layers": [pyae.Dense(3)], **options})


DESCRIPTIONS: list[tuple[str, Callable[[], Any], str]] = [
    # (what, call, what the message must match)
    ("units huge", dense(units=2**31), "units"),
    ("activation unknown", dense(activation="rellu"), "activation.*Did you mean.*'relu'"),
    ("activation in capitals", dense(activation="ReLU"), "activation.*Did you mean.*'relu'"),
    ("activation nonsense", dense(activation="zzz"), "activation.*Known are.*sigmoid"),
    ("activation a number", dense(activation=1), "activation"),
    ("activation a foreign function", dense(activation=math.tanh), "activation"),
    ("activation parameter", lambda: Activation("elu", alhpa=1), "Did you mean.*'alpha'"),
    ("activation parameter of none", lambda: Activation("relu", alpha=1), "alpha"),
    ("activation parameter negative", lambda: Activation("elu", alpha=-1), "alpha"),
    ("activation parameter NaN", lambda: Activation("elu", alpha=math.nan), "alpha"),
    ("activation parameter a text", lambda: Activation("elu", alpha="a"), "alpha"),
    ("use_bias a number", dense(use_bias=1), "use_bias"),
    ("use_bias None", dense(use_bias=None), "use_bias"),
    ("initializer unknown", dense(kernel_initializer="golrot_uniform"), "'glorot_uniform'"),
    ("initializer a number", dense(kernel_initializer=0.1), "kernel_initializer"),
    ("kernel penalty unknown", dense(kernel_regularizer="l3"), "kernel_regularizer"),
    ("kernel penalty a number", dense(kernel_regularizer=0.1), "kernel_regularizer"),
    (
        "kernel penalty of activity",
        dense(kernel_regularizer=regularizers.KLSparsity()),
        "kernel_regularizer",
    ),
    ("kernel penalty by another name", dense(kernel_regularizer="ridge"), "Did you mean 'l2'"),
    ("kernel penalties", dense(kernel_regularizer="x"), "kernel.* Known are: l1, l1l2, l2$"),
    (
        "activity penalties",
        dense(activity_regularizer="x"),
        "activity.* Known are: kl_sparsity, l1, l1l2, l2$",
    ),
    ("penalty of activities", dense(kernel_regularizer="kl_sparsity"), "kernel_regularizer"),
    ("initializer elsewhere", dense(kernel_initializer="Xavier-uniform"), "'glorot_uniform'"),
    ("activation elsewhere", dense(activation="swish"), "Did you mean 'silu'"),
    ("identity", dense(activation="identity"), "Did you mean 'linear'"),
    ("optimizer elsewhere", sequential(optimizer="L-BFGS"), "Did you mean 'lbfgs'"),
    ("mse", sequential(loss="mse"), "Did you mean 'mean_squared_error'"),
    ("MAE", sequential(loss="MAE"), "Did you mean 'mean_absolute_error'"),
    ("bce", sequential(loss="bce"), "Did you mean 'binary_crossentropy'"),
    ("scce", sequential(loss="scce"), "Did you mean 'sparse_categorical_crossentropy'"),
    ("cross entropy", sequential(loss="cross_entropy"), "Did you mean .*categorical_crossentropy"),
    ("bias penalty unknown", dense(bias_regularizer="none"), "bias_regularizer"),
    ("activity penalty a number", dense(activity_regularizer=0.1), "activity_regularizer"),
    ("l1 negative", lambda: regularizers.L1(-1), "l1"),
    ("l2 a text", lambda: regularizers.L2("a"), "l2"),
    ("l2 infinite", lambda: regularizers.L2(math.inf), "l2"),
    ("rho 0", lambda: regularizers.KLSparsity(rho=0), "rho"),
    ("rho 1", lambda: regularizers.KLSparsity(rho=1), "rho"),
    ("beta negative", lambda: regularizers.KLSparsity(beta=-1), "beta"),
    ("tied_to a text", dense(tied_to="first"), "tied_to"),
    ("tied_to True", dense(tied_to=True), "tied_to"),
    ("tied_to a fraction", dense(tied_to=0.0), "tied_to"),
    ("tied with a penalty", dense(tied_to=0, kernel_regularizer="l2"), "kernel_regularizer"),
    ("layers none", sequential(layers=[]), "layers"),
    ("layers None", sequential(layers=None), "layers"),
    ("layers a number", sequential(layers=3), "layers"),
    ("layers one layer", sequential(layers=pyae.Dense(3)), "layers"),
    ("layers of numbers", sequential(layers=[3, 4]), "layers"),
    ("layers a class", sequential(layers=[pyae.Dense]), "layers"),
    ("loss unknown", sequential(loss="mean_sqared_error"), "loss.*'mean_squared_error'"),
    ("loss a number", sequential(loss=2), "loss"),
    ("loss None", sequential(loss=None), "loss"),
    ("loss a class", sequential(loss=losses.Huber), "loss"),
    ("loss without reduction", sequential(loss=losses.Huber(reduction="none")), "loss"),
    ("reduction unknown", lambda: losses.Huber(reduction="mean"), "reduction"),
    ("delta negative", lambda: losses.Huber(delta=-1.0), "delta"),
    ("smoothing above 1", lambda: losses.BinaryCrossentropy(label_smoothing=1.5), "smoothing"),
    (
        "ignore_class a text",
        lambda: losses.SparseCategoricalCrossentropy(ignore_class="a"),
        "ignore",
    ),
    ("optimizer unknown", sequential(optimizer="adamm"), "optimizer.*'adam'"),
    ("optimizer in capitals", sequential(optimizer="SGD"), "optimizer.*'sgd'"),
    ("optimizer a number", sequential(optimizer=0.1), "optimizer"),
    ("optimizer a class", sequential(optimizer=optimizers.SGD), "optimizer"),
    ("optimizer field", sequential(optimizer={"name": "sgd", "momentun": 1}), "'momentum'"),
    ("learning_rate 0", lambda: optimizers.SGD(0.0), "learning_rate"),
    ("learning_rate negative", lambda: optimizers.Adam(-1), "learning_rate"),
    ("learning_rate NaN", lambda: optimizers.Adam(math.nan), "learning_rate"),
    ("learning_rate a text", lambda: optimizers.Adam("fast"), "learning_rate"),
    ("learning_rate True", lambda: optimizers.Adam(True), "learning_rate"),
    ("learning_rate None", lambda: optimizers.Adam(None), "learning_rate"),
    ("learning_rate unknown", lambda: optimizers.Adam({"name": "cosin"}), "'cosine'"),
    ("momentum 1", lambda: optimizers.SGD(momentum=1.0), "momentum"),
    ("beta_1 a text", lambda: optimizers.Adam(beta_1="a"), "beta_1"),
    ("clipnorm 0", lambda: optimizers.SGD(clipnorm=0.0), "clipnorm"),
    ("clipvalue negative", lambda: optimizers.SGD(clipvalue=-1.0), "clipvalue"),
    ("clipvalue a text", lambda: optimizers.SGD(clipvalue="a"), "clipvalue"),
    ("clipvalue infinite", lambda: optimizers.SGD(clipvalue=math.inf), "clipvalue"),
    ("two clips", lambda: optimizers.SGD(clipvalue=1.0, clipnorm=1.0), "at most one"),
    ("decay_steps 0", lambda: schedules.Cosine(0.1, 0), "decay_steps"),
    ("boundaries fall", lambda: schedules.Piecewise([2, 1], [1, 2, 3]), "boundaries"),
    ("values missing", lambda: schedules.Piecewise([1, 2], [1, 2]), "values"),
    ("boundaries a number", lambda: schedules.Piecewise(2, [1, 2]), "boundaries"),
    ("boundaries of text", lambda: schedules.Piecewise(["a", "b"], [1, 2, 3]), "boundaries"),
    ("then a text", lambda: schedules.WarmUp(2, then="fast"), "then"),
    ("warmup_steps 0", lambda: schedules.WarmUp(0, then=0.1), "warmup_steps"),
    ("stddev negative", lambda: noise.Gaussian(-0.1), "stddev"),
    ("stddev NaN", lambda: noise.Gaussian(math.nan), "stddev"),
    ("stddev a text", lambda: noise.Gaussian("a"), "stddev"),
    ("rate above 1", lambda: noise.Masking(1.1), "rate"),
    ("low infinite", lambda: noise.SaltAndPepper(0.1, low=-math.inf), "low"),
    ("dtype int", sequential(dtype="int32"), "dtype"),
    ("dtype half", sequential(dtype="float16"), "dtype"),
    ("dtype unknown", sequential(dtype="flaot32"), "dtype"),
    ("dtype swapped", sequential(dtype=">f4"), "dtype"),
    ("dtype None", sequential(dtype=None), "dtype"),
    ("precision unknown", sequential(precision="half"), "precision"),
    ("random_state negative", sequential(random_state=-1), "random_state"),
    ("random_state huge", sequential(random_state=2**64), "random_state"),
    ("random_state a fraction", sequential(random_state=0.5), "random_state"),
    ("random_state a text", sequential(random_state="0"), "random_state"),
    ("random_state True", sequential(random_state=True), "random_state"),
    ("uint8_scale 0", sequential(uint8_scale=0), "uint8_scale"),
    ("uint8_scale NaN", sequential(uint8_scale=math.nan), "uint8_scale"),
    ("uint8_scale infinite", sequential(uint8_scale=math.inf), "uint8_scale"),
    ("uint8_scale a text", sequential(uint8_scale="a"), "uint8_scale"),
    ("uint8_scale None", sequential(uint8_scale=None), "uint8_scale"),
    ("monitor unknown", lambda: EarlyStopping("accuracy"), "monitor"),
    ("patience negative", lambda: EarlyStopping(patience=-1), "patience"),
    ("patience a fraction", lambda: EarlyStopping(patience=1.5), "patience"),
    ("patience True", lambda: EarlyStopping(patience=True), "patience"),
    ("min_delta negative", lambda: EarlyStopping(min_delta=-1), "min_delta"),
    ("min_delta NaN", lambda: EarlyStopping(min_delta=math.nan), "min_delta"),
    ("min_delta a text", lambda: EarlyStopping(min_delta="a"), "min_delta"),
    ("restore a text", lambda: EarlyStopping(restore_best_weights="yes"), "restore_best_weights"),
    ("monitor an array", lambda: EarlyStopping(np.array(["loss", "loss"])), "monitor must be"),
    ("precision an array", sequential(precision=np.array([1, 2])), "precision must be None or"),
    ("dtype of a number", sequential(dtype=np.float32(0.5)), "dtype must be 'float32' or"),
    ("dtype of an array", sequential(dtype=np.ones(2, "float32")), "dtype must be 'float32' or"),
    ("activation by name", lambda: resolve_activation("zzz", "code"), "unknown code 'zzz'"),
    ("activation as a spec", lambda: resolve_activation({"name": "z"}, "code"), "unknown code 'z'"),
    ("warmup_steps a fraction", lambda: schedules.WarmUp(2.5, 0.1), "warmup_steps must be an int"),
    ("boundaries one text", lambda: schedules.Piecewise("1", [1, 2]), "boundaries must be a seq"),
    ("boundaries no text", lambda: schedules.Piecewise("", [1]), "boundaries must be a sequence"),
    ("boundaries texts", lambda: schedules.Piecewise(["1"], [1, 2]), r"boundaries\[0\] must be a"),
    ("values a set", lambda: schedules.Piecewise([1], {1, 2}), "values must be a sequence"),
    ("values True", lambda: schedules.Piecewise([1], [True, 2]), r"values\[0\] must be a number"),
    ("step negative", lambda: schedules.Cosine(0.1, 10)(-1), "step must be from 0 to .* got -1"),
    ("step huge", lambda: schedules.Cosine(0.1, 10)(2**70), "step must be from 0 to"),
    ("step True", lambda: schedules.Cosine(0.1, 10)(True), "step must be an integer, got True"),
    ("a class that is called", lambda: pyae.callbacks.LambdaCallback(int), "on_epoch_end"),
    ("a function that is none", lambda: pyae.callbacks.LambdaCallback(3), "on_epoch_end"),
]


@pytest.mark.parametrize(
    ("call", "message"),
    [case[1:] for case in DESCRIPTIONS],
    ids=[case[0] for case in DESCRIPTIONS],
)
def test_bad_descriptions(call: Callable[[], Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        call()
    assert type(caught.value) in (TypeError, ValueError)


NOT_NUMBERS: list[Any] = [
    True,
    np.True_,
    np.array(True),
    np.array([0.5]),
    np.array([0.5, 0.5]),
    [0.5],
    "0.5",
    np.str_("0.5"),
    np.datetime64("2020-01-01"),
    float,
    np.float64,
    0.5j,
    np.complex64(0.5),
]
NUMBERS: list[tuple[str, Callable[[Any], Any]]] = [
    ("learning_rate", optimizers.Adam),
    ("epsilon", lambda value: optimizers.Adam(epsilon=value)),
    ("clipnorm", lambda value: optimizers.Adam(clipnorm=value)),
    ("momentum", lambda value: optimizers.SGD(momentum=value)),
    ("damping", lambda value: optimizers.NewtonCG(damping=value)),
    ("damping", lambda value: optimizers.KFAC(damping=value)),
    ("decay_steps", lambda value: schedules.Cosine(0.1, value)),
    ("stddev", noise.Gaussian),
    ("low", lambda value: noise.SaltAndPepper(0.1, low=value, high=1.0)),
    ("l1", regularizers.L1),
    ("delta", losses.Huber),
    ("uint8_scale", lambda value: model_of(uint8_scale=value)),
]


@pytest.mark.parametrize("value", NOT_NUMBERS, ids=repr)
@pytest.mark.parametrize(("name", "call"), NUMBERS)
def test_what_is_no_number(name: str, call: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(TypeError, match=rf"\b{name} must be a number"):
        call(value)


@pytest.mark.parametrize(
    "value", [Fraction(1, 2), Decimal("0.5"), np.float32(0.5), np.array(0.5)], ids=repr
)
@pytest.mark.parametrize(("name", "call"), NUMBERS)
def test_numbers_of_all_kinds(name: str, call: Callable[[Any], Any], value: Any) -> None:
    made, same = call(value), call(0.5)
    if not isinstance(made, pyae.Sequential):
        assert made == same
        assert hash(made) == hash(same)
        assert json.dumps(made.to_spec()) == json.dumps(same.to_spec())


@pytest.mark.parametrize(("name", "call"), NUMBERS)
def test_numbers_beyond_floats(name: str, call: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match=rf"\b{name} is too large for a number of 64 bits"):
        call(10**400)


@pytest.mark.parametrize("value", [True, np.True_, np.array([1]), "1", int], ids=repr)
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("history_size", lambda value: optimizers.LBFGS(history_size=value)),
        ("max_iterations", lambda value: optimizers.NewtonCG(max_iterations=value)),
        ("warmup_steps", lambda value: schedules.WarmUp(value, 0.1)),
        (
            "ignore_class",
            lambda value: losses.SparseCategoricalCrossentropy(ignore_class=value),
        ),
    ],
)
def test_what_is_no_integer(name: str, call: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(TypeError, match=rf"\b{name} must be an integer"):
        call(value)


BAD_TIES: dict[str, Callable[[], list[pyae.Dense]]] = {
    "itself": lambda: [pyae.Dense(4, tied_to=0)],
    "a later layer": lambda: [pyae.Dense(3, tied_to=1), pyae.Dense(4)],
    "no layer": lambda: [pyae.Dense(3), pyae.Dense(4, tied_to=7)],
    "the last from behind": lambda: [pyae.Dense(3), pyae.Dense(4, tied_to=-1)],
    "far from behind": lambda: [pyae.Dense(3), pyae.Dense(4, tied_to=-5)],
    "other units": lambda: [pyae.Dense(3), pyae.Dense(5, tied_to=0)],
    "other inputs": lambda: [pyae.Dense(3), pyae.Dense(2), pyae.Dense(4, tied_to=0)],
    "a tied layer": lambda: [pyae.Dense(4), pyae.Dense(4, tied_to=0), pyae.Dense(4, tied_to=1)],
}


def test_names_elsewhere_lead_to_names_that_are_known() -> None:
    from pyae import _spec

    known = {name for table in core.tables().values() for name in table} | {"l1", "l2"}
    assert set(_spec._ELSEWHERE.values()) <= known
    assert not set(_spec._ELSEWHERE) & known


@pytest.mark.parametrize("how", ["build", "fit", "loss_and_gradients"])
@pytest.mark.parametrize("bad", BAD_TIES)
def test_bad_ties(bad: str, how: str) -> None:
    model = None

    def call() -> None:
        nonlocal model
        model = pyae.Sequential(BAD_TIES[bad]())
        getattr(model, how)(FEATURES if how == "build" else good())

    with pytest.raises(ValueError, match="tied_to"):
        call()
    assert model is None or not model.built


def test_tied_to_a_layer_of_another_model() -> None:
    stranger = pyae.Dense(3)
    with pytest.raises(ValueError, match="tied_to"):
        pyae.Sequential([pyae.Dense(3), pyae.Dense(4, tied_to=stranger)])


@pytest.mark.parametrize("n_features", [2**40, 2**61, 2**62 - 1])
def test_sizes_are_checked_before_they_are_multiplied(n_features: int) -> None:
    model = pyae.Sequential([pyae.Dense(2**31 - 1)])
    refused(model, lambda: model.build(n_features), "too large", ValueError)


def test_a_network_beyond_memory_is_refused_cleanly() -> None:
    """A core that was asked for more than any machine has."""
    wide = pyae.Dense(2**31 - 1, kernel_initializer="zeros")
    model = pyae.Sequential([wide, pyae.Dense(2**24, tied_to=wide, use_bias=False)])
    size = 2**55 + 2**31 - 2**24 - 1
    with pytest.raises(MemoryError, match=rf"needs 1.44e\+05 TB for its {size:,} parameters"):
        model.build(2**24)
    assert not model.built


@pytest.mark.parametrize("method", ["fit", "evaluate", "loss_and_gradients"])
def test_a_batch_beyond_memory_is_refused_cleanly(method: str) -> None:
    """Rows that need no memory as one batch, whose hidden values need more than any machine has."""
    n, units = 2**24, 2**22
    many = np.broadcast_to(np.float32([0.5]), (n, 1))
    model = pyae.Sequential([pyae.Dense(units, "tanh"), pyae.Dense(1)], random_state=0)
    model.fit(many[:3])
    state, history = state_of(model), model.history
    options = {} if method == "loss_and_gradients" else {"batch_size": n}
    if method == "fit":
        options["shuffle"] = False
    with pytest.raises(MemoryError, match=rf"a batch of {n:,} samples .* use a smaller batch"):
        getattr(model, method)(many, **options)
    assert state_of(model) == state
    assert model.history is history


def test_an_estimator_beyond_memory_keeps_what_is_fitted() -> None:
    X = good()
    estimator = pyae.Autoencoder(2, max_epochs=3, random_state=0).fit(X)
    before = estimator.reconstruct(X)
    estimator.set_params(n_components=2**31 - 1, hidden_layer_sizes=(2**23,))
    with pytest.raises(MemoryError, match=r"the network needs .* TB for its .* parameters"):
        estimator.fit(X)
    assert estimator.n_iter_ == 3
    np.testing.assert_array_equal(estimator.reconstruct(X), before)
    many = np.broadcast_to(X[0], (2**24, FEATURES))
    estimator.set_params(n_components=2**21, hidden_layer_sizes=(), batch_size=2**24)
    with pytest.raises(MemoryError, match=r"a batch of .* samples"):
        estimator.fit(many)
    assert estimator.n_iter_ == 3
    np.testing.assert_array_equal(estimator.reconstruct(X), before)


def test_a_callbacks_memory_error_is_its_own() -> None:
    def fail(epoch: int, logs: Any) -> None:
        raise MemoryError("of mine")

    model = model_of()
    with pytest.raises(MemoryError, match=r"^of mine$"):
        model.fit(good(), epochs=3, callbacks=fail)
    assert len(model.history.epoch) == 1


# ----------------------------------------------------------------- a bad argument among good ones

GOOD: dict[str, st.SearchStrategy[Any]] = {
    "y": st.sampled_from([None, good(), good()[::-1], good().astype("float32")]),
    "epochs": st.sampled_from([1, 3, np.int64(2)]),
    "batch_size": st.sampled_from([1, 5, 32, np.uint8(7)]),
    "validation_data": st.sampled_from(
        [None, good(), (good(), good()), (good(), good(), np.ones(N))]
    ),
    "sample_weight": st.sampled_from([None, np.ones(N), [2] * N]),
    "shuffle": st.booleans(),
    "noise": st.sampled_from([None, noise.Gaussian(0.1), {"name": "masking", "rate": 0.1}]),
    "callbacks": st.sampled_from([(), None, [EarlyStopping("loss")], lambda epoch, logs: None]),
    "verbose": st.just(0),
}
BAD: dict[str, list[Any]] = {
    "X": [value for value, _ in BAD_X.values() if not hasattr(value, "send")],
    "y": [value for value, _ in BAD_MATRICES.values() if not hasattr(value, "send")],
    "epochs": NOT_SIZES,
    "batch_size": NOT_SIZES,
    "validation_data": [value for value, _ in BAD_VALIDATION.values()],
    "sample_weight": [value for value, _ in BAD_WEIGHTS.values()],
    **{
        name: [value for n, value, _ in BAD_OPTIONS if n == name and value != EarlyStopping()]
        for name in ("shuffle", "noise", "callbacks", "verbose")
    },
}


@given(data=st.data(), which=st.sampled_from(sorted(MODELS)), name=st.sampled_from(sorted(BAD)))
def test_one_bad_argument_among_good_ones(data: st.DataObject, which: str, name: str) -> None:
    arguments = {"X": good()}
    for key, strategy in GOOD.items():
        if data.draw(st.booleans()):
            arguments[key] = data.draw(strategy, label=key)
    arguments[name] = data.draw(st.sampled_from(BAD[name]), label=f"bad {name}")
    model = MODELS[which]()
    kept = {key: np.array(v) for key, v in arguments.items() if isinstance(v, np.ndarray)}
    refused(model, lambda: model.fit(**arguments), rf"\b{name}\b")
    for key, value in kept.items():
        np.testing.assert_array_equal(arguments[key], value)
    model.fit(good())  # and the model works as ever
