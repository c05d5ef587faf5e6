"""Poisson loss, Kullback-Leibler divergence and cosine similarity.

Targets `t` and predictions `p` are (n, d); values are (n,), derivatives by `p` are (n, d).
"""

from __future__ import annotations

import numpy as np

from .arrays import EPSILON, Array


def poisson(t: Array, p: Array) -> Array:
    """Return ``mean(p - t log(p + eps))``."""
    return np.asarray((p - t * np.log(p + EPSILON)).mean(axis=-1))


def poisson_gradient(t: Array, p: Array) -> Array:
    """Return ``(1 - t / (p + eps)) / d``."""
    return np.asarray((1 - t / (p + EPSILON)) / p.shape[-1])


def kl_divergence(t: Array, p: Array) -> Array:
    """Return ``sum t log(t / p)`` of `t` and `p` clipped to [eps, 1]."""
    t, p = np.clip(t, EPSILON, 1), np.clip(p, EPSILON, 1)
    return np.asarray(np.sum(t * np.log(t / p), axis=-1))


def kl_divergence_gradient(t: Array, p: Array) -> Array:
    """Return ``-t / p``, 0 where `p` is outside [eps, 1]."""
    inside = (p >= EPSILON) & (p <= 1)
    return np.where(inside, -np.clip(t, EPSILON, 1) / np.clip(p, EPSILON, 1), 0)


def _unit(x: Array) -> tuple[Array, Array]:
    """Return ``x / max(|x|, eps)`` (n, d) and ``|x|`` (n, 1)."""
    norm = np.sqrt(np.sum(np.square(x), axis=-1, keepdims=True))
    return x / np.maximum(norm, EPSILON), norm


def cosine_similarity(t: Array, p: Array) -> Array:
    """Return ``-sum(t/|t| * p/|p|)``, the norms with a floor of eps."""
    return np.asarray(-np.sum(_unit(t)[0] * _unit(p)[0], axis=-1))


def cosine_similarity_gradient(t: Array, p: Array) -> Array:
    """Return ``(u (u.v) - v) / |p|`` with the unit vectors ``u = p/|p|``, ``v = t/|t|``.

    Where ``|p|`` is below eps the norm is the constant eps and the derivative ``-v / eps``.
    """
    u, norm = _unit(p)
    v, _ = _unit(t)
    radial = np.where(norm >= EPSILON, np.sum(u * v, axis=-1, keepdims=True), 0)  # (n, 1)
    return np.asarray((u * radial - v) / np.maximum(norm, EPSILON))
