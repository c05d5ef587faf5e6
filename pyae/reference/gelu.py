"""GELU, accurate to the last bits in its far negative tail.

There ``gelu(x)`` behaves like ``exp(-x**2 / 2)``, and one rounding of the exponent, which is some
hundreds in size, costs hundreds of units in the last place of the result. So the exponents are
carried as unevaluated sums ``hi + lo`` (Dekker, "A floating-point technique for extending the
available precision", 1971) and the small part enters by its first-order term. Everything is
computed in float64 and cast back.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .arrays import Array, Float64, as_float

Pair: TypeAlias = tuple[Float64, Float64]  # the numbers hi + lo, with abs(lo) <= ulp(hi) / 2

# Constants, as hi and lo.
_SQRT_HALF = (np.array(0.7071067811865476), np.array(-4.833646656726457e-17))
_TANH_LINEAR = (np.array(1.5957691216057308), np.array(-9.96930880911092e-17))  # 2 sqrt(2/pi)
_TANH_CUBIC = (np.array(0.07135481627260025), np.array(-6.175149918155315e-19))  # 0.044715 of it
_INVERSE_SQRT_2PI = 0.3989422804014327

_erfc = np.frompyfunc(math.erfc, 1, 1)


def _add(a: Pair, b: Pair) -> Pair:
    """Add two pairs (Knuth's two-sum on the large parts)."""
    s = a[0] + b[0]
    b_rounded = s - a[0]
    error = (a[0] - (s - b_rounded)) + (b[0] - b_rounded) + a[1] + b[1]
    hi = s + error
    return hi, error - (hi - s)


def _split(a: Float64) -> Pair:
    """Cut a float64 into two halves of at most 26 bits each (Veltkamp)."""
    c = 134217729.0 * a  # 2**27 + 1
    hi = c - (c - a)
    return hi, a - hi


def _multiply(a: Pair, b: Pair) -> Pair:
    """Multiply two pairs (Dekker's exact product of the large parts)."""
    p = a[0] * b[0]
    (a_hi, a_lo), (b_hi, b_lo) = _split(a[0]), _split(b[0])
    error = ((a_hi * b_hi - p) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo
    error = error + (a[0] * b[1] + a[1] * b[0])
    hi = p + error
    return hi, error - (hi - p)


def _pair(x: Float64) -> Pair:
    return x, np.zeros_like(x)


def normal_density(x: Float64) -> Float64:
    """Return ``exp(-x**2 / 2) / sqrt(2 pi)``."""
    hi, lo = _multiply(_pair(x), _pair(x))
    return _INVERSE_SQRT_2PI * np.exp(-0.5 * hi) * (1.0 - 0.5 * lo)


def normal_cdf(x: Float64) -> Float64:
    """Return ``Phi(x) = erfc(-x / sqrt(2)) / 2``."""
    hi, lo = _multiply(_pair(-x), _SQRT_HALF)
    at_hi = np.asarray(_erfc(hi), dtype=np.float64)
    slope = -2.0 / math.sqrt(math.pi) * np.exp(-hi * hi)  # erfc'(hi)
    return 0.5 * (at_hi + slope * lo)


def _tanh_form(x: Float64) -> tuple[Float64, Float64]:
    """Return ``s(u)`` and ``s(-u)``, s the sigmoid and ``u = 2 sqrt(2/pi) (x + 0.044715 x^3)``."""
    square = _multiply(_pair(x), _pair(x))
    hi, lo = _multiply(_add(_multiply(square, _TANH_CUBIC), _TANH_LINEAR), _pair(x))
    e = np.exp(-np.abs(hi))
    small, large = e / (1.0 + e), 1.0 / (1.0 + e)
    positive = hi >= 0
    s, s_minus = np.where(positive, large, small), np.where(positive, small, large)
    return s * (1.0 + lo * s_minus), s_minus * (1.0 - lo * s)


def gelu(x: npt.ArrayLike, approximate: bool = False) -> Array:
    """Return ``x Phi(x)``, or its tanh form (Hendrycks and Gimpel, 2016).

    The tanh form is ``x/2 (1 + tanh(u/2)) = x sigmoid(u)`` with
    ``u = 2 sqrt(2/pi) (x + 0.044715 x^3)``.
    """
    x = as_float(x)
    wide = x.astype(np.float64)
    gate = _tanh_form(wide)[0] if approximate else normal_cdf(wide)
    return np.asarray(wide * gate, dtype=x.dtype)


def gelu_derivative(x: npt.ArrayLike, approximate: bool = False) -> Array:
    """Return ``Phi(x) + x phi(x)``, or ``s(u) (1 + x u' s(-u))`` for the tanh form."""
    x = as_float(x)
    wide = x.astype(np.float64)
    if approximate:
        s, s_minus = _tanh_form(wide)
        du = _TANH_LINEAR[0] + 3.0 * _TANH_CUBIC[0] * wide * wide
        derivative = s * (1.0 + wide * du * s_minus)
    else:
        derivative = normal_cdf(wide) + wide * normal_density(wide)
    return np.asarray(derivative, dtype=x.dtype)
