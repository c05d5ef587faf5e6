"""Activation functions: a value, and the vector-Jacobian product ``dx = dy J``.

Each elementwise activation is a value function and a derivative function; `ACTIVATIONS` maps a
name to both. float32 and float64 are kept. The forms are chosen to be accurate relative to the
result also where it is tiny: a derivative is never ``1 - y**2`` of a saturated `y`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .arrays import Array, as_float, log1p, look_up
from .gelu import gelu, gelu_derivative

_SELU_ALPHA = 1.6732632423543772848
_SELU_SCALE = 1.0507009873554804934


def linear(x: npt.ArrayLike) -> Array:
    """Return ``x``."""
    return as_float(x)


def _linear_derivative(x: Array) -> Array:
    return np.ones_like(x)


def relu(x: npt.ArrayLike) -> Array:
    """Return ``max(x, 0)``; the derivative at 0 is 0."""
    return np.maximum(as_float(x), 0)


def _relu_derivative(x: Array) -> Array:
    return (x > 0).astype(x.dtype)


def leaky_relu(x: npt.ArrayLike, negative_slope: float = 0.2) -> Array:
    """Return ``x`` where ``x > 0``, else ``negative_slope x``."""
    x = as_float(x)
    return np.where(x > 0, x, negative_slope * x)


def _leaky_relu_derivative(x: Array, negative_slope: float = 0.2) -> Array:
    return np.where(x > 0, 1, negative_slope).astype(x.dtype)


def relu6(x: npt.ArrayLike) -> Array:
    """Return ``min(max(x, 0), 6)``; the derivative at 0 and 6 is 0."""
    return np.clip(as_float(x), 0, 6)


def _relu6_derivative(x: Array) -> Array:
    return ((x > 0) & (x < 6)).astype(x.dtype)


def hard_sigmoid(x: npt.ArrayLike) -> Array:
    """Return ``clip(x/6 + 1/2, 0, 1)``; the derivative at -3 and 3 is 0."""
    return np.clip((as_float(x) + 3) / 6, 0, 1)


def _hard_sigmoid_derivative(x: Array) -> Array:
    return (np.abs(x) < 3).astype(x.dtype) / 6


def sigmoid(x: npt.ArrayLike) -> Array:
    """Return ``1 / (1 + e^-x)``; where e^-x overflows to infinity this is the right 0.

    Examples
    --------
    >>> sigmoid([-1000.0, 0.0, 1000.0]).tolist()
    [0.0, 0.5, 1.0]
    """
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-as_float(x))))


def _sigmoid_derivative(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.asarray(e / (1 + e) ** 2)  # sigmoid(x) sigmoid(-x)


def silu(x: npt.ArrayLike) -> Array:
    """Return ``x sigmoid(x)`` (also called swish)."""
    x = as_float(x)
    return x * sigmoid(x)


def _silu_derivative(x: Array) -> Array:
    return np.asarray(sigmoid(x) * (1 + x * sigmoid(-x)))


def softplus(x: npt.ArrayLike) -> Array:
    """Return ``log(1 + e^x) = max(x, 0) + log1p(e^-|x|)``."""
    x = as_float(x)
    return np.asarray(np.maximum(x, 0) + log1p(np.exp(-np.abs(x))))


def softsign(x: npt.ArrayLike) -> Array:
    """Return ``x / (1 + |x|)``."""
    x = as_float(x)
    return np.asarray(x / (1 + np.abs(x)))


def _softsign_derivative(x: Array) -> Array:
    return np.asarray(1 / (1 + np.abs(x)) ** 2)


def tanh(x: npt.ArrayLike) -> Array:
    """Return ``tanh(x)``."""
    return np.tanh(as_float(x))


def _tanh_derivative(x: Array) -> Array:
    e = np.exp(-2 * np.abs(x))
    return np.asarray(4 * e / (1 + e) ** 2)  # 1 / cosh(x)^2


def mish(x: npt.ArrayLike) -> Array:
    """Return ``x tanh(softplus(x))`` (Misra, 2019).

    With ``e = e^x`` the tanh is ``e (e + 2) / (e (e + 2) + 2)``; for ``x > 0`` numerator and
    denominator are multiplied by ``e^-2x``.
    """
    x = as_float(x)
    e = np.exp(-np.abs(x))
    small = e * (e + 2) / (e * (e + 2) + 2)
    large = (1 + 2 * e) / (1 + 2 * e + 2 * e * e)
    return np.asarray(x * np.where(x > 0, large, small))


def _mish_derivative(x: Array) -> Array:
    # tanh(s) + x sigmoid(x) / cosh(s)^2 with s = softplus(x); e is e^x below zero and e^-x above.
    e = np.exp(-np.abs(x))
    n = e * (e + 2)
    below = n / (n + 2) + x * 4 * e * (1 + e) / (n + 2) ** 2
    d = 1 + 2 * e + 2 * e * e
    above = (1 + 2 * e) / d + x * 4 * e * e * (1 + e) / d**2
    return np.asarray(np.where(x > 0, above, below))


def elu(x: npt.ArrayLike, alpha: float = 1.0) -> Array:
    """Return ``x`` where ``x > 0``, else ``alpha (e^x - 1)`` (Clevert et al., 2016)."""
    x = as_float(x)
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _elu_derivative(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0)))


def selu(x: npt.ArrayLike) -> Array:
    """Return ``scale elu(x, alpha)`` with the fixed-point constants of Klambauer et al., 2017."""
    return np.asarray(_SELU_SCALE * elu(x, _SELU_ALPHA))


def _selu_derivative(x: Array) -> Array:
    return _SELU_SCALE * _elu_derivative(x, _SELU_ALPHA)


def exponential(x: npt.ArrayLike) -> Array:
    """Return ``e^x``; infinite where that is above the largest number of the dtype."""
    with np.errstate(over="ignore"):
        return np.exp(as_float(x))


def softmax(x: npt.ArrayLike) -> Array:
    """Return ``e^(x - max x) / sum e^(x - max x)`` along the last axis."""
    x = as_float(x)
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def _softmax_vjp(x: Array, dy: Array) -> Array:
    y = softmax(x)
    return np.asarray(y * (dy - np.sum(dy * y, axis=-1, keepdims=True)))


def log_softmax(x: npt.ArrayLike) -> Array:
    """Return ``x - log sum e^x`` along the last axis.

    With `m` the largest entry this is ``(x - m) - log1p(sum of e^(x - m) over the other
    entries)``, which keeps its relative accuracy when one entry dominates.
    """
    x = as_float(x)
    shifted = x - x.max(axis=-1, keepdims=True)
    e = np.exp(shifted)
    np.put_along_axis(e, x.argmax(axis=-1)[..., np.newaxis], 0, axis=-1)
    return np.asarray(shifted - np.log1p(e.sum(axis=-1, keepdims=True)))


def _log_softmax_vjp(x: Array, dy: Array) -> Array:
    return np.asarray(dy - softmax(x) * dy.sum(axis=-1, keepdims=True))


def top_k(x: npt.ArrayLike, k: int = 32) -> Array:
    """Return ``max(x, 0)`` of the k largest of each row, 0 elsewhere; of equal values the first.

    Examples
    --------
    >>> top_k([3.0, -1.0, 3.0, 3.0], k=2).tolist()
    [3.0, 0.0, 3.0, 0.0]
    """
    x = as_float(x)
    largest = np.argsort(-x, axis=-1, kind="stable")[..., :k]
    y = np.zeros_like(x)
    np.put_along_axis(y, largest, np.maximum(np.take_along_axis(x, largest, -1), 0), -1)
    return np.where(np.isnan(x).any(axis=-1, keepdims=True), np.nan, y).astype(x.dtype)


def _top_k_vjp(x: Array, dy: Array, k: int = 32) -> Array:
    return np.where(top_k(x, k) > 0, dy, 0).astype(x.dtype)


@dataclass(frozen=True)
class Activation:
    """One activation: ``value(x, **params)`` and ``vjp(x, dy, **params)``.

    `derivative` is the elementwise derivative, None where the Jacobian is not diagonal.
    """

    name: str
    value: Callable[..., Array]
    derivative: Callable[..., Array] | None
    row_vjp: Callable[..., Array] | None = None

    def vjp(self, x: npt.ArrayLike, dy: npt.ArrayLike, **params: float) -> Array:
        """Return ``dx = dy J(x)``, for `dy` of the shape of the value."""
        x, dy = as_float(x), as_float(dy)
        if self.row_vjp is not None:
            return self.row_vjp(x, dy, **params)
        assert self.derivative is not None
        return np.asarray(dy * self.derivative(x, **params))


ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation("linear", linear, _linear_derivative),
        Activation("relu", relu, _relu_derivative),
        Activation("sigmoid", sigmoid, _sigmoid_derivative),
        Activation("softmax", softmax, None, _softmax_vjp),
        Activation("softplus", softplus, sigmoid),
        Activation("softsign", softsign, _softsign_derivative),
        Activation("tanh", tanh, _tanh_derivative),
        Activation("selu", selu, _selu_derivative),
        Activation("elu", elu, _elu_derivative),
        Activation("exponential", exponential, exponential),
        Activation("leaky_relu", leaky_relu, _leaky_relu_derivative),
        Activation("relu6", relu6, _relu6_derivative),
        Activation("gelu", gelu, gelu_derivative),
        Activation("silu", silu, _silu_derivative),
        Activation("mish", mish, _mish_derivative),
        Activation("log_softmax", log_softmax, None, _log_softmax_vjp),
        Activation("hard_sigmoid", hard_sigmoid, _hard_sigmoid_derivative),
        Activation("top_k", top_k, None, _top_k_vjp),
    )
}


def get(name: str) -> Activation:
    """Return the activation called `name`; a ValueError lists the known ones."""
    found: Activation = look_up(ACTIVATIONS, name, "activation")
    return found
