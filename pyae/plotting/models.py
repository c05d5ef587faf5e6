"""What pictures ask of a model: an estimator of this package, or a network with a fit behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pyae._history import History
from pyae._parts import kernels, tail
from pyae.model import Sequential

Array = npt.NDArray[Any]


def history_of(model: Any) -> History | dict[str, list[float]]:
    """Return the history of a model's last fit."""
    history = model.history if isinstance(model, Sequential) else getattr(model, "history_", None)
    if history is None or not _losses(history).get("loss"):
        raise ValueError(f"{type(model).__name__} has no training history: fit it first")
    return history


def _losses(history: Any) -> dict[str, list[float]]:
    return history.history if isinstance(history, History) else history


def code_of(model: Any, X: Any, upto: int | None = None) -> Array:
    """Return the code of samples; `upto` says how many layers of a network encode."""
    if isinstance(model, Sequential):
        return model.forward(X, code_layer(model, upto))
    return np.asarray(_method(model, "transform")(X))


def code_layer(model: Sequential, upto: int | None) -> int:
    """Return how many layers encode: `upto`, or up to the narrowest layer before the last."""
    if upto is not None:
        return upto
    units = [layer.units for layer in model.layers[:-1]]
    if not units:
        raise ValueError("upto must be given: a network of one layer has no code")
    return int(np.argmin(units)) + 1


def decode(model: Any, code: Array, upto: int | None = None) -> Array:
    """Return what a model makes of codes."""
    if isinstance(model, Sequential):
        return tail(model, code_layer(model, upto)).predict(code)
    return np.asarray(_method(model, "inverse_transform")(code))


def restore(model: Any, X: Any) -> Array:
    """Return a model's reconstruction of samples."""
    if isinstance(model, Sequential):
        return model.predict(X)
    for name in ("denoise", "reconstruct"):
        if hasattr(model, name):
            return np.asarray(getattr(model, name)(X))
    return np.asarray(_method(model, "inverse_transform")(_method(model, "transform")(X)))


def squared_errors(X: Array, restored: Array) -> Array:
    """Return each sample's squared error, summed over its features."""
    difference = restored.astype(np.float64) - X
    return np.asarray(np.square(difference).sum(axis=1))


def _method(model: Any, name: str) -> Any:
    method = getattr(model, name, None)
    if method is None:
        raise TypeError(
            f"estimator must be a fitted autoencoder with {name}(), got {type(model).__name__}"
        )
    return method


def filters_of(model: Any, decoder: bool) -> Array:
    """Return the weights of the first or last layer, a row for each unit next to the features."""
    if not isinstance(model, Sequential):
        network = getattr(model, "model_", None)
        if not isinstance(network, Sequential):
            raise TypeError(
                f"estimator must be a fitted network of pyae, got {type(model).__name__}"
            )
        model = network
    layers = kernels(model)
    W = layers[-1][0] if decoder else layers[0][0].T
    return np.ascontiguousarray(W)
