"""Gradients of whole networks: against central differences of the loss, and against the reference.

Central differences of `evaluate`, which only goes forward, check `loss_and_gradients`, which also
goes back; `pyae.reference` checks both by an implementation of its own. Weights and data are drawn
again until nothing is near a kink, where a derivative is one-sided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pyae
from pyae import losses, regularizers
from pyae.activations import Activation
from pyae.reference import Network

N_SAMPLES, N_FEATURES, HIDDEN, OUTPUTS = 6, 4, 5, 3
STEP = 1e-5  # truncation about STEP^2, rounding about 1e-16/STEP: both near 1e-10
CHECKED = 1e-6  # relative error of the gradients against central differences
AGREED = 1e-12  # relative difference from the reference, in float64
NEAR = 1e-3  # no pre-activation, residual or weight is nearer to a kink than this

# A pre-activation for which f is about 0.4: inside (0, 1), where every loss is defined and smooth.
OUTPUT_BIAS = {
    "linear": 0.4, "relu": 0.4, "sigmoid": -0.4, "softmax": 0.0, "softplus": -0.7,
    "softsign": 0.67, "tanh": 0.42, "selu": 0.38, "elu": 0.4, "exponential": -0.9,
    "leaky_relu": 0.4, "relu6": 0.4, "gelu": 0.6, "silu": 0.65, "mish": 0.55, "hard_sigmoid": -0.6,
    "log_softmax": 0.0, "top_k": 0.4,
}  # fmt: skip
KINKS = {
    "relu": [0.0], "leaky_relu": [0.0], "relu6": [0.0, 6.0], "hard_sigmoid": [-3.0, 3.0],
    "elu": [0.0], "selu": [0.0], "top_k": [0.0],
}  # fmt: skip

LOSSES = [
    losses.BinaryCrossentropy(),
    losses.BinaryCrossentropy(label_smoothing=0.2),
    losses.BinaryCrossentropy(from_logits=True),
    losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.2),
    losses.CategoricalCrossentropy(),
    losses.CategoricalCrossentropy(label_smoothing=0.2),
    losses.CategoricalCrossentropy(from_logits=True),
    losses.SparseCategoricalCrossentropy(),
    losses.SparseCategoricalCrossentropy(ignore_class=1),
    losses.SparseCategoricalCrossentropy(ignore_class=-1),
    losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=2),
    losses.Poisson(),
    losses.KLDivergence(),
    losses.MeanSquaredError(),
    losses.MeanAbsoluteError(),
    losses.MeanAbsolutePercentageError(),
    losses.MeanSquaredLogarithmicError(),
    losses.CosineSimilarity(),
    losses.Huber(),
    losses.Huber(delta=0.2),
    losses.LogCosh(),
]
PLAIN = [loss for loss in LOSSES if loss == type(loss)()]

# log_softmax is negative: these losses are undefined or clipped there.
NOT_NEGATIVE = {"poisson", "kl_divergence", "mean_squared_logarithmic_error", "binary_crossentropy"}


def loss_id(loss: losses.Loss) -> str:
    extra = [
        f"{key}={value}"
        for key, value in loss.to_spec().items()
        if key not in ("name", "reduction") and value != getattr(type(loss)(), key)
    ]
    return "-".join([loss.name, *extra])


def targets_for(loss: losses.Loss, rng: np.random.Generator, n: int, outputs: int) -> np.ndarray:
    """Return targets from the loss's domain."""
    if loss.name == "sparse_categorical_crossentropy":
        classes = rng.integers(0, outputs, n)
        ignored = getattr(loss, "ignore_class", None)
        if ignored is not None:
            classes[0], classes[1] = ignored, (ignored + 1) % outputs
        return classes
    if loss.name == "categorical_crossentropy":
        return rng.dirichlet(np.ones(outputs), n)
    if loss.name in ("binary_crossentropy", "kl_divergence"):
        return rng.uniform(0.02, 0.98, (n, outputs))
    if loss.name == "poisson":
        return rng.integers(0, 5, (n, outputs)).astype(float)
    if loss.name == "mean_squared_logarithmic_error":
        return rng.uniform(0.0, 3.0, (n, outputs))
    signs = rng.choice([-1.0, 1.0], (n, outputs))
    return signs * rng.uniform(0.1, 1.5, (n, outputs))


