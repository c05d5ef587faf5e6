"""The table of losses, and the reductions and sample weights of the loss classes.

A loss gives one value a sample. Every sample's gradient is the derivative of its own value, so
that reductions and weights are applied in one place, `sample_factors`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import crossentropies, divergences, regression
from .arrays import Array, as_float, look_up

REDUCTIONS = ("sum_over_batch_size", "sum", "none")


@dataclass(frozen=True)
class Loss:
    """One loss: its formulas, the domains of its arguments and its canonical link.

    Attributes
    ----------
    per_sample, gradient_per_sample : functions ``(t, p, **params)``
        The value of each sample (n,), and the derivative of each sample's own value by p (n, d).
    targets, predictions : str
        What the arguments may be: "real", "nonnegative", "unit" (each entry in [0, 1]),
        "probabilities" (rows that sum to 1), or "classes" (integers, one a row).
    link : str or None
        The canonical output activation, ``p = link(z)``.
    per_sample_from_logits, dz : functions ``(t, z, **params)`` or None
        The same two by z, where there is a link; `params` without ``from_logits``. `dz` also
        takes ``y = link(z)`` where that is already known.
    """

    name: str
    per_sample: Callable[..., Array]
    gradient_per_sample: Callable[..., Array]
    targets: str = "real"
    predictions: str = "real"
    link: str | None = None
    per_sample_from_logits: Callable[..., Array] | None = None
    dz: Callable[..., Array] | None = None


LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss(
            "binary_crossentropy",
            crossentropies.binary,
            crossentropies.binary_gradient,
            "unit",
            "unit",
            "sigmoid",
            crossentropies.binary_from_logits,
            crossentropies.binary_dz,
        ),
        Loss(
            "categorical_crossentropy",
            crossentropies.categorical,
            crossentropies.categorical_gradient,
            "probabilities",
            "probabilities",
            "softmax",
            crossentropies.categorical_from_logits,
            crossentropies.categorical_dz,
        ),
        Loss(
            "sparse_categorical_crossentropy",
            crossentropies.sparse,
            crossentropies.sparse_gradient,
            "classes",
            "probabilities",
            "softmax",
            crossentropies.sparse_from_logits,
            crossentropies.sparse_dz,
        ),
        Loss(
            "poisson",
            divergences.poisson,
            divergences.poisson_gradient,
            "nonnegative",
            "nonnegative",
        ),
        Loss(
            "kl_divergence",
            divergences.kl_divergence,
            divergences.kl_divergence_gradient,
            "probabilities",
            "probabilities",
        ),
        Loss(
            "cosine_similarity",
            divergences.cosine_similarity,
            divergences.cosine_similarity_gradient,
        ),
        Loss(
            "mean_squared_error",
            regression.mean_squared_error,
            regression.mean_squared_error_gradient,
        ),
        Loss(
            "mean_absolute_error",
            regression.mean_absolute_error,
            regression.mean_absolute_error_gradient,
        ),
        Loss(
            "mean_absolute_percentage_error",
            regression.mean_absolute_percentage_error,
            regression.mean_absolute_percentage_error_gradient,
        ),
        Loss(
            "mean_squared_logarithmic_error",
            regression.mean_squared_logarithmic_error,
            regression.mean_squared_logarithmic_error_gradient,
            "nonnegative",
            "nonnegative",
        ),
        Loss("huber", regression.huber, regression.huber_gradient),
        Loss("log_cosh", regression.log_cosh, regression.log_cosh_gradient),
    )
}


def get(name: str) -> Loss:
    """Return the loss called `name`; a ValueError lists the known ones."""
    found: Loss = look_up(LOSSES, name, "loss")
    return found


def prepare_targets(name: str, t: npt.ArrayLike, p: Array) -> Array:
    """Return the targets as the formulas take them, checked against the shape of `p`.

    Class targets may come as a column (n, 1) and become (n,); others take the dtype of `p`.
    """
    t = np.asarray(t)
    if get(name).targets == "classes":
        if t.ndim == p.ndim and t.shape[-1] == 1:
            t = t[..., 0]
        expected = p.shape[:-1]
    else:
        t = t.astype(p.dtype, copy=False)
        expected = p.shape
    if t.shape != expected:
        raise ValueError(f"{name}: y_true has shape {t.shape}, expected {expected}")
    return t


def n_counted(t: Array, n_values: int, ignore_class: int | None = None) -> int:
    """Return how many values the mean divides by: those whose class is not ignored."""
    if ignore_class is None:
        return n_values
    return int(np.count_nonzero(crossentropies.counted(t, ignore_class)))


def sample_factors(
    n_values: int,
    shape: tuple[int, ...],
    sample_weight: npt.ArrayLike | None,
    reduction: str,
    dtype: npt.DTypeLike,
) -> Array:
    """Return the factor of each sample's value in the reduced loss, of shape `shape`.

    Its weight, divided by `n_values` for "sum_over_batch_size" (0 when that is 0).
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"unknown reduction {reduction!r}; known: {', '.join(REDUCTIONS)}")
    weight = np.ones(shape) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    factors = np.broadcast_to(weight, shape)
    if reduction == "sum_over_batch_size":
        factors = factors / n_values if n_values else np.zeros(shape)
    return factors.astype(dtype)


def loss(
    name: str,
    t: npt.ArrayLike,
    p: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None = None,
    reduction: str = "sum_over_batch_size",
    **params: Any,
) -> Array | float:
    """Return the reduced loss: a float, or one value a sample for ``reduction="none"``.

    ``sum(w l) / n`` ("sum_over_batch_size"), ``sum(w l)`` ("sum") or ``w l`` ("none"), where `n`
    counts the values that are not of `ignore_class`.

    Examples
    --------
    >>> loss("mean_squared_error", [[1.0, 2.0], [3.0, 4.0]], [[1.0, 0.0], [3.0, 4.0]])
    1.0
    """
    p = as_float(p)
    t = prepare_targets(name, t, p)
    values = get(name).per_sample(t, p, **params)
    n = n_counted(t, values.size, params.get("ignore_class"))
    weighted = values * sample_factors(n, values.shape, sample_weight, reduction, values.dtype)
    return weighted if reduction == "none" else float(weighted.sum(dtype=np.float64))


def loss_gradient(
    name: str,
    t: npt.ArrayLike,
    p: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None = None,
    reduction: str = "sum_over_batch_size",
    **params: Any,
) -> Array:
    """Return the derivative of `loss` by `p`, of the shape of `p`.

    For ``reduction="none"`` each row is the derivative of its own weighted value.
    """
    p = as_float(p)
    t = prepare_targets(name, t, p)
    n = n_counted(t, int(np.prod(p.shape[:-1])), params.get("ignore_class"))
    factors = sample_factors(n, p.shape[:-1], sample_weight, reduction, p.dtype)
    return factors[..., np.newaxis] * get(name).gradient_per_sample(t, p, **params)
