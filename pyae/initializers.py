"""How kernels (fan_in, fan_out) start: a function of the model's random state and the layer.

Uniform ones draw from [-limit, limit], normal ones from a normal distribution cut off at two
standard deviations, as Keras does. Biases start at zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pyae._spec import Spec, resolve, table_of

__all__ = [
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Orthogonal",
    "Sparse",
    "Zeros",
]


@dataclass(frozen=True)
class Initializer(Spec):
    """What all initializers share."""

    kind: ClassVar[str] = "initializer"


@dataclass(frozen=True)
class GlorotUniform(Initializer):
    """Uniform, limit ``sqrt(6/(fan_in+fan_out))`` (Glorot & Bengio 2010).

    Examples
    --------
    >>> GlorotUniform().name
    'glorot_uniform'
    """

    name: ClassVar[str] = "glorot_uniform"


@dataclass(frozen=True)
class GlorotNormal(Initializer):
    """Truncated normal, variance ``2/(fan_in+fan_out)`` (Glorot & Bengio 2010).

    Examples
    --------
    >>> GlorotNormal().name
    'glorot_normal'
    """

    name: ClassVar[str] = "glorot_normal"


@dataclass(frozen=True)
class HeUniform(Initializer):
    """Uniform, limit ``sqrt(6/fan_in)`` (He et al. 2015).

    Examples
    --------
    >>> HeUniform().name
    'he_uniform'
    """

    name: ClassVar[str] = "he_uniform"


@dataclass(frozen=True)
class HeNormal(Initializer):
    """Truncated normal, variance ``2/fan_in`` (He et al. 2015).

    Examples
    --------
    >>> HeNormal().name
    'he_normal'
    """

    name: ClassVar[str] = "he_normal"


@dataclass(frozen=True)
class LecunUniform(Initializer):
    """Uniform, limit ``sqrt(3/fan_in)`` (LeCun et al. 1998).

    Examples
    --------
    >>> LecunUniform().name
    'lecun_uniform'
    """

    name: ClassVar[str] = "lecun_uniform"


@dataclass(frozen=True)
class LecunNormal(Initializer):
    """Truncated normal, variance ``1/fan_in`` (LeCun et al. 1998).

    Examples
    --------
    >>> LecunNormal().name
    'lecun_normal'
    """

    name: ClassVar[str] = "lecun_normal"


@dataclass(frozen=True)
class Zeros(Initializer):
    """All zeros.

    Examples
    --------
    >>> Zeros().name
    'zeros'
    """

    name: ClassVar[str] = "zeros"


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """Orthonormal columns, or rows where these are fewer (Saxe, McClelland & Ganguli 2014).

    Parameters
    ----------
    gain : float, default 1.0
        A factor.

    Examples
    --------
    >>> Orthogonal(gain=2.0)
    Orthogonal(gain=2.0)
    """

    name: ClassVar[str] = "orthogonal"

    gain: float = 1.0


@dataclass(frozen=True)
class Sparse(Initializer):
    """Each unit is connected to a few inputs only, with normal weights (Martens 2010).

    Parameters
    ----------
    n_connections : int, default 15
        How many inputs of each unit are not zero.
    stddev : float, default 1.0
        Their standard deviation.

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    Examples
    --------
    >>> Sparse(n_connections=5)
    Sparse(n_connections=5, stddev=1.0)
    """

    name: ClassVar[str] = "sparse"

    n_connections: int = 15
    stddev: float = 1.0


_TABLE = table_of(
    GlorotUniform,
    GlorotNormal,
    HeUniform,
    HeNormal,
    LecunUniform,
    LecunNormal,
    Orthogonal,
    Zeros,
    Sparse,
)


def resolve_initializer(value: Any, argument: str = "kernel_initializer") -> Initializer:
    """Return an initializer given as a name, as a spec or as an object."""
    return resolve(value, argument, _TABLE)
