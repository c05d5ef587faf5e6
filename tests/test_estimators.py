"""What scikit-learn asks of an estimator, asked of all of them."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from conftest import SKLEARN, assert_close
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import pyae
from pyae import _plain, estimators
from pyae.callbacks import Callback, Checkpoint

NAMES = estimators.__all__
TRANSFORMERS = ["Autoencoder", "DenoisingAutoencoder", "SparseAutoencoder"]
CLASSIFIERS = ["LogisticRegression", "MLPClassifier"]
NETWORKS = [name for name in NAMES if name != "LogisticRegression"]  # trained by mini-batches


def make(name: str, **params: Any) -> Any:
    """Return a small estimator that fits quickly and always the same way."""
    defaults: dict[str, Any] = {}
    if name in NETWORKS:
        defaults.update(max_epochs=4, random_state=0)
    if name in TRANSFORMERS:
        defaults.update(n_components=3)
    return getattr(pyae, name)(**{**defaults, **params})


def data(name: str) -> tuple[Any, Any]:
    X, y = load_wine(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    return X, (X[:, 0] + X[:, 1] if name == "MLPRegressor" else y)


def output(estimator: Any, X: Any) -> Any:
    return estimator.transform(X) if hasattr(estimator, "transform") else estimator.predict(X)


def arrays(estimator: Any) -> list[Any]:
    return estimator.model_.get_weights()  # type: ignore[no-any-return]


# ---- scikit-learn's own checks -----------------------------------------------------------------


@parametrize_with_checks(
    [getattr(pyae, name)(dtype=dtype) for name in NAMES for dtype in ("float32", "float64")]
)
def test_scikit_learn_checks(estimator: BaseEstimator, check: Any) -> None:
    check(estimator)


def test_array_api_check_that_needs_a_variable_at_import() -> None:
    if SKLEARN < (1, 7):  # from then on scikit-learn has it inside
        pytest.importorskip("array_api_compat")
    loose = ", expect_only_array_outputs=False" if SKLEARN >= (1, 9) else ""
    # SciPy reads the variable once, when it is imported.
    code = (
        "from sklearn.utils.estimator_checks import check_array_api_input\n"
        "import pyae\n"
        f"for name in {NAMES}:\n"
        f"    check_array_api_input(name, getattr(pyae, name)(), array_namespace='numpy'{loose})\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], env={**_environment(), "SCIPY_ARRAY_API": "1"}, check=True
    )


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


# ---- names ---------------------------------------------------------------------------------------


def test_light_import() -> None:
    code = "import sys, pyae; assert 'sklearn' not in sys.modules; pyae.Autoencoder"
    subprocess.run([sys.executable, "-c", code], env=_environment(), check=True)


@pytest.mark.parametrize("name", NAMES)
def test_same_class_under_both_names(name: str) -> None:
    assert getattr(pyae, name) is getattr(estimators, name)
    assert name in pyae.__all__
    assert name in dir(pyae)


# ---- in scikit-learn's company -------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_pipeline_search_and_columns(name: str) -> None:
    X, y = data(name)
    estimator = make(name)
    step = name.lower()
    pipeline = make_pipeline(StandardScaler(), estimator)
    parameter = "C" if name == "LogisticRegression" else "max_epochs"
    search = GridSearchCV(pipeline, {f"{step}__{parameter}": [2, 4]}, cv=2).fit(X, y)
    assert np.isfinite(search.best_score_)
    assert output(search, X).shape[0] == len(X)
    if name in TRANSFORMERS:
        columns = ColumnTransformer([("code", make(name), [0, 1, 2, 3])], remainder="passthrough")
        assert columns.fit_transform(X).shape == (len(X), 3 + X.shape[1] - 4)


@pytest.mark.parametrize("name", NAMES)
def test_clone_copy_and_pickle(name: str) -> None:
    X, y = data(name)
    fitted = make(name).fit(X, y)
    for copied in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(output(copied, X), output(fitted, X))
    fresh = clone(fitted)
    with pytest.raises(NotFittedError):
        output(fresh, X)
    np.testing.assert_array_equal(output(fresh.fit(X, y), X), output(fitted, X))


@pytest.mark.parametrize("name", NAMES)
def test_html_representation(name: str) -> None:
    X, y = data(name)
    for estimator in (make(name), make(name).fit(X, y)):
        assert name in estimator._repr_html_()


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_frames_in_and_out(name: str, library: str) -> None:
    X, _ = data(name)
    names = [f"f{i}" for i in range(X.shape[1])]
    frame = pd.DataFrame(X, columns=names) if library == "pandas" else pl.DataFrame(X, names)
    transformer = make(name).set_output(transform=library).fit(frame)
    code = transformer.transform(frame)
    assert type(code).__module__.startswith(library)
    expected = [f"{name.lower()}{i}" for i in range(3)]
    assert list(code.columns) == expected == list(transformer.get_feature_names_out())
    assert transformer.feature_names_in_.tolist() == names
    assert transformer.n_features_in_ == len(names)
    np.testing.assert_array_equal(code.to_numpy(), make(name).fit(X).transform(X))
    with pytest.raises(ValueError, match="feature names"):
        transformer.transform(
            frame.rename(columns={"f0": "other"})
            if library == "pandas"
            else frame.rename({"f0": "other"})
        )


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("name", NAMES)
def test_columns_of_a_frame_are_known_by_name(name: str, library: str) -> None:
    X, y = data(name)
    names = [f"f{i}" for i in range(X.shape[1])]
    frame = pd.DataFrame(X, columns=names) if library == "pandas" else pl.DataFrame(X, names)
    fitted = make(name).fit(frame, y)
    assert fitted.feature_names_in_.tolist() == names
    np.testing.assert_array_equal(output(fitted, frame), output(make(name).fit(X, y), X))
    with pytest.raises(ValueError, match="same order"):
        output(fitted, frame[names[::-1]])
    if hasattr(fitted, "partial_fit"):
        with pytest.raises(ValueError, match="same order"):
            fitted.partial_fit(frame[names[::-1]], y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        output(fitted, X)
    assert not hasattr(fitted.fit(X, y), "feature_names_in_")


@pytest.mark.parametrize("name", [n for n in NAMES if n not in TRANSFORMERS])
def test_cross_validation_scores(name: str) -> None:
    X, y = data(name)
    params = {} if name == "LogisticRegression" else {"max_epochs": 100}
    folds = KFold(3, shuffle=True, random_state=0)
    assert cross_val_score(make(name, **params), X, y, cv=folds).mean() > 0.9
    assert is_regressor(make(name)) == (name == "MLPRegressor") != is_classifier(make(name))


# ---- the fitted state ----------------------------------------------------------------------------


@pytest.mark.parametrize("as_frame", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_state_is_plain_and_enough(name: str, as_frame: bool) -> None:
    X, y = data(name)
    if as_frame:
        X = pd.DataFrame(X, columns=[f"f{i}" for i in range(X.shape[1])])
    if is_classifier(make(name)):
        y = np.array(["a", "b", "c"], dtype=object)[y]
    fitted = make(name).fit(X, y)
    state = fitted._get_state()
    assert "model_" not in state
    tensors: dict[str, Any] = {}
    text = _plain.to_json(_plain.encode(state, "state", tensors))
    other = make(name)
    other._set_state(_plain.decode(_plain.from_json(text), tensors), fitted.model_)
    np.testing.assert_array_equal(output(other, X), output(fitted, X))
    assert vars(other).keys() == vars(fitted).keys()
    with pytest.raises(NotFittedError):
        make(name)._get_state()


# ---- training ------------------------------------------------------------------------------------


class _Interrupt(Callback):
    def __init__(self, after: int) -> None:
        self.after = after

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        if epoch == self.after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", NAMES)
def test_interrupted_fit_is_usable(name: str) -> None:
    X, y = data(name)
    estimator = make(name, callbacks=_Interrupt(1))
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X, y)
    assert estimator.n_iter_ == 2
    assert len(estimator.history_["loss"]) == 2
    assert np.isfinite(np.asarray(output(estimator, X), dtype=float)).all()


def _refused(name: str, X: Any, y: Any) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Return parameters and arguments that `fit` refuses, by what is wrong with them."""
    good = {"X": X, "y": y}
    if name in TRANSFORMERS:
        bad_y = np.full((len(X), 1), np.nan)
    elif name == "MLPRegressor":
        bad_y = np.where(y == y[0], np.nan, y)
    else:
        bad_y = y + 0.5
    number = "max_iter" if name == "LogisticRegression" else "max_epochs"
    cases: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "number of steps": ({number: 0}, good),
        "dtype": ({"dtype": "float16"}, good),
        "verbose": ({"verbose": 7}, good),
        "callbacks": ({"callbacks": 5}, good),
        "NaN": ({}, {**good, "X": np.where(X.flat[0] == X, np.nan, X)}),
        "sample_weight": ({}, {**good, "sample_weight": np.ones(len(X) + 1)}),
    }
    if name not in ("Autoencoder", "SparseAutoencoder"):  # these ignore y
        cases["y"] = ({}, {**good, "y": bad_y})
    if name in NETWORKS:
        y_val = {} if name in TRANSFORMERS else {"y_val": y}
        held_out = {"X_val": X[:, :1], **y_val}
        cases["X_val"] = ({}, {**good, **held_out})
        cases["validation"] = ({"early_stopping": True, "validation_fraction": 2.0}, good)
    return cases


