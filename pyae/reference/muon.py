"""Muon: momentum as an orthogonal matrix, for kernels of hidden layers; Jordan et al., 2024."""

from __future__ import annotations

import math

import numpy as np

from .adam import Adam
from .arrays import Array
from .schedules import Rate

# The Polar Express (Amsel et al., arXiv:2505.16932): x becomes a x + b x^3 + c x^5. Each is the odd
# polynomial of degree 5 nearest to 1 on what those before it made of [0.001, 1]; steps after these
# repeat the last.
POLAR_EXPRESS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.8750014808534479, -1.2500016453999487, 0.3750001645474248),
    (1.875, -1.25, 0.375),
)
SAFETY = 1.01  # of x in all but the last: beyond 1 the polynomials grow


def orthogonalize(x: Array, steps: int) -> Array:
    """Return nearly ``U V^T`` of the singular value decomposition ``x = U S V^T``."""
    norm = math.sqrt(float(np.square(x, dtype=np.float64).sum()))
    tall = x.shape[0] > x.shape[1]  # then the transpose, so that X X^T is the smaller one
    X: Array = (x.T if tall else x) * x.dtype.type(1 / max(norm, float(np.finfo(x.dtype).tiny)))
    last = len(POLAR_EXPRESS) - 1
    for step in range(steps):
        a, b, c = POLAR_EXPRESS[min(step, last)]
        if step < last:
            a, b, c = a / SAFETY, b / SAFETY**3, c / SAFETY**5
        A = X @ X.T
        X = a * X + (b * A + c * (A @ A)) @ X
    return X.T if tall else X


class Muon(Adam):
    """``m = momentum m + g``; ``w -= lr 0.2 sqrt(max(r, c)) O(g + momentum m)`` on hidden kernels.

    They have the shape (r, c); O is `orthogonalize`, the factor of Liu et al.,
    arXiv:2502.16982. Without Nesterov the matrix is m. All other parameters, which is all of them
    without `hidden_kernels`, are Adam's, whose learning rate is ``adam_lr_ratio lr``.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.015,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 3,
        adam_lr_ratio: float = 0.4,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **clipping: float | None,
    ) -> None:
        super().__init__(learning_rate, adam_beta_1, adam_beta_2, epsilon, **clipping)
        self.momentum, self.nesterov, self.ns_steps = momentum, nesterov, ns_steps
        self.adam_lr_ratio = adam_lr_ratio
        self._momenta: list[Array] = []  # (r, c) each

    def _update(self, w: Array, g: Array, learning_rate: float, is_kernel: Array | None) -> None:
        if not self._momenta:
            self._momenta = [np.zeros(shape, w.dtype) for _, shape in self.hidden_kernels]
        after = []
        for (place, shape), m in zip(self.hidden_kernels, self._momenta, strict=True):
            gradient = g[place].reshape(shape)
            m *= self.momentum
            m += gradient
            u = gradient + self.momentum * m if self.nesterov else m
            length = learning_rate * 0.2 * math.sqrt(max(shape))
            after.append(w[place].reshape(shape) - length * orthogonalize(u, self.ns_steps))
        super()._update(w, g, self.adam_lr_ratio * learning_rate, is_kernel)
        for (place, _), kernel in zip(self.hidden_kernels, after, strict=True):
            w[place] = kernel.ravel()
