"""Loss functions, vectorised in C++: each as a class and as a function.

Arguments are ``(y_true, y_pred)``, arrays of shape (..., n_outputs). A function returns one value a
sample, shape (...); a class reduces them to a number and also gives the gradient. eps is 1e-7.

===================================  =================================================  =======
name                                 value of a sample (mean over outputs unless said)  targets
===================================  =================================================  =======
``binary_crossentropy``              -(t log p + (1-t) log(1-p)), p in [eps, 1-eps]     [0, 1]
``categorical_crossentropy``         -sum t log p, p/sum(p) in [eps, 1-eps]             [0, 1]
``sparse_categorical_crossentropy``  -log p[t]                                          classes
``poisson``                          p - t log(p + eps)                                 >= 0
``kl_divergence``                    sum t log(t/p), both in [eps, 1]                   [0, 1]
``mean_squared_error``               (p - t)^2                                          real
``mean_absolute_error``              abs(p - t)                                         real
``mean_absolute_percentage_error``   100 abs(t - p) / max(abs(t), eps)                  real
``mean_squared_logarithmic_error``   (log1p(max(t,eps)) - log1p(max(p,eps)))^2          >= 0
``cosine_similarity``                -sum t/norm(t) p/norm(p), norms >= eps             real
``huber``                            e^2/2 within delta, else delta abs(e)-delta^2/2    real
``log_cosh``                         log cosh(p - t)                                    real
===================================  =================================================  =======

In a network whose last activation is the loss's canonical link (sigmoid with binary, softmax with
(sparse) categorical cross-entropy) the loss is computed from the logits, exactly and without
clipping. The semantics are those of Keras 3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from pyae._arrays import Floats, as_floats, as_weights, require_finite
from pyae._backend import core
from pyae._spec import Spec, table_of
from pyae._spec import resolve as _resolve

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CosineSimilarity",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "cosine_similarity",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "names",
    "poisson",
    "sparse_categorical_crossentropy",
]

_TABLE: dict[str, Any] = core.tables()["losses"]

Reduction = Literal["sum_over_batch_size", "sum", "none"]
_REDUCTIONS = ("sum_over_batch_size", "sum", "none")


def names() -> list[str]:
    """Return the names of all losses.

    Examples
    --------
    >>> "huber" in names()
    True
    """
    return list(_TABLE)


@dataclass(frozen=True)
class Loss(Spec):
    """What all losses share.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "sum", "none"}, default "sum_over_batch_size"
        The weighted values' sum divided by their number (those of an ignored class not counted),
        their sum, or the values themselves.
    """

    kind: ClassVar[str] = "loss"

    reduction: Reduction = field(default="sum_over_batch_size", kw_only=True)

    def check(self) -> None:
        """Raise a ValueError that names the field, when one is not allowed."""
        if self.reduction not in _REDUCTIONS:
            raise ValueError(f"reduction must be one of {_REDUCTIONS}, got {self.reduction!r}")
        core.check_spec("loss", self._formula())

    def _formula(self) -> dict[str, Any]:
        """Return the spec without the reduction, which is not part of a sample's value."""
        spec = self.to_spec()
        del spec["reduction"]
        return spec

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float | Floats:
        """Return the loss.

        Parameters
        ----------
        y_true : array_like
            Targets of y_pred's shape (without the last axis where they are classes), within the
            loss's domain.
        y_pred : array_like
            Predictions of shape (..., n_outputs).
        sample_weight : array_like, optional
            One weight a sample, shape (...); not negative.

        Returns
        -------
        float or ndarray
            A number, or with ``reduction="none"`` one weighted value a sample.

        Raises
        ------
        TypeError
            An argument does not hold real numbers.
        ValueError
            Shapes do not fit, values are not finite, or targets are outside the domain.
        """
        values, counted = _values(self._formula(), y_true, y_pred, sample_weight)
        if self.reduction == "none":
            return values
        total = float(values.sum(dtype=np.float64))
        if self.reduction == "sum":
            return total
        return total / counted if counted else 0.0

    def gradient(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Floats:
        """Return the derivative by y_pred of what calling the loss returns.

        With ``reduction="none"`` it is that of the values' sum. Where a value is clipped it is 0.

        Returns
        -------
        ndarray
            The gradient, of y_pred's shape.

        Raises
        ------
        TypeError
            An argument does not hold real numbers.
        ValueError
            Shapes do not fit, values are not finite, or targets are outside the domain.
        """
        t, p, weights = _checked(self.name, y_true, y_pred, sample_weight, self._ignored())
        mean = self.reduction == "sum_over_batch_size"
        return core.loss_gradient(self._formula(), t, p, weights, mean)

    def _ignored(self) -> int | None:
        return None


def _checked(
    name: str, y_true: Any, y_pred: Any, sample_weight: Any, ignored: int | None
) -> tuple[Floats, Floats, Floats | None]:
    """Return targets, predictions and weights as the core takes them, or raise."""
    p = as_floats(y_pred, "y_pred")
    t = as_floats(y_true, "y_true", p.dtype)
    if p.ndim == 0 or p.size == 0:
        raise ValueError(f"y_pred must hold samples along its last axis, got shape {p.shape}")
    classes: bool = _TABLE[name]["classes"]
    expected = p.shape[:-1] if classes else p.shape
    if classes and t.shape == (*expected, 1):
        t = t.reshape(expected)
    if t.shape != expected:
        raise ValueError(f"y_true must have shape {expected} for {name}, got {t.shape}")
    require_finite(t, "y_true")
    require_finite(p, "y_pred")
    _check_domain(name, t, p.shape[-1], ignored)
    weights = sample_weight
    if weights is not None:
        weights = as_floats(weights, "sample_weight", p.dtype)
        if weights.shape != p.shape[:-1]:
            raise ValueError(
                f"sample_weight must have shape {p.shape[:-1]}, one a sample, got {weights.shape}"
            )
        weights = as_weights(weights.reshape(-1), "sample_weight", weights.size, p.dtype)
    return t, p, weights


def _check_domain(name: str, t: Floats, n_outputs: int, ignored: int | None) -> None:
    low, high = _TABLE[name]["domain"]
    if _TABLE[name]["classes"]:
        used = t if ignored is None else t[t != ignored]
        if used.size and (
            (used != np.floor(used)).any() or used.min() < 0 or used.max() >= n_outputs
        ):
            raise ValueError(
                f"y_true must hold classes, integers from 0 to {n_outputs - 1}, got values from "
                f"{used.min()} to {used.max()}"
            )
    elif t.min() < low or t.max() > high:
        raise ValueError(
            f"y_true must lie in [{low}, {high}] for {name}, got values from {t.min()} to {t.max()}"
        )


def _values(
    spec: dict[str, Any], y_true: Any, y_pred: Any, sample_weight: Any = None
) -> tuple[Floats, int]:
    t, p, weights = _checked(spec["name"], y_true, y_pred, sample_weight, spec.get("ignore_class"))
    values, counted = core.loss_values(spec, t, p, weights)
    return values.reshape(p.shape[:-1]), counted


def _per_sample(name: str, y_true: Any, y_pred: Any, **params: Any) -> Floats:
    return _values({"name": name, **params}, y_true, y_pred)[0]


@dataclass(frozen=True)
class BinaryCrossentropy(Loss):
    """The cross-entropy between targets in [0, 1] and probabilities.

    ``-mean(t log p + (1-t) log(1-p))``, p clipped to [eps, 1-eps]; from logits z it is
    ``mean(max(z,0) - z t + log(1+e^-abs(z)))``, without clipping.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "sum", "none"}, default "sum_over_batch_size"
        How the samples' values become one; see `Loss`.
    from_logits : bool, default False
        y_pred holds logits, not probabilities.
    label_smoothing : float, default 0.0
        s in [0, 1]: targets become ``t (1-s) + s/2``.

    Examples
    --------
    >>> round(BinaryCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]]), 4)
    0.6931
    """

    name: ClassVar[str] = "binary_crossentropy"

    from_logits: bool = False
    label_smoothing: float = 0.0


@dataclass(frozen=True)
class CategoricalCrossentropy(Loss):
    """The cross-entropy between distributions over classes.

    ``-sum(t log p)``, p divided by its sum and clipped to [eps, 1-eps]; from logits log p is their
    log_softmax.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "sum", "none"}, default "sum_over_batch_size"
        How the samples' values become one; see `Loss`.
    from_logits : bool, default False
        y_pred holds logits, not probabilities.
    label_smoothing : float, default 0.0
        s in [0, 1]: targets become ``t (1-s) + s/n_classes``.

    Examples
    --------
    >>> round(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]]), 4)
    0.6931
    """

    name: ClassVar[str] = "categorical_crossentropy"

    from_logits: bool = False
    label_smoothing: float = 0.0


@dataclass(frozen=True)
class SparseCategoricalCrossentropy(Loss):
    """The cross-entropy between classes given as integers and distributions.

    ``-log p[t]``, p divided by its sum and clipped to [eps, 1-eps]; from logits log p is their
    log_softmax.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "sum", "none"}, default "sum_over_batch_size"
        How the samples' values become one; see `Loss`.
    from_logits : bool, default False
        y_pred holds logits, not probabilities.
    ignore_class : int, optional
        Samples of this class count 0, and the mean is over the others.

    Examples
    --------
    >>> round(SparseCategoricalCrossentropy()([1], [[0.5, 0.5]]), 4)
    0.6931
    """

    name: ClassVar[str] = "sparse_categorical_crossentropy"

    from_logits: bool = False
    ignore_class: int | None = None

    def _ignored(self) -> int | None:
        return self.ignore_class


@dataclass(frozen=True)
class Poisson(Loss):
    """The negative log-likelihood of Poisson counts, up to a constant.

    ``mean(p - t log(p + eps))``.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "sum", "none"}, default "sum_over_batch_size"
        How the samples' values become one; see `Loss`.

    Examples
    --------
    >>> round(Poisson()([[1.0, 2.0]], [[1.0, 1.0]]), 4)
    1.0
    """

    name: ClassVar[str] = "poisson"


@dataclass(frozen=True)
class KLDivergence(Loss):
    """The Kullback-Leibler divergence of y_pred from y_true.

    ``sum(t log(t/p))``, both clipped to [eps, 1]; a sum, not a mean.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "sum", "none"}, default "sum_over_batch_size"
        How the samples' values become one; see `Loss`.

    Examples
    --------
    >>> round(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]), 4)
    0.1438
    """

    name: ClassVar[str] = "kl_divergence"


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """The mean squared error.

    ``mean((p - t)^2)``.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "sum", "none"}, default "sum_over_batch_size"
        How the samples' values become one; see `Loss`.

    Examples
    --------
    >>> round(MeanSquaredError()([[0.0, 1.0]], [[1.0, 1.0]]), 4)
    0.5
    """

    name: ClassVar[str] = "mean_squared_error"


@dataclass(frozen=True)
class MeanAbsoluteError(Loss):
    """The mean absolute error.

    ``mean(abs(p - t))``.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "sum", "none"}, default "sum_over_batch_size"
        How the samples' values become one; see `Loss`.

    Examples
    --------
    >>> round(MeanAbsoluteError()([[0.0, 1.0]], [[1.0, 1.0]]), 4)
    0.5
    """

    name: ClassVar[str] = "mean_absolute_error"


@dataclass(frozen=True)
class MeanAbsolutePercentageError(Loss):
    """The mean absolute error in percent of the targets.

    ``100 mean(abs(t - p) / max(abs(t), eps))``.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "sum", "none"}, default "sum_over_batch_size"
        How the samples' values become one; see `Loss`.

    Examples
    --------
    >>> round(MeanAbsolutePercentageError()([[1.0, 2.0]], [[2.0, 2.0]]), 4)
    50.0
    """

    name: ClassVar[str] = "mean_absolute_percentage_error"


@dataclass(frozen=True)
class MeanSquaredLogarithmicError(Loss):
    """The mean squared error of logarithms.

    ``mean((log1p(max(t, eps)) - log1p(max(p, eps)))^2)``.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "sum", "none"}, default "sum_over_batch_size"
        How the samples' values become one; see `Loss`.

    Examples
    --------
    >>> round(MeanSquaredLogarithmicError()([[0.0, 1.0]], [[1.0, 1.0]]), 4)
    0.2402
    """

    name: ClassVar[str] = "mean_squared_logarithmic_error"


@dataclass(frozen=True)
class CosineSimilarity(Loss):
    """The negative cosine of the angle between target and prediction.

    ``-sum(t/norm(t) p/norm(p))``, norms of at least eps; -1 is the same direction.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "sum", "none"}, default "sum_over_batch_size"
        How the samples' values become one; see `Loss`.

    Examples
    --------
    >>> round(CosineSimilarity()([[1.0, 0.0]], [[1.0, 1.0]]), 4)
    -0.7071
    """

    name: ClassVar[str] = "cosine_similarity"


@dataclass(frozen=True)
class Huber(Loss):
    """The squared error near zero, absolute error beyond delta [1]_.

    ``mean(e^2/2 where abs(e) <= delta, else delta abs(e) - delta^2/2)``, e = p - t.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "sum", "none"}, default "sum_over_batch_size"
        How the samples' values become one; see `Loss`.
    delta : float, default 1.0
        Where the parabola ends; positive.

    References
    ----------
    .. [1] Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics
       35 (1964).

    Examples
    --------
    >>> round(Huber()([[0.0, 0.0]], [[1.0, 3.0]]), 4)
    1.5
    """

    name: ClassVar[str] = "huber"

    delta: float = 1.0


@dataclass(frozen=True)
class LogCosh(Loss):
    """The logarithm of the hyperbolic cosine of the error.

    ``mean(log(cosh(p - t)))``, a smooth absolute error.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "sum", "none"}, default "sum_over_batch_size"
        How the samples' values become one; see `Loss`.

    Examples
    --------
    >>> round(LogCosh()([[0.0, 0.0]], [[0.0, 1.0]]), 4)
    0.2169
    """

    name: ClassVar[str] = "log_cosh"


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0
) -> Floats:
    """Return each sample's cross-entropy between targets in [0, 1] and probabilities.

    ``-mean(t log p + (1-t) log(1-p))``, p clipped to [eps, 1-eps]; from logits z it is
    ``mean(max(z,0) - z t + log(1+e^-abs(z)))``, without clipping.

    Parameters
    ----------
    y_true : array_like
        Targets in [0, 1], shape (..., n_outputs).
    y_pred : array_like
        Predictions, shape (..., n_outputs).
    from_logits : bool, default False
        y_pred holds logits, not probabilities.
    label_smoothing : float, default 0.0
        s in [0, 1]: targets become ``t (1-s) + s/2``.

    Returns
    -------
    ndarray
        One value a sample, shape (...).

    Raises
    ------
    ValueError
        Shapes do not fit, values are not finite, or targets are outside the domain.

    Examples
    --------
    >>> binary_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).round(4)
    array([0.6931])
    """
    return _per_sample(
        "binary_crossentropy",
        y_true,
        y_pred,
        from_logits=from_logits,
        label_smoothing=label_smoothing,
    )


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0
) -> Floats:
    """Return each sample's cross-entropy between distributions over classes.

    ``-sum(t log p)``, p divided by its sum and clipped to [eps, 1-eps]; from logits log p is their
    log_softmax.

    Parameters
    ----------
    y_true : array_like
        Distributions over the classes, shape (..., n_outputs).
    y_pred : array_like
        Predictions, shape (..., n_outputs).
    from_logits : bool, default False
        y_pred holds logits, not probabilities.
    label_smoothing : float, default 0.0
        s in [0, 1]: targets become ``t (1-s) + s/n_classes``.

    Returns
    -------
    ndarray
        One value a sample, shape (...).

    Raises
    ------
    ValueError
        Shapes do not fit, values are not finite, or targets are outside the domain.

    Examples
    --------
    >>> categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).round(4)
    array([0.6931])
    """
    return _per_sample(
        "categorical_crossentropy",
        y_true,
        y_pred,
        from_logits=from_logits,
        label_smoothing=label_smoothing,
    )


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None
) -> Floats:
    """Return each sample's cross-entropy between classes given as integers and distributions.

    ``-log p[t]``, p divided by its sum and clipped to [eps, 1-eps]; from logits log p is their
    log_softmax.

    Parameters
    ----------
    y_true : array_like
        Classes, integers from 0, shape (...).
    y_pred : array_like
        Predictions, shape (..., n_outputs).
    from_logits : bool, default False
        y_pred holds logits, not probabilities.
    ignore_class : int, optional
        Samples of this class count 0, and the mean is over the others.

    Returns
    -------
    ndarray
        One value a sample, shape (...).

    Raises
    ------
    ValueError
        Shapes do not fit, values are not finite, or targets are outside the domain.

    Examples
    --------
    >>> sparse_categorical_crossentropy([1], [[0.5, 0.5]]).round(4)
    array([0.6931])
    """
    return _per_sample(
        "sparse_categorical_crossentropy",
        y_true,
        y_pred,
        from_logits=from_logits,
        ignore_class=ignore_class,
    )


