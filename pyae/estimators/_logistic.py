"""Logistic regression: a network of one layer, trained to the optimum."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from pyae._arrays import Floats, as_weights
from pyae.callbacks import resolve_callbacks
from pyae.estimators._base import NetworkEstimator, Samples
from pyae.estimators._classes import as_labels, classes_of, numbers_of, with_class_weight
from pyae.estimators._newton import Matrix, Problem, Vector, minimize
from pyae.layers import Dense
from pyae.model import History, Sequential, _positive_int
from pyae.progress import Progress


class LogisticRegression(ClassifierMixin, NetworkEstimator):
    """Logistic regression, binary or multinomial: one layer of sigmoid or softmax units.

    It minimises, with the log loss L_i and weight s_i of sample i, and the coefficients W without
    the intercepts, what scikit-learn's does:

    ``C sum_i s_i L_i + (1 - l1_ratio) sum(W^2)/2 + l1_ratio sum(abs(W))``

    Two classes have one row of coefficients and a sigmoid, more have a row each and a softmax.

    Parameters
    ----------
    C : float, default 1.0
        Inverse strength of the penalty; ``numpy.inf`` for none.
    l1_ratio : float, default 0.0
        Share of the L1 penalty: 0 is L2 alone, 1 is L1 alone, which makes coefficients exactly 0.
    fit_intercept : bool, default True
        Whether each row of coefficients has an intercept; it is not penalised.
    class_weight : dict, "balanced" or None, default None
        Factors of the classes' losses; "balanced": inversely proportional to their frequencies.
    tol : float, default 1e-12
        The fit ends when what is left to gain is estimated as less than this part of the loss at
        zero coefficients.
    max_iter : int, default 100
        How many steps there are at most.
    dtype : {"float32", "float64"}, default "float64"
        What probabilities are computed in; the optimum is always found in float64.
    n_threads : int, optional
        How many threads to use; None: as many as the process may.
    warm_start : bool, default False
        Whether `fit` starts from the fitted coefficients.
    verbose : {0, 1, 2}, default 0
        0: silent; 1: a progress bar on long fits; 2: a line a step.
    callbacks : Callback, callable or sequence of these, optional
        See `pyae.callbacks`; a step counts as an epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, in order.
    coef_ : ndarray of shape (1, n_features_in_) or (n_classes, n_features_in_)
        The coefficients W.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        The intercepts.
    model_ : pyae.Sequential
        The network.
    n_iter_ : int
        How many steps were taken.
    history_ : dict of str to list of float
        ``"loss"``: the objective above divided by ``C n_samples``, after each step.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X had them.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        The optimum was not reached within `max_iter` steps.

    Notes
    -----
    The method is Newton's, with a line search (`[1]_`, there as IRLS), and coordinate descent
    within each step where there is an L1 penalty. Its Hessian has
    ``(n_classes (n_features + 1))^2`` entries. Ctrl-C leaves the estimator fitted, with the
    coefficients of the last step.

    References
    ----------
    .. [1] Bishop, "Pattern Recognition and Machine Learning", section 4.3, Springer 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from pyae import LogisticRegression
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> model = LogisticRegression().fit(X, ["no", "no", "yes", "yes"])
    >>> model.predict([[0.2], [2.8]]).tolist()
    ['no', 'yes']
    """

    classes_: npt.NDArray[Any]

    def __init__(
        self,
        C: float = 1.0,
        *,
        l1_ratio: float = 0.0,
        fit_intercept: bool = True,
        class_weight: Any = None,
        tol: float = 1e-12,
        max_iter: int = 100,
        dtype: Any = "float64",
        n_threads: int | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        callbacks: Any = None,
    ) -> None:
        self.C = C
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.dtype = dtype
        self.n_threads = n_threads
        self.warm_start = warm_start
        self.verbose = verbose
        self.callbacks = callbacks

    # ---- training --------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Find the optimal coefficients.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features)
            Training samples.
        y : array_like of shape (n_samples,)
            Their labels, of any type; at least two different ones.
        sample_weight : array_like of shape (n_samples,), optional
            Factors of the samples' losses.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            A parameter, the data's shape or a value is not allowed; the message names it.
        """
        l1, l2 = self._penalties()
        max_iter = _positive_int(self.max_iter, "max_iter")
        tol = _not_negative(self.tol, "tol")
        goes_on = self._goes_on()
        labels = as_labels(y)
        X, labels = validate_data(
            self, X, labels, reset=not goes_on, dtype="numeric", y_numeric=False, multi_output=True
        )
        if labels.ndim == 2:
            raise ValueError("y must have one label a sample: use MLPClassifier for several")
        classes = classes_of(labels)
        if len(classes) < 2:
            raise ValueError(f"y must have at least two classes, got one class: {classes.tolist()}")
        weights = as_weights(sample_weight, "sample_weight", len(X), np.float64)
        weights = with_class_weight(self.class_weight, labels, weights)
        samples = Samples(X, numbers_of(labels, classes), weights).used()
        assert samples.y is not None
        start = self._start(classes, X.shape[1]) if goes_on else None
        objective = _Objective(samples, len(classes), bool(self.fit_intercept), l1, l2)
        self._minimise(objective, start, classes, max_iter, tol)
        return self

    def _minimise(
        self,
        objective: _Objective,
        start: Vector | None,
        classes: npt.NDArray[Any],
        max_iter: int,
        tol: float,
    ) -> None:
        """Take Newton's steps from some coefficients, or from zero, and keep where they lead."""
        followers = resolve_callbacks(self.callbacks)
        progress = Progress(max_iter, int(self.verbose))
        model = objective.network(self.dtype, self.n_threads)
        zero = np.zeros(objective.size)
        problem = objective.problem()
        goal = tol * problem.objective(zero)[0]
        losses: list[float] = []
        history = History({"loss": losses})
        model.history, model.stop_training = history, False
        converged = False
        self.classes_ = classes
        try:
            for follower in followers:
                follower.model = model
                follower.on_train_begin(model)
            for step, at in enumerate(minimize(problem, zero if start is None else start)):
                model.set_weights(objective.weights(at.w))
                if step > 0:
                    losses.append(at.objective)
                    progress.epoch_end(step - 1, {"loss": at.objective})
                    for follower in followers:
                        follower.on_epoch_end(step - 1, {"loss": at.objective})
                converged = at.expected <= goal
                # At least one step: then there is a history, also where the start is the optimum.
                if step > 0 and (converged or model.stop_training or step == max_iter):
                    break
        finally:
            progress.close()
            self.model_, self.history_, self.n_iter_ = model, {"loss": losses}, len(losses)
        for follower in followers:
            follower.on_train_end(history)
        if not converged and not model.stop_training:
            warnings.warn(
                f"the optimum was not reached in max_iter={max_iter} steps (the classes may be "
                "separable: try a smaller C)",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _penalties(self) -> tuple[float, float]:
        """Return the factors of L1 and L2 in the objective, divided by the one of the loss."""
        if isinstance(self.C, bool) or not hasattr(self.C, "__float__"):
            raise TypeError(f"C must be a number, got {self.C!r}")
        if not self.C > 0:
            raise ValueError(f"C must be positive, got {self.C!r}")
        ratio = _not_negative(self.l1_ratio, "l1_ratio")
        if ratio > 1:
            raise ValueError(f"l1_ratio must be from 0 to 1, got {self.l1_ratio!r}")
        return ratio / self.C, (1 - ratio) / self.C

    def _start(self, classes: npt.NDArray[Any], n_features: int) -> Vector:
        """Return the fitted coefficients to go on from."""
        if not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"y must have the fitted classes {self.classes_.tolist()} with warm_start=True, "
                f"got {classes.tolist()}"
            )
        intercepts = [self.intercept_] if self.fit_intercept else []
        return np.column_stack([self.coef_, *intercepts]).astype(np.float64).reshape(-1)

    # ---- use -------------------------------------------------------------------------------------

    @property
    def coef_(self) -> Floats:
        """The coefficients: (1, n_features) for two classes, else (n_classes, n_features)."""
        return np.ascontiguousarray(self._fitted_weights()[0].T)

    @property
    def intercept_(self) -> Floats:
        """The intercepts: one for each row of coefficients."""
        weights = self._fitted_weights()
        return weights[1] if len(weights) > 1 else np.zeros(weights[0].shape[1], self.dtype)

    def _fitted_weights(self) -> list[Floats]:
        if not self._is_fitted():
            raise AttributeError("the estimator is not fitted yet: call fit")
        return self.model_.get_weights()

    def decision_function(self, X: Any) -> Floats:
        """Return the logits: ``X coef_.T + intercept_``.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features_in_)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes the logit of ``classes_[1]``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        TypeError, ValueError
            The data's shape or a value is not allowed.
        """
        inputs = self._inputs(X)
        logits = inputs.astype(self.model_.dtype, copy=False) @ self.coef_.T + self.intercept_
        return np.asarray(logits[:, 0] if logits.shape[1] == 1 else logits)

    def predict_proba(self, X: Any) -> Floats:
        """Return the classes' probabilities.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features_in_)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``; each row adds up to 1.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        TypeError, ValueError
            The data's shape or a value is not allowed.
        """
        p = self._predict(X)
        return np.column_stack([1 - p[:, 0], p[:, 0]]) if p.shape[1] == 1 else p

    def predict_log_proba(self, X: Any) -> Floats:
        """Return the logarithms of `predict_proba`, computed from the logits.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features_in_)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        TypeError, ValueError
            The data's shape or a value is not allowed.
        """
        z = self.decision_function(X)
        if z.ndim == 1:
            return np.column_stack([-np.logaddexp(0, z), -np.logaddexp(0, -z)])
        return np.asarray(z - np.logaddexp.reduce(z, axis=1, keepdims=True))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most probable labels.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features_in_)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,)
            Of ``classes_``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        TypeError, ValueError
            The data's shape or a value is not allowed.
        """
        check_is_fitted(self)
        z = self.decision_function(X)
        numbers = (z > 0).astype(int) if z.ndim == 1 else z.argmax(axis=1)
        return np.asarray(self.classes_[numbers])


class _Objective:
    """The objective, divided by C and the number of samples, as a function of one flat vector.

    The vector holds, row by row, each class's coefficients and, where there is one, intercept.
    """

    def __init__(
        self, samples: Samples, n_classes: int, has_intercept: bool, l1: float, l2: float
    ) -> None:
        n_samples, n_features = samples.X.shape
        ones = [np.ones(n_samples)] if has_intercept else []
        self.X = np.column_stack([samples.X, *ones]).astype(np.float64, copy=False)
        self.y = samples.y
        self.sample_weights = samples.weights
        self.has_intercept = has_intercept
        self.n_features = n_features
        self.rows = 1 if n_classes == 2 else n_classes
        self.size = self.rows * self.X.shape[1]
        self.l1 = l1 / n_samples
        self.l2 = l2 / n_samples
        penalised = np.ones((self.rows, self.X.shape[1]))
        if has_intercept:
            penalised[:, -1] = 0
        self.penalised: Vector = penalised.reshape(-1)
        self._network = self.network("float64", None)

    def network(self, dtype: Any, n_threads: int | None) -> Sequential:
        """Return the one-layer network, with zero weights."""
        layer = Dense(
            self.rows,
            "sigmoid" if self.rows == 1 else "softmax",
            self.has_intercept,
            kernel_initializer="zeros",
        )
        loss = "binary_crossentropy" if self.rows == 1 else "sparse_categorical_crossentropy"
        model = Sequential([layer], loss=loss, dtype=dtype, n_threads=n_threads, random_state=0)
        return model.build(self.n_features)

    def weights(self, w: Vector) -> list[Floats]:
        """Return a vector as the network's weights.

        Of the equal softmax models whose rows differ by a common one, it is that with a mean of 0
        where no penalty tells them apart.
        """
        matrix = w.reshape(self.rows, -1)
        if self.rows > 1:
            free = slice(self.n_features, None) if self.l1 or self.l2 else slice(None)
            matrix = matrix.copy()
            matrix[:, free] -= matrix[:, free].mean(axis=0)
        bias = [matrix[:, -1]] if self.has_intercept else []
        return [matrix[:, : self.n_features].T, *bias]

    def problem(self) -> Problem:
        """Return the function to minimise and its derivatives."""
        return Problem(self.value_and_gradient, self.hessian, self.l1 * self.penalised)

    def value_and_gradient(self, w: Vector) -> tuple[float, Vector]:
        """Return the smooth part, from the network, and its gradient."""
        self._network.set_weights(self.weights(w))
        inputs = self.X[:, : self.n_features]
        value, gradients = self._network.loss_and_gradients(inputs, self.y, self.sample_weights)
        slopes = w * self.penalised * self.l2
        value += 0.5 * float(w @ slopes)
        by_row = [gradients[0].T, *(bias[:, np.newaxis] for bias in gradients[1:])]
        return value, np.column_stack(by_row).reshape(-1) + slopes

    def hessian(self, w: Vector) -> Matrix:
        """Return the smooth part's second derivatives: blocks ``X^T diag(s p (1 - p)) X / n``."""
        self._network.set_weights(self.weights(w))
        p = self._network.predict(self.X[:, : self.n_features])  # (n_samples, rows)
        n_samples, width = self.X.shape
        factor = np.full(n_samples, 1 / n_samples)
        if self.sample_weights is not None:
            factor *= self.sample_weights
        result = np.empty((self.rows, width, self.rows, width))
        for i in range(self.rows):
            for j in range(i + 1):
                curvature = factor * p[:, i] * ((i == j) - p[:, j])
                block = self.X.T @ (curvature[:, np.newaxis] * self.X)
                result[i, :, j] = block
                result[j, :, i] = block.T
        matrix = result.reshape(self.size, self.size)
        matrix[np.diag_indices(self.size)] += self.l2 * self.penalised
        return matrix


def _not_negative(value: Any, name: str) -> float:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name} must be finite and not negative, got {value!r}")
    return float(value)