def kernels_of(model: pyae.Sequential) -> list[tuple[np.ndarray, np.ndarray | float]]:
    """Return each layer's kernel, a tied one as the transpose it stands for, and bias."""
    weights = iter(model.get_weights())
    pairs: list[tuple[np.ndarray, np.ndarray | float]] = []
    for layer, spec in zip(model.layers, model.spec["layers"], strict=True):
        kernel = next(weights) if spec["tied_to"] is None else pairs[spec["tied_to"]][0].T
        pairs.append((kernel, next(weights) if layer.use_bias else 0.0))
    return pairs


def distance_to_kinks(model: pyae.Sequential, X: np.ndarray, t: np.ndarray) -> float:
    """Return how near anything comes to where the loss is not smooth."""
    distances = [np.array(np.inf)]
    x = X
    for depth, (layer, (kernel, bias)) in enumerate(
        zip(model.layers, kernels_of(model), strict=True), start=1
    ):
        z = x @ kernel + bias
        x = model.forward(X, upto=depth)
        distances += [abs(z - kink) for kink in KINKS.get(layer.activation.name, [])]
        if layer.activation.name == "top_k":  # the k-th largest and the next change places
            k = int(layer.activation.params.get("k", 32))
            distances.append(np.diff(np.sort(-z))[:, k - 1 : k])
        for penalty, values in [
            (layer.kernel_regularizer, kernel),
            (layer.bias_regularizer, np.asarray(bias)),
            (layer.activity_regularizer, x[x != 0]),  # relu's zeros are away from the kink by z
        ]:
            if getattr(penalty, "l1", 0.0):
                distances.append(abs(values))
    name = model.loss.name
    if name in ("mean_absolute_error", "mean_absolute_percentage_error"):
        distances.append(abs(x - t))
    if isinstance(model.loss, losses.Huber):
        distances.append(abs(abs(x - t) - model.loss.delta))
    if name in NOT_NEGATIVE - {"poisson"} and not getattr(model.loss, "from_logits", False):
        distances += [abs(x), abs(x - 1)]
    return float(min(d.min() for d in distances if d.size))


def problem(
    layers: Callable[[], Sequence[pyae.Dense]],
    loss: losses.Loss,
    n_samples: int = N_SAMPLES,
    n_features: int = N_FEATURES,
) -> tuple[pyae.Sequential, np.ndarray, np.ndarray]:
    """Return a model, inputs and targets with nothing near a kink."""
    for seed in range(300):
        rng = np.random.default_rng(seed)
        model = pyae.Sequential(layers(), loss=loss, dtype="float64", random_state=seed)
        model.build(n_features)
        X = rng.normal(size=(n_samples, n_features))
        t = targets_for(loss, rng, n_samples, model.layers[-1].units)
        weights = model.get_weights()
        for w in weights:
            if w.ndim == 1:
                w += rng.uniform(-0.3, 0.3, w.shape)
        last = model.layers[-1]
        if last.tied_to is None:
            weights[-2 if last.use_bias else -1] *= 0.3
        if last.use_bias:
            weights[-1] *= 0.3
            weights[-1] += OUTPUT_BIAS[last.activation.name]
        model.set_weights(weights)
        if distance_to_kinks(model, X, t) > NEAR:
            return model, X, t
    raise AssertionError("no weights and data away from all kinks")


