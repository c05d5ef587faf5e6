"""What logistic regression minimises: as a network, and as a function of one flat vector."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyae._arrays import Floats
from pyae.estimators._base import Samples
from pyae.estimators._newton import Matrix, Problem, Vector
from pyae.estimators._newton_cg import Curvature, SmoothProblem
from pyae.layers import Dense
from pyae.model import Sequential
from pyae.optimizers import LBFGS
from pyae.regularizers import L1L2

_BLOCK = 256  # samples whose squares are summed at a time
_ENDLESS = 0.1  # a logit's change by a step that gains nothing; it tends to 1, or 0 at an optimum


class Objective:
    """The objective, divided by C and the number of samples, as a function of one flat vector.

    The vector holds, row by row, each class's coefficients and, where there is one, intercept.
    """

    def __init__(
        self, samples: Samples, n_classes: int, has_intercept: bool, l1: float, l2: float
    ) -> None:
        n_samples, n_features = samples.X.shape
        ones = [np.ones(n_samples)] if has_intercept else []
        self.X = np.column_stack([samples.X, *ones]).astype(np.float64, copy=False)
        self.y = samples.y
        self.sample_weights = samples.weights
        self.has_intercept = has_intercept
        self.n_features = n_features
        self.rows = 1 if n_classes == 2 else n_classes
        self.size = self.rows * self.X.shape[1]
        self.l1 = l1 / n_samples
        self.l2 = l2 / n_samples
        penalised = np.ones((self.rows, self.X.shape[1]))
        if has_intercept:
            penalised[:, -1] = 0
        self.penalised: Vector = penalised.reshape(-1)
        self._network = self.network(penalised=False)

    def network(
        self, dtype: Any = "float64", n_threads: int | None = None, penalised: bool = True
    ) -> Sequential:
        """Return the one-layer network, with zero weights."""
        layer = Dense(
            self.rows,
            "sigmoid" if self.rows == 1 else "softmax",
            self.has_intercept,
            kernel_initializer="zeros",
            kernel_regularizer=L1L2(self.l1, self.l2 / 2) if penalised else None,
        )
        model = Sequential(
            [layer],
            loss="binary_crossentropy" if self.rows == 1 else "sparse_categorical_crossentropy",
            optimizer=LBFGS(),
            dtype=dtype,
            n_threads=n_threads,
            random_state=0,
        )
        return model.build(self.n_features)

    @property
    def inputs(self) -> Floats:
        """The features alone: (n_samples, n_features)."""
        return self.X[:, : self.n_features]

    def weights(self, w: Vector) -> list[Floats]:
        """Return a vector as the network's weights."""
        matrix = w.reshape(self.rows, -1)
        bias = [matrix[:, -1]] if self.has_intercept else []
        return self.centred([matrix[:, : self.n_features].T, *bias])

    def centred(self, weights: list[Floats]) -> list[Floats]:
        """Return, of equal softmax models, the one whose rows have a mean of 0.

        They differ by what all rows have in common: always in the intercepts, and without a penalty
        in the coefficients too.
        """
        if self.rows == 1:
            return weights
        kernel, *bias = weights
        if not self.l1 and not self.l2:
            kernel = kernel - kernel.mean(axis=1, keepdims=True)
        return [kernel, *(intercepts - intercepts.mean() for intercepts in bias)]

    def has_no_optimum(self, weights: list[Floats], step: Vector | None = None) -> bool:
        """Return whether the loss falls for ever, without a penalty, as coefficients grow.

        It does if all samples are classified right, which growing coefficients make surer. It also
        does if only some can be made surer for ever, the others staying as they are: Newton's next
        `step` there changes a logit by about 1, where it gains next to nothing.
        """
        if self.l1 or self.l2:
            return False
        z = self.inputs @ weights[0] + (weights[1] if self.has_intercept else 0)
        y = np.asarray(self.y).reshape(-1).astype(np.intp)
        if self.rows == 1:
            margins = np.where(y == 1, z[:, 0], -z[:, 0])
        else:
            own = z[np.arange(len(z)), y]
            z[np.arange(len(z)), y] = -np.inf
            margins = own - z.max(axis=1)
        if margins.min() > 0:
            return True
        if step is None:
            return False
        change = self.X @ step.reshape(self.rows, -1).T
        if self.rows > 1:  # what all logits have in common changes nothing
            change -= change.mean(axis=1, keepdims=True)
        return bool(np.abs(change).max() > _ENDLESS)

    def problem(self) -> Problem:
        """Return the function to minimise and its derivatives."""
        return Problem(self.value_and_gradient, self.hessian, self.l1 * self.penalised)

    def smooth_problem(self) -> SmoothProblem:
        """Return the same for as many parameters as there may be, where there is no L1 penalty."""
        return SmoothProblem(self.value_and_gradient, self.curvature)

    def value_and_gradient(self, w: Vector) -> tuple[float, Vector]:
        """Return the smooth part, from the network, and its gradient."""
        self._network.set_weights(self.weights(w))
        value, gradients = self._network.loss_and_gradients(
            self.inputs, self.y, self.sample_weights
        )
        slopes = w * self.penalised * self.l2
        value += 0.5 * float(w @ slopes)
        by_row = [gradients[0].T, *(bias[:, np.newaxis] for bias in gradients[1:])]
        return value, self._without_common_parts(np.column_stack(by_row)) + slopes

    def hessian(self, w: Vector) -> Matrix:
        """Return the smooth part's second derivatives: blocks ``X^T diag(s p (1 - p)) X / n``."""
        p, factor = self._probabilities(w)
        width = self.X.shape[1]
        result = np.empty((self.rows, width, self.rows, width))
        for i in range(self.rows):
            for j in range(i + 1):
                curvature = factor[:, 0] * p[:, i] * ((i == j) - p[:, j])
                block = self.X.T @ (curvature[:, np.newaxis] * self.X)
                result[i, :, j] = block
                result[j, :, i] = block.T
        matrix = result.reshape(self.size, self.size)
        matrix[np.diag_indices(self.size)] += self.l2 * self.penalised
        return matrix

    def curvature(self, w: Vector) -> Curvature:
        """Return the Hessian's diagonal, and its products with vectors, which are two of X's.

        With the change ``z = X V^T`` of the logits that a vector makes, (n_samples, rows), and
        their mean m by p: ``X^T (s p (z - m)) / n``. One logit alone has ``z (1 - p)`` there.
        """
        p, factor = self._probabilities(w)
        weighted = factor * p
        ridge = self.l2 * self.penalised

        def product(v: Vector) -> Vector:
            z = self.X @ v.reshape(self.rows, -1).T
            z -= np.einsum("ij,ij->i", p, z)[:, np.newaxis]
            z *= weighted
            return np.asarray(self._without_common_parts(z.T @ self.X) + ridge * v)

        diagonal = np.zeros((self.rows, self.X.shape[1]))
        variances = weighted * (1 - p)
        for start in range(0, len(p), _BLOCK):  # the squares of all of X would be another X
            rows = slice(start, start + _BLOCK)
            diagonal += variances[rows].T @ np.square(self.X[rows])
        return Curvature(product, diagonal.reshape(-1) + ridge)

    def _without_common_parts(self, slopes: Floats) -> Vector:
        """Return derivatives (rows, width), flat, without the rounding errors in their sums.

        What all rows of a softmax have in common changes no probability, so those sums are 0.
        Without a penalty nothing else keeps conjugate gradients from leaving that way.
        """
        if self.rows > 1:
            slopes -= slopes.mean(axis=0)
        return np.asarray(slopes.reshape(-1))

    def _probabilities(self, w: Vector) -> tuple[Floats, Floats]:
        """Return p, (n_samples, rows), and the factors of the samples' losses, (n_samples, 1)."""
        self._network.set_weights(self.weights(w))
        n_samples = len(self.X)
        factor = np.full((n_samples, 1), 1 / n_samples)
        if self.sample_weights is not None:
            factor[:, 0] *= self.sample_weights
        return self._network.predict(self.inputs), factor