def poisson(y_true: Any, y_pred: Any) -> Floats:
    """Return each sample's negative log-likelihood of Poisson counts, up to a constant.

    ``mean(p - t log(p + eps))``.

    Parameters
    ----------
    y_true : array_like
        Counts, not negative, shape (..., n_outputs).
    y_pred : array_like
        Predictions, shape (..., n_outputs).

    Returns
    -------
    ndarray
        One value a sample, shape (...).

    Raises
    ------
    ValueError
        Shapes do not fit, values are not finite, or targets are outside the domain.

    Examples
    --------
    >>> poisson([[1.0, 2.0]], [[1.0, 1.0]]).round(4)
    array([1.])
    """
    return _per_sample("poisson", y_true, y_pred)


def kl_divergence(y_true: Any, y_pred: Any) -> Floats:
    """Return each sample's Kullback-Leibler divergence of y_pred from y_true.

    ``sum(t log(t/p))``, both clipped to [eps, 1]; a sum, not a mean.

    Parameters
    ----------
    y_true : array_like
        Distributions, shape (..., n_outputs).
    y_pred : array_like
        Predictions, shape (..., n_outputs).

    Returns
    -------
    ndarray
        One value a sample, shape (...).

    Raises
    ------
    ValueError
        Shapes do not fit, values are not finite, or targets are outside the domain.

    Examples
    --------
    >>> kl_divergence([[0.5, 0.5]], [[0.25, 0.75]]).round(4)
    array([0.1438])
    """
    return _per_sample("kl_divergence", y_true, y_pred)


