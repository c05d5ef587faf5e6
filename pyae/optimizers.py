"""First-order optimizers: settings here, the updates themselves in C++.

Formulas, names and defaults are those of Keras 3. A learning rate is a number or one of
`pyae.schedules`. Gradients can be clipped before the update, in one of three ways: ``clipvalue``
holds each entry in [-c, c], ``clipnorm`` each tensor's L2 norm, ``global_clipnorm`` the L2 norm of
all gradients together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from pyae._spec import Spec, resolve, table_of
from pyae.schedules import Schedule, resolve_rate

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Nadam",
    "Optimizer",
    "RMSprop",
]


@dataclass(frozen=True)
class Optimizer(Spec):
    """What all optimizers share.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        The step size; positive.
    clipvalue, clipnorm, global_clipnorm : float, optional
        Gradient clipping, at most one of the three.
    """

    kind: ClassVar[str] = "optimizer"

    learning_rate: float | Schedule = 0.001

    def check(self) -> None:
        """Raise a TypeError or ValueError that names the field, when one is not allowed."""
        object.__setattr__(self, "learning_rate", resolve_rate(self.learning_rate))
        clips = ("clipvalue", "clipnorm", "global_clipnorm")
        given = {clip: getattr(self, clip) for clip in clips if getattr(self, clip) is not None}
        if len(given) > 1:
            raise ValueError(f"at most one of {', '.join(clips)} may be set, got {given}")
        for clip, limit in given.items():
            if isinstance(limit, bool) or not hasattr(limit, "__float__"):
                raise TypeError(f"{clip} must be a number or None, got {limit!r}")
            if not 0 < limit < math.inf:
                raise ValueError(f"{clip} must be positive and finite, got {limit!r}")
        super().check()


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if asked for [1]_.

    ``v = momentum v - lr g; w += v``, or with Nesterov ``w += momentum v - lr g``.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.01
        The step size; positive.
    momentum : float, default 0.0
        In [0, 1).
    nesterov : bool, default False
        Look ahead, as in [1]_.
    clipvalue, clipnorm, global_clipnorm : float, optional
        Gradient clipping, at most one of the three.

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    References
    ----------
    .. [1] Sutskever, Martens, Dahl & Hinton, "On the importance of initialization and momentum in
       deep learning", ICML 2013.

    Examples
    --------
    >>> SGD(learning_rate=0.1).learning_rate
    0.1
    """

    name: ClassVar[str] = "sgd"

    learning_rate: float | Schedule = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    clipvalue: float | None = None
    clipnorm: float | None = None
    global_clipnorm: float | None = None


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Gradients divided by a running root mean square [1]_.

    ``v = rho v + (1-rho) g^2; w -= lr g / sqrt(v + epsilon)``.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        The step size; positive.
    rho : float, default 0.9
        In [0, 1).
    momentum : float, default 0.0
        In [0, 1).
    epsilon : float, default 1e-7
        Positive; inside the root.
    centered : bool, default False
        Divide by the standard deviation, not the root mean square.
    clipvalue, clipnorm, global_clipnorm : float, optional
        Gradient clipping, at most one of the three.

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    References
    ----------
    .. [1] Tieleman & Hinton, "Lecture 6.5", Neural Networks for Machine Learning, Coursera 2012.

    Examples
    --------
    >>> RMSprop(learning_rate=0.1).learning_rate
    0.1
    """

    name: ClassVar[str] = "rmsprop"

    learning_rate: float | Schedule = 0.001
    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7
    centered: bool = False
    clipvalue: float | None = None
    clipnorm: float | None = None
    global_clipnorm: float | None = None


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Gradients divided by the root of their accumulated squares [1]_.

    ``a += g^2; w -= lr g / sqrt(a + epsilon)``.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        The step size; positive.
    initial_accumulator_value : float, default 0.1
        What a starts at; not negative.
    epsilon : float, default 1e-7
        Positive; inside the root.
    clipvalue, clipnorm, global_clipnorm : float, optional
        Gradient clipping, at most one of the three.

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    References
    ----------
    .. [1] Duchi, Hazan & Singer, "Adaptive subgradient methods for online learning and stochastic
       optimization", JMLR 12 (2011).

    Examples
    --------
    >>> Adagrad(learning_rate=0.1).learning_rate
    0.1
    """

    name: ClassVar[str] = "adagrad"

    learning_rate: float | Schedule = 0.001
    initial_accumulator_value: float = 0.1
    epsilon: float = 1e-7
    clipvalue: float | None = None
    clipnorm: float | None = None
    global_clipnorm: float | None = None


