"""Newton-CG step by step; what it shares with K-FAC is in test_kfac."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import assert_close

import pyae
from pyae import reference
from pyae.optimizers import NewtonCG
from pyae.regularizers import L1, L2, KLSparsity

Array = Any

LAYERS = {
    "plain": lambda: [pyae.Dense(7, "tanh"), pyae.Dense(9)],
    "tied": lambda: [
        pyae.Dense(7, "sigmoid", activity_regularizer=KLSparsity(0.2, 0.1)),
        pyae.Dense(9, tied_to=0, bias_regularizer=L2(0.01)),
    ],
    "penalised": lambda: [
        pyae.Dense(7, "gelu", kernel_regularizer=L2(1e-3)),
        pyae.Dense(9, bias_regularizer=L1(0.01)),
    ],
}


@pytest.mark.parametrize("share", [1.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("layers", LAYERS)
def test_iterations_are_the_reference(layers: str, weighted: bool, share: float) -> None:
    """Few and short ones: conjugate gradients lose their directions to rounding errors soon."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(900, 9))
    weights = rng.uniform(0, 2, 900) if weighted else None
    optimizer = NewtonCG(0.8, max_iterations=6, tolerance=0.0, curvature_share=share)
    model = pyae.Sequential(LAYERS[layers](), optimizer=optimizer, dtype="float64", random_state=3)
    history = model.fit(X, epochs=4, batch_size=300, sample_weight=weights)
    network = reference.Network(model.spec, 9, seed=3, dtype="float64")
    expected = reference.train(network, X, None, 4, 300, sample_weight=weights)
    assert_close(np.array(history.history["loss"]), np.array(expected["loss"]), "training")
    assert network.optimizer.iterations == 12
    for actual, w in zip(model.get_weights(), network.get_weights(), strict=True):
        assert_close(actual, w, "training", scale=np.abs(w).max())


def test_one_step_solves_a_quadratic_problem_to_its_damping() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 5)), rng.normal(size=(300, 2))
    optimizer = NewtonCG(damping=1e-9, max_iterations=60, tolerance=0.0, curvature_share=1.0)
    model = pyae.Sequential([pyae.Dense(2)], optimizer=optimizer, dtype="float64", random_state=0)
    model.fit(X, y, batch_size=300)
    A = np.column_stack([X, np.ones(300)])
    expected = np.linalg.lstsq(A, y, rcond=None)[0]
    np.testing.assert_allclose(np.vstack(model.get_weights()), expected, atol=1e-6)


def test_the_loss_never_rises_on_full_batches() -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 4))
    for activation in ("tanh", "relu", "softmax"):
        layers = [pyae.Dense(6, activation), pyae.Dense(4)]
        model = pyae.Sequential(layers, optimizer="newton_cg", dtype="float64", random_state=2)
        losses = model.fit(X, epochs=25, batch_size=60).history["loss"]
        assert (np.diff(losses) <= 1e-12).all()
        assert losses[-1] < 0.8 * losses[0]
