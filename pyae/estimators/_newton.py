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

_SUFFICIENT = 1e-4  # Armijo's: the part of the predicted decrease that a step must reach
_SHORTEST = 2.0**-40  # of a step, relative to Newton's
_SWEEPS = 1000  # of coordinate descent, at most


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
    stuck: bool = False  # no step lowers it: it is as low as rounding allows


def minimize(problem: Problem, w: Vector) -> Iterator[Iterate]:
    """Yield the start and then each step's result, without end; the caller stops when content.

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
        yield Iterate(w, objective, max(expected, 0.0))

        size = 1.0
        while True:
            trial = w + size * step
            value, slope = problem.objective(trial)
            if value <= objective + _SUFFICIENT * size * linear:
                break
            size /= 2
            if size < _SHORTEST or linear >= 0:
                while True:
                    yield Iterate(w, objective, 0.0, stuck=True)
        w, objective, gradient = trial, value, slope


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

    By cyclic coordinate descent: full sweeps find which parameters are not zero, and further ones
    over those alone settle their values.
    """
    diagonal = np.diag(hessian)
    step = np.zeros_like(w)
    slope = gradient.copy()  # of the quadratic model at the present step
    everywhere = np.flatnonzero(diagonal > 0)
    first = 0.0  # the largest decrease that one coordinate of the first sweep brought

    def sweep(coordinates: npt.NDArray[np.intp]) -> float:
        largest = 0.0
        for j in coordinates.tolist():
            curvature = diagonal[j]
            present = w[j] + step[j]
            target = present - slope[j] / curvature
            shrunk = max(abs(target) - l1[j] / curvature, 0.0)
            change = (shrunk if target > 0 else -shrunk) - present
            if change:
                step[j] += change
                slope[:] += change * hessian[j]
                largest = max(largest, curvature * change * change)
        return largest

    for _ in range(_SWEEPS):
        moved = sweep(everywhere)
        first = first or moved
        if moved <= 1e-14 * first:
            break
        active = everywhere[(w + step)[everywhere] != 0]
        for _ in range(_SWEEPS):
            if sweep(active) <= 1e-15 * first:
                break
    return step