def central_differences(
    model: pyae.Sequential, X: np.ndarray, t: np.ndarray, sample_weight: np.ndarray | None
) -> list[np.ndarray]:
    """Return the derivatives of `evaluate` by every weight."""
    weights = model.get_weights()
    result = [np.empty_like(w) for w in weights]
    for w, slope in zip(weights, result, strict=True):
        for i in np.ndindex(w.shape):
            value, sides = w[i], []
            for moved in (value + STEP, value - STEP):
                w[i] = moved
                model.set_weights(weights)
                sides.append(model.evaluate(X, t, sample_weight, batch_size=len(X)))
            w[i] = value
            slope[i] = (sides[0] - sides[1]) / (2 * STEP)
    model.set_weights(weights)
    return result


def assert_close(
    actual: Sequence[np.ndarray], expected: Sequence[np.ndarray], tolerance: float
) -> None:
    """Compare tensor by tensor, relative to its norm (or to 1/1000 of all of them)."""
    whole = float(np.sqrt(sum(np.sum(e**2) for e in expected)))
    assert len(actual) == len(expected)
    for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
        assert a.shape == e.shape
        error = float(np.linalg.norm(a - e))
        assert error <= tolerance * max(float(np.linalg.norm(e)), 1e-3 * whole), f"tensor {i}"


def check(
    model: pyae.Sequential,
    X: np.ndarray,
    t: np.ndarray,
    sample_weight: np.ndarray | None = None,
    vanishing: bool = False,
) -> None:
    """Check loss and gradients against the reference and central differences."""
    before = [X.copy(), t.copy()]
    loss, gradients = model.loss_and_gradients(X, t, sample_weight)
    network = Network(model.spec, X.shape[1], dtype="float64")
    network.set_weights(model.get_weights())
    expected_loss, expected = network.loss_and_gradients(X, t, sample_weight)
    assert loss == pytest.approx(expected_loss, rel=AGREED, abs=AGREED)
    assert model.evaluate(X, t, sample_weight, batch_size=len(X)) == pytest.approx(
        expected_loss, rel=AGREED, abs=AGREED
    )
    assert_close(gradients, expected, AGREED)
    size = np.sqrt(sum(np.sum(g**2) for g in gradients))
    assert vanishing or size > 1e-4, "a gradient of zero would be checked against nothing"
    assert_close(gradients, central_differences(model, X, t, sample_weight), CHECKED)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(t, before[1])


def dense(units: int, activation: Any = "linear", **options: Any) -> pyae.Dense:
    return pyae.Dense(units, activation, **options)


def output_for(loss: losses.Loss) -> str:
    """Return an output activation within the loss's range that is not its canonical link."""
    if getattr(loss, "from_logits", False):
        return "linear"
    if loss.name in ("binary_crossentropy", "kl_divergence", "categorical_crossentropy"):
        return "softplus"
    if loss.name in ("sparse_categorical_crossentropy", "poisson"):
        return "exponential"
    return "linear"


def test_the_tables_name_every_activation_and_loss() -> None:
    assert set(OUTPUT_BIAS) == set(pyae.activations.names())
    assert {loss.name for loss in LOSSES} == set(losses.names())


@pytest.mark.parametrize("loss", PLAIN, ids=loss_id)
@pytest.mark.parametrize("activation", pyae.activations.names())
def test_hidden_activation(activation: str, loss: losses.Loss) -> None:
    check(*problem(lambda: [dense(HIDDEN, activation), dense(OUTPUTS, output_for(loss))], loss))


@pytest.mark.parametrize("loss", LOSSES, ids=loss_id)
@pytest.mark.parametrize("activation", pyae.activations.names())
def test_output_activation(activation: str, loss: losses.Loss) -> None:
    logits = getattr(loss, "from_logits", False)
    if activation == "log_softmax" and loss.name in NOT_NEGATIVE and not logits:
        activation = "softmax"  # nothing to check: such outputs are outside the loss's range
    model, X, t = problem(lambda: [dense(HIDDEN, "tanh"), dense(OUTPUTS, activation)], loss)
    check(model, X, t)


