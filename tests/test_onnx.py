"""ONNX models give what pyae gives, as onnxruntime computes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import pyae
from pyae import activations
from pyae.layers import Dense

DTYPES = ["float32", "float64"]
# What is tested is the graph, not the last digit: onnxruntime has its own exp and tanh.
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def run(path: Path, X: Any) -> dict[str, Any]:
    """Return the outputs of a file's model by name."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"X": X}), strict=True))


def exported(model: Any, folder: Path, X: Any) -> dict[str, Any]:
    pyae.export_onnx(model, folder / "model.onnx")
    return run(folder / "model.onnx", X)


ACTIVATIONS: list[Any] = [
    *activations.names(),
    activations.Activation("elu", alpha=0.3),
    activations.Activation("elu", alpha=20.0),
    activations.Activation("leaky_relu", negative_slope=0.7),
    activations.Activation("gelu", approximate=True),
    *(activations.Activation("top_k", k=k) for k in (1, 3, 40, 41, 100)),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_every_activation(activation: Any, dtype: str, tmp_path: Path) -> None:
    """On a grid of inputs and on extreme ones, small and large; 41 units, so that rows differ."""
    n = 41
    model = pyae.Sequential([Dense(n, activation)], dtype=dtype, random_state=0).build(n)
    model.set_weights([np.eye(n), np.zeros(n)])
    name = model.layers[0].activation.name
    largest = 80.0 if name == "exponential" else 1e4  # whose exponential is no infinity
    ends = [0.0, 1e-30, 1e-12, 1e-6, 1e-3, 19.9, 20.1, 50, 79.9, largest]
    grid = np.linspace(-12, 12, 12 * n).reshape(-1, n)
    extreme = np.resize([*ends, *(-x for x in ends)], (n, n))
    X = np.vstack([grid, extreme, np.random.default_rng(0).normal(0, 3, (20, n))]).astype(dtype)
    y = exported(model, tmp_path, X)["output"]
    expected = model.predict(X)
    assert y.dtype == expected.dtype == dtype
    assert np.isfinite(y).all()
    np.testing.assert_allclose(y, expected, **CLOSE)


@pytest.mark.parametrize("name", ["softplus", "elu", "selu", "mish", "silu", "softsign"])
def test_small_results_have_their_digits(name: str, tmp_path: Path) -> None:
    """What is composed of simpler operators is so without cancellation."""
    n = 30
    model = pyae.Sequential([Dense(n, name)], dtype="float64").build(n)
    model.set_weights([np.eye(n), np.zeros(n)])
    X = -np.logspace(-15, 1.5, n).reshape(1, n)
    y = exported(model, tmp_path, X)["output"]
    np.testing.assert_allclose(y, model.predict(X), rtol=1e-11, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_top_k_takes_the_first_of_equal_ones(dtype: str, tmp_path: Path) -> None:
    layer = Dense(6, activations.Activation("top_k", k=2))
    model = pyae.Sequential([layer], dtype=dtype).build(6)
    model.set_weights([np.eye(6), np.zeros(6)])
    X = np.random.default_rng(0).integers(-1, 3, size=(200, 6)).astype(dtype)
    np.testing.assert_array_equal(exported(model, tmp_path, X)["output"], model.predict(X))


def tied() -> list[Dense]:
    first = Dense(7, "tanh")
    second = Dense(3, use_bias=False)
    return [first, second, Dense(7, "elu", tied_to=second), Dense(9, tied_to=first, use_bias=False)]


NETWORKS: dict[str, Callable[[], list[Dense]]] = {
    "one layer": lambda: [Dense(4)],
    "deep": lambda: [Dense(20, name) for name in activations.names()],
    "tied": tied,
    "without bias": lambda: [Dense(5, "relu", use_bias=False), Dense(9, "softmax", use_bias=False)],
    "wide": lambda: [Dense(300, "relu"), Dense(1, "sigmoid")],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_for_any_number_of_samples(name: str, dtype: str, tmp_path: Path) -> None:
    model = pyae.Sequential(NETWORKS[name](), dtype=dtype, random_state=0).build(9)
    pyae.export_onnx(model, tmp_path / "model.onnx")
    for n in (1, 2, 17, 500):
        X = np.random.default_rng(n).normal(size=(n, 9)).astype(dtype)
        np.testing.assert_allclose(
            run(tmp_path / "model.onnx", X)["output"], model.predict(X), **CLOSE
        )


def test_mixed_precision_computes_in_float32(tmp_path: Path) -> None:
    mixed, single = (
        pyae.Sequential(NETWORKS["wide"](), precision=precision, random_state=0).build(9)
        for precision in ("mixed_bfloat16", None)
    )
    X = np.random.default_rng(0).normal(size=(50, 9)).astype("float32")
    output = exported(mixed, tmp_path, X)["output"]
    np.testing.assert_allclose(output, single.predict(X), **CLOSE)
    assert np.abs(output - mixed.predict(X)).max() > 10 * CLOSE["atol"]


def test_what_the_file_says_of_itself(tmp_path: Path) -> None:
    model = pyae.Sequential(tied(), random_state=0).build(9)
    pyae.export_onnx(model, str(tmp_path / "model.onnx"))
    written = onnx.load(tmp_path / "model.onnx")
    assert (written.producer_name, written.producer_version) == ("pyae", pyae.__version__)
    assert [(o.domain, o.version) for o in written.opset_import] == [("", 13)]
    assert {p.key: p.value for p in written.metadata_props} == {"kind": "Sequential"}
    names = {"layers.0.kernel", "layers.0.bias", "layers.1.kernel", "layers.2.bias"}
    tensors = {tensor.name: tensor for tensor in written.graph.initializer}
    assert names <= set(tensors)
    assert sum(len(t.dims) == 2 for t in tensors.values()) == 2  # tied kernels are there once
    np.testing.assert_array_equal(
        onnx.numpy_helper.to_array(tensors["layers.1.kernel"]), model.get_weights()[2]
    )


def test_what_cannot_be_exported(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(RuntimeError, match="not built"):
        pyae.export_onnx(pyae.Sequential([Dense(1)]), path)
    for bad in (None, "model", Dense(1), pyae.Sequential, object()):
        with pytest.raises(TypeError, match=r"model must be a pyae\.Sequential or an estimator"):
            pyae.export_onnx(bad, path)
    model = pyae.Sequential([Dense(1)]).build(1)
    with pytest.raises(TypeError, match="path"):
        pyae.export_onnx(model, 3)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        pyae.export_onnx(model, tmp_path / "absent" / "model.onnx")
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'pyae\[onnx\]'"):
        pyae.export_onnx(model, path)
    assert not list(tmp_path.iterdir())


# --------------------------------------------------------------------------------------- estimators


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any]:
    X, y = pyae.datasets.load_digits()
    return X[:400], y[:400]


def autoencoders() -> dict[str, Callable[..., Any]]:
    from pyae import estimators

    options = {"hidden_layer_sizes": (20,), "max_epochs": 3, "random_state": 0}
    found: dict[str, Callable[..., Any]] = {
        "autoencoder": lambda **more: estimators.Autoencoder(5, **options, **more),
        "tied": lambda **more: estimators.Autoencoder(5, tied_weights=True, **options, **more),
        "linear": lambda **more: estimators.Autoencoder(5, max_epochs=3, random_state=0, **more),
        "denoising": lambda **more: estimators.DenoisingAutoencoder(5, **options, **more),
    }
    if hasattr(estimators, "SparseAutoencoder"):
        found["sparse"] = lambda **more: estimators.SparseAutoencoder(
            96, max_epochs=3, random_state=0, **more
        )
    return found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", autoencoders())
def test_autoencoders(name: str, dtype: str, digits: Any, tmp_path: Path) -> None:
    X = digits[0].astype(dtype)
    model = autoencoders()[name](dtype=dtype).fit(X)
    outputs = exported(model, tmp_path, X)
    assert list(outputs) == ["reconstruction", "code"]
    np.testing.assert_allclose(outputs["reconstruction"], model.reconstruct(X), **CLOSE)
    np.testing.assert_allclose(outputs["code"], model.transform(X), **CLOSE)


def labels(digits: Any, kind: str) -> Any:
    """Return labels of some type, of two classes or of ten."""
    y = digits[1]
    of = {
        "two": y % 2,
        "ten": y,
        "negative": y - 5,
        "text": np.array([f"digit {i}" for i in range(10)])[y],
        "two texts": np.where(y > 4, "large", "small"),
        "objects": np.where(y > 4, "large", "small").astype(object),
        "truth": y > 4,
        "floats": (y % 3).astype("float64"),
    }
    return of[kind]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "kind", ["two", "ten", "negative", "text", "two texts", "objects", "truth", "floats"]
)
@pytest.mark.parametrize("which", ["LogisticRegression", "MLPClassifier"])
def test_classifiers(which: str, kind: str, dtype: str, digits: Any, tmp_path: Path) -> None:
    from pyae import estimators

    X, y = digits[0].astype(dtype), labels(digits, kind)
    options: dict[str, Any] = {"dtype": dtype}
    if which == "LogisticRegression":
        options.update(solver="lbfgs", tol=1e-6)
    else:
        options.update(hidden_layer_sizes=(16,), max_epochs=3, random_state=0)
    model = getattr(estimators, which)(**options).fit(X, y)
    outputs = exported(model, tmp_path, X)
    assert list(outputs) == ["probabilities", "label"]
    np.testing.assert_allclose(outputs["probabilities"], model.predict_proba(X), **CLOSE)
    np.testing.assert_array_equal(outputs["label"], model.predict(X))


@pytest.mark.parametrize("loss", ["binary_crossentropy", "mean_squared_error", "huber"])
@pytest.mark.parametrize("kind", ["two", "ten"])
def test_classifiers_of_other_losses(loss: str, kind: str, digits: Any, tmp_path: Path) -> None:
    from pyae import estimators

    X, y = digits[0], labels(digits, kind)
    model = estimators.MLPClassifier((8,), loss=loss, max_epochs=3, random_state=0).fit(X, y)
    outputs = exported(model, tmp_path, X)
    np.testing.assert_allclose(outputs["probabilities"], model.predict_proba(X), **CLOSE)
    np.testing.assert_array_equal(outputs["label"], model.predict(X))


def test_several_labels_a_sample(digits: Any, tmp_path: Path) -> None:
    from pyae import estimators

    X, y = digits
    Y = np.column_stack([y % 2, y > 4, y == 3]).astype(int)
    model = estimators.MLPClassifier((8,), max_epochs=5, random_state=0).fit(X, Y)
    outputs = exported(model, tmp_path, X)
    np.testing.assert_allclose(outputs["probabilities"], model.predict_proba(X), **CLOSE)
    np.testing.assert_array_equal(outputs["label"], model.predict(X))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_outputs", [None, 1, 3])
def test_regressors(n_outputs: int | None, dtype: str, digits: Any, tmp_path: Path) -> None:
    from pyae import estimators

    X = digits[0].astype(dtype)
    y = X[:, 20] if n_outputs is None else X[:, 20 : 20 + n_outputs]
    if n_outputs == 1:
        y = y[:, 0]
    model = estimators.MLPRegressor((8,), max_epochs=3, dtype=dtype, random_state=0).fit(X, y)
    outputs = exported(model, tmp_path, X)
    expected = model.predict(X)
    assert outputs["prediction"].shape == expected.shape
    np.testing.assert_allclose(outputs["prediction"], expected, **CLOSE)


def test_names_of_features_and_classes(digits: Any, tmp_path: Path) -> None:
    import pandas as pd

    from pyae import estimators

    X = pd.DataFrame(digits[0], columns=[f"pixel {i}" for i in range(64)])
    model = estimators.LogisticRegression().fit(X, labels(digits, "two texts"))
    pyae.export_onnx(model, tmp_path / "model.onnx")
    written = onnx.load(tmp_path / "model.onnx")
    properties = {p.key: p.value for p in written.metadata_props}
    assert properties["kind"] == "LogisticRegression"
    assert json.loads(properties["feature_names_in"]) == list(X.columns)
    assert json.loads(properties["classes"]) == ["large", "small"]


def test_an_estimator_that_is_not_fitted(tmp_path: Path) -> None:
    from sklearn.exceptions import NotFittedError

    from pyae import estimators

    with pytest.raises(NotFittedError):
        pyae.export_onnx(estimators.Autoencoder(2), tmp_path / "a")
