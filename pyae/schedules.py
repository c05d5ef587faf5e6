"""Learning rates that change with the number of updates done, counted from 0.

A schedule is given to an optimizer in place of a number. Called with a step it returns the rate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pyae._arguments import integer, items, number, positive_float
from pyae._backend import core
from pyae._spec import Spec, resolve, table_of

__all__ = [
    "Constant",
    "Cosine",
    "Exponential",
    "InverseTime",
    "Piecewise",
    "Schedule",
    "WarmUp",
]


@dataclass(frozen=True)
class Schedule(Spec):
    """What all schedules share."""

    kind: ClassVar[str] = "schedule"

    def __call__(self, step: int) -> float:
        """Return the learning rate of the update that follows `step` others."""
        step = integer(step, "step")
        if not 0 <= step < 2**63:
            raise ValueError(f"step must be from 0 to 2**63 - 1, got {step}")
        return core.learning_rate(self.to_spec(), step)


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate always.

    Parameters
    ----------
    learning_rate : float
        The rate; positive.

    Examples
    --------
    >>> Constant(0.01)(100)
    0.01
    """

    name: ClassVar[str] = "constant"

    learning_rate: float


@dataclass(frozen=True)
class Exponential(Schedule):
    """``initial * decay_rate^(step/decay_steps)``.

    Parameters
    ----------
    initial_learning_rate, decay_steps, decay_rate : float
        As in the formula; positive.
    staircase : bool, default False
        Round ``step/decay_steps`` down to an integer.

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    Examples
    --------
    >>> Exponential(0.1, decay_steps=10, decay_rate=0.5)(20)
    0.025
    """

    name: ClassVar[str] = "exponential"

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool = False


@dataclass(frozen=True)
class InverseTime(Schedule):
    """``initial / (1 + decay_rate * step/decay_steps)``.

    Parameters
    ----------
    initial_learning_rate, decay_steps, decay_rate : float
        As in the formula; positive.
    staircase : bool, default False
        Round ``step/decay_steps`` down to an integer.

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    Examples
    --------
    >>> InverseTime(0.1, decay_steps=10, decay_rate=1.0)(10)
    0.05
    """

    name: ClassVar[str] = "inverse_time"

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool = False


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine wave from the initial rate to `alpha` times it, then constant [1]_.

    ``initial * ((1-alpha) * (1 + cos(pi * min(step, decay_steps)/decay_steps))/2 + alpha)``

    Parameters
    ----------
    initial_learning_rate, decay_steps : float
        As in the formula; positive.
    alpha : float, default 0.0
        In [0, 1].

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    References
    ----------
    .. [1] Loshchilov & Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    Examples
    --------
    >>> round(Cosine(0.1, decay_steps=100)(50), 6)
    0.05
    """

    name: ClassVar[str] = "cosine"

    initial_learning_rate: float
    decay_steps: float
    alpha: float = 0.0


@dataclass(frozen=True)
class Piecewise(Schedule):
    """``values[i]`` up to and including step ``boundaries[i]``, the last value after them all.

    Parameters
    ----------
    boundaries : sequence of float
        Steps in rising order.
    values : sequence of float
        Rates, one more than boundaries; positive.

    Raises
    ------
    ValueError
        The lengths do not fit, the boundaries do not rise or a rate is not positive.

    Examples
    --------
    >>> schedule = Piecewise(boundaries=[100, 200], values=[0.1, 0.01, 0.001])
    >>> [schedule(step) for step in (100, 101, 201)]
    [0.1, 0.01, 0.001]
    """

    name: ClassVar[str] = "piecewise"

    boundaries: tuple[float, ...]
    values: tuple[float, ...]

    def check(self) -> None:
        """Raise a ValueError that names the field, when one is not allowed."""
        for name in ("boundaries", "values"):
            given = getattr(self, name)
            label = f"piecewise: {name}"
            numbers = items(given, label, "a sequence of numbers")
            numbers = [number(item, f"{label}[{i}]") for i, item in enumerate(numbers)]
            object.__setattr__(self, name, tuple(numbers))
        pairs = zip(self.boundaries, self.boundaries[1:], strict=False)
        if any(not a < b for a, b in pairs) or not all(map(math.isfinite, self.boundaries)):
            raise ValueError(
                f"piecewise: boundaries must be finite and rise, got {self.boundaries}"
            )
        if any(not 0 < v < math.inf for v in self.values):
            raise ValueError(f"piecewise: values must be positive, got {self.values}")
        super().check()


@dataclass(frozen=True)
class WarmUp(Schedule):
    """A linear rise to the start of another schedule, then that schedule from its start [1]_.

    For ``step < warmup_steps``:
    ``then(0) * (start_factor + (1-start_factor) * (step+1)/warmup_steps)``.

    Parameters
    ----------
    warmup_steps : int
        How many updates it takes; positive.
    then : float or Schedule
        What follows.
    start_factor : float, default 0.0
        In [0, 1].

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    References
    ----------
    .. [1] Goyal et al., "Accurate, large minibatch SGD", arXiv 1706.02677, 2017.

    Examples
    --------
    >>> schedule = WarmUp(4, then=0.1)
    >>> [round(schedule(step), 6) for step in (0, 1, 3, 4)]
    [0.025, 0.05, 0.1, 0.1]
    """

    name: ClassVar[str] = "warm_up"

    warmup_steps: int
    then: float | Schedule
    start_factor: float = 0.0

    def check(self) -> None:
        """Raise a TypeError or ValueError that names the field, when one is not allowed."""
        if not float(self.warmup_steps).is_integer():
            raise ValueError(f"warm_up: warmup_steps must be an integer, got {self.warmup_steps}")
        object.__setattr__(self, "then", resolve_rate(self.then, "then"))
        super().check()


_TABLE = table_of(Constant, Exponential, InverseTime, Cosine, Piecewise, WarmUp)


def resolve_rate(value: Any, argument: str = "learning_rate") -> float | Schedule:
    """Return a learning rate given as a number, as a spec or as a schedule."""
    if isinstance(value, Schedule):
        return value
    if isinstance(value, Mapping):
        fields = dict(value)
        if "then" in fields:
            fields["then"] = resolve_rate(fields["then"])
        return resolve(fields, argument, _TABLE)
    return positive_float(value, argument, "a number or a schedule")
