"""Saving networks and estimators in files that are safe to load.

A file is one ``.safetensors`` file. Its arrays are the weights (``layers.0.kernel``,
``layers.0.bias``, ...) and what the optimizer remembers; its metadata describe the rest. Any
program that reads safetensors can read the weights. Loading a file runs nothing from it.
"""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from pyae import __version__
from pyae._arrays import require_finite
from pyae._container import FileFormatError, pack, unpack
from pyae._history import History
from pyae._plain import Tensors, decode, encode
from pyae._safefile import as_path, check_writable, write_file
from pyae.layers import Dense
from pyae.model import Sequential
from pyae.optimizers import KFAC

if TYPE_CHECKING:
    from pyae.estimators._base import NetworkEstimator

__all__ = ["FileFormatError", "load"]

_ESTIMATORS = (
    "Autoencoder",
    "DenoisingAutoencoder",
    "LogisticRegression",
    "MLPClassifier",
    "MLPRegressor",
    "SparseAutoencoder",
)
_TRAINING = {"n_epochs", "over", "stopping", "settings", "callbacks", "parameters", "start"}
# What building a model from data that fit no model raises.
_BAD = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


def load(path: str | os.PathLike[str]) -> Any:
    """Return the network or estimator that a file holds.

    It is as it was when it was saved: it predicts the same, bit for bit on the same instruction-set
    level, and training goes on where it ended. A checkpoint of a fit gives the network as it was
    then; giving it to `Sequential.fit` again goes on with the fit itself.

    Parameters
    ----------
    path : str or path object
        A file that `Sequential.save`, an estimator's ``save`` or a `pyae.callbacks.Checkpoint`
        wrote.

    Returns
    -------
    Sequential or estimator
        What was saved; an estimator comes without callbacks.

    Warns
    -----
    UserWarning
        ``pyae train`` has trained the estimator on features that it had scaled (``--scale``, by
        default ``standard`` for tables). The commands scale by themselves; in Python, give it
        ``(X - scaling["offset"]) / scaling["scale"]`` with
        ``scaling = estimator.input_description_["scaling"]``, and bring what it reconstructs back
        with ``X * scaling["scale"] + scaling["offset"]``.

    Raises
    ------
    FileFormatError
        The file is not one of pyae's, is damaged, or was written by a newer version.
    OSError
        There is no such file, or it cannot be read.

    Examples
    --------
    >>> import os, tempfile
    >>> import pyae
    >>> model = pyae.Sequential([pyae.Dense(2, "relu"), pyae.Dense(4)], random_state=0).build(4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     model.save(path)
    ...     pyae.load(path)
    <pyae.Sequential 4-2-4, loss mean_squared_error, optimizer adam, float32>
    """
    model = load_model(as_path(path))
    scale = scale_of(model)
    if scale is not None:
        warnings.warn(
            f"{os.fspath(path)!r}: the {type(model).__name__} was trained by the command line on "
            f"scaled features ({scale}) and must be given such: (X - offset) / scale, with the "
            "'offset' and 'scale' in its input_description_['scaling']",
            UserWarning,
            stacklevel=2,
        )
    return model


def load_model(path: Path) -> Any:
    """Return what a file holds, as `load` does, without a word on the scale of its features."""
    document, tensors = unpack(path)
    kind, content = document["kind"], document["content"]
    try:
        if kind == "Sequential":
            model: Any = _network_from(content["network"], tensors)
            decode(content["training"], tensors)
        elif kind in _ESTIMATORS:
            model = _estimator_from(kind, content, tensors)
        else:
            raise ValueError(f"{kind!r} is no kind of model")
        _require_used(tensors)
    except _BAD as error:
        _refuse(path, document, error)
    return model


def scale_of(model: Any) -> str | None:
    """Return how the command line scaled a model's features; None if they are as they were."""
    description = getattr(model, "input_description_", None)
    scaling = description.get("scaling") if isinstance(description, dict) else None
    kind = scaling.get("kind", "none") if isinstance(scaling, dict) else "none"
    return None if kind == "none" else str(kind)


def save_network(model: Sequential, path: Path, training: dict[str, Any] | None = None) -> None:
    """Write a network, and where its fit is if that is to go on."""
    check_writable(path)
    tensors: Tensors = {}
    content = {
        "network": _network_to(model, tensors),
        "training": encode(training, "training", tensors),
    }
    write_file(path, pack("Sequential", content, tensors))


