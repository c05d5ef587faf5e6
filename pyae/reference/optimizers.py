"""Optimizers on one flat parameter array; first-order ones in place.

`w`, `g` and every slot have the shape (n_parameters,). ``t = step + 1`` counts from 1; the
counter belongs to the optimizer and advances once a step.
"""

from __future__ import annotations

import numpy as np

from .adam import Adam, AdamW, Nadam
from .arrays import Array, Spec, look_up, split_spec
from .kfac import KFAC
from .lbfgs import LBFGS
from .muon import Muon
from .newton_cg import NewtonCG
from .optimizer import Optimizer, clip_gradients
from .schedules import Rate

__all__ = [
    "KFAC",
    "LBFGS",
    "OPTIMIZERS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Muon",
    "Nadam",
    "NewtonCG",
    "Optimizer",
    "RMSprop",
    "build_optimizer",
    "clip_gradients",
]


class SGD(Optimizer):
    """``v = momentum v - lr g``; ``w += v``, or with Nesterov ``w += momentum v - lr g``."""

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **clipping: float | None,
    ) -> None:
        super().__init__(learning_rate, **clipping)
        self.momentum, self.nesterov = momentum, nesterov

    def _update(self, w: Array, g: Array, learning_rate: float, is_kernel: Array | None) -> None:
        velocity, work = self.slots(w, 0, 0)
        np.multiply(g, learning_rate, out=work)
        if self.momentum == 0:
            w -= work
            return
        velocity *= self.momentum
        velocity -= work
        if self.nesterov:
            w -= work
            np.multiply(velocity, self.momentum, out=work)
            w += work
        else:
            w += velocity


class RMSprop(Optimizer):
    """``v = rho v + (1 - rho) g^2``; ``u = momentum u + lr g / sqrt(v + eps)``; ``w -= u``.

    Centered: ``v - a^2 + eps`` under the root, ``a = rho a + (1 - rho) g`` (Hinton, 2012).
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **clipping: float | None,
    ) -> None:
        super().__init__(learning_rate, **clipping)
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered

    def _update(self, w: Array, g: Array, learning_rate: float, is_kernel: Array | None) -> None:
        v, a, u, work = self.slots(w, 0, 0, 0, 0)
        np.square(g, out=work)
        work *= 1 - self.rho
        v *= self.rho
        v += work
        if self.centered:
            np.multiply(g, 1 - self.rho, out=work)
            a *= self.rho
            a += work
            np.square(a, out=work)
            np.subtract(v, work, out=work)
            np.maximum(work, 0, out=work)  # a variance, but for rounding
            work += self.epsilon
        else:
            np.add(v, self.epsilon, out=work)
        np.sqrt(work, out=work)
        np.divide(g, work, out=work)
        work *= learning_rate
        if self.momentum > 0:
            u *= self.momentum
            u += work
            w -= u
        else:
            w -= work


class Adagrad(Optimizer):
    """``a += g^2``; ``w -= lr g / sqrt(a + eps)`` (Duchi, Hazan and Singer, 2011)."""

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **clipping: float | None,
    ) -> None:
        super().__init__(learning_rate, **clipping)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def _update(self, w: Array, g: Array, learning_rate: float, is_kernel: Array | None) -> None:
        a, work = self.slots(w, self.initial_accumulator_value, 0)
        np.square(g, out=work)
        a += work
        np.add(a, self.epsilon, out=work)
        np.sqrt(work, out=work)
        np.divide(g, work, out=work)
        work *= learning_rate
        w -= work


class Adadelta(Optimizer):
    """``a = rho a + (1 - rho) g^2``; ``d = -g sqrt(u + eps) / sqrt(a + eps)``; ``w += lr d``.

    Then ``u = rho u + (1 - rho) d^2`` (Zeiler, 2012).
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **clipping: float | None,
    ) -> None:
        super().__init__(learning_rate, **clipping)
        self.rho, self.epsilon = rho, epsilon

    def _update(self, w: Array, g: Array, learning_rate: float, is_kernel: Array | None) -> None:
        a, u = self.slots(w, 0, 0)
        a *= self.rho
        a += (1 - self.rho) * np.square(g)
        d = -g * np.sqrt(u + self.epsilon) / np.sqrt(a + self.epsilon)  # (n_parameters,)
        u *= self.rho
        u += (1 - self.rho) * np.square(d)
        w += learning_rate * d


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
    "adam": Adam,
    "adamw": AdamW,
    "nadam": Nadam,
    "muon": Muon,
    "lbfgs": LBFGS,
    "newton_cg": NewtonCG,
    "kfac": KFAC,
}


def build_optimizer(spec: Spec) -> Optimizer:
    """Return a fresh optimizer of a spec ``{"name": ..., **params}``."""
    name, params = split_spec(spec)
    optimizer: Optimizer = look_up(OPTIMIZERS, name, "optimizer")(**params)
    return optimizer
