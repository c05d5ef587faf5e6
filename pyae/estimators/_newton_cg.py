"""Newton's method for a smooth convex function of many numbers, whose Hessian is never formed.

Each step minimises the quadratic model by conjugate gradients [1]_ [2]_, which need the Hessian's
products with vectors only and its diagonal, by which they are preconditioned: so the scale of the
parameters does not matter. Far from the minimum they end early, and the nearer it is the later:
the method converges faster than linearly [1]_. The step is then shortened until the function falls
enough.

References
----------
.. [1] Nocedal & Wright, "Numerical Optimization", 2nd edition, chapters 5 and 7, Springer 2006.
.. [2] Lin, Weng & Keerthi, "Trust region Newton method for large-scale logistic regression",
   Journal of Machine Learning Research 9 (2008).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pyae.estimators._newton import Iterate, Vector, along

_LOOSEST = 0.5  # residual of a step's linear equations, relative to the gradient
_LAST = (1e-10, 1e-3)  # the same, of the last step: from, to
_LAST_STEPS = 10  # at most; few are needed where conjugate gradients find them exactly
_EXACT = 1e-13  # preconditioned norm of a gradient that needs no other last step
_UNDERFLOW = 1e-150  # a gradient that is larger comes from a sample that is not classified well
_ITERATIONS = 2000  # of conjugate gradients, at most, for one step


@dataclass(frozen=True)
class Curvature:
    """The Hessian at a point."""

    product: Callable[[Vector], Vector]
    diagonal: Vector


@dataclass(frozen=True)
class SmoothProblem:
    """What is minimised: a smooth and convex function, of the size of a mean log loss."""

    value_and_gradient: Callable[[Vector], tuple[float, Vector]]
    curvature: Callable[[Vector], Curvature]


def minimize_by_products(problem: SmoothProblem, w: Vector, goal: float = 0.0) -> Iterator[Iterate]:
    """Yield the start and then each step's result, as `minimize` does, and end where it does.

    A step that is known roughly does not tell how much is left to gain. So where that seems to be
    `goal` at most, the conjugate gradients go on, and only what they find then ends the method.
    """
    objective, gradient = problem.value_and_gradient(w)
    last_steps = 0
    while True:
        model = _QuadraticModel(problem.curvature(w), gradient)
        model.minimise(min(_LOOSEST, math.sqrt(model.residual)))
        at = Iterate(w, objective, model.fall, model.step)
        if at.expected <= goal or at.is_precise:
            model.minimise(min(max(_LAST[0], 0.01 * math.sqrt(model.fall)), _LAST[1]))
            at = Iterate(w, objective, model.fall, model.step)
        yield at

        if at.expected <= goal or at.is_precise:
            # Judged by the gradient: the objective is known too coarsely.
            value, slope = problem.value_and_gradient(w + at.step)
            if not model.norm(slope) < model.norm(gradient):
                yield at
                return
            last_steps += 1
            w, objective, gradient = w + at.step, value, slope
            if last_steps == _LAST_STEPS or model.norm(slope) <= _EXACT:
                yield Iterate(w, objective, at.expected, at.step)
                return
            continue
        lower = along(problem.value_and_gradient, at, float(gradient @ at.step))
        if lower is None:
            yield at
            return
        w, objective, gradient = lower


class _QuadraticModel:
    """``gradient step + step hessian step / 2``, and its minimisation, which can be resumed."""

    def __init__(self, curvature: Curvature, gradient: Vector) -> None:
        self.product = curvature.product
        diagonal = curvature.diagonal
        known = diagonal > np.finfo(float).tiny
        self.inverse = np.divide(1, diagonal, out=np.zeros_like(diagonal), where=known)
        # Saturated samples have no curvature, and a gradient all the same if they are wrong.
        self.is_blind = bool(np.abs(gradient[~known]).max(initial=0.0) > _UNDERFLOW)
        self.gradient = gradient
        self.step = np.zeros_like(gradient)
        self.slope = gradient.copy()  # of the model, at the step
        self.scaled = self.inverse * gradient
        self.direction = -self.scaled
        self.square = float(gradient @ self.scaled)  # of the slope's preconditioned norm
        self.first = self.square
        self.iterations = 0

    @property
    def residual(self) -> float:
        """The preconditioned norm of the slope: a length in the units of the function's root."""
        return math.sqrt(self.square)

    def norm(self, slope: Vector) -> float:
        """Return the preconditioned norm of any slope."""
        return math.sqrt(slope @ (self.inverse * slope))

    @property
    def fall(self) -> float:
        """By how much the model is lower at the step than at the start, or should be.

        Where it has no step, half the squared norm of the gradient; infinite where the gradient has
        parts that the curvature knows nothing of.
        """
        if self.is_blind:
            return math.inf
        if not self.step.any():
            return 0.5 * self.square
        return max(-0.5 * float(self.step @ (self.gradient + self.slope)), 0.0)

    def minimise(self, tolerance: float) -> None:
        """Lower the residual to this part of the first one, or as far as rounding errors let it.

        Directions in which the Hessian is 0, as where features depend on each other, are never
        taken: the gradient has no part in them.
        """
        while self.square > tolerance**2 * self.first and self.iterations < _ITERATIONS:
            image = self.product(self.direction)
            curvature = float(self.direction @ image)
            least = np.finfo(float).eps * self.square  # about 1 times the square, but for those
            if not curvature > least:
                return
            size = self.square / curvature
            self.step = self.step + size * self.direction
            self.slope += size * image
            self.scaled = self.inverse * self.slope
            square = float(self.slope @ self.scaled)
            self.direction = (square / self.square) * self.direction - self.scaled
            self.square = square
            self.iterations += 1