def mean_squared_error(y_true: Any, y_pred: Any) -> Floats:
    """Return each sample's mean squared error.

    ``mean((p - t)^2)``.

    Parameters
    ----------
    y_true : array_like
        Targets, shape (..., n_outputs).
    y_pred : array_like
        Predictions, shape (..., n_outputs).

    Returns
    -------
    ndarray
        One value a sample, shape (...).

    Raises
    ------
    ValueError
        Shapes do not fit, values are not finite, or targets are outside the domain.

    Examples
    --------
    >>> mean_squared_error([[0.0, 1.0]], [[1.0, 1.0]]).round(4)
    array([0.5])
    """
    return _per_sample("mean_squared_error", y_true, y_pred)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Floats:
    """Return each sample's mean absolute error.

    ``mean(abs(p - t))``.

    Parameters
    ----------
    y_true : array_like
        Targets, shape (..., n_outputs).
    y_pred : array_like
        Predictions, shape (..., n_outputs).

    Returns
    -------
    ndarray
        One value a sample, shape (...).

    Raises
    ------
    ValueError
        Shapes do not fit, values are not finite, or targets are outside the domain.

    Examples
    --------
    >>> mean_absolute_error([[0.0, 1.0]], [[1.0, 1.0]]).round(4)
    array([0.5])
    """
    return _per_sample("mean_absolute_error", y_true, y_pred)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Floats:
    """Return each sample's mean absolute error in percent of the targets.

    ``100 mean(abs(t - p) / max(abs(t), eps))``.

    Parameters
    ----------
    y_true : array_like
        Targets, shape (..., n_outputs).
    y_pred : array_like
        Predictions, shape (..., n_outputs).

    Returns
    -------
    ndarray
        One value a sample, shape (...).

    Raises
    ------
    ValueError
        Shapes do not fit, values are not finite, or targets are outside the domain.

    Examples
    --------
    >>> mean_absolute_percentage_error([[1.0, 2.0]], [[2.0, 2.0]]).round(4)
    array([50.])
    """
    return _per_sample("mean_absolute_percentage_error", y_true, y_pred)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Floats:
    """Return each sample's mean squared error of logarithms.

    ``mean((log1p(max(t, eps)) - log1p(max(p, eps)))^2)``.

    Parameters
    ----------
    y_true : array_like
        Targets, not negative, shape (..., n_outputs).
    y_pred : array_like
        Predictions, shape (..., n_outputs).

    Returns
    -------
    ndarray
        One value a sample, shape (...).

    Raises
    ------
    ValueError
        Shapes do not fit, values are not finite, or targets are outside the domain.

    Examples
    --------
    >>> mean_squared_logarithmic_error([[0.0, 1.0]], [[1.0, 1.0]]).round(4)
    array([0.2402])
    """
    return _per_sample("mean_squared_logarithmic_error", y_true, y_pred)


