"""L-BFGS with a strong-Wolfe line search, and OWL-QN where parameters have an L1 penalty.

`w`, `g` and everything of their kind has the shape (n_parameters,); `objective(w)` returns the loss
and its gradient. Nocedal & Wright, "Numerical optimization", 2006, chapters 3 and 7; Hager & Zhang,
2005; Andrew & Gao, 2007.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from .arrays import Array
from .optimizer import Optimizer
from .schedules import Rate, learning_rate_at

Objective: TypeAlias = Callable[[Array], tuple[float, Array]]
Point: TypeAlias = tuple[float, float, float]  # a, phi(a) = f(w + a d), phi'(a)

DECREASE, CURVATURE = 1e-4, 0.9
FIRST_FALL = 1e-3  # of the loss, that a first step should promise
PATIENCE = 10  # steps in a row that do not make the loss smaller


class LBFGS(Optimizer):
    """``w += a d`` with ``d = -H g``, H made from the last changes s of w and y of g.

    `converged` says whether the last step found nothing that makes the loss smaller.

    Examples
    --------
    >>> optimizer, w = LBFGS(), np.array([3.0, -2.0])
    >>> curvature = np.array([1.0, 10.0])
    >>> def objective(w):
    ...     return 0.5 * np.sum(curvature * w**2), curvature * w
    >>> for _ in range(20):
    ...     w = optimizer.minimize(objective, w, *objective(w))[0]
    >>> bool(np.abs(w).max() < 1e-12)
    True
    """

    def __init__(
        self,
        learning_rate: Rate = 1.0,
        history_size: int = 10,
        max_line_search: int = 25,
        tolerance_grad: float = 0.0,
    ) -> None:
        super().__init__(learning_rate)
        self.history_size, self.max_line_search = history_size, max_line_search
        self.tolerance_grad = tolerance_grad
        self.pairs: list[tuple[Array, Array]] = []  # (s, y), the newest last
        self.idle = 0  # steps since the last one that gained something
        self.converged = False

    def minimize(
        self, objective: Objective, w: Array, loss: float, g: Array, l1: Array | None = None
    ) -> tuple[Array, Array]:
        """Return the next w and its gradient, from the loss and gradient at w.

        `l1` (n_parameters,) has each parameter's L1 penalty, whose derivative `l1 * sign(w)` is
        part of the gradients.
        """
        bent = l1 is not None and bool(l1.any())
        l1 = np.zeros_like(w) if l1 is None else l1
        slope = np.where((w == 0) & (l1 > 0), np.sign(g) * np.maximum(np.abs(g) - l1, 0), g)
        self.converged = float(np.abs(slope).max()) <= self.tolerance_grad
        while not self.converged:
            d = -self._inverse_hessian_times(slope)
            if bent:
                d[(l1 > 0) & (d * slope >= 0)] = 0
            fall = _dot(d, slope)
            if self.pairs and abs(fall) <= np.finfo(w.dtype).eps * _noise(loss, w):
                self.converged = True  # a gain lost in the rounding errors of both gradients
                break
            step = learning_rate_at(self.learning_rate, self.iterations)
            if not self.pairs:  # short, but long enough for a loss of any scale to tell
                square = _dot(slope, slope)
                step *= min(1.0, max(1 / math.sqrt(square), FIRST_FALL * abs(loss) / square))
            found: tuple[Array, Array, float] | None = None
            if fall < 0 and bent:
                found = self._search_orthant(objective, w, loss, slope, d, l1, step)
            elif fall < 0:
                found = self._search_line(objective, w, loss, fall, d, step)
            if found is not None and (found[0] != w).any():
                new, gradient, value = found
                gained = value < loss - np.finfo(w.dtype).eps * abs(loss)
                if not gained and self.idle + 1 >= PATIENCE:
                    self.converged = True
                    break
                self.idle = 0 if gained else self.idle + 1
                s, y = new - w, gradient - g - l1 * (np.sign(new) - np.sign(w))
                size = math.sqrt(_dot(s, s)) * math.sqrt(_dot(y, y))
                if _dot(s, y) > np.finfo(w.dtype).eps * size:
                    self.pairs = [*self.pairs, (s, y)][-self.history_size :]
                self.iterations += 1
                return new, gradient
            self.converged = not self.pairs
            self.pairs, self.idle = [], 0
        return w, g

    def _inverse_hessian_times(self, g: Array) -> Array:
        """Return ``H g`` by the two-loop recursion."""
        q = g.copy()
        weights = []
        for s, y in reversed(self.pairs):
            weights.append(_dot(s, q) / _dot(s, y))
            q -= q.dtype.type(weights[-1]) * y
        if self.pairs:
            s, y = self.pairs[-1]
            q *= q.dtype.type(_dot(s, y) / _dot(y, y))
        for (s, y), weight in zip(self.pairs, reversed(weights), strict=True):
            q += q.dtype.type(weight - _dot(y, q) / _dot(s, y)) * s
        return np.asarray(q)

    def _search_line(
        self, objective: Objective, w: Array, loss: float, fall: float, d: Array, step: float
    ) -> tuple[Array, Array, float] | None:
        """Return a point that meets the strong Wolfe conditions, its gradient and its value."""
        start = low = (0.0, loss, fall)
        high: Point | None = None  # between low and high there is a point that meets them
        bisect = False
        noise = _noise(loss, w)

        def evaluate(step: float) -> tuple[Array, Array, Point]:
            trial = w + w.dtype.type(step) * d
            value, gradient = objective(trial)
            return trial, gradient, (step, value, _dot(gradient, d))

        for _ in range(self.max_line_search):
            trial, gradient, point = evaluate(step)
            width = math.inf if high is None else high[0] - low[0]
            _, value, slope = point
            finite = math.isfinite(value) and math.isfinite(slope)
            enough = finite and _decreased(loss, value, step * fall, step * slope, noise)
            if not enough or slope > -CURVATURE * fall:
                high = point
            elif slope < CURVATURE * fall:
                if high is None:
                    ahead = _interpolated(low, point, noise)
                    far = min(max(ahead, 2 * step), 10 * step) if math.isfinite(ahead) else 4 * step
                    low, step = point, far
                    continue
                low = point
            else:
                return trial, gradient, value
            bisect = high[0] - low[0] > 0.6 * width
            step = 0.5 * (low[0] + high[0])
            if not bisect and math.isfinite(high[1]) and math.isfinite(high[2]):
                edge, inside = 0.1 * (high[0] - low[0]), _interpolated(low, high, noise)
                if math.isfinite(inside):
                    step = min(max(inside, low[0] + edge), high[0] - edge)
        return None if low == start else (*evaluate(low[0])[:2], low[1])

    def _search_orthant(
        self,
        objective: Objective,
        w: Array,
        loss: float,
        slope: Array,
        d: Array,
        l1: Array,
        step: float,
    ) -> tuple[Array, Array, float] | None:
        """Return the first point of step, step/2, ... that is lower; signs of w do not change."""
        orthant = np.where(w != 0, np.sign(w), -np.sign(slope))
        for _ in range(self.max_line_search):
            trial = w + w.dtype.type(step) * d
            trial[(l1 > 0) & (trial * orthant <= 0)] = 0
            value, gradient = objective(trial)
            gain, end = _dot(slope, trial - w), _dot(gradient, trial - w)
            finite = math.isfinite(value) and math.isfinite(end)
            if finite and gain < 0 and _decreased(loss, value, gain, end, _noise(loss, w)):
                return trial, gradient, value
            step *= 0.5
        return None


def _dot(a: Array, b: Array) -> float:
    return float(np.dot(a.astype(np.float64), b.astype(np.float64)))


def _noise(loss: float, w: Array) -> float:
    """How much rounding may change a loss."""
    return 16 * float(np.finfo(w.dtype).eps) * abs(loss)


def _decreased(loss: float, value: float, gain: float, end: float, noise: float) -> bool:
    """Whether the loss decreased enough; within its noise the slopes at both ends tell."""
    if value <= loss + DECREASE * gain:
        return True
    return value <= loss + noise and end <= (2 * DECREASE - 1) * gain


def _interpolated(a: Point, b: Point, noise: float) -> float:
    """Return where the cubic through two points has its minimum; NaN where there is none."""
    width = b[0] - a[0]
    with np.errstate(all="ignore"):
        slope_a, slope_b = np.float64(a[2]), np.float64(b[2])
        if abs(b[1] - a[1]) <= noise:
            return float(a[0] - slope_a * width / (slope_b - slope_a))
        d1 = slope_a + slope_b - 3 * (b[1] - a[1]) / width
        d2 = np.sqrt(d1 * d1 - slope_a * slope_b)
        return float(b[0] - width * (slope_b + d2 - d1) / (slope_b - slope_a + 2 * d2))
