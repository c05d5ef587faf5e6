"""K-FAC: the Gauss-Newton matrix of each layer as a Kronecker product; Martens & Grosse, 2015.

Section numbers are those of arXiv:1503.05671. A layer's parameters are one matrix V: the kernel
and, below it, the bias, whose input is 1.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .arrays import Array
from .optimizer import Optimizer, curvature_along, damping_unit
from .schedules import Rate, learning_rate_at

if TYPE_CHECKING:
    from .curvature import Curvature
    from .network import BatchLoss, Network

EARLY = 20  # steps in each of which the damping is adapted: nobody knew where to start
EARLY_FALL = 2  # in those it falls as in so many steps at most
DAMPED = 0.75  # its share of the model's quadratic part from which it alone makes steps short
FASTER = 3  # there it falls as in so many times the steps, after the first ones
MUCH = 0.1  # of the loss: a model that promises more is looked at too
FAR = 0.25  # a step that is longer than so much of w is looked at too
SHORTER = 12  # times that a step may be made shorter


class KFAC(Optimizer):
    """``w += rate (alpha Delta + mu delta)``, delta being the last change of w.

    ``Delta = -(A + pi c I)^-1 dV (G + c/pi I)^-1``, layer by layer, with
    ``c = factor_damping sqrt(damping + 2 l2)``; A and G are averages of ``x^T x`` and ``dz^T dz``.
    Where inputs are of an unusual size, the kernel's damping is `_unit` times as much, and in A the
    bias has its own part.
    `step` and slots of the first-order ones are not used; `minimize` takes a network and a batch.
    """

    def __init__(
        self,
        learning_rate: Rate = 1.0,
        damping: float = 1.0,
        decay: float = 0.95,
        least_damping: float = 0.1,
        factor_damping: float = 3.0,
        inverse_every: int = 5,
        damping_every: int = 5,
        statistics_share: float = 0.125,
        curvature_share: float = 0.25,
    ) -> None:
        super().__init__(learning_rate)
        self.first_damping, self.decay = damping, decay
        self.least_damping, self.factor_damping = least_damping, factor_damping
        self.inverse_every, self.damping_every = inverse_every, damping_every
        self.statistics_share, self.curvature_share = statistics_share, curvature_share
        self.damping = 0.0  # lambda
        self.factors: dict[int, tuple[Array, Array]] = {}  # A (inputs + 1, same), G (units, same)
        self.inverses: dict[int, tuple[Array, Array]] = {}
        self.change: Array | None = None

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
        statistics = share_of(len(X), self.statistics_share, self.iterations)
        self._average(network, Curvature(network, X, Y, weight, statistics))
        rows = share_of(len(X), self.curvature_share, self.iterations)
        curvature = Curvature(network, X, Y, weight, rows)
        units = self._units(network)  # (n_parameters,)

        def along(d: Array) -> float:
            squares = units * d * d
            return curvature_along(curvature.form(d, d), squares, network.is_free, batch.total)

        if self.iterations == 0:
            self.damping = self.first_damping * along(-g / units)
        if self.iterations < 3 or self.iterations % self.inverse_every == 0:
            self._invert(network)
        fall, change = self._propose(network, curvature, g, self._precondition(network, g), units)
        noise = np.finfo(w.dtype).eps * abs(batch.total)
        if -fall <= noise:  # nothing is left to gain: if not for the damping or the inverses
            penalties = 2 * network.l2_penalties
            down = -g / (units + penalties / self.damping)
            limit = along(down)
            damped = float(np.sum((limit * units + penalties) * down**2))
            if float(np.sum(g * down)) ** 2 <= 2 * damped * noise:
                return rate
            self.damping = min(self.damping, limit)
            fall, change = self._propose(network, curvature, g, down, units)
        change = rate * change
        network.parameters[...] = w + change

        self.iterations += 1
        far = np.linalg.norm(change) > FAR * np.linalg.norm(w)
        adapts = far or self.iterations <= EARLY or self.iterations % self.damping_every == 0
        if adapts or -fall > MUCH * abs(batch.total):
            every = self.damping_every
            factor = 0.95**every  # section 6.5; falls that are slower or faster are not the paper's
            loss = network.batch_loss(X, Y, weight).total
            promised = rate * (2 - rate) * fall
            highest = batch.total + noise
            ratio = (loss - batch.total) / promised if promised < -noise else 0.5
            if adapts and ratio > 0.75:
                share = (ratio - 1) * (2 - rate) / rate
                steps = every
                if self.iterations <= EARLY:
                    steps = min(every, EARLY_FALL)
                elif share > DAMPED and self.iterations % every == 0:
                    steps = FASTER * every
                least = self.least_damping * self._mean_curvature(network) / len(X)
                self.damping = max(self.damping * 0.95**steps, min(self.damping, least))
            if adapts and ratio < 0.25:
                self.damping /= factor
            for i in range(1, SHORTER + 1):  # the model was wrong: a part of the step, or none
                if loss <= highest:
                    break
                self.damping /= factor
                change = change / 4 if i < SHORTER else 0 * change
                network.parameters[...] = w + change
                loss = network.batch_loss(X, Y, weight).total
        self.change = change
        return rate

    def _average(self, network: Network, curvature: Curvature) -> None:
        """Section 5: the averages of the factors."""
        keep = min(1 - 1 / (self.iterations + 1), self.decay)
        for layer, x, dz in curvature.samples(self.iterations):
            if network.layers[layer].b is not None:
                x = np.column_stack([x, np.ones_like(x[:, :1])])
            A, G = x.T @ x / len(x), dz.T @ dz
            if layer in self.factors:
                A = keep * self.factors[layer][0] + (1 - keep) * A
                G = keep * self.factors[layer][1] + (1 - keep) * G
            self.factors[layer] = A, G

    def _mean_curvature(self, network: Network) -> float:
        """Return the mean over the parameters of the diagonal that the factors have, in units."""
        total = 0.0
        for layer, (A, G) in self.factors.items():
            units = np.full(len(A), self._unit(network, layer))
            if network.layers[layer].b is not None:
                units[-1] = 1
            total += float(np.sum(np.diag(A) / units) * np.trace(G))
        return total / network.parameters.size

    def _unit(self, network: Network, layer: int) -> float:
        """Return how many times the damping a kernel is damped by: for the scale of its inputs."""
        A, _ = self.factors[layer]
        n_inputs = len(A) - (network.layers[layer].b is not None)
        return damping_unit(float(np.trace(A[:n_inputs, :n_inputs])) / n_inputs)

    def _units(self, network: Network) -> Array:
        """Return the same for each parameter (n_parameters,), which is 1 for a bias."""
        units = [self._unit(network, layer) for layer in range(len(network.layers))]
        return network.spread(units, [1.0 for _ in units])

    def _propose(
        self, network: Network, curvature: Curvature, g: Array, delta: Array, units: Array
    ) -> tuple[float, Array]:
        """Section 7: the least value of the model with the exact G, and the change that has it."""
        more = self.damping * units + 2 * network.l2_penalties  # (n_parameters,)
        directions = [delta]
        if self.change is not None:
            directions.append(self.change)
        B = np.array(
            [[curvature.form(u, v) + np.sum(more * u * v) for v in directions] for u in directions]
        )
        slopes = np.array([np.sum(g * u) for u in directions])
        if len(directions) == 2 and np.linalg.det(B) <= 1e-10 * B[0, 0] * B[1, 1]:
            directions, B, slopes = directions[:1], B[:1, :1], slopes[:1]
        factors = -np.linalg.solve(B, slopes)
        change = sum(f * u for f, u in zip(factors, directions, strict=True))
        return float(factors @ slopes) / 2, np.asarray(change)

    def _invert(self, network: Network) -> None:
        """Section 6.3: factored Tikhonov damping."""
        for layer, (A, G) in self.factors.items():
            l2 = (network.layers[layer].spec.kernel_regularizer or {}).get("l2", 0.0)
            unit = self._unit(network, layer) + 2 * l2 / self.damping
            c = self.factor_damping * math.sqrt(self.damping * unit)
            pi = math.sqrt((np.trace(A) / len(A)) / (np.trace(G) / len(G)))
            of_A = np.full(len(A), pi * c)
            if network.layers[layer].b is not None:
                of_A[-1] /= unit
            self.inverses[layer] = (
                np.linalg.inv(A + np.diag(of_A)),
                np.linalg.inv(G + c / pi * np.eye(len(G))),
            )

    def _precondition(self, network: Network, g: Array) -> Array:
        """Return Delta (n_parameters,)."""
        delta, offset = np.empty_like(g), 0
        for layer in range(len(network.layers)):
            A, G = self.inverses[layer]
            place = slice(offset, offset + len(A) * len(G))
            delta[place] = -(A @ g[place].reshape(len(A), len(G)) @ G).ravel()
            offset = place.stop
        return delta
