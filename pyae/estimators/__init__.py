"""Estimators that behave as scikit-learn's do, in pipelines, searches and frames.

This folder alone needs scikit-learn. The networks that it makes and trains are `pyae.Sequential`.
"""

from __future__ import annotations

from pyae.estimators._autoencoder import Autoencoder
from pyae.estimators._denoising import DenoisingAutoencoder

__all__ = [
    "Autoencoder",
    "DenoisingAutoencoder",
]
