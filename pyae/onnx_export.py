"""Networks and estimators as ONNX models, for any runtime that reads these.

The models use operator set 13, of 2020, and nothing of any runtime's own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from pyae._onnx_graph import Graph
from pyae._safefile import as_path, check_writable, write_file
from pyae.model import Sequential

__all__ = ["export_onnx"]

_LARGEST = 2**31 - 1  # bytes of a protocol buffer


def export_onnx(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a built network or a fitted estimator as an ONNX model.

    The input ``X`` has shape (n_samples, n_features), for any number of samples, and the model's
    dtype. Inputs of 8 bits must be multiplied by the model's `uint8_scale` by the caller.

    =========================  ===================================================================
    of                         outputs
    =========================  ===================================================================
    `Sequential`               ``output``
    autoencoders               ``reconstruction``, ``code``
    classifiers                ``probabilities`` (n_samples, n_classes), ``label`` (n_samples,)
    regressors                 ``prediction``, of the shape that `predict` returns
    =========================  ===================================================================

    In float64, ``gelu`` has float32's accuracy, since runtimes have no other error function. What
    was trained with ``precision="mixed_bfloat16"`` is written as a float32 model, which computes in
    float32: its outputs differ by what rounding the factors of products to bfloat16 changes.

    Parameters
    ----------
    model : Sequential or estimator
        What to write.
    path : str or path object
        The file, by custom with the suffix ``.onnx``; it is replaced in one step.

    Raises
    ------
    ImportError
        The package onnx is not installed.
    RuntimeError
        The model is not built. (An estimator that is not fitted raises scikit-learn's error.)
    TypeError
        It is no model of pyae's.
    ValueError
        It is larger than ONNX files can be, 2 GiB.
    OSError
        The file cannot be written; an old file is as it was then.

    Examples
    --------
    >>> import os, tempfile
    >>> import onnx
    >>> import pyae
    >>> model = pyae.Sequential([pyae.Dense(2, "relu"), pyae.Dense(4)], random_state=0).build(4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_onnx(model, os.path.join(folder, "model.onnx"))
    ...     graph = onnx.load(os.path.join(folder, "model.onnx")).graph
    >>> [node.op_type for node in graph.node]
    ['Gemm', 'Relu', 'Gemm', 'Identity']
    """
    where = as_path(path)
    try:
        import onnx
    except ImportError:
        raise ImportError(
            "exporting to ONNX needs the package onnx: pip install 'pyae[onnx]'"
        ) from None
    network, outputs = _parts_of(model)
    weights = network.get_weights()  # a RuntimeError when it is not built
    if sum(array.nbytes for array in weights) > _LARGEST:
        raise ValueError("model is too large: an ONNX file holds at most 2 GiB")
    check_writable(where)
    graph = Graph(network.dtype, network.n_features)
    outputs(graph, graph.network(network.layers, network.spec["layers"], weights))
    written = graph.to_model(type(model).__name__, _properties(model))
    onnx.checker.check_model(written, full_check=True)
    write_file(where, written.SerializeToString())


# A function that makes the outputs from the names of z and y of each layer.
_Outputs = Callable[[Graph, list[tuple[str, str]]], None]


def _parts_of(model: Any) -> tuple[Sequential, _Outputs]:
    """Return a model's network and what makes the outputs of it."""
    if isinstance(model, Sequential):
        units = model.layers[-1].units
        return model, lambda graph, layers: graph.output(layers[-1][1], "output", units)
    if not type(model).__module__.startswith("pyae.estimators."):
        raise TypeError(f"model must be a pyae.Sequential or an estimator of pyae, got {model!r}")
    from sklearn.base import is_classifier, is_regressor
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model)
    if is_classifier(model):
        return model.model_, lambda graph, layers: _classifier(model, graph, *layers[-1])
    if is_regressor(model):
        return model.model_, lambda graph, layers: _regressor(model, graph, layers[-1][1])
    return model.model_, lambda graph, layers: _autoencoder(model, graph, layers)


def _autoencoder(model: Any, graph: Graph, layers: list[tuple[str, str]]) -> None:
    network, code = model.model_, model.code_layer_ - 1
    graph.output(layers[-1][1], "reconstruction", network.layers[-1].units)
    graph.output(layers[code][1], "code", network.layers[code].units)


def _regressor(model: Any, graph: Graph, y: str) -> None:
    if model.n_outputs_ > 1:
        graph.output(y, "prediction", model.n_outputs_)
        return
    axis = graph.constant([1], np.int64)
    graph.output(graph.add("Squeeze", y, axis), "prediction", None)


def _classifier(model: Any, graph: Graph, z: str, y: str) -> None:
    """Make probabilities and labels as the estimators do (`predict_proba`, `predict`)."""
    n_classes, last = len(model.classes_), model.model_.layers[-1]
    if getattr(model, "multilabel_", False):
        graph.output(y, "probabilities", n_classes)
        labels = graph.add("Greater", y, graph.constant(0.5))
        number = graph.add("Cast", labels, to=graph.type_of(np.int64))
        graph.output(number, "label", n_classes, np.int64)
        return
    logits = type(model).__name__ == "LogisticRegression"  # its labels are the logits'
    if last.units < n_classes:
        other = graph.add("Sub", graph.constant(1), y)
        y = graph.add("Concat", other, y, axis=1)
        z = graph.add("Concat", graph.add("Neg", z), z, axis=1)
    elif last.activation.name == "sigmoid":
        total = graph.add("ReduceSum", y, graph.constant([1], np.int64), keepdims=1)
        least = graph.constant(np.finfo(graph.dtype).tiny)
        y = graph.add("Div", y, graph.add("Max", total, least))
    graph.output(y, "probabilities", n_classes)
    number = graph.add("ArgMax", z if logits else y, axis=1, keepdims=0)
    classes = _labels(model.classes_)
    label = graph.add("Gather", graph.constant(classes, classes.dtype, "classes"), number)
    graph.output(label, "label", None, classes.dtype)


def _labels(classes: Any) -> Any:
    """Return the classes in one of the standard's types."""
    if classes.dtype.kind in "iu":
        return classes.astype(np.int64)
    if classes.dtype.kind in "fb":
        return classes
    return np.asarray([str(label) for label in classes.tolist()], dtype=object)


def _properties(model: Any) -> dict[str, str]:
    """Return what to say of the model: texts by name; lists as JSON."""
    properties = {"kind": type(model).__name__}
    for name in ("feature_names_in_", "classes_"):
        if hasattr(model, name):
            properties[name.rstrip("_")] = json.dumps(getattr(model, name).tolist())
    return properties
