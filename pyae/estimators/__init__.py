"""Estimators that behave as scikit-learn's do, in pipelines, searches and frames.

This folder alone needs scikit-learn. The networks that it makes and trains are `pyae.Sequential`.
"""

from __future__ import annotations

from pyae.estimators._autoencoder import Autoencoder
from pyae.estimators._denoising import DenoisingAutoencoder
from pyae.estimators._logistic import LogisticRegression
from pyae.estimators._mlp_classifier import MLPClassifier
from pyae.estimators._mlp_regressor import MLPRegressor
from pyae.estimators._sparse import SparseAutoencoder

__all__ = [
    "Autoencoder",
    "DenoisingAutoencoder",
    "LogisticRegression",
    "MLPClassifier",
    "MLPRegressor",
    "SparseAutoencoder",
]