PARAMETERS = [
    Activation("elu", alpha=0.3),
    Activation("elu", alpha=2.5),
    Activation("leaky_relu", negative_slope=0.01),
    Activation("leaky_relu", negative_slope=0.9),
    Activation("gelu", approximate=True),
    Activation("gelu", approximate=False),
    Activation("top_k", k=1),
    Activation("top_k", k=2),
]


@pytest.mark.parametrize("place", ["hidden", "output"])
@pytest.mark.parametrize("activation", PARAMETERS, ids=repr)
def test_activation_with_parameters(activation: Activation, place: str) -> None:
    hidden, output = (activation, "linear") if place == "hidden" else ("tanh", activation)
    loss = losses.MeanSquaredError()
    check(*problem(lambda: [dense(HIDDEN, hidden), dense(OUTPUTS, output)], loss))


@pytest.mark.parametrize("activation", ["softmax", "log_softmax"])
@pytest.mark.parametrize("depth", [1, 2])
def test_activation_over_rows_in_the_middle(activation: str, depth: int) -> None:
    check(
        *problem(
            lambda: [
                dense(HIDDEN, "tanh"),
                *[dense(4, activation) for _ in range(depth)],
                dense(OUTPUTS, "softmax"),
            ],
            losses.CategoricalCrossentropy(),
        )
    )


@pytest.mark.parametrize("loss", LOSSES, ids=loss_id)
def test_sum_reduction(loss: losses.Loss) -> None:
    summed = type(loss)(**{**vars(loss), "reduction": "sum"})
    model, X, t = problem(lambda: [dense(HIDDEN, "tanh"), dense(OUTPUTS, output_for(loss))], summed)
    check(model, X, t)


LINKED = [
    ("sigmoid", losses.BinaryCrossentropy()),
    ("softmax", losses.CategoricalCrossentropy()),
    ("softmax", losses.SparseCategoricalCrossentropy(ignore_class=0)),
    ("linear", losses.MeanSquaredError()),
    ("sigmoid", losses.MeanSquaredError()),
]


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum"])
@pytest.mark.parametrize(("output", "loss"), LINKED, ids=lambda v: getattr(v, "name", v))
def test_sample_weights(output: str, loss: losses.Loss, reduction: str) -> None:
    loss = type(loss)(**{**vars(loss), "reduction": reduction})
    model, X, t = problem(lambda: [dense(HIDDEN, "tanh"), dense(OUTPUTS, output)], loss)
    weights = np.array([0.0, 0.5, 1.0, 2.0, 3.5, 0.25])
    check(model, X, t, weights)


def test_a_sample_of_weight_zero_is_no_sample_but_for_the_divisor() -> None:
    model, X, t = problem(lambda: [dense(HIDDEN, "tanh"), dense(OUTPUTS)], LOSSES[13])
    _, all_but_one = model.loss_and_gradients(X[1:], t[1:])
    _, weighted = model.loss_and_gradients(X, t, np.array([0.0, 1, 1, 1, 1, 1]))
    assert_close([g * N_SAMPLES / (N_SAMPLES - 1) for g in weighted], all_but_one, AGREED)


PENALTIES = {
    "l1": regularizers.L1(0.03),
    "l2": regularizers.L2(0.05),
    "l1l2": regularizers.L1L2(0.02, 0.04),
}
ACTIVITY = {**PENALTIES, "kl": regularizers.KLSparsity(0.1, 0.7)}


@pytest.mark.parametrize("which", ["kernel_regularizer", "bias_regularizer"])
@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_parameter_penalty(penalty: regularizers.Regularizer, layer: int, which: str) -> None:
    def layers() -> list[pyae.Dense]:
        options: list[dict[str, Any]] = [{}, {}, {}]
        options[layer] = {which: penalty}
        units, activations = (HIDDEN, 4, OUTPUTS), ("tanh", "sigmoid", "linear")
        return [dense(u, a, **o) for u, a, o in zip(units, activations, options, strict=True)]

    model, X, t = problem(layers, losses.MeanSquaredError())
    check(model, X, t)
    # In closed form: the loss grows by just the penalty.
    parameters = kernels_of(model)[layer][0 if which == "kernel_regularizer" else 1]
    bare = pyae.Sequential(
        [dense(HIDDEN, "tanh"), dense(4, "sigmoid"), dense(OUTPUTS)], dtype="float64"
    ).build(N_FEATURES)
    bare.set_weights(model.get_weights())
    grown = penalty.l1 * abs(parameters).sum() + penalty.l2 * (parameters**2).sum()
    assert model.evaluate(X, t) - bare.evaluate(X, t) == pytest.approx(grown, rel=1e-10)


