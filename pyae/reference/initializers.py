"""Initial kernels (fan_in, fan_out), computed in float64 from (seed, layer, element).

Element number ``e = i fan_out + j`` takes number ``e % 4`` of block ``e // 4`` of the layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .arrays import Float64, Spec, look_up, split_spec
from .random import INIT, INIT_CHOICE, bounded, normals, uniforms

# Standard deviation of a standard normal truncated to [-2, 2].
_TRUNCATED_STDDEV = 0.87962566103423978


def _blocks(count: int) -> npt.NDArray[np.int64]:
    return np.arange(-(-count // 4), dtype=np.int64)


def _uniform_elements(count: int, layer: int, seed: int) -> Float64:
    return uniforms(seed, _blocks(count), layer, INIT).reshape(-1)[:count]


def _normal_elements(count: int, layer: int, seed: int) -> Float64:
    return normals(seed, _blocks(count), layer, INIT).reshape(-1)[:count]


def _truncated_normal_elements(count: int, layer: int, seed: int) -> Float64:
    """Return normals with ``|z| <= 2``: each element is redrawn on its own until it is inside."""
    z = _normal_elements(count, layer, seed)
    attempt = 0
    outside = np.flatnonzero(np.abs(z) > 2)
    while outside.size:
        attempt += 1
        block = normals(seed, outside // 4, layer, INIT, attempt)  # (n_outside, 4)
        z[outside] = block[np.arange(outside.size), outside % 4]
        outside = outside[np.abs(z[outside]) > 2]
    return z


def zeros(fan_in: int, fan_out: int, layer: int, seed: int) -> Float64:
    """Return zeros."""
    return np.zeros((fan_in, fan_out))


def scaled_uniform(fan_in: int, fan_out: int, layer: int, seed: int, variance: float) -> Float64:
    """Return uniforms on ``[-limit, limit]``, ``limit = sqrt(3 variance)``."""
    u = _uniform_elements(fan_in * fan_out, layer, seed)
    return (math.sqrt(3 * variance) * (2 * u - 1)).reshape(fan_in, fan_out)


def scaled_normal(fan_in: int, fan_out: int, layer: int, seed: int, variance: float) -> Float64:
    """Return normals truncated at two standard deviations, of the given variance."""
    z = _truncated_normal_elements(fan_in * fan_out, layer, seed)
    return (z * math.sqrt(variance) / _TRUNCATED_STDDEV).reshape(fan_in, fan_out)


def orthogonal(fan_in: int, fan_out: int, layer: int, seed: int, gain: float = 1.0) -> Float64:
    """Return orthonormal columns (or rows, where ``fan_in < fan_out``) times `gain`.

    ``Q sign(diag R)`` of the QR factorisation of a normal matrix (Saxe, McClelland and Ganguli,
    2014; Mezzadri, 2007, for the sign), with ``sign(0) = 1``.
    """
    tall, narrow = max(fan_in, fan_out), min(fan_in, fan_out)
    a = _normal_elements(tall * narrow, layer, seed).reshape(tall, narrow)
    q, r = np.linalg.qr(a)  # (tall, narrow), (narrow, narrow)
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return gain * (q if fan_in >= fan_out else q.T)


def sparse(
    fan_in: int,
    fan_out: int,
    layer: int,
    seed: int,
    n_connections: int = 15,
    stddev: float = 1.0,
) -> Float64:
    """Return normals at `n_connections` random inputs of each unit, zeros elsewhere.

    Martens, "Deep learning via Hessian-free optimization" (ICML 2010). The inputs of unit j are
    the first k entries of a Fisher-Yates shuffle of ``arange(fan_in)``.
    """
    k = min(int(n_connections), fan_in)
    units = np.arange(fan_out)
    p = np.tile(np.arange(fan_in), (fan_out, 1))  # (fan_out, fan_in)
    for t in range(k):
        draw = bounded(seed, units * k + t, fan_in - t, layer, INIT_CHOICE)  # (fan_out,)
        s = t + draw.astype(np.int64)
        p[units, s], p[units, t] = p[units, t], p[units, s]
    rows = p[:, :k]  # (fan_out, k)
    z = _normal_elements(fan_in * fan_out, layer, seed).reshape(fan_in, fan_out)
    kernel = np.zeros((fan_in, fan_out))
    columns = units[:, np.newaxis]
    kernel[rows, columns] = stddev * z[rows, columns]
    return kernel


# The variance of each scaled family: Glorot and Bengio (2010), He et al. (2015), LeCun et al.
# (1998).
VARIANCES: dict[str, Callable[[int, int], float]] = {
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
}


def _scaled(draw: Callable[..., Float64], family: str) -> Callable[..., Float64]:
    def initializer(fan_in: int, fan_out: int, layer: int, seed: int) -> Float64:
        return draw(fan_in, fan_out, layer, seed, VARIANCES[family](fan_in, fan_out))

    return initializer


INITIALIZERS: dict[str, Callable[..., Float64]] = {
    "zeros": zeros,
    "orthogonal": orthogonal,
    "sparse": sparse,
    **{f"{family}_uniform": _scaled(scaled_uniform, family) for family in VARIANCES},
    **{f"{family}_normal": _scaled(scaled_normal, family) for family in VARIANCES},
}


def initial_kernel(spec: Spec, fan_in: int, fan_out: int, layer: int, seed: int) -> Float64:
    """Return the initial kernel (fan_in, fan_out) of layer number `layer`.

    Examples
    --------
    >>> initial_kernel({"name": "glorot_uniform"}, 3, 2, layer=0, seed=1).shape
    (3, 2)
    """
    name, params = split_spec(spec)
    kernel: Float64 = look_up(INITIALIZERS, name, "initializer")(
        fan_in, fan_out, layer, seed, **params
    )
    return kernel
