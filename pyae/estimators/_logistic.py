"""Logistic regression: a network of one layer, trained to the optimum."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from pyae._arguments import boolean, choice, not_negative, number, positive_int, seed_of, verbosity
from pyae._arrays import Floats, as_inputs, as_weights
from pyae._history import History
from pyae.callbacks import EarlyStopping, resolve_callbacks
from pyae.estimators._base import NetworkEstimator, Samples, all_or_nothing
from pyae.estimators._classes import as_labels, classes_of, numbers_of, with_class_weight
from pyae.estimators._frames import validate_data
from pyae.estimators._log_loss import Objective
from pyae.estimators._newton import Vector, minimize
from pyae.estimators._newton_cg import minimize_by_products
from pyae.estimators._other_names import LOGISTIC, naming
from pyae.model import Sequential
from pyae.progress import Progress

_SMALL = 1000  # parameters up to which Newton's matrix takes little time and memory
_STRICT = 1e-9  # up to which a tolerance leaves Newton's last step short, if there is an optimum
_LEAST_SIZE = 1e-140  # of a feature that is not 0: its squares times a probability are normal
_PATIENCE = 10  # steps of L-BFGS that together gain less than the goal


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
    penalty : {"auto", "l2", "l1", "elasticnet", None}, default "auto"
        As scikit-learn had it. "auto" and "elasticnet": what `l1_ratio` says; "l2" and "l1": that
        alone, where `l1_ratio` must not say something else; None: no penalty, whatever `C`.
    l1_ratio : float, default 0.0
        Share of the L1 penalty: 0 is L2 alone, 1 is L1 alone, which makes coefficients exactly 0.
    fit_intercept : bool, default True
        Whether each row of coefficients has an intercept; it is not penalised.
    class_weight : dict, "balanced" or None, default None
        Factors of the classes' losses, not negative; "balanced": inversely proportional to their
        frequencies.
    solver : {"auto", "newton", "lbfgs"}, default "auto"
        Newton's method, or `pyae.optimizers.LBFGS` on the network. Above 1,000 parameters, where
        there is no L1 penalty, Newton's steps are found by conjugate gradients, and else by its
        matrix, which has ``(n_classes (n_features + 1))^2`` entries. "auto": Newton's up to 1,000
        parameters.
    tol : float, default 1e-12
        The fit ends when what is left to gain is estimated as less than this part of the loss at
        zero coefficients.
    max_iter : int, default 1000
        How many steps there are at most.
    dtype : {"float32", "float64"}, default "float64"
        What probabilities are computed in; the optimum is always found in float64.
    n_threads : int, optional
        How many threads to use; None: as many as the process may.
    warm_start : bool, default False
        Whether `fit` starts from the fitted coefficients.
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None, default None
        Taken as everywhere, but changes nothing: there is one optimum, and no chance on the way.
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
        The optimum was not reached within `max_iter` steps, or no step leads nearer to it; or there
        is none, because the classes are separable and nothing is penalised. The coefficients are
        finite then: those at which the loss fell by less than `tol` asks for.

    Notes
    -----
    Newton's method has a line search ([1]_, there as IRLS), and finds each step by coordinate
    descent where there is an L1 penalty: it takes a dozen steps, whatever the scale of the
    features. Above 1,000 parameters it is truncated ([2]_, chapter 7; [3]_, there with a trust
    region): conjugate gradients, preconditioned by the diagonal, need products of the matrix with
    vectors only, which are two products with X each. They end at a residual of
    ``min(0.5, sqrt(g))`` times the gradient's preconditioned norm g, so far away they are few. That
    leads to a gradient at rounding errors too, in up to thirty steps. L-BFGS takes hundreds of
    small ones, likes standardised features, and leaves a gradient about a millionth of the loss;
    "auto" takes it above 1,000 parameters. Ctrl-C
    leaves the estimator fitted, with the coefficients of the last step.

    References
    ----------
    .. [1] Bishop, "Pattern Recognition and Machine Learning", section 4.3, Springer 2006.
    .. [2] Nocedal & Wright, "Numerical Optimization", 2nd edition, Springer 2006.
    .. [3] Lin, Weng & Keerthi, "Trust region Newton method for large-scale logistic regression",
       Journal of Machine Learning Research 9 (2008).

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

    @naming(LOGISTIC)
    def __init__(
        self,
        C: float = 1.0,
        *,
        penalty: str | None = "auto",
        l1_ratio: float = 0.0,
        fit_intercept: bool = True,
        class_weight: Any = None,
        solver: str = "auto",
        tol: float = 1e-12,
        max_iter: int = 1000,
        dtype: Any = "float64",
        n_threads: int | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
        callbacks: Any = None,
    ) -> None:
        self.C = C
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.dtype = dtype
        self.n_threads = n_threads
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks

    # ---- training --------------------------------------------------------------------------------

    @all_or_nothing
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
        max_iter = positive_int(self.max_iter, "max_iter")
        tol = not_negative(self.tol, "tol")
        if not isinstance(self.random_state, np.random.Generator | np.random.RandomState | None):
            seed_of(self.random_state)  # draws nothing
        fit_intercept = boolean(self.fit_intercept, "fit_intercept")
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
        objective = Objective(samples, len(classes), fit_intercept, l1, l2)
        without = np.setdiff1d(np.arange(len(classes)), samples.y)
        if len(classes) - len(without) < 2:
            raise ValueError(
                "y must have at least two classes whose samples have positive weight, got one "
                f"class: {np.delete(classes, without).tolist()}"
            )
        start = self._start(classes) if goes_on else np.zeros(objective.size)
        _refuse_extremes(objective)
        goal = tol * objective.value_and_gradient(np.zeros(objective.size))[0]
        self.classes_ = classes
        if self._chosen_solver(objective.size) == "newton":
            reached, step = self._by_newton(objective, start, goal, max_iter)
        else:
            reached, step = self._by_lbfgs(objective, start, goal, max_iter), None
        if len(without) and (fit_intercept or not l1 + l2):
            warnings.warn(
                f"the samples of {'class' if len(without) == 1 else 'classes'} "
                f"{classes[without].tolist()} all have weight 0: there is no optimum, but the loss "
                "falls for ever as the other classes become more probable. Leave those samples "
                "out",
                ConvergenceWarning,
                stacklevel=3,  # from fit's caller
            )
        elif reached and objective.has_no_optimum(self.model_.get_weights(), step):
            warnings.warn(
                "the classes are separable: without a penalty the loss falls for ever as "
                "coefficients grow, and they are those of where it fell by less than tol. Try a "
                f"finite C, got C={self.C!r}",
                ConvergenceWarning,
                stacklevel=3,  # from fit's caller
            )
        elif not reached:
            warnings.warn(
                f"the optimum was not reached in {self.n_iter_} steps, max_iter={max_iter} (the "
                "classes may be separable: try a smaller C; or the features may need "
                "standardising)",
                ConvergenceWarning,
                stacklevel=3,  # from fit's caller
            )
        return self

    def _chosen_solver(self, n_parameters: int) -> str:
        choice(self.solver, "solver", ("auto", "newton", "lbfgs"))
        if self.solver == "auto":
            return "newton" if n_parameters <= _SMALL else "lbfgs"
        return self.solver

    def _by_newton(
        self, objective: Objective, start: Vector, goal: float, max_iter: int
    ) -> tuple[bool, Vector | None]:
        """Take Newton's steps, and keep where they lead.

        Returns whether that is the optimum or somebody stopped there, and for an optimum the last
        step, where `tol` is small enough for that to tell something.
        """
        followers = resolve_callbacks(self.callbacks)
        progress = Progress(max_iter, verbosity(self.verbose))
        model = objective.network(self.dtype, self.n_threads)
        model.history = History({"loss": []})
        losses = model.history.history["loss"]
        reached = False
        model.set_weights(objective.weights(start))
        if objective.size > _SMALL and not objective.l1:
            steps = minimize_by_products(objective.smooth_problem(), start, goal)
        else:
            steps = minimize(objective.problem(), start, goal)
        try:
            for follower in followers:
                follower.model = model
                follower.on_train_begin(model)
            for step, at in enumerate(steps):
                _set_coefficients(model, objective.weights(at.w))
                if step > 0:
                    losses.append(at.objective)
                    progress.epoch_end(step - 1, {"loss": at.objective})
                    for follower in followers:
                        follower.on_epoch_end(step - 1, {"loss": at.objective})
                reached = at.expected <= goal or at.is_precise
                # At least one step: there is a history then, also where the start is the optimum.
                # Without an L1 penalty the method has a last step to offer, and ends by itself.
                over = model.stop_training or step == max_iter
                if step > 0 and (over or (reached and objective.l1 > 0)):
                    break
        finally:
            progress.close()
            self._keep(model, resume=False)
        for follower in followers:
            follower.on_train_end(model.history)
        told = reached and self.tol <= _STRICT
        return reached or model.stop_training, at.step if told else None

    def _by_lbfgs(self, objective: Objective, start: Vector, goal: float, max_iter: int) -> bool:
        """Train by L-BFGS, keep where it leads, and return whether that is the optimum."""
        model = objective.network("float64", self.n_threads)
        model.set_weights(objective.weights(start))
        before = model.history
        slow = EarlyStopping("loss", _PATIENCE, goal, restore_best_weights=False)
        model._tells_stalls = False  # it is told as what was not reached
        try:
            history = model.fit(
                objective.inputs,
                objective.y,
                epochs=max_iter,
                batch_size=len(objective.X),
                sample_weight=objective.sample_weights,
                callbacks=[*resolve_callbacks(self.callbacks), slow],
                verbose=verbosity(self.verbose),
            )
        finally:
            if model.history is not before:
                kept = objective.network(self.dtype, self.n_threads)
                _set_coefficients(kept, objective.centred(model.get_weights()))
                kept.history = model.history
                self._keep(kept, resume=False)
        return history.converged or history.stopped_early or model.stop_training

    def _penalties(self) -> tuple[float, float]:
        """Return the factors of L1 and L2 in the objective, divided by the one of the loss."""
        C = number(self.C, "C")
        if not C > 0:
            raise ValueError(f"C must be positive, got {self.C!r}")
        ratio = not_negative(self.l1_ratio, "l1_ratio")
        if ratio > 1:
            raise ValueError(f"l1_ratio must be from 0 to 1, got {self.l1_ratio!r}")
        if self.penalty is None:
            return 0.0, 0.0
        allowed = {"auto": (ratio,), "elasticnet": (ratio,), "l2": (0,), "l1": (0, 1)}
        choice(self.penalty, "penalty", (*allowed, None))
        if np.inf == 1 / C:
            raise ValueError(f"C must be larger, got {self.C!r}: 1/C is infinite")
        if ratio not in allowed[self.penalty]:
            raise ValueError(
                f"penalty={self.penalty!r} and l1_ratio={self.l1_ratio!r} contradict each other: "
                "leave one of them out"
            )
        if self.penalty == "l1":
            ratio = 1.0
        return ratio / C, (1 - ratio) / C

    def _start(self, classes: npt.NDArray[Any]) -> Vector:
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
        return self._fitted_model().get_weights()

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
        inputs = as_inputs(self._inputs(X), "X", self.model_.dtype)
        with np.errstate(over="ignore", invalid="ignore"):  # told below
            logits = inputs @ self.coef_.T + self.intercept_
        # One infinite logit still says which class; of several, a softmax makes NaN.
        _refuse_overflow(np.isnan(logits) if logits.shape[1] == 1 else ~np.isfinite(logits))
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
        _refuse_overflow(np.isnan(p))
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


def _refuse_extremes(objective: Objective) -> None:
    """Raise a ValueError where the weighted squares that curvature is made of leave float64.

    With a penalty, the curvature of features that are too small is the penalty's.
    """
    X, weights = objective.inputs, objective.sample_weights
    if not objective.l1 and not objective.l2:
        sizes = np.maximum(X.max(axis=0), -X.min(axis=0))
        vanishing = (sizes > 0) & (sizes < _LEAST_SIZE)
        if vanishing.any():
            feature = int(vanishing.argmax())
            raise ValueError(
                f"X has values of {sizes[feature]:.3g} in magnitude at most in feature {feature}, "
                "whose squares vanish: bring its features to a larger scale"
            )
    most = np.sqrt(np.finfo(np.float64).max / objective.size)
    largest = max(X.max(), -X.min())
    if largest > most:
        raise ValueError(
            f"X has values up to {largest:.3g} in magnitude, whose squares overflow: bring its "
            "features to a smaller scale"
        )
    if weights is not None and max(largest, 1) * np.sqrt(max(weights.max(), 1)) > most:
        raise ValueError(
            f"sample_weight, or class_weight times it, is up to {weights.max():.3g}, and with "
            f"values of X up to {largest:.3g} the losses overflow: make the weights smaller"
        )


def _set_coefficients(model: Sequential, weights: list[Floats]) -> None:
    """Give the network its weights, or raise a ValueError where its dtype has no room for them."""
    largest = max(np.abs(w).max() for w in weights)
    if largest > np.finfo(model.dtype).max:
        raise ValueError(
            f"the coefficients are up to {largest:.3g}, too large for dtype {model.dtype.name}: "
            "bring X's features to a larger scale, or use dtype='float64'"
        )
    model.set_weights(weights)


def _refuse_overflow(overflown: npt.NDArray[np.bool_]) -> None:
    """Raise a ValueError where what came of a row of X is marked: (n_samples, n_columns)."""
    if overflown.any():
        row = overflown.any(axis=1).argmax()
        raise ValueError(f"X has values so large that the logits overflow in row {row}")
