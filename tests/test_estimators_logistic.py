"""Logistic regression: its objective written out, and libraries that fit the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import statsmodels.api as sm
from conftest import assert_close, sklearn_penalty
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as Yardstick
from sklearn.preprocessing import StandardScaler

from pyae import LogisticRegression, Sequential
from pyae.callbacks import Callback
from pyae.estimators import _logistic
from pyae.estimators._base import Samples
from pyae.estimators._log_loss import Objective
from pyae.estimators._newton import Problem, minimize
from pyae.estimators._newton_cg import Curvature, SmoothProblem, minimize_by_products

Floats = npt.NDArray[np.float64]
DIGITS = load_digits(return_X_y=True)
CANCER = load_breast_cancer(return_X_y=True)
IRIS = load_iris(return_X_y=True)


@pytest.fixture
def by_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all problems count as large, so that Newton's steps are conjugate gradients'."""
    monkeypatch.setattr(_logistic, "_SMALL", 0)


@pytest.fixture(params=["solved", "by products"])
def most_steps(request: pytest.FixtureRequest) -> int:
    """Return how many steps Newton's method may take, with steps found in either way."""
    if request.param == "solved":
        return 15
    request.getfixturevalue("by_products")
    return 30  # those far from the optimum are known roughly


def objective(
    model: Any, X: Floats, y: Any, C: float, l1_ratio: float = 0.0, weights: Any = 1.0
) -> float:
    """Return ``C sum_i s_i L_i + (1-l1_ratio)/2 sum(W^2) + l1_ratio sum(abs(W))``."""
    W = np.asarray(model.coef_, dtype=np.float64)
    z = X @ W.T + model.intercept_
    numbers = np.searchsorted(model.classes_, y)
    if len(W) == 1:
        z = np.column_stack([np.zeros(len(X)), z[:, 0]])
    losses = np.logaddexp.reduce(z, axis=1) - z[np.arange(len(X)), numbers]
    penalty = (1 - l1_ratio) / 2 * np.square(W).sum() + l1_ratio * np.abs(W).sum()
    return float(C * (weights * losses).sum() + penalty)


def test_digits_as_scikit_learn() -> None:
    X, y = DIGITS
    ours = LogisticRegression(C=0.1).fit(X, y)
    theirs = Yardstick(C=0.1, solver="newton-cholesky", tol=1e-13, max_iter=1000).fit(X, y)
    expected = objective(theirs, X, y, 0.1)
    assert_close(objective(ours, X, y, 0.1), expected, "optimum")
    assert_close(ours.history_["loss"][-1] * 0.1 * len(X), expected, "optimum")
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert_close(ours.predict_proba(X), theirs.predict_proba(X), "optimum", scale=1)
    assert_close(ours.coef_, theirs.coef_, "optimum", scale=1)
    # Intercepts of a softmax are known up to a common number: ours add up to 0.
    assert abs(ours.intercept_.sum()) < 1e-12
    assert_close(ours.intercept_, theirs.intercept_ - theirs.intercept_.mean(), "optimum", scale=1)
    assert ours.n_iter_ < 20


def test_multinomial_likelihood_as_statsmodels() -> None:
    data = sm.datasets.anes96.load()
    X, y = np.asarray(data.exog, dtype=np.float64), np.asarray(data.endog, dtype=int)
    model = LogisticRegression(C=np.inf).fit(X, y)
    likelihood = model.predict_log_proba(X)[np.arange(len(y)), y].sum()
    assert_close(likelihood, -1461.9227472481984, "optimum")
    result = sm.MNLogit(y, sm.add_constant(X)).fit(disp=0, tol=1e-10, maxiter=100)
    rows = np.column_stack([model.intercept_, model.coef_])
    assert_close((rows[1:] - rows[0]).T, result.params, "flat optimum", scale=1)


