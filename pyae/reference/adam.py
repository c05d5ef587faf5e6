"""Adam and its relatives."""

from __future__ import annotations

import math

import numpy as np

from .arrays import Array
from .optimizer import Optimizer
from .schedules import Rate


class Adam(Optimizer):
    """``m += (1 - b1)(g - m)``; ``v += (1 - b2)(g^2 - v)``; ``w -= alpha m / (sqrt(v) + eps)``.

    ``alpha = lr sqrt(1 - b2^t) / (1 - b1^t)`` folds in both bias corrections (Kingma and Ba, 2015).
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **clipping: float | None,
    ) -> None:
        super().__init__(learning_rate, **clipping)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def moments(self, w: Array, g: Array) -> list[Array]:
        """Update and return the slots ``m`` and ``v``, and a work array."""
        m, v, work = slots = self.slots(w, 0, 0, 0)
        np.subtract(g, m, out=work)
        work *= 1 - self.beta_1
        m += work
        np.square(g, out=work)
        work -= v
        work *= 1 - self.beta_2
        v += work
        return slots

    def _update(self, w: Array, g: Array, learning_rate: float, is_kernel: Array | None) -> None:
        t = self.iterations + 1
        alpha = learning_rate * math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        m, v, work = self.moments(w, g)
        np.sqrt(v, out=work)
        work += self.epsilon
        np.divide(m, work, out=work)
        work *= alpha
        w -= work


class AdamW(Adam):
    """``w -= lr weight_decay w`` on kernels, then Adam (Loshchilov and Hutter, 2019)."""

    def __init__(
        self, learning_rate: Rate = 0.001, weight_decay: float = 0.004, **params: float
    ) -> None:
        super().__init__(learning_rate, **params)
        self.weight_decay = weight_decay

    def _update(self, w: Array, g: Array, learning_rate: float, is_kernel: Array | None) -> None:
        decay = learning_rate * self.weight_decay
        w -= decay * w if is_kernel is None else (decay * w) * is_kernel
        super()._update(w, g, learning_rate, is_kernel)


class Nadam(Adam):
    """Adam with Nesterov momentum (Dozat, 2016), as Keras 3 has it.

    ``mu_t = b1 (1 - 0.96^t / 2)``, ``U_t = mu_1 ... mu_t``;
    ``m^ = mu_{t+1} m / (1 - U_{t+1}) + (1 - mu_t) g / (1 - U_t)``; ``v^ = v / (1 - b2^t)``;
    ``w -= lr m^ / (sqrt(v^) + eps)``.
    """

    def __init__(self, learning_rate: Rate = 0.001, **params: float) -> None:
        super().__init__(learning_rate, **params)
        self.u_product = 1.0

    def _update(self, w: Array, g: Array, learning_rate: float, is_kernel: Array | None) -> None:
        t = self.iterations + 1
        mu = self.beta_1 * (1 - 0.5 * 0.96**t)
        mu_next = self.beta_1 * (1 - 0.5 * 0.96 ** (t + 1))
        self.u_product *= mu
        m, v, work = self.moments(w, g)
        np.divide(v, 1 - self.beta_2**t, out=work)
        np.sqrt(work, out=work)
        work += self.epsilon
        m_hat = (mu_next / (1 - self.u_product * mu_next)) * m
        m_hat += ((1 - mu) / (1 - self.u_product)) * g
        m_hat /= work
        m_hat *= learning_rate
        w -= m_hat
