"""pyae: neural networks and autoencoders with a C++ core, fast on a CPU.

Names are imported when they are first used, so that ``import pyae`` costs little more than NumPy.

Examples
--------
>>> import numpy as np
>>> import pyae
>>> X = np.random.default_rng(0).normal(size=(256, 8)).astype("float32")
>>> model = pyae.Sequential(
...     [pyae.Dense(3, "tanh"), pyae.Dense(8)], optimizer="adam", random_state=0
... )
>>> history = model.fit(X, X, epochs=5)
>>> history.history["loss"][-1] < history.history["loss"][0]
True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyae import (
        activations,
        callbacks,
        datasets,
        estimators,
        initializers,
        layers,
        losses,
        model,
        noise,
        optimizers,
        plotting,
        reference,
        regularizers,
        saving,
        schedules,
    )
    from pyae._backend import set_num_threads, show_config
    from pyae._history import DivergenceWarning, History, StallWarning
    from pyae.estimators import (
        Autoencoder,
        DenoisingAutoencoder,
        LogisticRegression,
        MLPClassifier,
        MLPRegressor,
        SparseAutoencoder,
    )
    from pyae.layers import Dense
    from pyae.model import Sequential
    from pyae.onnx_export import export_onnx
    from pyae.saving import FileFormatError, load

__version__ = "0.1.0"

_MODULES = (
    "activations",
    "callbacks",
    "datasets",
    "estimators",
    "initializers",
    "layers",
    "losses",
    "model",
    "noise",
    "optimizers",
    "plotting",
    "reference",
    "regularizers",
    "saving",
    "schedules",
)
_NAMES = {
    "Autoencoder": "estimators",
    "DenoisingAutoencoder": "estimators",
    "Dense": "layers",
    "DivergenceWarning": "_history",
    "FileFormatError": "saving",
    "History": "_history",
    "LogisticRegression": "estimators",
    "MLPClassifier": "estimators",
    "MLPRegressor": "estimators",
    "Sequential": "model",
    "SparseAutoencoder": "estimators",
    "StallWarning": "_history",
    "export_onnx": "onnx_export",
    "load": "saving",
    "set_num_threads": "_backend",
    "show_config": "_backend",
}

__all__ = [
    "Autoencoder",
    "DenoisingAutoencoder",
    "Dense",
    "DivergenceWarning",
    "FileFormatError",
    "History",
    "LogisticRegression",
    "MLPClassifier",
    "MLPRegressor",
    "Sequential",
    "SparseAutoencoder",
    "StallWarning",
    "__version__",
    "activations",
    "callbacks",
    "datasets",
    "estimators",
    "export_onnx",
    "initializers",
    "layers",
    "load",
    "losses",
    "model",
    "noise",
    "optimizers",
    "plotting",
    "reference",
    "regularizers",
    "saving",
    "schedules",
    "set_num_threads",
    "show_config",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"pyae.{name}")
    if name in _NAMES:
        value = getattr(importlib.import_module(f"pyae.{_NAMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'pyae' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