def cosine_similarity(y_true: Any, y_pred: Any) -> Floats:
    """Return each sample's negative cosine of the angle between target and prediction.

    ``-sum(t/norm(t) p/norm(p))``, norms of at least eps; -1 is the same direction.

    Parameters
    ----------
    y_true : array_like
        Targets, shape (..., n_outputs).
    y_pred : array_like
        Predictions, shape (..., n_outputs).

    Returns
    -------
    ndarray
        One value a sample, shape (...).

    Raises
    ------
    ValueError
        Shapes do not fit, values are not finite, or targets are outside the domain.

    Examples
    --------
    >>> cosine_similarity([[1.0, 0.0]], [[1.0, 1.0]]).round(4)
    array([-0.7071])
    """
    return _per_sample("cosine_similarity", y_true, y_pred)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Floats:
    """Return each sample's squared error near zero, absolute error beyond delta.

    ``mean(e^2/2 where abs(e) <= delta, else delta abs(e) - delta^2/2)``, e = p - t.

    Parameters
    ----------
    y_true : array_like
        Targets, shape (..., n_outputs).
    y_pred : array_like
        Predictions, shape (..., n_outputs).
    delta : float, default 1.0
        Where the parabola ends; positive.

    Returns
    -------
    ndarray
        One value a sample, shape (...).

    Raises
    ------
    ValueError
        Shapes do not fit, values are not finite, or targets are outside the domain.

    Examples
    --------
    >>> huber([[0.0, 0.0]], [[1.0, 3.0]]).round(4)
    array([1.5])
    """
    return _per_sample("huber", y_true, y_pred, delta=delta)


def log_cosh(y_true: Any, y_pred: Any) -> Floats:
    """Return each sample's logarithm of the hyperbolic cosine of the error.

    ``mean(log(cosh(p - t)))``, a smooth absolute error.

    Parameters
    ----------
    y_true : array_like
        Targets, shape (..., n_outputs).
    y_pred : array_like
        Predictions, shape (..., n_outputs).

    Returns
    -------
    ndarray
        One value a sample, shape (...).

    Raises
    ------
    ValueError
        Shapes do not fit, values are not finite, or targets are outside the domain.

    Examples
    --------
    >>> log_cosh([[0.0, 0.0]], [[0.0, 1.0]]).round(4)
    array([0.2169])
    """
    return _per_sample("log_cosh", y_true, y_pred)


_CLASSES = table_of(
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    Poisson,
    KLDivergence,
    MeanSquaredError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    CosineSimilarity,
    Huber,
    LogCosh,
)


def resolve(value: Any, argument: str = "loss") -> Loss:
    """Return the loss given as a name, a spec, one of this module's functions or an object."""
    if callable(value) and getattr(value, "__module__", None) == __name__:
        value = getattr(value, "__name__", value)
    return _resolve(value, argument, _CLASSES)