@pytest.mark.parametrize("name", NAMES)
def test_refused_fit_leaves_the_fitted_as_it_was(name: str) -> None:
    X, y = data(name)
    frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(X.shape[1])])
    fitted = make(name).fit(frame, y)
    before = output(fitted, frame)
    state, parameters = dict(vars(fitted)), fitted.get_params()
    for params, arguments in _refused(name, X[:, :4], y).values():
        fitted.set_params(**params)
        with pytest.raises((ValueError, TypeError)):
            fitted.fit(**arguments)
        fitted.set_params(**parameters)
        assert vars(fitted) == state  # n_features_in_ and feature_names_in_ too
        np.testing.assert_array_equal(output(fitted, frame), before)


@pytest.mark.parametrize("name", NAMES)
def test_refused_first_fit_leaves_nothing(name: str) -> None:
    X, y = data(name)
    for params, arguments in _refused(name, X, y).values():
        estimator = make(name, **params)
        with pytest.raises((ValueError, TypeError)):
            estimator.fit(**arguments)
        assert not [attribute for attribute in vars(estimator) if attribute.endswith("_")]


@pytest.mark.parametrize("name", NETWORKS)
def test_two_warm_fits_are_one_long_one(name: str) -> None:
    X, y = data(name)
    params: dict[str, Any] = {"learning_rate": 0.01}
    once = make(name, max_epochs=6, **params).fit(X, y)
    twice = make(name, max_epochs=3, warm_start=True, **params).fit(X, y).fit(X, y)
    for a, b in zip(arrays(once), arrays(twice), strict=True):
        np.testing.assert_array_equal(a, b)
    assert twice.n_iter_ == once.n_iter_ == 6
    assert twice.history_["loss"] == once.history_["loss"]


@pytest.mark.parametrize("name", NETWORKS)
def test_partial_fits_are_one_long_fit(name: str) -> None:
    X, y = data(name)
    once = make(name, max_epochs=3, learning_rate=0.01).fit(X, y)
    parts = make(name, learning_rate=0.01)
    first = {"classes": [0, 1, 2]} if name == "MLPClassifier" else {}
    for i in range(3):
        parts.partial_fit(X, y, **(first if i == 0 else {}))
    for a, b in zip(arrays(once), arrays(parts), strict=True):
        np.testing.assert_array_equal(a, b)
    assert parts.n_iter_ == 3