def load_network(path: Path) -> tuple[Sequential, dict[str, Any] | None]:
    """Return a network, and where its fit is if the file is a checkpoint; errors as of `load`."""
    document, tensors = unpack(path)
    if document["kind"] != "Sequential":
        raise FileFormatError(path, f"holds a {document['kind']}, not a checkpoint of a fit")
    try:
        model = _network_from(document["content"]["network"], tensors)
        training = decode(document["content"]["training"], tensors)
        if training is not None:
            training = {"start": None, **training}  # not in files of the first version
        if training is not None and (set(training) != _TRAINING or not model.built):
            raise ValueError("its training is not that of a checkpoint")
        _require_used(tensors)
    except _BAD as error:
        _refuse(path, document, error)
    return model, training


def save_estimator(estimator: NetworkEstimator, path: Path) -> None:
    """Write a fitted estimator: its parameters but for callbacks, and what it learned."""
    kind = type(estimator).__name__
    if type(estimator).__module__.partition(".")[0] != "pyae" or kind not in _ESTIMATORS:
        raise TypeError(f"only pyae's own estimators can be saved, not {type(estimator)}")
    check_writable(path)
    tensors: Tensors = {}
    parameters = estimator.get_params(deep=False)
    parameters.pop("callbacks", None)
    state = estimator._get_state()
    content = {
        "parameters": encode(parameters, "parameters", tensors),
        "state": encode(state, "state", tensors),
        "output": getattr(estimator, "_sklearn_output_config", {}).get("transform"),
        "network": _network_to(estimator.model_, tensors),
    }
    write_file(path, pack(kind, content, tensors))


# ---- networks ------------------------------------------------------------------------------------


def _network_to(model: Sequential, tensors: Tensors) -> dict[str, Any]:
    """Return what describes a network; its arrays go to `tensors`."""
    spec = model.spec
    layers = [
        {**layer_spec, "name": layer.name}
        for layer_spec, layer in zip(spec["layers"], model.layers, strict=True)
    ]
    state = None
    if model.built:
        network = model._built_network()
        state = encode(network.state(), "optimizer", tensors)
        names = [f"layers.{index}.{kind}" for index, kind, *_ in network.tensors]
        tensors.update(zip(names, model.get_weights(), strict=True))
    return {
        "layers": layers,
        "loss": spec["loss"],
        "optimizer": spec["optimizer"],
        "dtype": model.dtype.name,
        "precision": model.precision,
        "uint8_scale": model.uint8_scale,
        "n_threads": model.n_threads,
        "random_state": encode(model.random_state, "random_state", tensors),
        "seed": model._seed,
        "n_features": model.n_features,
        "state": state,
        "history": {
            field.name: encode(getattr(model.history, field.name), f"history.{field.name}", tensors)
            for field in dataclasses.fields(History)
        },
    }


def _network_from(content: dict[str, Any], tensors: Tensors) -> Sequential:
    """Return the network that was described; sizes are compared with the arrays there are first."""
    layers: list[Dense] = []
    for index, spec in enumerate(content["layers"]):
        layers.append(_layer_from(index, spec, layers))
    seed = content["seed"]
    if type(seed) is not int or not 0 <= seed < 2**64:
        raise ValueError(f"seed must be from 0 to 2**64 - 1, got {seed!r}")
    model = Sequential(
        layers,
        loss=content["loss"],
        optimizer=content["optimizer"],
        dtype=content["dtype"],
        precision=content.get("precision"),  # not in files of the first version
        n_threads=content["n_threads"],
        random_state=seed,
        uint8_scale=content["uint8_scale"],
    )
    random_state = decode(content["random_state"], tensors)
    if not isinstance(random_state, int | np.random.Generator | np.random.RandomState | None):
        raise TypeError(f"random_state must be an integer, a generator or None, got {random_state}")
    model._random_state = random_state
    model.history = _history_from(content["history"], tensors)
    n_features = content["n_features"]
    if n_features is None:
        return model
    if type(n_features) is not int or n_features < 1:
        raise ValueError(f"n_features must be a positive integer, got {n_features!r}")
    parts = []
    for name, shape in _weight_shapes(layers, n_features):
        array = tensors.pop(name)
        if array.shape != shape or array.dtype != model.dtype:
            raise ValueError(
                f"array {name!r} must be {model.dtype} of shape {shape}, "
                f"got {array.dtype} of shape {array.shape}"
            )
        require_finite(array, f"array {name!r}")
        parts.append(array.reshape(-1))
    flat = np.concatenate(parts)
    state = decode(content["state"], tensors)
    _check_state(state, model, n_features, flat.size)
    model._restore(n_features, flat, state)
    return model