ACTIVITY_PLACES = [  # (activations, the layer with the penalty, loss)
    (("sigmoid", "linear"), 0, losses.MeanSquaredError()),
    (("relu", "linear"), 0, losses.MeanSquaredError()),
    (("tanh", "linear"), 0, losses.MeanAbsoluteError()),
    (("softmax", "linear"), 0, losses.MeanSquaredError()),
    (("log_softmax", "linear"), 0, losses.MeanSquaredError()),
    (("gelu", "linear"), 0, losses.MeanSquaredError()),
    (("tanh", "sigmoid"), 1, losses.MeanSquaredError()),
    (("tanh", "sigmoid"), 1, losses.BinaryCrossentropy()),  # the last layer stops at its logits
    (("tanh", "softmax"), 1, losses.CategoricalCrossentropy()),
    (("tanh", "softmax"), 1, losses.SparseCategoricalCrossentropy()),
    (("tanh", "sigmoid", "tanh", "linear"), 1, losses.MeanSquaredError()),
    (("sigmoid",), 0, losses.BinaryCrossentropy()),
]


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum"])
@pytest.mark.parametrize(
    ("activations", "layer", "loss"),
    ACTIVITY_PLACES,
    ids=[f"{'-'.join(a)}-{i}-{loss.name}" for a, i, loss in ACTIVITY_PLACES],
)
@pytest.mark.parametrize("penalty", ACTIVITY.values(), ids=ACTIVITY)
def test_activity_penalty(
    penalty: regularizers.Regularizer,
    activations: tuple[str, ...],
    layer: int,
    loss: losses.Loss,
    reduction: str,
) -> None:
    def layers() -> list[pyae.Dense]:
        units = [*[HIDDEN] * (len(activations) - 1), OUTPUTS]
        result = [dense(u, a) for u, a in zip(units, activations, strict=True)]
        result[layer] = dense(units[layer], activations[layer], activity_regularizer=penalty)
        return result

    loss = type(loss)(**{**vars(loss), "reduction": reduction})
    model, X, t = problem(layers, loss)
    check(model, X, t, np.linspace(0.2, 2.0, N_SAMPLES))


def test_clipped_sparsity_has_no_gradient() -> None:
    """A unit that is always on has a mean activity clipped to 1-eps: no gradient by its inputs."""
    model = pyae.Sequential(
        [dense(2, "sigmoid", activity_regularizer=ACTIVITY["kl"]), dense(1, use_bias=False)],
        dtype="float64",
        random_state=0,
    ).build(1)
    model.set_weights([np.zeros((1, 2)), np.array([40.0, 0.0]), np.zeros((2, 1))])
    X = np.ones((3, 1))
    _, gradients = model.loss_and_gradients(X, X)
    assert gradients[1][0] == 0
    assert gradients[1][1] > 0  # the other unit is half on, and should be less


