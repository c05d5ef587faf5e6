"""Penalties on weights and on layer outputs, each with its derivative."""

from __future__ import annotations

import numpy as np

from .arrays import EPSILON, Array, Spec, look_up, split_spec


def l1l2(w: Array, l1: float = 0.0, l2: float = 0.0) -> float:
    """Return ``l1 sum|w| + l2 sum w^2``.

    Examples
    --------
    >>> l1l2(np.array([1.0, -2.0]), l1=0.5, l2=2.0)
    11.5
    """
    value = 0.0
    if l1:
        value += l1 * float(np.abs(w).sum(dtype=np.float64))
    if l2:
        value += l2 * float(np.square(w).sum(dtype=np.float64))
    return value


def l1l2_gradient(w: Array, l1: float = 0.0, l2: float = 0.0) -> Array:
    """Return ``l1 sign(w) + 2 l2 w``."""
    gradient = (2 * l2) * w
    if l1:
        gradient += l1 * np.sign(w)
    return gradient


def activity_l1l2(y: Array, l1: float = 0.0, l2: float = 0.0) -> float:
    """Return ``(l1 sum|y| + l2 sum y^2) / m`` for the outputs y (m, units) of a batch."""
    return l1l2(y, l1, l2) / len(y)


def activity_l1l2_gradient(y: Array, l1: float = 0.0, l2: float = 0.0) -> Array:
    """Return ``(l1 sign(y) + 2 l2 y) / m``: (m, units)."""
    return l1l2_gradient(y, l1, l2) / len(y)


def kl_sparsity(y: Array, rho: float = 0.05, beta: float = 1.0) -> float:
    """Return ``beta sum_j [rho log(rho/r_j) + (1-rho) log((1-rho)/(1-r_j))]`` (Ng, 2011).

    ``r_j`` is the mean of unit j over the batch, y (m, units), clipped to [eps, 1-eps].
    """
    r = np.clip(y.mean(axis=0, dtype=np.float64), EPSILON, 1 - EPSILON)  # (units,)
    divergence = rho * np.log(rho / r) + (1 - rho) * np.log((1 - rho) / (1 - r))
    return beta * float(divergence.sum())


def kl_sparsity_gradient(y: Array, rho: float = 0.05, beta: float = 1.0) -> Array:
    """Return ``beta [(1-rho)/(1-r_j) - rho/r_j] / m``, 0 where r_j is clipped: (m, units)."""
    mean = y.mean(axis=0, dtype=np.float64)  # (units,)
    r = np.clip(mean, EPSILON, 1 - EPSILON)
    slope = np.where(mean == r, beta * ((1 - rho) / (1 - r) - rho / r) / len(y), 0)
    return np.broadcast_to(slope.astype(y.dtype), y.shape)


WEIGHT_PENALTIES = {"l1l2": (l1l2, l1l2_gradient)}
ACTIVITY_PENALTIES = {
    "l1l2": (activity_l1l2, activity_l1l2_gradient),
    "kl_sparsity": (kl_sparsity, kl_sparsity_gradient),
}


def weight_penalty(spec: Spec | None, w: Array) -> float:
    """Return the penalty a regularizer spec puts on a weight array; 0 for None."""
    if spec is None:
        return 0.0
    name, params = split_spec(spec)
    return float(look_up(WEIGHT_PENALTIES, name, "regularizer")[0](w, **params))


def add_weight_gradient(spec: Spec | None, w: Array, dw: Array) -> None:
    """Add the derivative of `weight_penalty` to `dw` in place."""
    if spec is not None:
        name, params = split_spec(spec)
        dw += look_up(WEIGHT_PENALTIES, name, "regularizer")[1](w, **params)


def activity_penalty(spec: Spec | None, y: Array) -> float:
    """Return the penalty an activity regularizer spec puts on outputs y (m, units)."""
    if spec is None:
        return 0.0
    name, params = split_spec(spec)
    return float(look_up(ACTIVITY_PENALTIES, name, "activity regularizer")[0](y, **params))


def activity_gradient(spec: Spec, y: Array) -> Array:
    """Return the derivative of `activity_penalty` by y: (m, units)."""
    name, params = split_spec(spec)
    table = ACTIVITY_PENALTIES
    return np.asarray(look_up(table, name, "activity regularizer")[1](y, **params))
