"""Corruption of training inputs, for denoising autoencoders [1]_: the targets stay clean.

The noise is fresh at every epoch, and a function of (seed, epoch, row, column): it does not depend
on the batch size, the order of the rows or the number of threads.

References
----------
.. [1] Vincent et al., "Stacked denoising autoencoders", JMLR 11 (2010).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pyae._spec import Spec, resolve, table_of

__all__ = ["Gaussian", "Masking", "Noise", "SaltAndPepper"]


@dataclass(frozen=True)
class Noise(Spec):
    """What all corruptions share."""

    kind: ClassVar[str] = "noise"


@dataclass(frozen=True)
class Gaussian(Noise):
    """Add normal noise: ``x + stddev * n``.

    Parameters
    ----------
    stddev : float
        The standard deviation, in the units of the data; not negative.

    Raises
    ------
    ValueError
        ``stddev`` is negative.

    Examples
    --------
    >>> Gaussian(0.3)
    Gaussian(stddev=0.3)
    """

    name: ClassVar[str] = "gaussian"

    stddev: float


@dataclass(frozen=True)
class Masking(Noise):
    """Set each value to 0 with a probability.

    Parameters
    ----------
    rate : float
        The probability, in [0, 1].

    Raises
    ------
    ValueError
        ``rate`` is outside [0, 1].

    Examples
    --------
    >>> Masking(0.25)
    Masking(rate=0.25)
    """

    name: ClassVar[str] = "masking"

    rate: float


@dataclass(frozen=True)
class SaltAndPepper(Noise):
    """Set each value, with a probability, to the low or the high end, half each.

    Parameters
    ----------
    rate : float
        The probability, in [0, 1].
    low, high : float, optional
        The ends; by default each feature's least and greatest value in the training inputs.

    Raises
    ------
    ValueError
        ``rate`` is outside [0, 1], or an end is not finite.

    Examples
    --------
    >>> SaltAndPepper(0.1, low=0.0, high=1.0)
    SaltAndPepper(rate=0.1, low=0.0, high=1.0)
    """

    name: ClassVar[str] = "salt_and_pepper"

    rate: float
    low: float | None = None
    high: float | None = None


_TABLE = table_of(Gaussian, Masking, SaltAndPepper)


def resolve_noise(value: Any, argument: str = "noise") -> Noise | None:
    """Return a corruption given as None, as a spec or as an object."""
    if value is None:
        return None
    if isinstance(value, str) and value in _TABLE:
        raise TypeError(
            f"{argument}={value!r} lacks its strength: use pyae.noise.{_TABLE[value].__name__}(...)"
        )
    return resolve(value, argument, _TABLE)