@pytest.mark.parametrize("name", NETWORKS)
def test_goes_on_after_the_learning_rate_ran_down(name: str) -> None:
    X, y = data(name)
    estimator = make(name, max_epochs=10).fit(X, y)
    assert estimator.history_["learning_rate"][-1] < 1e-3
    loss = estimator.history_["loss"][-1]
    for _ in range(20):
        estimator.partial_fit(X, y)
    assert estimator.history_["learning_rate"][-1] == 3e-3
    assert estimator.history_["loss"][-1] < 0.95 * loss
    assert estimator.n_iter_ == 30


@pytest.mark.parametrize("name", NETWORKS)
def test_early_stopping_keeps_the_best_weights(name: str) -> None:
    X, y = data(name)
    held_out = slice(0, None, 3)
    target = {} if name in TRANSFORMERS else {"y_val": y[held_out]}
    estimator = make(
        name, max_epochs=400, early_stopping=True, n_iter_no_change=3, learning_rate=0.03
    )
    if name == "DenoisingAutoencoder":
        estimator.set_params(noise=None)
    estimator.fit(X[1::3], y[1::3], X_val=X[held_out], **target)
    losses = estimator.history_["val_loss"]
    assert estimator.n_iter_ == len(losses) < 400
    assert np.argmin(losses) == len(losses) - 4
    expected = estimator.model_.evaluate(
        X[held_out], None if name in TRANSFORMERS else y[held_out], batch_size=32
    )
    # Entries of a dictionary get the length 1 after that, which moves a float32 loss by an ulp.
    assert_close(np.float32(expected), np.float32(min(losses)))
    held = make(name, max_epochs=5, early_stopping=True).fit(X, y)
    assert len(held.history_["val_loss"]) == 5


@pytest.mark.parametrize("name", NAMES)
def test_callbacks_follow(name: str) -> None:
    X, y = data(name)
    seen: list[tuple[int, float]] = []
    estimator = make(name, callbacks=lambda epoch, logs: seen.append((epoch, logs["loss"])))
    estimator.fit(X, y)
    assert seen == list(enumerate(estimator.history_["loss"]))


@pytest.mark.parametrize("name", NETWORKS)
def test_random_states(name: str) -> None:
    X, y = data(name)

    def fit(state: Any) -> Any:
        return output(make(name, random_state=state).fit(X, y), X)

    for state in (np.random.RandomState, np.random.default_rng):
        np.testing.assert_array_equal(fit(state(3)), fit(state(3)))
        with pytest.raises(AssertionError):
            np.testing.assert_array_equal(fit(state(3)), fit(state(4)))
    np.random.seed(5)  # noqa: NPY002  None is NumPy's global state, as in scikit-learn
    first = fit(None)
    np.random.seed(5)  # noqa: NPY002
    np.testing.assert_array_equal(fit(None), first)


@pytest.mark.parametrize("name", NAMES)
def test_many_kinds_of_input(name: str) -> None:
    X, y = load_digits(return_X_y=True)
    X, y = X[:200], y[:200].astype(float) if name == "MLPRegressor" else y[:200]
    expected = output(make(name).fit(X, y), X)
    read_only = X.copy()
    read_only.flags.writeable = False
    for kind in (X.astype(np.uint8), X.astype(">f8"), np.asfortranarray(X), read_only, X.tolist()):
        np.testing.assert_array_equal(output(make(name).fit(kind, y), kind), expected)


def _bad(parameter: str, value: Any, error: type[Exception], message: str) -> Any:
    return pytest.param(parameter, value, error, message, id=f"{parameter}={value}")


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    ("parameter", "value", "error", "message"),
    [
        _bad("max_epochs", 0, ValueError, "max_epochs must be at least 1, got 0"),
        _bad("max_epochs", 1.5, TypeError, "max_epochs must be an integer"),
        _bad("batch_size", -1, ValueError, "batch_size must be at least 1"),
        _bad("hidden_layer_sizes", (8, 0), ValueError, r"hidden_layer_sizes\[1\] must be at least"),
        _bad("hidden_layer_sizes", "8", TypeError, "hidden_layer_sizes must be a sequence"),
        _bad("activation", "rellu", ValueError, "Did you mean 'relu'"),
        _bad("activation", ["relu", "relu", "relu"], ValueError, "activation must be one"),
        _bad("optimizer", "adamm", ValueError, "Did you mean 'adam'"),
        _bad("learning_rate", "fast", ValueError, "learning_rate must be 'auto'"),
        _bad("learning_rate", -1.0, ValueError, "learning_rate must be positive"),
        _bad("loss", "mse", ValueError, "'mse'. Did you mean 'mean_squared_error'"),
        _bad("kernel_regularizer", "l3", ValueError, "kernel_regularizer.*Known are: l1, l1l2, l2"),
        _bad("dtype", "float16", ValueError, "dtype must be"),
        _bad("n_threads", 0, ValueError, "n_threads"),
        _bad("precision", "half", ValueError, "precision"),
        _bad("verbose", 7, ValueError, "verbose must be 0, 1 or 2, got 7"),
        _bad("verbose", "x", TypeError, "verbose must be 0, 1 or 2, got 'x'"),
        _bad("verbose", 1.5, TypeError, "verbose must be 0, 1 or 2, got 1.5"),
        _bad("early_stopping", "yes", TypeError, "early_stopping must be True or False"),
        _bad("early_stopping", None, TypeError, "early_stopping must be True or False"),
        _bad("warm_start", "no", TypeError, "warm_start must be True or False, got 'no'"),
        _bad("callbacks", 5, TypeError, "callbacks"),
        _bad("random_state", "x", TypeError, "random_state"),
        _bad("hidden_layer_sizes", {8, 3}, TypeError, "hidden_layer_sizes must be a sequence"),
        _bad("hidden_layer_sizes", (2**31,), ValueError, r"sizes\[0\] must be less than 2\*\*31"),
        _bad("hidden_layer_sizes", np.array([8.0]), TypeError, r"sizes\[0\] must be an integer"),
        _bad("learning_rate", np.array([0.1, 0.2]), TypeError, "learning_rate must be a number"),
        _bad("learning_rate", float, TypeError, "learning_rate must be a number or a schedule"),
        _bad("learning_rate", np.True_, TypeError, "learning_rate must be a number"),
        _bad("precision", np.array([1, 2]), ValueError, "precision must be None or 'mixed"),
        _bad("dtype", np.float32(0.5), TypeError, "dtype must be 'float32' or 'float64'"),
        _bad("callbacks", int, TypeError, "callbacks must be Callback objects or functions"),
        _bad("callbacks", "", TypeError, "callbacks must be Callback objects or functions"),
        _bad("callbacks", {}, TypeError, "callbacks must be Callback objects or functions"),
    ],
)
def test_bad_parameters(
    name: str, parameter: str, value: Any, error: type[Exception], message: str
) -> None:
    X, y = data(name)
    with pytest.raises(error, match=message):
        make(name, **{parameter: value}).fit(X, y)


