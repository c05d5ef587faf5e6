"""Every optimizer on every problem whose optimum is known: it gets there, near enough to tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import pyae
from pyae import optimizers, schedules
from pyae._backend import core
from pyae.regularizers import L2

Array = Any

EPOCHS = 3000  # of full batches, for a first-order optimizer
FEW = 50  # for one that looks at the curvature


@dataclass(frozen=True)
class Problem:
    """A network, its data, and how near its loss has to come to one that is known."""

    layers: Callable[[], list[pyae.Dense]]
    loss: str
    X: Array
    y: Array
    optimum: float
    within: float
    start: list[Array] | None = None  # weights; None: drawn

    def model(self, optimizer: Any) -> pyae.Sequential:
        model = pyae.Sequential(
            self.layers(), self.loss, optimizer, dtype="float64", random_state=0
        ).build(self.X.shape[1])
        if self.start is not None:
            model.set_weights(self.start)
        return model

    def excess(self, model: pyae.Sequential) -> float:
        """Return how far the loss, with its penalties, is above the optimum."""
        return model.loss_and_gradients(self.X, self.y)[0] - self.optimum


def least_squares() -> Problem:
    """One linear layer, features of scales 1 to 1/5; the optimum is the normal equations'."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 5)) * np.geomspace(1, 0.2, 5)
    y = X @ (rng.normal(size=(5, 2)) * 2) + 0.5 + 0.1 * rng.normal(size=(120, 2))
    A = np.column_stack([X, np.ones(120)])
    optimum = float(np.mean((A @ np.linalg.lstsq(A, y, rcond=None)[0] - y) ** 2))
    return Problem(lambda: [pyae.Dense(2)], "mean_squared_error", X, y, optimum, 1e-6)


def linear_autoencoder() -> Problem:
    """Eight features by a code of three; the optimum is what three principal components leave."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(150, 8)) @ (np.linalg.qr(rng.normal(size=(8, 8)))[0] * 0.8 ** np.arange(8))
    X -= X.mean(axis=0)
    optimum = float((np.linalg.svd(X, compute_uv=False)[3:] ** 2).sum() / X.size)
    return Problem(
        lambda: [pyae.Dense(3), pyae.Dense(8)], "mean_squared_error", X, X, optimum, 3e-4
    )


def valley() -> Problem:
    """``(w1 w2 - 1)^2 + l2 (w1^2 + w2^2)``, a valley along a hyperbola, as Rosenbrock's is.

    From (4, 0), across a slope that is a thousand times as steep as the way along the bottom. The
    minimum has ``w1 = w2`` and ``w1 w2 = 1 - l2``, so it is ``2 l2 - l2^2``.
    """
    l2 = 0.01
    X = np.where(np.arange(64) % 2, 1.0, -1.0)[:, np.newaxis]

    def layers() -> list[pyae.Dense]:
        return [pyae.Dense(1, use_bias=False, kernel_regularizer=L2(l2)) for _ in range(2)]

    start = [np.array([[4.0]]), np.array([[0.0]])]
    return Problem(layers, "mean_squared_error", X, X, 2 * l2 - l2**2, 1e-6, start)


def logistic() -> Problem:
    """Logistic regression with L2; the optimum is that of scikit-learn's coefficients."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(200, 4)) * [1, 1, 0.5, 0.5] + 0.5
    y = (X @ [2.0, -1.0, 3.0, 0.0] + rng.logistic(size=200) > 0).astype(float)
    l2 = 0.005
    theirs = LogisticRegression(C=1 / (2 * l2 * 200), tol=1e-12, max_iter=1000).fit(X, y)
    w = theirs.coef_[0]
    z = X @ w + theirs.intercept_[0]
    optimum = float(np.mean(np.logaddexp(0, z) - y * z) + l2 * w @ w)
    return Problem(
        lambda: [pyae.Dense(1, "sigmoid", kernel_regularizer=L2(l2))],
        "binary_crossentropy",
        X,
        y[:, np.newaxis],
        optimum,
        1e-6,
    )


def curve() -> Problem:
    """A curve in three dimensions, by a code of one: the target is a fiftieth of PCA's error.

    There is no closed form; a code of one can do without any error.
    """
    t = np.linspace(-1, 1, 100)
    X = np.column_stack([t, t**2, np.sin(3 * t)])
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    floor = float((np.linalg.svd(X, compute_uv=False)[1:] ** 2).sum() / X.size)

    def layers() -> list[pyae.Dense]:
        return [pyae.Dense(8, "tanh"), pyae.Dense(1), pyae.Dense(8, "tanh"), pyae.Dense(3)]

    return Problem(layers, "mean_squared_error", X, X, 0.0, floor / 50)


PROBLEMS = {
    problem.__name__: problem
    for problem in (least_squares, linear_autoencoder, valley, logistic, curve)
}


def falling(rate: float, half_life: float = 700) -> schedules.Schedule:
    """Return a rate for steps that do not shrink where the gradient does; it is halved in time."""
    return schedules.Exponential(rate, half_life, 0.5)


OPTIMIZERS: dict[str, tuple[optimizers.Optimizer, int]] = {  # with its epochs
    "sgd": (optimizers.SGD(0.1), EPOCHS),
    "momentum": (optimizers.SGD(0.05, momentum=0.9), EPOCHS),
    "nesterov": (optimizers.SGD(0.05, momentum=0.9, nesterov=True), EPOCHS),
    "rmsprop": (optimizers.RMSprop(falling(0.1, 250)), EPOCHS),
    "adagrad": (optimizers.Adagrad(0.5), EPOCHS),
    "adadelta": (optimizers.Adadelta(falling(1.0), epsilon=1e-3), EPOCHS),
    "adam": (optimizers.Adam(falling(0.05)), EPOCHS),
    "adamw": (optimizers.AdamW(falling(0.05), weight_decay=1e-5), EPOCHS),
    "nadam": (optimizers.Nadam(falling(0.05)), EPOCHS),
    "muon": (optimizers.Muon(falling(0.1)), EPOCHS),
    "lbfgs": (optimizers.LBFGS(), FEW),
    "newton_cg": (optimizers.NewtonCG(), FEW),
    "kfac": (optimizers.KFAC(), FEW),
}


@pytest.fixture(scope="module")
def problems() -> dict[str, Problem]:
    return {name: problem() for name, problem in PROBLEMS.items()}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_optimum_is_reached(name: str, problem: str, problems: dict[str, Problem]) -> None:
    p, (optimizer, epochs) = problems[problem], OPTIMIZERS[name]
    model = p.model(optimizer)
    model.fit(p.X, p.y, epochs=epochs, batch_size=len(p.X))
    assert -1e-12 < p.excess(model) < p.within


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_optimum_is_not_reached_by_itself(problem: str, problems: dict[str, Problem]) -> None:
    """Not by the start, nor by all of the epochs at a rate that is too low."""
    p = problems[problem]
    model = p.model(optimizers.SGD(1e-3))
    assert p.excess(model) > 100 * p.within
    model.fit(p.X, p.y, epochs=EPOCHS, batch_size=len(p.X))
    assert p.excess(model) > 10 * p.within


def test_every_optimizer_is_in_the_table() -> None:
    table = {optimizer.name for optimizer, _ in OPTIMIZERS.values()}
    assert table == set(core.tables()["optimizers"])
