"""Cross-entropies, from probabilities and from logits.

Each loss has four functions: the value of each sample and its derivative by the probabilities
`p`, and the same two by the logits `z`, where ``p = link(z)``. From logits nothing is clipped;
`y` is ``link(z)`` where that is already known.
"""

from __future__ import annotations

import numpy as np

from .activations import log_softmax, sigmoid, softmax
from .arrays import EPSILON, Array, log1p


def _inside_clip(p: Array) -> Array:
    return (p >= EPSILON) & (p <= 1 - EPSILON)


def _clipped_log(p: Array, q: Array) -> Array:
    """Return log p, p clipped to [eps, 1 - eps], from p and q = 1 - p: no end loses digits."""
    near_one = log1p(-np.clip(q, EPSILON, 0.5))
    return np.where(p > 0.5, near_one, np.log(np.clip(p, EPSILON, 0.5)))


def _smooth_binary(t: Array, label_smoothing: float) -> Array:
    return t * (1 - label_smoothing) + label_smoothing / 2 if label_smoothing else t


def _smooth_classes(t: Array, label_smoothing: float) -> Array:
    return t * (1 - label_smoothing) + label_smoothing / t.shape[-1] if label_smoothing else t


def binary_from_logits(t: Array, z: Array, label_smoothing: float = 0.0) -> Array:
    """Return ``mean(max(z, 0) - z t + log1p(e^-|z|))``: (n, d), (n, d) -> (n,)."""
    t = _smooth_binary(t, label_smoothing)
    value = np.maximum(z, 0) - z * t + log1p(np.exp(-np.abs(z)))  # (n, d)
    return np.asarray(value.mean(axis=-1))


def binary_dz(t: Array, z: Array, label_smoothing: float = 0.0, y: Array | None = None) -> Array:
    """Return ``(y - t) / d`` with ``y = sigmoid(z)``: (n, d)."""
    y = sigmoid(z) if y is None else y
    return np.asarray((y - _smooth_binary(t, label_smoothing)) / z.shape[-1])


def binary(t: Array, p: Array, from_logits: bool = False, label_smoothing: float = 0.0) -> Array:
    """Return ``mean(-(t log p + (1 - t) log(1 - p)))`` of clipped `p`: (n, d) -> (n,)."""
    if from_logits:
        return binary_from_logits(t, p, label_smoothing)
    t = _smooth_binary(t, label_smoothing)
    q = 1 - p
    return np.asarray(-(t * _clipped_log(p, q) + (1 - t) * _clipped_log(q, p)).mean(axis=-1))


def binary_gradient(
    t: Array, p: Array, from_logits: bool = False, label_smoothing: float = 0.0
) -> Array:
    """Return ``(p - t) / (p (1 - p)) / d``, 0 outside the clip: (n, d)."""
    if from_logits:
        return binary_dz(t, p, label_smoothing)
    t = _smooth_binary(t, label_smoothing)
    q = np.clip(p, EPSILON, 1 - EPSILON)
    return np.where(_inside_clip(p), (q - t) / (q * (1 - q)) / p.shape[-1], 0)


def categorical_from_logits(t: Array, z: Array, label_smoothing: float = 0.0) -> Array:
    """Return ``-sum t log_softmax(z)``: (n, d), (n, d) -> (n,)."""
    t = _smooth_classes(t, label_smoothing)
    return np.asarray(-np.sum(t * log_softmax(z), axis=-1))


def categorical_dz(
    t: Array, z: Array, label_smoothing: float = 0.0, y: Array | None = None
) -> Array:
    """Return ``y sum(t) - t`` with ``y = softmax(z)``, which is ``y - t`` when t sums to 1."""
    y = softmax(z) if y is None else y
    t = _smooth_classes(t, label_smoothing)
    return np.asarray(y * t.sum(axis=-1, keepdims=True) - t)


def categorical(
    t: Array, p: Array, from_logits: bool = False, label_smoothing: float = 0.0
) -> Array:
    """Return ``-sum t log q``, with ``q = p / sum(p)`` clipped: (n, d), (n, d) -> (n,)."""
    if from_logits:
        return categorical_from_logits(t, p, label_smoothing)
    t = _smooth_classes(t, label_smoothing)
    q = p / p.sum(axis=-1, keepdims=True)
    return np.asarray(-np.sum(t * _clipped_log(q, 1 - q), axis=-1))


def categorical_gradient(
    t: Array, p: Array, from_logits: bool = False, label_smoothing: float = 0.0
) -> Array:
    """Return ``(dq - sum(dq q)) / sum(p)`` with ``dq = -t/q`` inside the clip, else 0: (n, d)."""
    if from_logits:
        return categorical_dz(t, p, label_smoothing)
    t = _smooth_classes(t, label_smoothing)
    total = p.sum(axis=-1, keepdims=True)  # (n, 1)
    q = p / total
    dq = np.where(_inside_clip(q), -t / np.clip(q, EPSILON, 1), 0)
    return np.asarray((dq - np.sum(dq * q, axis=-1, keepdims=True)) / total)


def _one_hot(t: Array, p: Array, ignore_class: int | None) -> Array:
    """Return the targets (n,) as rows (n, d) of `p`'s dtype, rows of zeros where ignored."""
    valid = counted(t, ignore_class)  # (n,)
    rows = np.zeros_like(p)
    np.put_along_axis(rows, np.where(valid, t, 0).astype(np.int64)[..., np.newaxis], 1, axis=-1)
    rows[~valid] = 0
    return rows


def counted(t: Array, ignore_class: int | None = None) -> Array:
    """Return which targets are not ignored: bool, of the shape of `t`."""
    return np.ones(t.shape, dtype=bool) if ignore_class is None else np.asarray(t != ignore_class)


def sparse_from_logits(t: Array, z: Array, ignore_class: int | None = None) -> Array:
    """Return ``-log_softmax(z)[t]``, 0 where ignored: (n,), (n, d) -> (n,)."""
    return categorical_from_logits(_one_hot(t, z, ignore_class), z)


def sparse_dz(t: Array, z: Array, ignore_class: int | None = None, y: Array | None = None) -> Array:
    """Return ``y - onehot(t)``, rows of zeros where ignored: (n, d)."""
    return categorical_dz(_one_hot(t, z, ignore_class), z, y=y)


def sparse(t: Array, p: Array, from_logits: bool = False, ignore_class: int | None = None) -> Array:
    """Return ``-log q[t]``, with ``q = p / sum(p)`` clipped: (n,), (n, d) -> (n,)."""
    return categorical(_one_hot(t, p, ignore_class), p, from_logits)


def sparse_gradient(
    t: Array, p: Array, from_logits: bool = False, ignore_class: int | None = None
) -> Array:
    """Return the gradient of `categorical` at one-hot targets: (n, d)."""
    return categorical_gradient(_one_hot(t, p, ignore_class), p, from_logits)