@pytest.mark.parametrize(
    ("names", "parameter", "value", "error", "message"),
    [
        (TRANSFORMERS, "n_components", 2**31, ValueError, r"n_components must be less than 2"),
        (TRANSFORMERS, "code_activation", "x", ValueError, "unknown code_activation 'x'"),
        (TRANSFORMERS, "output_activation", "x", ValueError, "unknown output_activation 'x'"),
        (["MLPRegressor"], "output_activation", "x", ValueError, "unknown output_activation 'x'"),
        *(
            (["DenoisingAutoencoder"], "noise_level", value, error, f"noise_level.* {message}")
            for value, error, message in [
                (-1, ValueError, r"allowed: gaussian: stddev must be in \[0, inf\), got -1"),
                ("x", TypeError, "must be a number, got 'x'"),
                (True, TypeError, "must be a number, got True"),
                (np.array([0.1]), TypeError, "must be a number"),
            ]
        ),
        (["LogisticRegression"], "C", 1e-320, ValueError, "C must be larger, got .*: 1/C is inf"),
        (["LogisticRegression"], "C", np.True_, TypeError, "C must be a number"),
        (["LogisticRegression"], "solver", np.array([1, 2]), ValueError, "solver must be 'auto'"),
        (["LogisticRegression"], "penalty", np.array(["l1"]), ValueError, "penalty must be 'auto'"),
    ],
)
def test_bad_parameters_of_some(
    names: list[str], parameter: str, value: Any, error: type[Exception], message: str
) -> None:
    for name in names:
        X, y = data(name)
        with pytest.raises(error, match=message):
            make(name, **{parameter: value}).fit(X, y)


@pytest.mark.parametrize(
    ("name", "parameter", "value", "same"),
    [
        ("Autoencoder", "hidden_layer_sizes", np.array(3), 3),
        ("Autoencoder", "hidden_layer_sizes", np.array([4, 3]), (4, 3)),
        ("Autoencoder", "learning_rate", Decimal("0.25"), 0.25),
        ("DenoisingAutoencoder", "noise_level", Decimal("0.5"), 0.5),
        ("LogisticRegression", "C", Decimal("0.5"), 0.5),
        ("LogisticRegression", "C", np.array(0.5), 0.5),
    ],
)
def test_numbers_of_all_kinds(name: str, parameter: str, value: Any, same: Any) -> None:
    X, y = data(name)
    a, b = (make(name, **{parameter: given}).fit(X, y) for given in (value, same))
    np.testing.assert_array_equal(output(a, X), output(b, X))


@pytest.mark.parametrize("name", NETWORKS)
def test_bad_validation_fraction(name: str) -> None:
    X, y = data(name)
    for fraction, error in (
        (0, ValueError),
        (1.0, ValueError),
        ("half", TypeError),
        (np.array([0.1, 0.2]), TypeError),
    ):
        with pytest.raises(error, match="validation_fraction must be"):
            make(name, early_stopping=True, validation_fraction=fraction).fit(X, y)


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        *((name, "tied_weights") for name in TRANSFORMERS),
        ("SparseAutoencoder", "revive_dead_units"),
        ("LogisticRegression", "fit_intercept"),
        ("LogisticRegression", "warm_start"),
    ],
)
def test_texts_are_no_truth_values(name: str, parameter: str) -> None:
    X, y = data(name)
    for value in ("no", 1, None):
        with pytest.raises(TypeError, match=f"{parameter} must be True or False, got {value!r}"):
            make(name, **{parameter: value}).fit(X, y)
    make(name, **{parameter: np.bool_(False)}).fit(X, y)