def _layer_from(index: int, spec: dict[str, Any], before: list[Dense]) -> Dense:
    fields = dict(spec)
    kind, tied_to, name = fields.pop("type"), fields.pop("tied_to"), fields["name"]
    if kind != "dense":
        raise ValueError(f"layer {index} is of unknown type {kind!r}")
    if tied_to is not None and (type(tied_to) is not int or not 0 <= tied_to < index):
        raise ValueError(f"layer {index} is tied to {tied_to!r}, which is no earlier layer")
    if name is not None and not isinstance(name, str):
        raise TypeError(f"layer {index} must have text for a name, got {name!r}")
    return Dense(**fields, tied_to=None if tied_to is None else before[tied_to])


def _weight_shapes(layers: list[Dense], n_features: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Give the names and shapes of all weights, in the network's order."""
    inputs = n_features
    for index, layer in enumerate(layers):
        if layer.tied_to is None:
            yield f"layers.{index}.kernel", (inputs, layer.units)
        if layer.use_bias:
            yield f"layers.{index}.bias", (layer.units,)
        inputs = layer.units


def _check_state(state: Any, model: Sequential, n_features: int, n_parameters: int) -> None:
    """Raise an error unless the optimizer's arrays are as long as a network's would be.

    How much an optimizer remembers of each parameter, a network of one parameter tells; of K-FAC it
    is the layers that tell.
    """
    tiny = Sequential(
        [Dense(1, use_bias=False, kernel_initializer="zeros")],
        optimizer=model.optimizer,
        dtype=model.dtype,
        random_state=0,
    ).build(1)
    expected = tiny._built_network().state()
    if set(state) != set(expected):
        raise ValueError(f"the optimizer's state must hold {sorted(expected)}, got {sorted(state)}")
    for name, value in expected.items():
        given = state[name]
        if isinstance(value, np.ndarray):
            size = value.size * n_parameters
            if isinstance(model.optimizer, KFAC):
                size = n_parameters + _size_of_factors(model.layers, n_features)
            if not isinstance(given, np.ndarray) or given.dtype != value.dtype:
                raise TypeError(f"the optimizer's {name} must be an array of {value.dtype}")
            if given.shape != (size,):
                raise ValueError(f"the optimizer's {name} must be {size} values, got {given.shape}")
        elif type(given) is not type(value) or (type(given) is int and given < 0):
            raise TypeError(f"the optimizer's {name} must be like {value!r}, got {given!r}")


def _size_of_factors(layers: Iterable[Dense], n_features: int) -> int:
    """Return how many values K-FAC's factors and their inverses have."""
    size, inputs = 0, n_features
    for layer in layers:
        size += 2 * ((inputs + layer.use_bias) ** 2 + layer.units**2)
        inputs = layer.units
    return size


def _history_from(content: dict[str, Any], tensors: Tensors) -> History:
    history = History(**{key: decode(value, tensors) for key, value in content.items()})
    for name, values in history.history.items():
        if not isinstance(values, list) or not all(type(value) is float for value in values):
            raise TypeError(f"history of {name!r} must be a list of numbers")
    return history


# ---- estimators ----------------------------------------------------------------------------------


def _estimator_from(kind: str, content: dict[str, Any], tensors: Tensors) -> Any:
    from pyae import estimators

    cls = getattr(estimators, kind)
    parameters = decode(content["parameters"], tensors)
    unknown = set(parameters) - set(cls._get_param_names())
    if unknown:
        raise ValueError(f"{kind} has no parameter {min(unknown)!r}")
    estimator = cls(**parameters)
    state = decode(content["state"], tensors)
    for name in state:
        if not name.endswith("_") or name.startswith("_") or name == "model_":
            raise ValueError(f"{name!r} is nothing that a {kind} learns")
    model = _network_from(content["network"], tensors)
    if not model.built or state.get("n_features_in_") != model.n_features:
        raise ValueError(f"n_features_in_ must be {model.n_features}, as the network has")
    estimator._set_state(state, model)
    if content["output"] is not None:
        estimator.set_output(transform=content["output"])
    return estimator


# ---- errors --------------------------------------------------------------------------------------


def _require_used(tensors: Tensors) -> None:
    if tensors:
        raise ValueError(f"nothing uses array {min(tensors)!r}")


def _refuse(path: Path, document: dict[str, Any], error: Exception) -> NoReturn:
    what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
    if isinstance(error, RecursionError):
        what = "it is nested too deeply"
    if document.get("version") != __version__:
        what += f" (it was written by pyae {document.get('version')}, this is {__version__})"
    raise FileFormatError(path, f"does not describe a model that can be: {what}") from error
