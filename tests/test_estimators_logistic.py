"""Logistic regression: its objective written out, and libraries that fit the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import statsmodels.api as sm
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as Yardstick
from sklearn.preprocessing import StandardScaler

from pyae import LogisticRegression
from pyae.estimators._newton import Problem, minimize

Floats = npt.NDArray[np.float64]
DIGITS = load_digits(return_X_y=True)
CANCER = load_breast_cancer(return_X_y=True)
IRIS = load_iris(return_X_y=True)


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
    theirs = Yardstick(C=0.1, solver="newton-cholesky", tol=1e-10, max_iter=1000).fit(X, y)
    expected = objective(theirs, X, y, 0.1)
    assert objective(ours, X, y, 0.1) == pytest.approx(expected, rel=1e-8)
    assert ours.history_["loss"][-1] * 0.1 * len(X) == pytest.approx(expected, rel=1e-8)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
    # Intercepts of a softmax are known up to a common number: ours add up to 0.
    assert abs(ours.intercept_.sum()) < 1e-12
    np.testing.assert_allclose(
        ours.intercept_, theirs.intercept_ - theirs.intercept_.mean(), atol=1e-6
    )
    assert ours.n_iter_ < 20


def test_multinomial_likelihood_as_statsmodels() -> None:
    data = sm.datasets.anes96.load()
    X, y = np.asarray(data.exog, dtype=np.float64), np.asarray(data.endog, dtype=int)
    model = LogisticRegression(C=np.inf).fit(X, y)
    likelihood = model.predict_log_proba(X)[np.arange(len(y)), y].sum()
    assert likelihood == pytest.approx(-1461.9227472481984, rel=1e-8)
    result = sm.MNLogit(y, sm.add_constant(X)).fit(disp=0, tol=1e-10, maxiter=100)
    rows = np.column_stack([model.intercept_, model.coef_])
    np.testing.assert_allclose((rows[1:] - rows[0]).T, result.params, rtol=1e-5, atol=1e-7)


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
    params = {"C": 0.1, "l1_ratio": l1_ratio, "fit_intercept": fit_intercept}
    ours = LogisticRegression(solver=solver, **params).fit(X, y)
    # The conditions of an optimum: where a coefficient is not 0 its slope is -l1_ratio times its
    # sign, and elsewhere no larger than l1_ratio.
    slope, W = slopes(ours, X, y, 0.1, l1_ratio), ours.coef_
    limit = 1e-5 if solver == "newton" else 1e-3
    np.testing.assert_allclose(slope[W != 0], -l1_ratio * np.sign(W[W != 0]), atol=limit)
    assert (np.abs(slope[W == 0]) <= l1_ratio + limit).all()
    assert l1_ratio == 0 or (W == 0).any()
    # And scikit-learn's.
    how = {"solver": "saga", "tol": 1e-4, "random_state": 0} if l1_ratio else {"tol": 1e-10}
    theirs = Yardstick(max_iter=5000, **params, **how).fit(X, y)
    a, b = (objective(model, X, y, 0.1, l1_ratio) for model in (ours, theirs))
    assert a <= b * (1 + 1e-8)
    assert a == pytest.approx(b, rel=1e-3 if l1_ratio else 1e-8)
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
    theirs = Yardstick(class_weight="balanced", tol=1e-10, max_iter=5000).fit(
        X, y, sample_weight=weights
    )
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=2e-4)
    repeated = LogisticRegression(solver=solver).fit(
        X.repeat(weights.astype(int), axis=0), y.repeat(weights.astype(int))
    )
    weighted = LogisticRegression(solver=solver).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-4)


def test_probabilities() -> None:
    X, y = CANCER
    labels = np.array(["benign", "malignant"])[y]
    model = LogisticRegression().fit(X, labels)
    p = model.predict_proba(X)
    z = model.decision_function(X)
    np.testing.assert_allclose(p[:, 1], 1 / (1 + np.exp(-z)), rtol=1e-10)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(model.predict_log_proba(X * 100).max(axis=1), 0, atol=1)
    assert np.isfinite(model.predict_log_proba(X * 100)).all()
    assert set(model.predict(X)) == {"benign", "malignant"}
    assert model.predict_proba(X).dtype == np.float64
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
    assert likelihood == pytest.approx(theirs.llf, rel=1e-10)
    assert model.n_iter_ < 15


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
    ],
)
def test_bad_parameters(params: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        LogisticRegression(**params).fit(*IRIS)


def test_bad_labels() -> None:
    X, y = IRIS
    with pytest.raises(ValueError, match="at least two classes"):
        LogisticRegression().fit(X, np.zeros(len(y)))
    with pytest.raises(ValueError, match="MLPClassifier for several"):
        LogisticRegression().fit(X, np.eye(3, dtype=int)[y] + np.eye(3, dtype=int)[0] > 0)


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
    np.testing.assert_allclose(slope[active], -l1 * np.sign(at.w[active]), atol=1e-10)
    assert (np.abs(slope[~active]) <= l1 + 1e-10).all()
    if not l1:
        np.testing.assert_allclose(at.w, np.linalg.solve(A, b), rtol=1e-9)
