"""What the optimizers share: a step counter, a learning rate, slots, and clipping."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .arrays import Array
from .schedules import Rate, learning_rate_at

SMALL = 0.01  # mean square of inputs, below which they are of an unusual size
TOO_MUCH = 1e3  # times the loss, that a step may promise
MOST = 1e30  # times that a kernel's damping may be a bias's


class Optimizer:
    """A learning rate, a step counter, clipping, and the slots of a rule.

    `step` updates `w` in place and returns the learning rate it used. A rule implements
    ``_update(w, g, learning_rate, is_kernel)``; `is_kernel` (n_parameters,) is a bool mask, or
    None where every parameter is a kernel's. A network says where the kernels of its layers but
    the first and the last lie, and their shapes: `hidden_kernels`.
    """

    hidden_kernels: Sequence[tuple[slice, tuple[int, int]]] = ()

    def __init__(
        self,
        learning_rate: Rate,
        clipvalue: float | None = None,
        clipnorm: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        self.learning_rate = learning_rate
        self.clipping = (clipvalue, clipnorm, global_clipnorm)
        self.iterations = 0
        self._arrays: list[Array] = []

    def step(self, w: Array, g: Array, is_kernel: Array | None = None) -> float:
        """Do one update of `w` by the gradient `g`."""
        learning_rate = learning_rate_at(self.learning_rate, self.iterations)
        self._update(w, g, learning_rate, is_kernel)
        self.iterations += 1
        return learning_rate

    def _update(self, w: Array, g: Array, learning_rate: float, is_kernel: Array | None) -> None:
        """Apply the rule."""
        raise NotImplementedError

    def slots(self, w: Array, *initial: float) -> list[Array]:
        """Return the slots of the rule, made at the first step with these initial values."""
        if not self._arrays:
            self._arrays = [np.full_like(w, value) for value in initial]
        return self._arrays


def clip_gradients(
    g: Array,
    tensors: Sequence[Array],
    clipvalue: float | None = None,
    clipnorm: float | None = None,
    global_clipnorm: float | None = None,
) -> None:
    """Clip gradients in place; `tensors` are the views of `g`, one a kernel or bias.

    `clipvalue` limits each entry to ``[-c, c]``; `clipnorm` each tensor's L2 norm, and
    `global_clipnorm` the norm of all of them: ``g *= c / max(norm, c)``. At most one is given.
    """
    if sum(c is not None for c in (clipvalue, clipnorm, global_clipnorm)) > 1:
        raise ValueError("give at most one of clipvalue, clipnorm and global_clipnorm")
    if clipvalue is not None:
        np.clip(g, -clipvalue, clipvalue, out=g)
    if clipnorm is not None:
        for tensor in tensors:
            np.multiply(tensor, clipnorm / max(_norm(tensor), clipnorm), out=tensor)
    if global_clipnorm is not None:
        g *= global_clipnorm / max(_norm(g), global_clipnorm)


def _norm(x: Array) -> float:
    return math.sqrt(float(np.square(x).sum(dtype=np.float64)))


def damping_unit(mean_square: float) -> float:
    """Return by how many times a bias's damping a kernel is damped, for the scale of its inputs."""
    if not (mean_square > 0 and math.isfinite(mean_square)):
        return 1.0
    return min(max(mean_square, min(mean_square / SMALL, 1.0), 1 / MOST), MOST)


def curvature_along(form: float, squares: Array, is_free: Array, loss: float) -> float:
    """Return ``d^T G d`` over d's squares in units, or where that is too small what has a limit.

    It is too small where such a step would promise a thousand times the loss and more, by
    parameters that have no penalty.
    """
    along = form / float(np.sum(squares))
    least = float(np.sum(squares[is_free])) / (2 * abs(loss))
    return least if least > TOO_MUCH * along else along
