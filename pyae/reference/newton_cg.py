"""Hessian-free optimization; Martens, 2010, and Martens & Sutskever, 2012."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .arrays import Array
from .layer import cut
from .optimizer import Optimizer, curvature_along, damping_unit
from .schedules import Rate, learning_rate_at

if TYPE_CHECKING:
    from .curvature import Curvature
    from .network import BatchLoss, Network

FLOOR = 1e-4  # of the curvature along the gradient: the damping does not fall below
LOWER = 1e-3  # where it leaves nothing to gain
WARM = 0.95  # how much of the last solution the next one starts with
SHRINK, ENOUGH = 0.7, 1e-2  # of the line search


class NewtonCG(Optimizer):
    """``w += a d`` where d solves ``(G + damping) d = -g``, as far as conjugate gradients get.

    Kernels whose inputs are of an unusual size have another damping, by `damping_unit`.

    `converged` says whether the last step found nothing that makes the loss smaller.
    """

    def __init__(
        self,
        learning_rate: Rate = 1.0,
        damping: float = 1.0,
        max_iterations: int = 100,
        tolerance: float = 5e-4,
        curvature_share: float = 0.25,
    ) -> None:
        super().__init__(learning_rate)
        self.first_damping, self.max_iterations = damping, max_iterations
        self.tolerance, self.curvature_share = tolerance, curvature_share
        self.damping = 0.0  # lambda
        self.solution: Array | None = None
        self.converged = False

    def minimize(
        self,
        network: Network,
        X: Array,
        Y: npt.ArrayLike,
        weight: npt.ArrayLike | None,
        batch: BatchLoss,
    ) -> float:
        """Do one step on a batch whose loss and gradients are there; return the learning rate."""
        from .curvature import Curvature, share_of

        rate = learning_rate_at(self.learning_rate, self.iterations)
        w, g = network.parameters.copy(), network.gradients.copy()
        noise = np.finfo(w.dtype).eps * abs(batch.total)
        rows = share_of(len(X), self.curvature_share, self.iterations)
        curvature = Curvature(network, X, Y, weight, rows)
        diagonal = curvature.diagonal(self.iterations)  # (n_parameters,)
        units = self._units(network, diagonal)
        down = -g / units
        squares = units * down * down
        along = curvature_along(curvature.form(down, down), squares, network.is_free, batch.total)
        damping = self.damping or self.first_damping * along
        start = self.solution
        for _ in range(20):
            d, fall = self._conjugate_gradients(
                network, curvature, damping * units, diagonal, g, start
            )
            if -fall <= noise:  # nothing is left to gain: if not for the damping
                least = float(np.finfo(w.dtype).eps) * along
                if damping <= least:
                    self.converged = True
                    break
                damping = max(min(damping * LOWER, along), least)
                continue
            step, losses = rate, []
            for _ in range(30):
                network.parameters[...] = w + step * d
                losses.append(network.batch_loss(X, Y, weight).total)
                if losses[-1] <= batch.total + ENOUGH * step * float(np.sum(g * d)):
                    break
                step *= SHRINK
            else:  # none is good: another direction, nearer to the gradient's
                network.parameters[...] = w
                damping, start = 4 * damping, None
                continue
            ratio = (losses[0] - batch.total) / fall
            if ratio > 0.75:
                damping = max(damping * 2 / 3, min(damping, FLOOR * along))
            self.damping = damping * 3 / 2 if ratio < 0.25 else damping
            self.solution = d
            self.iterations += 1
            break
        return rate

    def _units(self, network: Network, diagonal: Array) -> Array:
        """Return factors of the damping, from what kernels and biases have of G's diagonal."""
        if any(layer.spec.tied_to is not None for layer in network.layers):
            return np.ones_like(diagonal)  # the kernels' parts are of two layers
        views = iter(cut(diagonal, [view.shape for view in network.parameter_views]))
        units = []
        for layer in network.layers:
            kernel = next(views)
            bias = next(views) if layer.b is not None else kernel
            units.append(damping_unit(float(kernel.mean() / bias.mean())))
        return network.spread(units, [1.0 for _ in units])

    def _conjugate_gradients(
        self,
        network: Network,
        curvature: Curvature,
        damping: Array,
        diagonal: Array,
        g: Array,
        start: Array | None,
    ) -> tuple[Array, float]:
        """Return d and the value there of ``q(d) = g^T d + d^T (G + damping) d / 2``."""
        more = damping + 2 * network.l2_penalties  # (n_parameters,)
        scale = (diagonal + more) ** 0.75  # of the preconditioner
        d = np.zeros_like(g) if start is None else WARM * start
        r = -g if start is None else -(g + curvature.product(d) + more * d)
        p = r / scale
        rz = float(np.sum(r * p))
        values = [float(np.sum((g - r) * d)) / 2]
        for i in range(1, self.max_iterations + 1):
            if rz <= 0:
                break
            Bp = curvature.product(p) + more * p
            alpha = rz / float(np.sum(p * Bp))
            d, r = d + alpha * p, r - alpha * Bp
            values.append(float(np.sum((g - r) * d)) / 2)
            k = max(10, i // 10)
            enough = -k * self.tolerance * values[-1]
            if i > k and values[-1] < 0 and values[i - k] - values[-1] < enough:
                break
            z = r / scale
            rz, before = float(np.sum(r * z)), rz
            p = z + rz / before * p
        return d, values[-1]