TIED = {
    "once": lambda: [dense(3, "tanh"), dense(N_FEATURES, tied_to=0)],
    "twice": lambda: [
        dense(3, "tanh"),
        dense(N_FEATURES, "sigmoid", tied_to=0),
        dense(3, "softplus"),
        dense(N_FEATURES, tied_to=0),
    ],
    "middle": lambda: [
        dense(HIDDEN, "tanh"),
        dense(3, "sigmoid"),
        dense(HIDDEN, "softsign", tied_to=1),
        dense(OUTPUTS),
    ],
    "all": lambda: [
        dense(HIDDEN, "tanh"),
        dense(3, "sigmoid"),
        dense(HIDDEN, "silu", tied_to=1),
        dense(N_FEATURES, tied_to=0),
    ],
    "without bias": lambda: [
        dense(3, "tanh", use_bias=False),
        dense(N_FEATURES, tied_to=0, use_bias=False),
    ],
    "with penalties": lambda: [
        dense(3, "sigmoid", kernel_regularizer=PENALTIES["l1l2"], activity_regularizer="l1"),
        dense(N_FEATURES, tied_to=0, bias_regularizer=PENALTIES["l2"], activity_regularizer="l2"),
    ],
    "square kernel": lambda: [dense(N_FEATURES, "tanh"), dense(N_FEATURES, tied_to=0)],
}


@pytest.mark.parametrize("layers", TIED.values(), ids=TIED)
def test_tied_layers(layers: Callable[[], Sequence[pyae.Dense]]) -> None:
    check(*problem(layers, losses.MeanSquaredError()))


def test_tied_kernel_collects_the_gradients_of_both_uses() -> None:
    """The same network untied has the two gradients apart; their sum is the tied one's."""
    model, X, t = problem(TIED["once"], losses.MeanSquaredError())
    W, b, c = model.get_weights()
    untied = pyae.Sequential([dense(3, "tanh"), dense(N_FEATURES)], dtype="float64")
    untied.build(N_FEATURES).set_weights([W, b, W.T, c])
    dW, db, dV, dc = untied.loss_and_gradients(X, t)[1]
    assert_close(model.loss_and_gradients(X, t)[1], [dW + dV.T, db, dc], AGREED)


@pytest.mark.parametrize("biases", [(True, False), (False, True), (False, False)])
@pytest.mark.parametrize("loss", [LOSSES[0], LOSSES[4], LOSSES[13]], ids=loss_id)
def test_without_bias(loss: losses.Loss, biases: tuple[bool, bool]) -> None:
    output = {"binary_crossentropy": "sigmoid", "categorical_crossentropy": "softmax"}
    check(
        *problem(
            lambda: [
                dense(HIDDEN, "tanh", use_bias=biases[0]),
                dense(OUTPUTS, output.get(loss.name, "linear"), use_bias=biases[1]),
            ],
            loss,
        )
    )


def test_all_rows_ignored() -> None:
    model = pyae.Sequential(
        [dense(OUTPUTS, "softmax")],
        loss=losses.SparseCategoricalCrossentropy(ignore_class=1),
        dtype="float64",
    )
    loss, gradients = model.loss_and_gradients(np.ones((4, 2)), np.ones(4, dtype=int))
    assert loss == 0
    assert all((g == 0).all() for g in gradients)