@dataclass(frozen=True)
class Adadelta(Optimizer):
    """Steps with the units of the parameters [1]_.

    ``a = rho a + (1-rho) g^2; d = -g sqrt(u + epsilon)/sqrt(a + epsilon);
    u = rho u + (1-rho) d^2; w += lr d``.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        The step size; positive (the paper's is 1).
    rho : float, default 0.95
        In [0, 1).
    epsilon : float, default 1e-7
        Positive; inside the roots.
    clipvalue, clipnorm, global_clipnorm : float, optional
        Gradient clipping, at most one of the three.

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    References
    ----------
    .. [1] Zeiler, "ADADELTA: an adaptive learning rate method", arXiv 1212.5701, 2012.

    Examples
    --------
    >>> Adadelta(learning_rate=0.1).learning_rate
    0.1
    """

    name: ClassVar[str] = "adadelta"

    learning_rate: float | Schedule = 0.001
    rho: float = 0.95
    epsilon: float = 1e-7
    clipvalue: float | None = None
    clipnorm: float | None = None
    global_clipnorm: float | None = None


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adaptive moments [1]_.

    ``m += (1-beta_1)(g - m); v += (1-beta_2)(g^2 - v);
    w -= lr sqrt(1-beta_2^t)/(1-beta_1^t) m/(sqrt(v) + epsilon)`` in step t = 1, 2, ...

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        The step size; positive.
    beta_1 : float, default 0.9
        In [0, 1).
    beta_2 : float, default 0.999
        In [0, 1).
    epsilon : float, default 1e-7
        Positive.
    clipvalue, clipnorm, global_clipnorm : float, optional
        Gradient clipping, at most one of the three.

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    References
    ----------
    .. [1] Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Examples
    --------
    >>> Adam(learning_rate=0.1).learning_rate
    0.1
    """

    name: ClassVar[str] = "adam"

    learning_rate: float | Schedule = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    clipvalue: float | None = None
    clipnorm: float | None = None
    global_clipnorm: float | None = None


@dataclass(frozen=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay on kernels, not on biases [1]_.

    ``w -= lr weight_decay w``, then as `Adam`.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        The step size; positive.
    weight_decay : float, default 0.004
        Not negative.
    beta_1 : float, default 0.9
        In [0, 1).
    beta_2 : float, default 0.999
        In [0, 1).
    epsilon : float, default 1e-7
        Positive.
    clipvalue, clipnorm, global_clipnorm : float, optional
        Gradient clipping, at most one of the three.

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    References
    ----------
    .. [1] Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Examples
    --------
    >>> AdamW(learning_rate=0.1).learning_rate
    0.1
    """

    name: ClassVar[str] = "adamw"

    learning_rate: float | Schedule = 0.001
    weight_decay: float = 0.004
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    clipvalue: float | None = None
    clipnorm: float | None = None
    global_clipnorm: float | None = None


@dataclass(frozen=True)
class Nadam(Optimizer):
    """Adam with Nesterov momentum [1]_.

    As `Adam`, with the momentum ``beta_1 (1 - 0.96^t/2)`` applied one step ahead.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        The step size; positive.
    beta_1 : float, default 0.9
        In [0, 1).
    beta_2 : float, default 0.999
        In [0, 1).
    epsilon : float, default 1e-7
        Positive.
    clipvalue, clipnorm, global_clipnorm : float, optional
        Gradient clipping, at most one of the three.

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    References
    ----------
    .. [1] Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016.

    Examples
    --------
    >>> Nadam(learning_rate=0.1).learning_rate
    0.1
    """

    name: ClassVar[str] = "nadam"

    learning_rate: float | Schedule = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    clipvalue: float | None = None
    clipnorm: float | None = None
    global_clipnorm: float | None = None


_TABLE = table_of(SGD, RMSprop, Adagrad, Adadelta, Adam, AdamW, Nadam)


def resolve_optimizer(value: Any, argument: str = "optimizer") -> Optimizer:
    """Return an optimizer given as a name, as a spec or as an object."""
    return resolve(value, argument, _TABLE)
