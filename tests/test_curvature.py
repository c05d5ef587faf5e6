"""The Gauss-Newton matrix of a network against J^T H J, both derivatives by finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyae
from pyae import losses, reference
from pyae.reference.curvature import Curvature
from pyae.regularizers import L2, KLSparsity

Array = Any
Layers = Callable[[], list[pyae.Dense]]

SAMPLES = 7


def hidden(last: Any, **options: Any) -> Layers:
    return lambda: [pyae.Dense(4, "tanh"), pyae.Dense(3, last, **options)]


def real(rng: Any) -> Array:
    return rng.normal(size=(SAMPLES, 3))


def unit(rng: Any) -> Array:
    return rng.uniform(0.05, 0.95, size=(SAMPLES, 3))


def rows_of_one(rng: Any) -> Array:
    return rng.dirichlet(np.ones(3), size=SAMPLES)


def classes(rng: Any) -> Array:
    return np.arange(SAMPLES) % 3


def counts(rng: Any) -> Array:
    return rng.poisson(1.5, size=(SAMPLES, 3)).astype(float)


# layers, loss, targets; and where the last activation is the loss's link, the loss of the logits
CASES: dict[str, tuple[Layers, Any, Callable[[Any], Array], Any]] = {
    "mse": (hidden("linear"), "mean_squared_error", real, None),
    "mse, curved output": (hidden("gelu"), "mean_squared_error", real, None),
    "mse, sum": (hidden("linear"), losses.MeanSquaredError(reduction="sum"), real, None),
    "mse, one layer": (lambda: [pyae.Dense(3)], "mean_squared_error", real, None),
    "no bias": (hidden("linear", use_bias=False), "mean_squared_error", real, None),
    "bce": (hidden("sigmoid"), "binary_crossentropy", unit, losses.BinaryCrossentropy(True)),
    "bce, smoothed": (
        hidden("sigmoid"),
        losses.BinaryCrossentropy(label_smoothing=0.2),
        unit,
        losses.BinaryCrossentropy(True, 0.2),
    ),
    "bce of probabilities": (hidden("softmax"), "binary_crossentropy", unit, None),
    "bce, penalised output": (
        hidden("sigmoid", activity_regularizer=KLSparsity(0.1, 0.5)),
        "binary_crossentropy",
        unit,
        losses.BinaryCrossentropy(True),
    ),
    "cce": (
        hidden("softmax"),
        losses.CategoricalCrossentropy(label_smoothing=0.1),
        rows_of_one,
        losses.CategoricalCrossentropy(True, 0.1),
    ),
    "sparse cce": (
        hidden("softmax"),
        "sparse_categorical_crossentropy",
        classes,
        losses.SparseCategoricalCrossentropy(True),
    ),
    "sparse cce, ignoring": (
        hidden("softmax"),
        losses.SparseCategoricalCrossentropy(ignore_class=1),
        classes,
        losses.SparseCategoricalCrossentropy(True, ignore_class=1),
    ),
    "poisson": (hidden("exponential"), "poisson", counts, None),
    "kl": (hidden("softmax"), "kl_divergence", rows_of_one, None),
    "huber": (hidden("linear"), losses.Huber(delta=0.8), real, None),
    "log cosh": (hidden("log_softmax"), "log_cosh", real, None),
    "row activations": (
        lambda: [
            pyae.Dense(5, "softmax"),
            pyae.Dense(6, "log_softmax"),
            pyae.Dense(6, pyae.activations.Activation("top_k", k=3)),
            pyae.Dense(3),
        ],
        "mean_squared_error",
        real,
        None,
    ),
    "tied": (
        lambda: [
            pyae.Dense(4, "sigmoid", kernel_regularizer=L2(0.1)),
            pyae.Dense(3, "silu"),
            pyae.Dense(4, "tanh", tied_to=1),
            pyae.Dense(5, "sigmoid", tied_to=0, use_bias=False),
        ],
        "binary_crossentropy",
        lambda rng: rng.uniform(0.05, 0.95, size=(SAMPLES, 5)),
        losses.BinaryCrossentropy(True),
    ),
}


def build(layers: Layers, loss: Any, linear_end: bool = False) -> pyae.Sequential:
    made = layers()
    if linear_end:
        spec = made[-1]
        made[-1] = pyae.Dense(spec.units, "linear", use_bias=spec.use_bias, tied_to=spec.tied_to)
    model = pyae.Sequential(made, loss, "sgd", dtype="float64", random_state=3).build(5)
    rng = np.random.default_rng(4)
    model.set_weights([w + 0.3 * rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def differences(f: Callable[[Array], Array], x: Array, h: float = 1e-5) -> Array:
    """Return df/dx, (size of f, size of x)."""
    columns = []
    for i in range(x.size):
        step = np.zeros_like(x)
        step.flat[i] = h
        columns.append((f(x + step) - f(x - step)).ravel() / (2 * h))
    return np.stack(columns, axis=1)


def product(model: pyae.Sequential, X: Array, y: Array, weights: Array | None, v: Array) -> Array:
    """Return G v."""
    columns = y.reshape(len(y), -1)
    return np.asarray(model._built_network().gauss_newton(X, columns, weights, v, 1))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_products_are_those_of_its_definition(case: str, weighted: bool) -> None:
    layers, loss, targets, loss_of_logits = CASES[case]
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(SAMPLES, 5)), targets(rng)
    weights = rng.uniform(0.2, 2, SAMPLES) if weighted else None
    model = build(layers, loss)
    outputs_of = build(layers, "mean_squared_error", loss_of_logits is not None)
    network = outputs_of._built_network()

    def outputs(w: Array) -> Array:
        network.set_parameters(w)
        return outputs_of.predict(X)

    w = model._built_network().parameters()
    J = differences(outputs, w)
    outer = loss_of_logits or losses.resolve(loss)
    H = differences(lambda p: outer.gradient(y, p, sample_weight=weights), outputs(w), 1e-6)
    G = J.T @ H @ J
    for v in rng.normal(size=(3, w.size)):
        actual = product(model, X, y, weights, v)
        np.testing.assert_allclose(actual, G @ v, atol=1e-6 * np.abs(G @ v).max())

    other = reference.Network(model.spec, 5, seed=3, dtype="float64")
    other.set_weights(model.get_weights())
    u, v = rng.normal(size=(2, w.size))
    curvature = Curvature(other, X, y, weights)
    np.testing.assert_allclose(curvature.product(v), product(model, X, y, weights, v))
    np.testing.assert_allclose(curvature.form(u, v), u @ product(model, X, y, weights, v))


LINEAR = {
    "mean_squared_error": ("linear", real),
    "binary_crossentropy": ("sigmoid", unit),
    "categorical_crossentropy": ("softmax", rows_of_one),
    "sparse_categorical_crossentropy": ("softmax", classes),
}


@pytest.mark.parametrize("loss", LINEAR)
def test_of_one_layer_it_is_the_hessian(loss: str) -> None:
    activation, targets = LINEAR[loss]
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(SAMPLES, 5)), targets(rng)
    model = build(lambda: [pyae.Dense(3, activation)], loss)
    w = model._built_network().parameters()

    def gradient(at: Array) -> Array:
        model._built_network().set_parameters(at)
        return np.concatenate([g.ravel() for g in model.loss_and_gradients(X, y)[1]])

    hessian = differences(gradient, w)
    model._built_network().set_parameters(w)
    for v in rng.normal(size=(3, w.size)):
        expected = hessian @ v
        actual = product(model, X, y, None, v)
        np.testing.assert_allclose(actual, expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("case", ["bce", "cce", "sparse cce, ignoring", "poisson", "mse"])
def test_samples_have_its_covariance(case: str) -> None:
    """Of the reference's, which the optimizers' parity shows to be the compiled library's too."""
    layers, loss, targets, _ = CASES[case]
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(1, 5)), targets(rng)[:1]
    model = build(layers, loss)
    network = reference.Network(model.spec, 5, seed=3, dtype="float64")
    network.set_weights(model.get_weights())
    curvature = Curvature(network, X, y)
    n = 1000
    mean = 0.0
    for turn in range(n):
        _, x, dz = curvature.samples(turn)[0]  # of the last layer
        g = np.concatenate([(x.T @ dz).ravel(), dz.ravel()])
        mean = mean + np.outer(g, g) / n
    size = len(g)
    G = np.array([curvature.product(v) for v in np.eye(network.parameters.size)])[-size:, -size:]
    # A mean over n signs that are independent is off by about 1 / sqrt(n), five times at most.
    np.testing.assert_allclose(mean, G, atol=5 / np.sqrt(n) * np.abs(G).max())


NOT_CONVEX = [
    ("mean_absolute_error", "linear"),
    ("mean_absolute_percentage_error", "linear"),
    ("mean_squared_logarithmic_error", "softplus"),
    ("cosine_similarity", "linear"),
    ("categorical_crossentropy", "sigmoid"),
]


@pytest.mark.parametrize("optimizer", ["kfac", "newton_cg"])
@pytest.mark.parametrize(("loss", "activation"), NOT_CONVEX)
def test_other_losses_are_refused(loss: str, activation: str, optimizer: str) -> None:
    model = pyae.Sequential([pyae.Dense(3, activation)], loss, optimizer)
    with pytest.raises(ValueError, match=f"{optimizer} needs .* {loss} .* {activation}"):
        model.build(2)
    model = pyae.Sequential([pyae.Dense(3, activation)], loss, "sgd").build(2)
    with pytest.raises(ValueError, match="no Gauss-Newton matrix"):
        product(model, np.ones((1, 2)), np.ones((1, 3)), None, np.ones(9))
    with pytest.raises(ValueError, match="v must have 9 values"):
        product(model, np.ones((1, 2)), np.ones((1, 3)), None, np.ones(8))