@pytest.mark.parametrize(
    ("name", "parameter", "message"),
    [
        ("LogisticRegression", "n_jobs", "use n_threads"),
        ("LogisticRegression", "multi_class", "leave it out"),
        *((name, "max_iter", "use max_epochs") for name in NETWORKS),
        ("MLPClassifier", "solver", "use optimizer"),
        ("MLPRegressor", "alpha", "use kernel_regularizer"),
    ],
)
def test_other_libraries_names_lead_to_ours(name: str, parameter: str, message: str) -> None:
    with pytest.raises(TypeError, match=f"{name} has no parameter '{parameter}': {message}"):
        getattr(pyae, name)(**{parameter: 1})
    with pytest.raises(TypeError, match="unexpected keyword argument 'color'"):
        getattr(pyae, name)(color=1)
    named = [word for word in message.split() if "_" in word]
    assert parameter not in make(name).get_params()
    assert not named or named[0] in make(name).get_params() or named == ["leave"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("power", [1020, -1070])
@pytest.mark.parametrize("n_samples", [20, None], ids=["few", "all"])
@pytest.mark.parametrize("name", NETWORKS)
def test_no_sum_of_sample_weights_overflows(name: str, n_samples: int | None, power: int) -> None:
    X, y = data(name)
    some = np.random.default_rng(0).permutation(len(X))[:n_samples]
    X, y = X[some], y[some]
    weights = np.random.default_rng(0).integers(0, 4, len(X)) / 4  # times 2^power, exactly
    params = {"class_weight": "balanced"} if name == "MLPClassifier" else {}
    expected, extreme = (
        make(name, **params).fit(X, y, sample_weight=given)
        for given in (weights, np.ldexp(weights, power))
    )
    np.testing.assert_array_equal(output(extreme, X), output(expected, X))
    if name in TRANSFORMERS:
        score = extreme.score(X, sample_weight=np.ldexp(weights, power))
        assert score == extreme.score(X, sample_weight=weights)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("params", [{}, {"class_weight": "balanced"}, {"solver": "lbfgs"}], ids=str)
def test_sample_weights_whose_losses_overflow(params: dict[str, Any]) -> None:
    X, y = data("LogisticRegression")
    with pytest.raises(ValueError, match=r"^sample_weight, .* up to 1.*e\+308, .* overflow"):
        make("LogisticRegression", **params).fit(X, y, sample_weight=np.full(len(X), 1e308))


@pytest.mark.parametrize("name", NETWORKS)
def test_equal_samples_cannot_be_held_out(name: str) -> None:
    y = {"MLPClassifier": ["a"] * 10, "MLPRegressor": [1.0] * 10}.get(name)
    with pytest.raises(ValueError, match=r"early_stopping=True .* only one different sample"):
        make(name, early_stopping=True).fit(np.ones((10, 3)), y)


BAD_CLASS_WEIGHTS: list[tuple[Any, str]] = [
    ({0: -2, 1: -1, 2: -1}, r"class_weight\[0\] must be finite and not negative, got -2"),
    ({0: 1, 1: -1, 2: 1}, r"class_weight\[1\] must be finite and not negative, got -1"),
    ({0: np.nan}, r"class_weight\[0\] must be finite and not negative, got nan"),
    ({2: np.inf}, r"class_weight\[2\] must be finite and not negative, got inf"),
    ({0: "a"}, r"class_weight\[0\] must be a number, got 'a'"),
    ({0: None}, r"class_weight\[0\] must be a number, got None"),
    ({0: 0, 1: 0, 2: 0}, "class_weight must be positive for a sample, but is 0 for all"),
    ({0: 1, 7: 1}, "class_weight"),
    ([1], r"class_weight must be a dict, 'balanced' or None, got \[1\]"),
    ([{0: 1}], "class_weight must be a dict, 'balanced' or None"),
    (5, "class_weight must be a dict, 'balanced' or None, got 5"),
    ("equal", "class_weight must be a dict, 'balanced' or None, got 'equal'"),
]


@pytest.mark.parametrize(("weights", "message"), BAD_CLASS_WEIGHTS, ids=str)
@pytest.mark.parametrize(
    ("name", "method"), [*((name, "fit") for name in CLASSIFIERS), ("MLPClassifier", "partial_fit")]
)
def test_bad_class_weights(name: str, weights: Any, message: str, method: str) -> None:
    X, y = data(name)
    estimator = make(name, class_weight=weights)
    more = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    if isinstance(weights, str) and method == "partial_fit":
        message = "class_weight='equal' needs all labels at once"
    with pytest.raises((TypeError, ValueError), match=message):
        getattr(estimator, method)(X, y, **more)
    assert not hasattr(estimator, "model_")


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize(
    ("weights", "given", "message"),
    [
        ({1: 0.0, 2: 0.0}, [0, 1, 1], "class_weight times sample_weight must be positive"),
        ({1: 1e200}, [1, 1e200, 1], "class_weight times sample_weight must be finite"),
    ],
)
def test_class_weights_that_spoil_sample_weights(
    name: str, weights: Any, given: list[float], message: str
) -> None:
    X, y = data(name)
    with pytest.raises(ValueError, match=message):
        make(name, class_weight=weights).fit(X, y, sample_weight=np.array(given, float)[y])


@pytest.mark.parametrize("other", [1, None, True, b"b"], ids=repr)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_labels_without_an_order(name: str, other: Any) -> None:
    X, y = data(name)
    labels = np.array([other if label else "a" for label in y], dtype=object)
    kinds = " and ".join(sorted(["str", type(other).__name__]))
    message = f"must hold labels of one type that has an order, got {kinds}"
    with pytest.raises(TypeError, match=f"^y {message}"):
        make(name).fit(X, labels)
    if name in NETWORKS:
        with pytest.raises(TypeError, match=f"^y_val {message}"):
            make(name).fit(X, y, X_val=X, y_val=labels)


BAD_WEIGHTS_OF_LABELS: list[Any] = [{0: 1}, [{0: 1}], [{0: 1}, {0: 1}, 2], "equal"]


@pytest.mark.parametrize("weights", BAD_WEIGHTS_OF_LABELS, ids=str)
def test_bad_class_weights_of_several_labels(weights: Any) -> None:
    X, y = data("MLPClassifier")
    several = np.eye(3, dtype=int)[y]
    with pytest.raises((TypeError, ValueError), match="must be a list of 3 dicts, one a label"):
        make("MLPClassifier", class_weight=weights).fit(X, several)
    with pytest.raises(ValueError, match=r"class_weight\[1\]\[0\] must be .* not negative"):
        make("MLPClassifier", class_weight=[{}, {0: -1}, {}]).fit(X, several)


# ---- data that are none --------------------------------------------------------------------------


def _held_out(name: str, X: Any, y: Any) -> dict[str, Any]:
    return {"X_val": X} if name in TRANSFORMERS else {"X_val": X, "y_val": y}


DATES = np.full((178, 13), np.datetime64("2020-01-01"))
BAD_HELD_OUT: list[tuple[Any, type[Exception], str]] = [
    (lambda X: np.where(X[3, 3] == X, np.nan, X), ValueError, "^Input X_val contains NaN"),
    (lambda X: X[:, :5], ValueError, "^X_val has 5 features, but"),
    (lambda X: X[0], ValueError, "^X_val: Expected 2D array"),
    (lambda X: X[:0], ValueError, "^X_val: Found array with 0 sample"),
    (lambda X: X * 1j, ValueError, "^X_val: Complex data not supported"),
    (lambda X: X.astype(str), ValueError, "^X_val: dtype='numeric' is not compatible"),
    (lambda X: DATES, TypeError, "^X_val must hold real numbers, got dtype datetime64"),
    (lambda X: X * 1e39, ValueError, "^X_val has .* too large for float32 in row 0"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD_HELD_OUT)
@pytest.mark.parametrize("name", NETWORKS)
def test_bad_validation_inputs_are_called_by_their_name(
    name: str, change: Any, error: type[Exception], message: str
) -> None:
    X, y = data(name)
    held_out = change(X)
    with pytest.raises(error, match=message):
        make(name).fit(X, y, **_held_out(name, held_out, y[: len(held_out)]))
    if name == "DenoisingAutoencoder":
        message = message.replace("X_val", r"X_val\[0\]")
        with pytest.raises(error, match=message):
            make(name).fit(X, X, X_val=(held_out, X))


def test_bad_validation_targets_are_called_by_their_name() -> None:
    X, y = data("MLPRegressor")
    low, high = (X - X.min()) / np.ptp(X), X - X.min()
    crossentropy = {"loss": "binary_crossentropy", "output_activation": "sigmoid"}
    for name, y_fit, X_val, message in [
        ("Autoencoder", None, high, "^X_val, the target too, must lie in"),
        ("DenoisingAutoencoder", None, high, "^X_val must lie in"),
        ("DenoisingAutoencoder", low, (low, high), r"^X_val\[1\] must lie in"),
        ("DenoisingAutoencoder", low, (low, high * 1e39), r"^X_val\[1\] has NaN, inf"),
    ]:
        with pytest.raises(ValueError, match=message):
            make(name, **crossentropy).fit(low, y_fit, X_val=X_val)
    with pytest.raises(ValueError, match=r"^y_val has NaN, infinity or a value too large"):
        make("MLPRegressor").fit(X, y, X_val=X, y_val=y * 1e39)
    X, y = data("MLPClassifier")
    with pytest.raises(ValueError, match=r"^y_val must have as many samples as X_val, got 5"):
        make("MLPClassifier").fit(X, y, X_val=X, y_val=y[:5])


def test_an_error_of_a_callback_stays_as_it_is() -> None:
    X, _ = data("Autoencoder")

    def fail(epoch: int, logs: Any) -> None:
        raise ValueError("validation_data[0]", 5)

    with pytest.raises(ValueError, match="validation_data") as caught:
        make("Autoencoder", callbacks=fail).fit(X, X_val=X)
    assert caught.value.args == ("validation_data[0]", 5)


@pytest.mark.parametrize("name", NAMES)
def test_dates_are_no_numbers(name: str) -> None:
    X, y = data(name)
    for dates in (DATES, DATES - DATES):
        with pytest.raises(TypeError, match=r"X must hold real numbers, got dtype (date|time)"):
            make(name).fit(dates, y)
    with pytest.raises(TypeError, match="X must hold real numbers"):
        output(make(name).fit(X, y), DATES)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_in_columns_of_categories(name: str) -> None:
    X, y = data(name)
    frame = pd.DataFrame({"a": np.arange(len(X)) % 3, "b": np.arange(len(X)) % 5}, dtype=float)
    expected = output(make(name).fit(frame, y), frame)
    texts = frame["a"].astype(str).astype("category")
    for same in (frame.astype("category"), frame.assign(a=texts)):
        fitted = make(name).fit(same, y)
        np.testing.assert_array_equal(output(fitted, same), expected)
        if name in TRANSFORMERS:
            errors = fitted.reconstruction_error(same)
            np.testing.assert_array_equal(errors, fitted.reconstruction_error(frame))
    with pytest.raises(TypeError, match="X must hold real numbers, got dtype object"):
        make(name).fit(frame.assign(a=("no " + frame["a"].astype(str)).astype("category")), y)


# ---- masked arrays -------------------------------------------------------------------------------


def _masked(array: Any) -> Any:
    return np.ma.masked_array(array, np.arange(np.size(array)).reshape(np.shape(array)) == 5)


MASKED = [
    (name, method, argument)
    for name in NAMES
    for method, arguments in {
        "fit": ("X", "y", "sample_weight", "X_val", "y_val"),
        "partial_fit": ("X", "y", "sample_weight"),
        "predict": ("X",),
        "predict_proba": ("X",),
        "decision_function": ("X",),
        "transform": ("X",),
        "inverse_transform": ("X",),
        "reconstruct": ("X",),
        "reconstruction_error": ("X",),
        "denoise": ("X",),
        "score": ("X", "sample_weight"),
    }.items()
    if hasattr(getattr(pyae, name), method)
    for argument in arguments
    if name in NETWORKS or "val" not in argument
    if name not in TRANSFORMERS or argument != "y_val"
    if name not in ("Autoencoder", "SparseAutoencoder") or argument != "y"  # these ignore it
    if name in TRANSFORMERS or method != "score"  # scikit-learn's own
]


@pytest.mark.parametrize(("name", "method", "argument"), MASKED)
def test_masked_values_are_refused(name: str, method: str, argument: str) -> None:
    X, y = data(name)
    if name == "DenoisingAutoencoder":
        y = X
    arguments: dict[str, Any] = {"X": X}
    if method in ("fit", "partial_fit"):
        if name not in ("Autoencoder", "SparseAutoencoder"):
            arguments["y"] = y
        if argument in ("X_val", "y_val"):
            arguments["X_val"] = (X, y) if name == "DenoisingAutoencoder" else X
            if name not in TRANSFORMERS:
                arguments["y_val"] = y
    if argument == "sample_weight":
        arguments["sample_weight"] = np.ones(len(X))
    estimator = make(name).fit(X, y)
    if method == "inverse_transform":
        arguments["X"] = estimator.transform(X)
    before = output(estimator, X)
    value = arguments[argument]
    arguments[argument] = (
        (_masked(X), y) if isinstance(value, tuple) else _masked(np.asarray(value))
    )
    part = r"\[0\]" if isinstance(value, tuple) else ""
    with pytest.raises(ValueError, match=f"^{argument}{part} has masked values"):
        getattr(estimator, method)(**arguments)
    np.testing.assert_array_equal(output(estimator, X), before)


@pytest.mark.parametrize("name", NAMES)
def test_masked_arrays_without_masked_values_are_arrays(name: str) -> None:
    X, y = data(name)
    np.testing.assert_array_equal(
        output(make(name).fit(np.ma.masked_array(X), np.ma.masked_array(y)), X),
        output(make(name).fit(X, y), X),
    )
    with pytest.raises(ValueError, match=r"^X has masked values"):
        make(name).fit(list(_masked(X)), y)  # rows that are masked arrays


# ---- checkpoints ---------------------------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_resumed_fit_is_an_uninterrupted_one(
    name: str, early_stopping: bool, tmp_path: Path
) -> None:
    X, y = data(name)
    params = {"max_epochs": 20, "early_stopping": early_stopping, "n_iter_no_change": 4}
    if name == "SparseAutoencoder":
        params.update(n_components=40, n_active=2)  # of which some die
    whole = make(name, **params).fit(X, y)
    path = tmp_path / "fit.safetensors"
    for epoch in (3, 11):
        with pytest.raises(KeyboardInterrupt):
            make(name, callbacks=_Interrupt(epoch), **params).fit(X, y, checkpoint=path)
        assert pyae.load(path).history.epoch[-1] == epoch - 1
    seen: list[int] = []
    for _ in range(2):  # the second time it is over already
        resumed = make(name, callbacks=lambda epoch, logs: seen.append(epoch), **params)
        resumed.fit(X, y, checkpoint=Checkpoint(path, every_epochs=2))
        for a, b in zip(arrays(whole), arrays(resumed), strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(output(resumed, X), output(whole, X))
        assert resumed.n_iter_ == whole.n_iter_
        assert resumed.history_.keys() == whole.history_.keys()
        for key in resumed.history_.keys() - {"seconds"}:
            assert resumed.history_[key] == whole.history_[key]
    assert seen == list(range(11, whole.n_iter_))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_checkpoint_belongs_to_one_fit(name: str, tmp_path: Path) -> None:
    X, y = data(name)
    path = tmp_path / "fit.safetensors"
    make(name).fit(X, y, checkpoint=path)
    before = path.read_bytes()
    cases: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({"random_state": 1}, {}, "checkpoint: .* belongs to another fit: random_state"),
        ({"batch_size": 7}, {}, "checkpoint: .* belongs to another fit"),
        ({}, {"X": X + 1}, "checkpoint: .* belongs to another fit: data"),
        ({"random_state": None}, {}, "checkpoint needs a random_state"),
        ({"callbacks": Checkpoint(path)}, {}, "checkpoint must be one"),
    ]
    for params, arguments, message in cases:
        estimator = make(name, **params)
        with pytest.raises(ValueError, match=message):
            estimator.fit(**{"X": X, "y": y, "checkpoint": path, **arguments})
        assert not hasattr(estimator, "model_")
        assert path.read_bytes() == before
    with pytest.raises(TypeError, match="checkpoint must be a path, got 5"):
        make(name).fit(X, y, checkpoint=5)
    with pytest.raises(ValueError, match="checkpoint must be the path of a file, got ''"):
        make(name).fit(X, y, checkpoint="")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_warm_fit_has_a_checkpoint_of_its_own(name: str, tmp_path: Path) -> None:
    """It trains on from what is fitted, so the file of the fit before is not its own."""
    X, y = data(name)
    params: dict[str, Any] = {"learning_rate": 0.01, "max_epochs": 3}
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    estimator = make(name, warm_start=True, **params).fit(X, y, checkpoint=first)
    before, weights = first.read_bytes(), arrays(estimator)
    with pytest.raises(ValueError, match=r"checkpoint: .*warm_start=True.*give another path"):
        estimator.fit(X, y, checkpoint=first)
    assert first.read_bytes() == before
    assert estimator.n_iter_ == len(estimator.history_["loss"]) == 3
    for a, b in zip(arrays(estimator), weights, strict=True):
        np.testing.assert_array_equal(a, b)

    estimator.save(tmp_path / "fitted.safetensors")
    with pytest.raises(KeyboardInterrupt):
        estimator.set_params(callbacks=_Interrupt(1)).fit(X, y, checkpoint=second)
    with pytest.raises(ValueError, match="warm_start=True"):  # the file's epochs are in it already
        estimator.set_params(callbacks=None).fit(X, y, checkpoint=second)
    resumed = pyae.load(tmp_path / "fitted.safetensors").fit(X, y, checkpoint=second)
    whole = make(name, warm_start=True, **params).fit(X, y).fit(X, y)
    for a, b in zip(arrays(resumed), arrays(whole), strict=True):
        np.testing.assert_array_equal(a, b)
    assert resumed.history_["loss"] == whole.history_["loss"]
    assert resumed.n_iter_ == 6


@pytest.mark.parametrize("name", NETWORKS)
def test_partial_fit_takes_no_checkpoint(name: str, tmp_path: Path) -> None:
    X, y = data(name)
    first = {"classes": [0, 1, 2]} if name == "MLPClassifier" else {}
    for random_state in (0, None):
        checkpoint = Checkpoint(tmp_path / "fit.safetensors")
        estimator = make(name, callbacks=checkpoint, random_state=random_state)
        with pytest.raises(ValueError, match=r"callbacks: a Checkpoint .* partial_fit"):
            estimator.partial_fit(X, y, **first)
        assert not hasattr(estimator, "model_")
        assert list(tmp_path.iterdir()) == []


# ---- what partial_fit refuses --------------------------------------------------------------------

SIZES = "to go on training .* the layers must have the sizes that were fitted"
# Estimators, changed parameters, changed arguments given X and y, error, message.
REFUSED: list[tuple[list[str], dict[str, Any], Any, type[Exception], str]] = [
    (NETWORKS, {}, lambda X, y: {"X": X[:, :5]}, ValueError, "X has 5 features, but"),
    (NETWORKS, {}, lambda X, y: {"X": X[:0], "y": y[:0]}, ValueError, "0 sample"),
    (NETWORKS, {}, lambda X, y: {"X": X[0]}, ValueError, "(?i)expected 2D array"),
    (NETWORKS, {}, lambda X, y: {"X": np.where(X[3, 3] == X, np.inf, X)}, ValueError, "infinity"),
    (NETWORKS, {}, lambda X, y: {"sample_weight": -np.ones(len(X))}, ValueError, "sample_weight"),
    (NETWORKS, {}, lambda X, y: {"sample_weight": np.ones(3)}, ValueError, "sample_weight"),
    (NETWORKS, {"hidden_layer_sizes": (7,)}, None, ValueError, SIZES),
    (NETWORKS, {"hidden_layer_sizes": (4, 4)}, None, ValueError, SIZES),
    (NETWORKS, {"loss": "mse"}, None, ValueError, "unknown loss 'mse'"),
    (NETWORKS, {"optimizer": "adm"}, None, ValueError, "unknown optimizer 'adm'"),
    (NETWORKS, {"dtype": "float16"}, None, ValueError, "dtype"),
    (TRANSFORMERS, {"n_components": 5}, None, ValueError, SIZES),
    (
        ["MLPClassifier"],
        {},
        lambda X, y: {"y": y + 1},
        ValueError,
        "classes .* alone, got 3",
    ),
    (["MLPClassifier"], {}, lambda X, y: {"classes": [0, 1]}, ValueError, "those of the first"),
    (["MLPClassifier"], {}, lambda X, y: {"y": np.eye(3)[y]}, ValueError, "y must hold one label"),
    (["MLPClassifier"], {}, lambda X, y: {"y": y + 0.5}, ValueError, "(?i)continuous"),
    (["MLPClassifier"], {"class_weight": "balanced"}, None, ValueError, "needs all labels at once"),
    (["MLPRegressor"], {}, lambda X, y: {"y": np.column_stack([y, y])}, ValueError, SIZES),
    (["MLPClassifier", "MLPRegressor"], {}, lambda X, y: {"y": y[:9]}, ValueError, "inconsistent"),
    (["DenoisingAutoencoder"], {}, lambda X, y: {"y": X[:, :5]}, ValueError, "y must hold the"),
]


@pytest.mark.parametrize(
    ("name", "params", "change", "error", "message"),
    [(name, *case) for names, *case in REFUSED for name in names],
)
def test_what_partial_fit_refuses(
    name: str, params: dict[str, Any], change: Any, error: type[Exception], message: str
) -> None:
    X, y = data(name)
    first = {"classes": [0, 1, 2]} if name == "MLPClassifier" else {}
    estimator = make(name).partial_fit(X, y, **first)
    parameters, state, before = estimator.get_params(), dict(vars(estimator)), output(estimator, X)
    estimator.set_params(**params)
    arguments = {"X": X, "y": y, **(change(X, y) if change else {})}
    with pytest.raises(error, match=message):
        estimator.partial_fit(**arguments)
    estimator.set_params(**parameters)
    assert vars(estimator) == state
    np.testing.assert_array_equal(output(estimator, X), before)
    assert estimator.partial_fit(X, y).n_iter_ == 2


@pytest.mark.parametrize("name", NETWORKS)
def test_partial_fit_takes_the_weights_to_another_loss(name: str) -> None:
    X, y = data(name)
    first = {"classes": [0, 1, 2]} if name == "MLPClassifier" else {}
    estimator = make(name, optimizer="sgd", learning_rate=1e-9, dtype="float64")
    weights = arrays(estimator.partial_fit(X, y, **first))
    loss = "categorical_crossentropy" if name == "MLPClassifier" else "mean_absolute_error"
    estimator.set_params(loss=loss).partial_fit(X, y)
    assert estimator.model_.loss.name == loss
    assert estimator.n_iter_ == 2
    for a, b in zip(weights, arrays(estimator), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)  # steps of 1e-9 times a gradient


@pytest.mark.parametrize("name", NETWORKS)
def test_partial_fit_refuses_other_feature_names(name: str) -> None:
    X, y = data(name)
    first = {"classes": [0, 1, 2]} if name == "MLPClassifier" else {}
    frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(X.shape[1])])
    estimator = make(name).partial_fit(frame, y, **first)
    with pytest.raises(ValueError, match="feature names"):
        estimator.partial_fit(frame.rename(columns={"f0": "other"}), y)
    assert estimator.n_iter_ == 1
