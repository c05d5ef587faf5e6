"""Losses of real-valued predictions: the value of each sample and its derivative by `p`.

Targets `t` and predictions `p` are (n, d); values are (n,), derivatives (n, d).
"""

from __future__ import annotations

import math

import numpy as np

from .arrays import EPSILON, Array


def mean_squared_error(t: Array, p: Array) -> Array:
    """Return ``mean((p - t)^2)``."""
    return np.asarray(np.square(p - t).mean(axis=-1))


def mean_squared_error_gradient(t: Array, p: Array) -> Array:
    """Return ``2 (p - t) / d``."""
    return np.asarray((p - t) * (2 / p.shape[-1]))


def mean_absolute_error(t: Array, p: Array) -> Array:
    """Return ``mean(|p - t|)``."""
    return np.asarray(np.abs(p - t).mean(axis=-1))


def mean_absolute_error_gradient(t: Array, p: Array) -> Array:
    """Return ``sign(p - t) / d``, with ``sign(0) = 0``."""
    return np.asarray(np.sign(p - t) / p.shape[-1])


def mean_absolute_percentage_error(t: Array, p: Array) -> Array:
    """Return ``100 mean(|t - p| / max(|t|, eps))``."""
    return np.asarray(100 * (np.abs(t - p) / np.maximum(np.abs(t), EPSILON)).mean(axis=-1))


def mean_absolute_percentage_error_gradient(t: Array, p: Array) -> Array:
    """Return ``100 sign(p - t) / max(|t|, eps) / d``, with ``sign(0) = 0``."""
    return np.asarray(100 * np.sign(p - t) / np.maximum(np.abs(t), EPSILON) / p.shape[-1])


def _log_difference(t: Array, p: Array) -> Array:
    return np.asarray(np.log1p(np.maximum(p, EPSILON)) - np.log1p(np.maximum(t, EPSILON)))


def mean_squared_logarithmic_error(t: Array, p: Array) -> Array:
    """Return ``mean((log1p(max(t, eps)) - log1p(max(p, eps)))^2)``."""
    return np.asarray(np.square(_log_difference(t, p)).mean(axis=-1))


def mean_squared_logarithmic_error_gradient(t: Array, p: Array) -> Array:
    """Return ``2 (log1p(p) - log1p(t)) / (1 + p) / d``, 0 where ``p < eps``."""
    slope = 2 * _log_difference(t, p) / (1 + np.maximum(p, EPSILON)) / p.shape[-1]
    return np.where(p >= EPSILON, slope, 0)


def huber(t: Array, p: Array, delta: float = 1.0) -> Array:
    """Return the mean of ``e^2/2`` where ``|e| <= delta``, else ``delta |e| - delta^2/2``."""
    size = np.abs(p - t)
    value = np.where(size <= delta, np.square(size) / 2, delta * size - delta * delta / 2)
    return np.asarray(value.mean(axis=-1))


def huber_gradient(t: Array, p: Array, delta: float = 1.0) -> Array:
    """Return ``clip(p - t, -delta, delta) / d``."""
    return np.asarray(np.clip(p - t, -delta, delta) / p.shape[-1])


def log_cosh(t: Array, p: Array) -> Array:
    """Return ``mean(log cosh(e))``, ``e = p - t``.

    ``log cosh(e) = |e| + log1p(e^-2|e|) - log 2``; below ``|e| = 1``, where these terms cancel,
    ``log1p(2 sinh(e/2)^2)``.
    """
    size = np.abs(p - t)
    near = np.log1p(2 * np.square(np.sinh(np.minimum(size, 1) / 2)))
    far = size + np.log1p(np.exp(-2 * size)) - math.log(2)
    return np.asarray(np.where(size < 1, near, far).mean(axis=-1))


def log_cosh_gradient(t: Array, p: Array) -> Array:
    """Return ``tanh(p - t) / d``."""
    return np.asarray(np.tanh(p - t) / p.shape[-1])
