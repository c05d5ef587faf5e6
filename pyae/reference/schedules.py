"""Learning-rate schedules: functions of the number of updates already done."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from .arrays import Spec, look_up, split_spec

Rate: TypeAlias = "float | Spec"


def constant(step: int, learning_rate: float) -> float:
    """Return the same rate at every step."""
    return learning_rate


def exponential(
    step: int,
    initial_learning_rate: float,
    decay_steps: float,
    decay_rate: float,
    staircase: bool = False,
) -> float:
    """Return ``initial decay_rate^(step / decay_steps)``; staircase rounds the exponent down."""
    exponent = step / decay_steps
    return float(
        initial_learning_rate * decay_rate ** (math.floor(exponent) if staircase else exponent)
    )


def cosine(
    step: int, initial_learning_rate: float, decay_steps: float, alpha: float = 0.0
) -> float:
    """Return ``initial ((1 - alpha) (1 + cos(pi min(step / decay_steps, 1))) / 2 + alpha)``."""
    decay = 0.5 * (1 + math.cos(math.pi * min(step, decay_steps) / decay_steps))
    return initial_learning_rate * ((1 - alpha) * decay + alpha)


def piecewise(step: int, boundaries: Sequence[float], values: Sequence[float]) -> float:
    """Return ``values[i]`` of the first i with ``step <= boundaries[i]``, else the last value."""
    for boundary, value in zip(boundaries, values, strict=False):
        if step <= boundary:
            return value
    return values[-1]


def inverse_time(
    step: int,
    initial_learning_rate: float,
    decay_steps: float,
    decay_rate: float,
    staircase: bool = False,
) -> float:
    """Return ``initial / (1 + decay_rate step / decay_steps)``; staircase rounds the quotient."""
    elapsed = step / decay_steps
    return initial_learning_rate / (
        1 + decay_rate * (math.floor(elapsed) if staircase else elapsed)
    )


def warm_up(step: int, warmup_steps: int, then: Rate, start_factor: float = 0.0) -> float:
    """Rise linearly to the first rate of `then`, whose step 0 is the end of the warm-up.

    ``then(0) (start + (1 - start) (step + 1) / warmup_steps)`` for ``step < warmup_steps``.
    """
    if step >= warmup_steps:
        return learning_rate_at(then, step - warmup_steps)
    rise = start_factor + (1 - start_factor) * (step + 1) / warmup_steps
    return learning_rate_at(then, 0) * rise


SCHEDULES: dict[str, Callable[..., float]] = {
    "constant": constant,
    "exponential": exponential,
    "cosine": cosine,
    "piecewise": piecewise,
    "inverse_time": inverse_time,
    "warm_up": warm_up,
}


def learning_rate_at(rate: Rate, step: int) -> float:
    """Return the learning rate of a step: of a number, or of a schedule's spec.

    Examples
    --------
    >>> learning_rate_at(0.1, 7)
    0.1
    >>> halving = {"name": "exponential", "initial_learning_rate": 1.0, "decay_steps": 2,
    ...            "decay_rate": 0.5}
    >>> learning_rate_at(halving, 4)
    0.25
    """
    if isinstance(rate, (int, float)):
        return float(rate)
    name, params = split_spec(rate)
    return float(look_up(SCHEDULES, name, "schedule")(step, **params))