def slopes(model: Any, X: Floats, y: Any, C: float, l1_ratio: float) -> Floats:
    """Return the smooth part's derivatives by the coefficients: (rows, n_features)."""
    W = model.coef_
    p = model.predict_proba(X)
    error = p - (np.asarray(y)[:, np.newaxis] == model.classes_)
    if len(W) == 1:
        error = error[:, 1:]
    return np.asarray(C * error.T @ X + (1 - l1_ratio) * W)


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("name", "data"), [("binary", CANCER), ("multinomial", IRIS)])
def test_penalties(name: str, data: Any, l1_ratio: float, fit_intercept: bool, solver: str) -> None:
    X, y = StandardScaler().fit_transform(data[0]), data[1]
    params = {"C": 0.1, "fit_intercept": fit_intercept}
    ours = LogisticRegression(solver=solver, l1_ratio=l1_ratio, **params).fit(X, y)
    # The conditions of an optimum: where a coefficient is not 0 its slope is -l1_ratio times its
    # sign, and elsewhere no larger than l1_ratio.
    slope, W = slopes(ours, X, y, 0.1, l1_ratio), ours.coef_
    # A slope gains slope^2 / (2 curvature), and less than tol=1e-12 of the loss is left to gain.
    Cn = 0.1 * len(X)
    limit = np.sqrt(2 * (Cn / 4 + 1) * 1e-12 * np.log(3) * Cn)
    np.testing.assert_allclose(slope[W != 0], -l1_ratio * np.sign(W[W != 0]), atol=limit)
    assert (np.abs(slope[W == 0]) <= l1_ratio + limit).all()
    assert l1_ratio == 0 or (W == 0).any()
    # And scikit-learn's.
    how = {"solver": "saga", "tol": 1e-4, "random_state": 0} if l1_ratio else {"tol": 1e-10}
    how.update(params, **sklearn_penalty(l1_ratio))
    theirs = Yardstick(max_iter=5000, **how).fit(X, y)
    a, b = (objective(model, X, y, 0.1, l1_ratio) for model in (ours, theirs))
    assert a <= b * (1 + 1e-8)
    assert b <= a * (1 + (1e-3 if l1_ratio else 1e-8))  # saga is slow, and stopped early
    if not fit_intercept:
        assert not ours.intercept_.any()
        assert len(ours.model_.get_weights()) == 1


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_weights_of_samples_and_classes(solver: str) -> None:
    X, y = IRIS
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 4, size=len(y)).astype(float)
    ours = LogisticRegression(solver=solver, class_weight="balanced").fit(
        X, y, sample_weight=weights
    )
    how = {"solver": "newton-cholesky", "tol": 1e-12, "max_iter": 5000}
    # Balanced by the formula: before 1.7, scikit-learn's regression counts unweighted samples.
    balanced = weights.sum() / (3 * np.bincount(y, weights))
    theirs = Yardstick(**how).fit(X, y, sample_weight=weights * balanced[y])
    key = "optimum" if solver == "newton" else "flat optimum"
    assert_close(ours.predict_proba(X), theirs.predict_proba(X), key, scale=1)
    repeated = LogisticRegression(solver=solver).fit(
        X.repeat(weights.astype(int), axis=0), y.repeat(weights.astype(int))
    )
    weighted = LogisticRegression(solver=solver).fit(X, y, sample_weight=weights)
    assert_close(weighted.coef_, repeated.coef_, key, scale=1)


def test_probabilities() -> None:
    X, y = CANCER
    labels = np.array(["benign", "malignant"])[y]
    model = LogisticRegression().fit(X, labels)
    p = model.predict_proba(X)
    z = model.decision_function(X)
    assert p.dtype == np.float64
    assert_close(p, np.column_stack([1 - 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-z))]), scale=1)
    np.testing.assert_array_equal(model.predict(X), np.where(z > 0, "malignant", "benign"))
    far = model.decision_function(X * 100)
    assert np.abs(far).max() > 1000  # where a probability is 0, and its logarithm is not
    assert_close(
        model.predict_log_proba(X * 100),
        np.column_stack([-np.logaddexp(0, far), -np.logaddexp(0, -far)]),
    )
    X, y = IRIS
    model = LogisticRegression().fit(X, y)
    far = 1000 * X @ model.coef_.T + model.intercept_
    assert_close(
        model.predict_log_proba(X * 1000),
        far - np.logaddexp.reduce(far, axis=1, keepdims=True),
        scale=np.abs(far).max(),
    )
    assert LogisticRegression(dtype="float32").fit(X, y).predict_proba(X).dtype == np.float32


