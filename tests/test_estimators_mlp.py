"""The perceptrons: every activation and loss, labels of all kinds, several outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import assert_close
from sklearn.datasets import load_diabetes, load_digits, make_multilabel_classification
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.preprocessing import StandardScaler

import pyae
from pyae import MLPClassifier, MLPRegressor

X_DIGITS, Y_DIGITS = load_digits(return_X_y=True)
X_DIGITS = X_DIGITS / 16
BINARY = ["binary_crossentropy", "auto"]
CLASSES_ONLY = ["sparse_categorical_crossentropy", "categorical_crossentropy"]


def test_digits() -> None:
    train, test, y_train, y_test = train_test_split(X_DIGITS, Y_DIGITS, random_state=0)
    model = MLPClassifier(max_epochs=60, random_state=0).fit(train, y_train)
    theirs = TheirClassifier(random_state=0, max_iter=400).fit(train, y_train)
    assert model.score(test, y_test) >= theirs.score(test, y_test) - 0.005
    assert model.score(test, y_test) > 0.97


def unscaled(model: MLPClassifier, X: Any) -> Any:
    """Return, in NumPy, 1 / (1 + exp(-z)) of sigmoid units, exp(z) up to a factor of others."""
    *hidden, W, b = (w.astype(np.float64) for w in model.model_.get_weights())
    for kernel, bias in zip(hidden[::2], hidden[1::2], strict=True):
        X = np.maximum(X @ kernel + bias, 0)
    z = X @ W + b
    if model.model_.layers[-1].activation.name == "sigmoid":
        return 1 / (1 + np.exp(-z))
    return np.exp(z - z.max(axis=1, keepdims=True))


@pytest.mark.parametrize("loss", ["auto", *pyae.losses.names()])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_every_loss_classifies(loss: str, n_classes: int) -> None:
    rows = n_classes > Y_DIGITS
    X, y = X_DIGITS[rows], np.array(["none", "one", "two"])[Y_DIGITS[rows]]
    model = MLPClassifier((32,), loss=loss, max_epochs=30, random_state=0).fit(X, y)
    p = model.predict_proba(X)
    assert p.shape == (len(X), n_classes)
    expected = unscaled(model, X)
    if expected.shape[1] == 1:
        expected = np.column_stack([1 - expected, expected])
    expected /= expected.sum(axis=1, keepdims=True)
    assert_close(p, expected, scale=1, terms=64)
    labels = np.array(["none", "one", "two"])
    np.testing.assert_array_equal(model.predict(X), labels[expected.argmax(axis=1)])
    assert model.score(X, y) > 0.97
    units = model.model_.layers[-1].units
    assert units == (1 if n_classes == 2 and loss in BINARY else n_classes)


@pytest.mark.parametrize("activation", pyae.activations.names())
def test_every_activation_regresses(activation: str) -> None:
    X = np.random.default_rng(0).uniform(-1, 1, size=(300, 3))
    y = X @ [1.0, -0.5, 0.2] + 1
    model = MLPRegressor((24,), activation=activation, max_epochs=150, random_state=0).fit(X, y)
    assert model.model_.layers[0].activation.name == activation
    assert model.score(X, y) > 0.9


@pytest.mark.parametrize(
    ("loss", "output_activation"),
    [
        ("mean_squared_error", "linear"),
        ("mean_absolute_error", "linear"),
        ("huber", "linear"),
        ("log_cosh", "linear"),
        ("poisson", "exponential"),
        ("mean_squared_logarithmic_error", "softplus"),
        ("mean_absolute_percentage_error", "softplus"),
        (pyae.losses.Huber(delta=0.5), "linear"),
    ],
)
def test_losses_of_regression(loss: Any, output_activation: str) -> None:
    X = np.random.default_rng(0).uniform(-1, 1, size=(300, 2))
    y = np.exp(X[:, 0] - X[:, 1])
    model = MLPRegressor(
        (32,), loss=loss, output_activation=output_activation, max_epochs=100, random_state=0
    ).fit(X, y)
    assert model.score(X, y) > 0.9


def test_several_outputs() -> None:
    X, y = load_diabetes(return_X_y=True)
    X, y = StandardScaler().fit_transform(X), StandardScaler().fit_transform(y[:, np.newaxis])
    both = np.column_stack([y[:, 0], X[:, 0] ** 2])
    model = MLPRegressor((64,), max_epochs=100, random_state=0).fit(X, both)
    assert model.predict(X).shape == both.shape
    assert model.score(X, both) > 0.7
    assert MLPRegressor((4,), max_epochs=1).fit(X, y[:, 0]).predict(X).shape == (len(X),)


def test_several_labels() -> None:
    X, y = make_multilabel_classification(400, n_classes=4, random_state=0)
    X = StandardScaler().fit_transform(X)
    model = MLPClassifier(random_state=0).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert (model.predict(X) == y).mean() > 0.95
    expected = unscaled(model, X)
    assert_close(model.predict_proba(X), expected, scale=1, terms=100)
    np.testing.assert_array_equal(model.predict(X), expected > 0.5)
    parts = MLPClassifier((32,), random_state=0).partial_fit(X, y).partial_fit(X, y)
    assert parts.predict(X).shape == y.shape
    with pytest.raises(ValueError, match="y must have 4 labels, got 3"):
        parts.partial_fit(X, y[:, 1:])
    for loss in CLASSES_ONLY:
        with pytest.raises(ValueError, match="is for one label a sample, y has several"):
            MLPClassifier(loss=loss).fit(X, y)


def test_layers_of_their_own_activation() -> None:
    model = MLPClassifier(
        (16, 8), activation=["tanh", pyae.activations.Activation("elu", alpha=0.5)], max_epochs=1
    ).fit(X_DIGITS, Y_DIGITS)
    names = [layer.activation.name for layer in model.model_.layers]
    assert names == ["tanh", "elu", "softmax"]


def test_class_weight_is_a_sample_weight() -> None:
    weights = {i: 1.0 + i for i in range(10)}
    params: dict[str, Any] = {"hidden_layer_sizes": (8,), "max_epochs": 2, "random_state": 0}
    a = MLPClassifier(class_weight=weights, **params).fit(X_DIGITS, Y_DIGITS)
    b = MLPClassifier(**params).fit(X_DIGITS, Y_DIGITS, sample_weight=1.0 + Y_DIGITS)
    np.testing.assert_array_equal(a.predict_proba(X_DIGITS), b.predict_proba(X_DIGITS))


def test_classes_of_partial_fit() -> None:
    model = MLPClassifier((8,), random_state=0)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X_DIGITS, Y_DIGITS)
    few = Y_DIGITS < 3
    model.partial_fit(X_DIGITS[few], Y_DIGITS[few], classes=range(10))
    assert model.predict_proba(X_DIGITS).shape == (len(X_DIGITS), 10)
    model.partial_fit(X_DIGITS, Y_DIGITS)
    with pytest.raises(ValueError, match="classes must be those of the first call"):
        model.partial_fit(X_DIGITS, Y_DIGITS, classes=[0, 1])
    with pytest.raises(ValueError, match="y must hold the classes"):
        model.partial_fit(X_DIGITS, Y_DIGITS + 5)
    for bad, error, message in [
        ([0, 1, 2, np.nan], ValueError, "classes must hold labels, got nan"),
        ([0, 1, np.inf], ValueError, "classes must hold labels, got inf"),
        (np.array(["a", np.nan], dtype=object), TypeError, "classes must hold labels of one type"),
        (np.array([1, np.nan], dtype=object), ValueError, "classes must hold labels, got nan"),
        ([None, "a"], TypeError, "classes must hold .* got NoneType and str"),
        ([[0, 1, 2]], ValueError, "classes must have one dimension"),
        ("abc", ValueError, "classes must have one dimension"),
        ({0, 1}, ValueError, "classes must have one dimension"),
        ([], ValueError, "classes must not be empty"),
        (np.ma.masked_array([0, 1], [0, 1]), ValueError, "classes has masked values"),
    ]:
        with pytest.raises(error, match=message):
            MLPClassifier((8,)).partial_fit(X_DIGITS, Y_DIGITS, classes=bad)
    with pytest.raises(ValueError, match="needs all labels at once"):
        MLPClassifier(class_weight="balanced").partial_fit(X_DIGITS, Y_DIGITS, classes=range(10))


@pytest.mark.parametrize("several_first", [False, True])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_classifier_stays_of_its_kind(method: str, several_first: bool) -> None:
    kinds = [Y_DIGITS, np.eye(10, dtype=int)[Y_DIGITS]]
    first, second = kinds[::-1] if several_first else kinds
    model = MLPClassifier((8,), max_epochs=1, warm_start=True, random_state=0)
    model.fit(X_DIGITS, first)
    before = model.predict(X_DIGITS)
    kind = "a column of 0 and 1 for each" if several_first else "one label a sample"
    with pytest.raises(ValueError, match=f"y must hold {kind}.* as in the first fit, got shape"):
        getattr(model, method)(X_DIGITS, second)
    np.testing.assert_array_equal(model.predict(X_DIGITS), before)
    with pytest.raises(ValueError, match=f"y_val must hold {kind}.* as in y, got shape"):
        model.fit(X_DIGITS, first, X_val=X_DIGITS, y_val=second)
    model.set_params(warm_start=False).fit(X_DIGITS, second)
    assert model.multilabel_ != several_first


def test_validation_needs_both() -> None:
    for cls, y in ((MLPClassifier, Y_DIGITS), (MLPRegressor, Y_DIGITS.astype(float))):
        for part in ({"X_val": X_DIGITS}, {"y_val": y}):
            with pytest.raises(ValueError, match="X_val and y_val must be given together"):
                cls(max_epochs=1).fit(X_DIGITS, y, **part)
    with pytest.raises(ValueError, match=r"y_val must hold 1 number\(s\) for each of the 5"):
        MLPRegressor().fit(X_DIGITS, Y_DIGITS, X_val=X_DIGITS[:5], y_val=np.ones((5, 2)))
    with pytest.raises(ValueError, match="y_val must hold the classes"):
        MLPClassifier().fit(X_DIGITS, Y_DIGITS, X_val=X_DIGITS[:5], y_val=np.arange(5) + 7)
