"""Counter-based random numbers: every number is a function of where it is used.

The generator is Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy
as 1, 2, 3" (SC 2011). It has no state: a 128-bit counter and a 64-bit key (the seed) give four
32-bit words. A counter here is ``(index low, index high, c2, stream | attempt << 8)``, where
`index` numbers the blocks of a stream and `c2` is an epoch or a layer.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .arrays import Array, Float64

Words: TypeAlias = npt.NDArray[np.uint32]
Integers: TypeAlias = npt.ArrayLike

SHUFFLE, NOISE, INIT, INIT_CHOICE, CURVATURE = 0, 1, 2, 3, 4

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


def philox4x32(counter: Integers, key: tuple[int, int], rounds: int = 10) -> Words:
    """Encrypt counters (..., 4) of 32-bit words with a key of two words.

    One round maps ``(c0, c1, c2, c3)`` to
    ``(hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0 c0))``; the key advances by a
    Weyl step between rounds.

    Returns
    -------
    words : uint32 array (..., 4)

    Examples
    --------
    >>> [hex(word) for word in philox4x32([0, 0, 0, 0], (0, 0)).tolist()]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c = np.asarray(counter, dtype=np.uint64)
    c0, c1, c2, c3 = c[..., 0], c[..., 1], c[..., 2], c[..., 3]  # each (...), values < 2**32
    k0, k1 = key
    for _ in range(rounds):
        product0 = _MULTIPLIERS[0] * c0
        product1 = _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (product1 >> _32) ^ c1 ^ np.uint64(k0),
            product1 & _LOW,
            (product0 >> _32) ^ c3 ^ np.uint64(k1),
            product0 & _LOW,
        )
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)


def words(seed: int, index: Integers, c2: Integers, stream: int, attempt: Integers = 0) -> Words:
    """Return the four words of each block: uint32 (..., 4) for `index` of shape (...).

    Parameters
    ----------
    seed : int
        A 64-bit unsigned seed.
    index : integers
        Numbers of the blocks, 64-bit.
    c2 : integers
        The epoch or the layer, taken modulo 2**32.
    stream : int
        `SHUFFLE`, `NOISE`, `INIT`, `INIT_CHOICE` or `CURVATURE`.
    attempt : integers
        Counts the draws again where a draw was rejected.
    """
    seed = int(seed)
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed must be in [0, 2**64), got {seed}")
    block, epoch_or_layer, retry = np.broadcast_arrays(
        np.asarray(index, dtype=np.uint64),
        np.asarray(c2, dtype=np.uint64) & _LOW,
        np.asarray(attempt, dtype=np.uint64),
    )  # each (...)
    last = np.uint64(stream) | (retry << np.uint64(8))
    counter = np.stack([block & _LOW, block >> _32, epoch_or_layer, last], axis=-1)  # (..., 4)
    return philox4x32(counter, (seed & 0xFFFFFFFF, seed >> 32))


def uniform_from_word(word: Array) -> Float64:
    """Map 32-bit words to the open interval (0, 1): ``(word + 0.5) / 2**32``."""
    return (word.astype(np.float64) + 0.5) * 2.0**-32


def uniforms(
    seed: int, index: Integers, c2: Integers, stream: int, attempt: Integers = 0
) -> Float64:
    """Return four uniforms in (0, 1) a block: float64 (..., 4)."""
    return uniform_from_word(words(seed, index, c2, stream, attempt))


def normals(
    seed: int, index: Integers, c2: Integers, stream: int, attempt: Integers = 0
) -> Float64:
    """Return four standard normals a block (Box and Muller, 1958): float64 (..., 4).

    ``r = sqrt(-2 log u0)``; ``n0 = r cos(2 pi u1)``, ``n1 = r sin(2 pi u1)``; the same with
    ``u2, u3`` gives ``n2, n3``.
    """
    u = uniforms(seed, index, c2, stream, attempt)  # (..., 4)
    radius = np.sqrt(-2.0 * np.log(u[..., 0::2]))  # (..., 2)
    angle = 2.0 * np.pi * u[..., 1::2]  # (..., 2)
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)  # (..., 2, 2)
    return pairs.reshape(u.shape)


def bounded(seed: int, k: Integers, m: Integers, c2: Integers, stream: int) -> npt.NDArray[Any]:
    """Return the `k`-th integers of a stream, each in [0, m): uint64 (...), for m < 2**32.

    The 64-bit number ``hi * 2**32 + lo`` is scaled, not reduced modulo `m`:
    ``(hi m + (lo m >> 32)) >> 32`` (Lemire, 2019), so the bias is at most ``m / 2**64``.
    """
    number, bound = np.broadcast_arrays(
        np.asarray(k, dtype=np.uint64), np.asarray(m, dtype=np.uint64)
    )  # each (...)
    x = words(seed, number >> np.uint64(1), c2, stream).astype(np.uint64)  # (..., 4)
    even = (number & np.uint64(1)) == 0
    hi = np.where(even, x[..., 0], x[..., 2])
    lo = np.where(even, x[..., 1], x[..., 3])
    return np.asarray((hi * bound + (lo * bound >> _32)) >> _32)


def permutation(n: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """Return the order in which an epoch visits `n` rows: int64 (n,).

    Fisher and Yates: for ``i = n - 1, ..., 1`` swap ``p[i]`` with ``p[bounded(i, i + 1)]``.

    Examples
    --------
    >>> sorted(permutation(5, seed=0, epoch=0).tolist())
    [0, 1, 2, 3, 4]
    """
    p = list(range(n))
    i = np.arange(n)
    partner = bounded(seed, i, i + 1, epoch, SHUFFLE).tolist()  # partner[i] in [0, i]
    for row in range(n - 1, 0, -1):
        j = partner[row]
        p[row], p[j] = p[j], p[row]
    return np.asarray(p, dtype=np.int64)