def test_unscaled_features_take_no_more_than_a_few_steps() -> None:
    X, y = CANCER
    plain = LogisticRegression(C=np.inf, max_iter=12, tol=1e-6)
    shifted = X * np.logspace(-6, 6, X.shape[1]) + 1000
    with pytest.warns(ConvergenceWarning, match="separable"):  # it is, without a penalty
        plain.fit(shifted, y)
    assert plain.score(shifted, y) > 0.98
    iris = IRIS[0] * [1e-4, 1e4, 1.0, 1e2]
    model = LogisticRegression(C=np.inf, fit_intercept=True).fit(iris[:, :2], IRIS[1] == 1)
    theirs = sm.Logit(IRIS[1] == 1, sm.add_constant(IRIS[0][:, :2])).fit(disp=0, tol=1e-12)
    likelihood = -model.history_["loss"][-1] * len(iris)
    assert_close(likelihood, theirs.llf, "optimum")
    assert model.n_iter_ < 15


ANES = (
    np.asarray(sm.datasets.anes96.load().exog, dtype=np.float64),
    np.asarray(sm.datasets.anes96.load().endog, dtype=int),
)


@pytest.mark.parametrize(
    ("data", "C"),
    [(DIGITS, 1.0), (DIGITS, 0.1), (ANES, 1.0), (ANES, np.inf)],
    ids=["digits, C=1", "digits, C=0.1", "anes96, C=1", "anes96, C=inf"],
)
def test_newton_ends_with_no_gradient_after_few_steps(data: Any, C: float, most_steps: int) -> None:
    X, y = data
    model = LogisticRegression(C, solver="newton").fit(X, y)
    error = model.predict_proba(X) - (y[:, np.newaxis] == model.classes_)
    penalty = 0 if np.isinf(C) else model.coef_ / (C * len(X))
    assert np.linalg.norm(error.T @ X / len(X) + penalty) <= 1e-10
    assert np.linalg.norm(error.mean(axis=0)) <= 1e-10
    assert model.n_iter_ <= most_steps


SEPARABLE = {
    "binary": lambda x, noise: (x > 0).astype(int),
    "multinomial": lambda x, noise: np.digitize(x, [-0.5, 0.5]),
    # Noise decides between two classes below 0.3; all above are of a third, or of one of the two.
    "partly": lambda x, noise: np.where(x > 0.3, 2, (noise > 0).astype(int)),
    "by one feature": lambda x, noise: ((x > 0.3) | (noise > 0)).astype(int),
}


@pytest.mark.parametrize(
    ("name", "solver"),  # L-BFGS cannot tell those that are separable in part
    [*((name, "newton") for name in SEPARABLE), ("binary", "lbfgs"), ("multinomial", "lbfgs")],
)
def test_separable_classes_are_told(name: str, solver: str) -> None:
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=80), rng.normal(size=80)
    y = SEPARABLE[name](x, noise)
    X = np.column_stack([(x > 0.3) if name == "by one feature" else x, rng.normal(size=80)])
    with pytest.warns(ConvergenceWarning, match="separable"):
        model = LogisticRegression(np.inf, solver=solver).fit(X, y)
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(model.intercept_).all()
    LogisticRegression(100.0, solver=solver).fit(X, y)  # has an optimum; warnings are errors


@pytest.mark.parametrize("name", SEPARABLE)
@pytest.mark.usefixtures("by_products")
def test_separable_classes_are_told_without_a_matrix(name: str) -> None:
    test_separable_classes_are_told(name, "newton")