SHAPES = [
    (1, 1, 1, 1),
    (1, 5, 2, 3),
    (2, 1, 3, 1),
    (33, 17, 9, 31),
    (65, 33, 40, 1),
    (7, 64, 1, 64),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_odd_shapes(shape: tuple[int, int, int, int]) -> None:
    """Sizes that are no multiple of a vector or tile; every weight, so not by differences."""
    n_samples, n_features, hidden, outputs = shape
    rng = np.random.default_rng(0)
    X, t = rng.normal(size=(n_samples, n_features)), rng.uniform(size=(n_samples, outputs))
    model = pyae.Sequential(
        [dense(hidden, "gelu", activity_regularizer="l2"), dense(outputs, "sigmoid")],
        loss="binary_crossentropy",
        dtype="float64",
        random_state=3,
    )
    loss, gradients = model.loss_and_gradients(X, t)
    network = Network(model.spec, n_features, seed=3, dtype="float64")
    expected_loss, expected = network.loss_and_gradients(X, t)
    assert loss == pytest.approx(expected_loss, rel=AGREED)
    assert_close(gradients, expected, AGREED)


def test_linear_least_squares_in_closed_form() -> None:
    """For y = X W + b and the mean squared error, dW = 2 X^T (y - t)/(n * outputs)."""
    rng = np.random.default_rng(1)
    X, t = rng.normal(size=(9, 4)), rng.normal(size=(9, 3))
    model = pyae.Sequential([dense(3)], dtype="float64", random_state=0).build(4)
    W, b = model.get_weights()
    residual = X @ W + b - t
    loss, (dW, db) = model.loss_and_gradients(X, t)
    assert loss == pytest.approx((residual**2).mean(), rel=AGREED)
    assert_close([dW, db], [2 * X.T @ residual / 27, 2 * residual.sum(0) / 27], AGREED)


def test_float32_gradients_are_those_of_float64_rounded() -> None:
    model, X, t = problem(lambda: [dense(HIDDEN, "tanh"), dense(OUTPUTS)], LOSSES[13])
    single = pyae.Sequential(model.layers, loss=model.loss, dtype="float32").build(N_FEATURES)
    single.set_weights(model.get_weights())
    assert_close(single.loss_and_gradients(X, t)[1], model.loss_and_gradients(X, t)[1], 1e-5)


@st.composite
def networks(draw: st.DrawFn) -> tuple[pyae.Sequential, np.ndarray, np.ndarray, Any]:
    """Return a random model, inputs, targets and sample weights."""
    loss = draw(st.sampled_from(LOSSES))
    if draw(st.booleans()):
        loss = type(loss)(**{**vars(loss), "reduction": "sum"})
    penalty = st.sampled_from([None, *PENALTIES.values()])
    layers: list[pyae.Dense] = []
    fan_ins = [draw(st.integers(1, 20))]
    owners: list[int] = []
    for _ in range(draw(st.integers(0, 3))):
        fits = [i for i in owners if layers[i].units == fan_ins[-1]]
        tied = draw(st.sampled_from([None, *fits])) if fits else None
        units = fan_ins[tied] if tied is not None else draw(st.integers(1, 20))
        if tied is None:
            owners.append(len(layers))
        activity = draw(st.sampled_from([None, *PENALTIES.values()]))
        layers.append(
            dense(
                units,
                draw(st.sampled_from(pyae.activations.names())),
                use_bias=draw(st.booleans()),
                kernel_regularizer=None if tied is not None else draw(penalty),
                bias_regularizer=draw(penalty),
                activity_regularizer=activity,
                tied_to=tied,
            )
        )
        fan_ins.append(units)
    links = {
        "binary_crossentropy": ["sigmoid", "softmax"],
        "categorical_crossentropy": ["softmax", "softplus"],
        "sparse_categorical_crossentropy": ["softmax", "sigmoid"],
        "poisson": ["exponential", "softplus"],
        "kl_divergence": ["softmax", "sigmoid"],
    }
    output = draw(st.sampled_from(links.get(loss.name, ["linear", "softplus", "tanh"])))
    layers.append(dense(draw(st.integers(2, 20)), output, activity_regularizer=draw(penalty)))
    n_samples, seed = draw(st.integers(2, 40)), draw(st.integers(0, 2**32))
    model = pyae.Sequential(layers, loss=loss, dtype="float64", random_state=seed).build(fan_ins[0])
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, fan_ins[0]))
    weights = rng.uniform(0, 2, n_samples) if draw(st.booleans()) else None
    return model, X, targets_for(loss, rng, n_samples, layers[-1].units), weights


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(networks())
def test_random_networks_agree_with_the_reference(
    case: tuple[pyae.Sequential, np.ndarray, np.ndarray, Any],
) -> None:
    model, X, t, weights = case
    loss, gradients = model.loss_and_gradients(X, t, weights)
    network = Network(model.spec, X.shape[1], dtype="float64")
    network.set_weights(model.get_weights())
    expected_loss, expected = network.loss_and_gradients(X, t, weights)
    assert loss == pytest.approx(expected_loss, rel=1e-11, abs=1e-11)
    # Exponential layers and divisions by small outputs make some of these ill-conditioned.
    assert_close(gradients, expected, 1e-10)
