"""The benchmark's networks as pyae's models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import networks
from benchmarks.networks import Array, BenchmarkNetwork

if TYPE_CHECKING:
    import pyae


def sequential(
    network: BenchmarkNetwork, weights: list[Array], threads: int, precision: str | None = None
) -> pyae.Sequential:
    """Return the built model with these weights."""
    import pyae

    layers = [
        pyae.Dense(
            units,
            activation,
            activity_regularizer=(
                pyae.regularizers.L1(network.code_l1)
                if network.code_l1 and number == network.code_layer
                else None
            ),
        )
        for number, ((_, units), activation) in enumerate(
            zip(network.shapes, network.activations, strict=True)
        )
    ]
    optimizer = pyae.optimizers.Adam(
        networks.LEARNING_RATE,
        beta_1=networks.BETA_1,
        beta_2=networks.BETA_2,
        epsilon=networks.EPSILON,
    )
    model = pyae.Sequential(
        layers,
        loss=network.loss,
        optimizer=optimizer,
        dtype="float32",
        precision=precision,
        n_threads=threads,
        random_state=0,
    )
    model.build(network.widths[0])
    model.set_weights(weights)
    return model