@pytest.mark.parametrize("C", [1.0, np.inf])
@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_a_class_without_weight_is_told(solver: str, C: float) -> None:
    """Its intercept falls for ever: intercepts are not penalised."""
    X = np.random.default_rng(0).normal(size=(90, 3))
    y = np.arange(90) % 3
    with pytest.warns(ConvergenceWarning, match=r"of class \[1\] all have weight 0"):
        LogisticRegression(C, solver=solver).fit(X, y, sample_weight=(y != 1).astype(float))
    with pytest.warns(ConvergenceWarning, match=r"of class \[0\] all have weight 0"):
        LogisticRegression(C, solver=solver, class_weight={0: 0}).fit(X, y)
    with pytest.raises(ValueError, match=r"two classes whose samples have .*got one class: \[2\]"):
        LogisticRegression(C, solver=solver, class_weight={0: 0, 1: 0}).fit(X, y)


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_features_whose_squares_vanish_are_told(solver: str) -> None:
    X = np.random.default_rng(0).normal(size=(90, 3))
    y = (X[:, 0] + np.random.default_rng(1).logistic(size=90) > 0).astype(int)
    tiny = X * [1, 1, 1e-180]
    with pytest.raises(ValueError, match=r"X has values of .*e-180 .* in feature 2, whose squares"):
        LogisticRegression(np.inf, solver=solver).fit(tiny, y)
    if solver == "newton":
        with pytest.raises(ValueError, match=r"too large for dtype float32: bring X's features"):
            LogisticRegression(np.inf, solver=solver, dtype="float32").fit(1e-45 * X, y)
    penalised = LogisticRegression(solver=solver).fit(tiny, y)  # then it is the penalty's to say
    np.testing.assert_allclose(penalised.coef_[0, 2], 0, atol=1e-100)


