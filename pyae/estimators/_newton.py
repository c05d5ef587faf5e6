"""Newton's method for a convex function of a few thousand numbers at most, with an L1 penalty.

Each step minimises the quadratic model of the smooth part plus the penalty [1]_: by one linear
solve without a penalty, by coordinate descent with one. The step is then shortened until the
function falls enough.

References
----------
.. [1] Lee, Sun & Saunders, "Proximal Newton-type methods for minimizing composite functions", SIAM
   Journal on Optimization 24 (2014).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]  # (n_parameters,)
Matrix = npt.NDArray[np.float64]  # (n_parameters, n_parameters)
Function = Callable[[Vector], tuple[float, Vector]]  # with the gradient of its smooth part

_SUFFICIENT = 1e-4  # Armijo's: the part of the predicted decrease that a step must reach
_SHORTEST = 2.0**-40  # of a step, relative to Newton's
_SWEEPS = 3  # of coordinate descent, before each step among the parameters that are not 0
_ROUNDS = 200  # of both, at most
_ROUNDING = 64 * np.finfo(float).eps  # of an objective, relative: a few sums and logarithms
_LEAST_FALL = 1e-10  # of the quadratic model in a round, relative to its fall so far
_PRECISION = 1e-9  # of the quadratic model's minimum, relative to the start's distance from it


@dataclass(frozen=True)
class Problem:
    """What is minimised: ``value(w) + sum(l1 * abs(w))``, with a smooth and convex value."""

    value_and_gradient: Callable[[Vector], tuple[float, Vector]]
    hessian: Callable[[Vector], Matrix]
    l1: Vector  # (n_parameters,), not negative

    def objective(self, w: Vector) -> tuple[float, Vector]:
        """Return the whole function, and the gradient of its smooth part."""
        value, gradient = self.value_and_gradient(w)
        return value + float(self.l1 @ np.abs(w)), gradient


@dataclass(frozen=True)
class Iterate:
    """Where the method is after a step."""

    w: Vector
    objective: float
    expected: float  # by how much the next step is expected to lower the objective
    step: Vector  # the next step

    @property
    def is_precise(self) -> bool:
        """Whether what is left to gain is within rounding errors of the objective."""
        return bool(self.expected <= _ROUNDING * abs(self.objective))


def minimize(problem: Problem, w: Vector, goal: float = 0.0) -> Iterator[Iterate]:
    """Yield the start and then each step's result, until the caller is content.

    It ends by itself where no more than `goal`, or than rounding errors, is expected to be gained:
    with the result of the step from there, which is known already and squares the gradient's
    distance from 0. And it ends, with the last iterate once more, where no part of a step lowers
    the objective: at the minimum, or where rounding errors of the derivatives spoil the step.

    ``expected`` estimates how far the objective is above its minimum, in whatever units the
    parameters have: for an unpenalised function it is half the squared Newton decrement.
    """
    objective, gradient = problem.objective(w)
    while True:
        hessian = problem.hessian(w)
        penalised = bool(problem.l1.any())
        step = (
            _quadratic_l1_step(hessian, gradient, w, problem.l1)
            if penalised
            else _newton_step(hessian, gradient)
        )
        linear = float(
            gradient @ step + problem.l1 @ (np.abs(w + step) - np.abs(w))
        )  # not positive
        expected = -(linear + 0.5 * float(step @ hessian @ step))
        if not step.any():  # what is left to gain is then within rounding errors, or should be
            expected = 0.5 * _QuadraticL1(hessian, gradient, w, problem.l1).violation() ** 2
        at = Iterate(w, objective, max(expected, 0.0), step)
        yield at

        if (expected <= goal or at.is_precise) and not penalised:
            yield _settled(problem, at, gradient)
            return
        lower = along(problem.objective, at, linear)
        if lower is None:
            yield at
            return
        w, objective, gradient = lower


def along(function: Function, at: Iterate, linear: float) -> tuple[Vector, float, Vector] | None:
    """Return a point on the way of the step that is low enough, with its value and gradient.

    The step is halved until the function falls by a part of `linear`, what its slope promises;
    None where it never does.
    """
    size = 1.0
    while size >= _SHORTEST and linear < 0:
        trial = at.w + size * at.step
        value, gradient = function(trial)
        if value <= at.objective + _SUFFICIENT * size * linear:
            return trial, value, gradient
        size /= 2
    return None


def _settled(problem: Problem, at: Iterate, gradient: Vector) -> Iterate:
    """Return where a last step leads, judged by the gradient: the objective is known too coarsely.

    Without a penalty that has kinks; the same iterate where the gradient is as good as it gets.
    """
    objective, slope = problem.objective(at.w + at.step)
    if float(np.abs(slope).max()) < float(np.abs(gradient).max()):
        return Iterate(at.w + at.step, objective, at.expected, at.step)
    return at


def _newton_step(hessian: Matrix, gradient: Vector) -> Vector:
    """Return the minimiser of the quadratic model.

    A ridge at the size of rounding errors chooses a short one where it is not unique.
    """
    scale = 1 / np.sqrt(np.maximum(np.diag(hessian), np.finfo(float).tiny))
    scaled = hessian * scale[:, np.newaxis] * scale
    scaled[np.diag_indices(len(scaled))] += len(scaled) * np.finfo(float).eps
    return np.asarray(-scale * np.linalg.solve(scaled, scale * gradient))


def _quadratic_l1_step(hessian: Matrix, gradient: Vector, w: Vector, l1: Vector) -> Vector:
    """Return the minimiser of the quadratic model plus ``sum(l1 * abs(w + step))``.

    Coordinate descent finds which parameters are not 0, and Newton's steps among those settle their
    values, each up to where the first sign would change. They end where the model falls no more,
    or by no more than its rounding errors: those add up in directions that hardly matter to it.
    """
    model = _QuadraticL1(hessian, gradient, w, l1)
    first = model.violation()
    lowest, best = 0.0, w
    for _ in range(_ROUNDS):
        for _ in range(_SWEEPS):
            model.sweep()
        model.settle()
        value, error = model.value(w, gradient)
        if value >= lowest * (1 + _LEAST_FALL) or -value <= error:
            break
        lowest, best = value, model.at.copy()
        if model.violation() <= _PRECISION * first:
            break
    return np.asarray(best - w)


class _QuadraticL1:
    """``gradient (at - w) + (at - w) hessian (at - w) / 2 + sum(l1 * abs(at))``."""

    def __init__(self, hessian: Matrix, gradient: Vector, w: Vector, l1: Vector) -> None:
        self.hessian, self.l1 = hessian, l1
        self.curvature = np.diag(hessian)
        self.coordinates = np.flatnonzero(self.curvature > 0)
        self.at = w.copy()
        self.slope = gradient.copy()  # of the quadratic part, there

    def violation(self) -> float:
        """Return how far a coordinate is from its optimum, as a root of what it would gain."""
        j = self.coordinates
        at, slope, l1 = self.at[j], self.slope[j], self.l1[j]
        excess = np.where(
            at != 0, np.abs(slope + l1 * np.sign(at)), np.maximum(np.abs(slope) - l1, 0)
        )
        return float((excess / np.sqrt(self.curvature[j])).max(initial=0.0))

    def value(self, start: Vector, gradient: Vector) -> tuple[float, float]:
        """Return the model, 0 at the start that has this gradient, and its rounding error."""
        step = self.at - start
        size = np.abs(step)
        falls = gradient * step + self.l1 * (np.abs(self.at) - np.abs(start))
        terms = (np.abs(gradient) + self.l1) @ size + size @ np.abs(self.hessian) @ size
        error = 4 * np.finfo(float).eps * float(terms)
        return float(falls.sum() + 0.5 * (step @ self.hessian @ step)), error

    def sweep(self) -> None:
        """Minimise by one coordinate after another."""
        for j in self.coordinates.tolist():
            target = self.at[j] - self.slope[j] / self.curvature[j]
            shrunk = max(abs(target) - self.l1[j] / self.curvature[j], 0.0)
            change = (shrunk if target > 0 else -shrunk) - self.at[j]
            if change:
                self.at[j] += change
                self.slope += change * self.hessian[j]

    def settle(self) -> None:
        """Minimise over those that are not 0 already; some become 0 on the way."""
        active = self.coordinates[self.at[self.coordinates] != 0]
        while len(active):
            values, l1 = self.at[active], self.l1[active]
            signs = np.sign(values)
            block = self.hessian[np.ix_(active, active)]
            step = _newton_step(block, self.slope[active] + l1 * signs)
            crosses = (l1 > 0) & ((values + step) * signs < 0)
            lasts = np.divide(-values, step, out=np.ones(len(active)), where=crosses)
            part = lasts.min()
            moved = values + part * step
            moved[crosses & (lasts == part)] = 0
            self.at[active] = moved
            self.slope += self.hessian[:, active] @ (moved - values)
            if not crosses.any():
                return
            active = active[moved != 0]