def test_a_fit_that_ends_far_from_an_optimum_is_not_called_separable() -> None:
    X, y = ANES  # which is not; warnings are errors
    LogisticRegression(np.inf, tol=0.3, solver="newton").fit(X, y)

    class Stop(Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            self.model.stop_training = True

    assert LogisticRegression(np.inf, callbacks=Stop(), solver="newton").fit(X, y).n_iter_ == 1


@pytest.mark.parametrize("C", [1.0, np.inf])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_designs_without_full_rank(n_classes: int, C: float, most_steps: int) -> None:
    """A sum, a constant and zeros beside the features: the same optimum, also without a penalty."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    y = np.digitize(X[:, 0] + rng.normal(size=80), [-0.5, 0.5][: n_classes - 1])
    R = np.column_stack([X, X[:, 0] + X[:, 1], np.ones(80), np.zeros(80)])
    model = LogisticRegression(C, solver="newton").fit(R, y)
    assert model.n_iter_ <= most_steps
    if np.isinf(C):
        plain = LogisticRegression(C, solver="newton").fit(X, y)
        assert_close(model.predict_proba(R), plain.predict_proba(X), "optimum", scale=1)
    else:
        theirs = Yardstick(C=C, solver="newton-cholesky", tol=1e-10).fit(R, y)
        assert_close(objective(model, R, y, C), objective(theirs, R, y, C), "optimum")
        assert_close(model.coef_, theirs.coef_, "optimum", scale=1)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("C", [0.1, 1.0])
@pytest.mark.parametrize("data", [CANCER, IRIS], ids=["binary", "multinomial"])
def test_newton_ends_at_rounding_errors_without_a_tolerance(
    data: Any, C: float, l1_ratio: float
) -> None:
    X, y = StandardScaler().fit_transform(data[0]), data[1]
    params: dict[str, Any] = {"C": C, "l1_ratio": l1_ratio}
    exact = LogisticRegression(tol=0, **params).fit(X, y)
    assert exact.n_iter_ < 15
    loss = LogisticRegression(**params).fit(X, y).history_["loss"][-1]
    assert exact.history_["loss"][-1] <= loss * (1 + 1e-14)  # that is 64 units of rounding


def test_steps_that_lead_nowhere_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = IRIS

    def uphill(self: Objective, w: Floats) -> tuple[float, Floats]:
        value, gradient = right(self, w)
        return value, -gradient

    right = Objective.value_and_gradient
    monkeypatch.setattr(Objective, "value_and_gradient", uphill)
    with pytest.warns(ConvergenceWarning, match="was not reached in 1 steps"):
        model = LogisticRegression(solver="newton").fit(X, y)
    assert not model.coef_.any()


@pytest.mark.parametrize("reason", ["converged", "stopped_early", ""])
def test_whatever_ends_lbfgs_is_told(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = IRIS

    def three_steps(self: Sequential, *args: Any, **kwargs: Any) -> Any:
        history = fit(self, *args, **{**kwargs, "epochs": 3})
        assert not history.converged
        assert not history.stopped_early
        if reason:
            setattr(history, reason, True)
        return history

    fit = Sequential.fit
    monkeypatch.setattr(Sequential, "fit", three_steps)
    model = LogisticRegression(solver="lbfgs")
    if reason:
        model.fit(X, y)
    else:
        with pytest.warns(ConvergenceWarning, match="was not reached in 3 steps"):
            model.fit(X, y)
    assert model.n_iter_ == 3


def test_warm_start_goes_on() -> None:
    X, y = IRIS
    with pytest.warns(ConvergenceWarning):
        model = LogisticRegression(C=0.01, max_iter=2, warm_start=True).fit(X, y)
    reached = model.history_["loss"][-1]
    model.set_params(max_iter=100).fit(X, y)
    assert model.history_["loss"][0] < reached
    assert model.n_iter_ < LogisticRegression(C=0.01).fit(X, y).n_iter_
    with pytest.raises(ValueError, match="y must have the fitted classes"):
        model.fit(X[y < 2], y[y < 2])


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"C": 0}, ValueError, "C must be positive, got 0"),
        ({"C": "much"}, TypeError, "C must be a number"),
        ({"l1_ratio": 1.5}, ValueError, "l1_ratio must be from 0 to 1"),
        ({"l1_ratio": None}, TypeError, "l1_ratio must be a number"),
        ({"tol": -1}, ValueError, "tol must be finite and not negative"),
        ({"max_iter": 0}, ValueError, "max_iter must be at least 1"),
        ({"solver": "saga"}, ValueError, "solver must be 'auto', 'newton' or 'lbfgs'"),
        ({"class_weight": "equal"}, ValueError, "class_weight"),
        ({"penalty": "l3"}, ValueError, "penalty must be 'auto', .* or None, got 'l3'"),
        ({"penalty": 1}, ValueError, "penalty must be .* got 1"),
        ({"penalty": "l2", "l1_ratio": 0.5}, ValueError, "contradict each other"),
        ({"penalty": "l1", "l1_ratio": 0.5}, ValueError, "contradict each other"),
        ({"random_state": "x"}, TypeError, "random_state must be an integer"),
        ({"verbose": "x"}, TypeError, "verbose must be 0, 1 or 2"),
    ],
)
def test_bad_parameters(params: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        LogisticRegression(**params).fit(*IRIS)


@pytest.mark.parametrize(
    ("penalty", "same"),
    [
        ({"penalty": None}, {"C": np.inf}),
        ({"penalty": None, "C": 3.0, "l1_ratio": 0.5}, {"C": np.inf}),
        ({"penalty": "l2"}, {}),
        ({"penalty": "l1"}, {"l1_ratio": 1.0}),
        ({"penalty": "l1", "l1_ratio": 1}, {"l1_ratio": 1.0}),
        ({"penalty": "elasticnet", "l1_ratio": 0.3}, {"l1_ratio": 0.3}),
    ],
)
def test_penalties_by_name(penalty: dict[str, Any], same: dict[str, Any]) -> None:
    X, y = load_wine(return_X_y=True)
    X = X[:, :2] - X[:, :2].mean(axis=0)  # two features do not separate the classes
    a, b = LogisticRegression(**penalty).fit(X, y), LogisticRegression(**same).fit(X, y)
    np.testing.assert_array_equal(a.coef_, b.coef_)
    np.testing.assert_array_equal(a.intercept_, b.intercept_)
    assert (abs(a.coef_ - LogisticRegression(C=0.02).fit(X, y).coef_) > 1e-3).any()


@pytest.mark.parametrize("state", [0, None, np.random.RandomState(0), np.random.default_rng(0)])
def test_random_state_changes_nothing(state: Any) -> None:
    X, y = IRIS
    model = LogisticRegression(random_state=state).fit(X, y)
    np.testing.assert_array_equal(model.coef_, LogisticRegression().fit(X, y).coef_)
    if isinstance(state, np.random.RandomState):
        assert state.rand() == np.random.RandomState(0).rand()
    if isinstance(state, np.random.Generator):
        assert state.random() == np.random.default_rng(0).random()


METHODS = ["predict", "predict_proba", "predict_log_proba", "decision_function"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", METHODS)
def test_inputs_that_are_too_large(method: str) -> None:
    X, y = IRIS
    large = np.vstack([X[:3], 1e39 * X[:3]])
    with pytest.raises(ValueError, match=r"X has .* too large for float32 in row 3"):
        getattr(LogisticRegression(dtype="float32").fit(X, y), method)(large)
    model = LogisticRegression().fit(X, y)
    assert np.isfinite(getattr(model, method)(large)).all()
    with pytest.raises(ValueError, match="X has values so large that the logits overflow in row 1"):
        getattr(model, method)(np.vstack([X[:1], np.full((1, 4), 1.7e308)]))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
@pytest.mark.parametrize("sign", [1, -1])
def test_features_whose_squares_overflow(sign: int, solver: str) -> None:
    X, y = IRIS
    model = LogisticRegression(solver=solver)
    with pytest.raises(ValueError, match=r"X has values up to 7.9e\+160 in magnitude, whose"):
        model.fit(sign * X * 1e160, y)
    assert not hasattr(model, "model_")
    LogisticRegression(solver="newton").fit(sign * X * 1e150, y)


def test_bad_labels() -> None:
    X, y = IRIS
    with pytest.raises(ValueError, match="at least two classes"):
        LogisticRegression().fit(X, np.zeros(len(y)))
    with pytest.raises(ValueError, match="MLPClassifier for several"):
        LogisticRegression().fit(X, np.eye(3, dtype=int)[y] + np.eye(3, dtype=int)[0] > 0)


# ---- Newton's method without its matrix ----------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("data", [CANCER, IRIS], ids=["binary", "multinomial"])
def test_steps_by_products_lead_to_the_same_optimum(
    data: Any, C: float, fit_intercept: bool, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = data
    X = X / X.std(axis=0)  # not centred: the intercepts depend on the coefficients
    weights = np.random.default_rng(0).integers(0, 4, len(y)) if weighted else None
    model = LogisticRegression(C, solver="newton", fit_intercept=fit_intercept)
    exact = model.fit(X, y, sample_weight=weights)
    coef, intercept, loss = exact.coef_, exact.intercept_, exact.history_["loss"][-1]
    monkeypatch.setattr(_logistic, "_SMALL", 0)
    monkeypatch.setattr(Objective, "hessian", None)  # is not used
    ours = model.fit(X, y, sample_weight=weights)
    size = np.abs(np.column_stack([coef, intercept])).max()
    assert_close(ours.history_["loss"][-1], loss, "optimum")
    assert_close(ours.coef_, coef, "optimum", scale=size)
    assert_close(ours.intercept_, intercept, "optimum", scale=size)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_products_are_differences_of_gradients(n_classes: int) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(600, 4)), rng.integers(0, n_classes, 600)  # more than one block
    samples = Samples(X, y[:, np.newaxis].astype(np.int32), rng.uniform(0, 2, 600))
    f = Objective(samples, n_classes, True, 0.0, 30.0)
    w, step = rng.normal(size=f.size), 1e-5
    curvature, matrix = f.curvature(w), f.hessian(w)
    assert_close(curvature.diagonal, np.diag(matrix), scale=1)
    for _ in range(5):
        v = rng.normal(size=f.size)
        ahead, behind = (f.value_and_gradient(w + sign * step * v)[1] for sign in (1, -1))
        product = curvature.product(v)
        assert np.abs(product - (ahead - behind) / (2 * step)).max() < 1e-6 * np.abs(product).max()
        assert_close(product, matrix @ v, scale=1)


def test_many_parameters_need_no_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1,803 parameters; most features are 0 in most samples, and they are scaled at random."""
    monkeypatch.setattr(Objective, "hessian", None)
    rng = np.random.default_rng(0)
    X = rng.poisson(0.3, size=(300, 600)) * np.exp(rng.normal(size=600) * 2)
    y = (rng.normal(size=(300, 3)) + X[:, :3]).argmax(axis=1)
    model = LogisticRegression(solver="newton").fit(X, y)
    error = model.predict_proba(X) - (y[:, np.newaxis] == model.classes_)
    assert np.linalg.norm(error.T @ X / len(X) + model.coef_ / len(X)) <= 1e-10
    assert np.linalg.norm(error.mean(axis=0)) <= 1e-10
    assert model.n_iter_ <= 30


@pytest.mark.usefixtures("by_products")
def test_a_penalty_with_kinks_keeps_the_matrix() -> None:
    X, y = StandardScaler().fit_transform(IRIS[0]), IRIS[1]
    model = LogisticRegression(0.1, l1_ratio=1.0, solver="newton").fit(X, y)
    assert (model.coef_ == 0).any()


@pytest.mark.usefixtures("by_products")
def test_too_few_steps_by_products_are_told() -> None:
    with pytest.warns(ConvergenceWarning, match="was not reached in 3 steps, max_iter=3"):
        LogisticRegression(solver="newton", max_iter=3).fit(*DIGITS)


def test_conjugate_gradients_solve_a_quadratic() -> None:
    rng = np.random.default_rng(0)
    A = rng.normal(size=(8, 8))
    A, b = A @ A.T + np.eye(8), rng.normal(size=8)
    problem = SmoothProblem(
        lambda w: (0.5 * float(w @ A @ w) - float(b @ w), A @ w - b),
        lambda w: Curvature(lambda v: A @ v, np.diag(A)),
    )
    *_, last = minimize_by_products(problem, np.zeros(8))
    assert_close(last.w, np.linalg.solve(A, b), "optimum", scale=1)
    assert last.is_precise


def test_conjugate_gradients_end_where_no_step_leads_down() -> None:
    flat = Curvature(lambda v: v, np.ones(2))
    wrong = SmoothProblem(lambda w: (0.5 * float(w @ w), -w), lambda w: flat)
    start, last = minimize_by_products(wrong, np.ones(2))
    assert start == last
    assert not last.is_precise


def test_saturated_samples_are_no_optimum() -> None:
    """One logit, large, and half of the samples are of the other class: no curvature is left."""
    flat = Curvature(lambda v: 0 * v, np.zeros(1))
    problem = SmoothProblem(lambda w: (0.5 * float(w.sum()), np.full(1, 0.5)), lambda w: flat)
    *_, last = minimize_by_products(problem, np.full(1, 800.0))
    assert last.expected == math.inf
    assert not last.is_precise


def test_products_of_no_curvature_are_no_optimum() -> None:
    flat = Curvature(lambda v: 0 * v, np.ones(2))
    problem = SmoothProblem(lambda w: (float(w.sum()), np.ones(2)), lambda w: flat)
    *_, last = minimize_by_products(problem, np.zeros(2))
    assert last.expected == 1  # half the gradient's squared norm
    assert not last.is_precise


# ---- the method by itself ------------------------------------------------------------------------


@pytest.mark.parametrize("l1", [0.0, 0.3])
def test_newton_solves_a_quadratic_in_one_step(l1: float) -> None:
    rng = np.random.default_rng(0)
    A = rng.normal(size=(8, 8))
    A, b = A @ A.T + np.eye(8), rng.normal(size=8)
    problem = Problem(
        lambda w: (0.5 * float(w @ A @ w) - float(b @ w), A @ w - b), lambda w: A, np.full(8, l1)
    )
    steps = minimize(problem, np.zeros(8))
    next(steps)
    at = next(steps)
    assert at.expected < 1e-12
    slope = A @ at.w - b  # optimal: -l1 sign(w) where w is not 0, within l1 where it is
    active = at.w != 0
    assert_close(slope[active], -l1 * np.sign(at.w[active]), scale=np.linalg.norm(A, 2))
    assert (np.abs(slope[~active]) <= l1 * (1 + 1e-12)).all()
    if not l1:
        assert_close(at.w, np.linalg.solve(A, b), scale=np.linalg.cond(A))


def test_newton_ends_where_no_step_leads_down() -> None:
    wrong = Problem(lambda w: (0.5 * float(w @ w), -w), lambda w: np.eye(2), np.zeros(2))
    start, last = minimize(wrong, np.ones(2))
    assert start == last
    assert not last.is_precise
    right = Problem(lambda w: (1 + 0.5 * float(w @ w), w), lambda w: np.eye(2), np.zeros(2))
    *_, last = minimize(right, np.ones(2))
    assert last.is_precise
    assert last.objective == 1
