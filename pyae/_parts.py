"""A network taken apart: the kernel and bias of each layer, and its last layers by themselves."""

from __future__ import annotations

from pyae._arrays import Floats
from pyae.layers import Dense
from pyae.model import Sequential


def kernels(model: Sequential) -> list[tuple[Floats, Floats | None]]:
    """Return W and b of each layer; W of a tied layer is its owner's, transposed."""
    weights = iter(model.get_weights())
    found: list[tuple[Floats, Floats | None]] = []
    for spec in model.spec["layers"]:
        tied_to = spec["tied_to"]
        W = next(weights) if tied_to is None else found[tied_to][0].T
        found.append((W, next(weights) if spec["use_bias"] else None))
    return found


def tail(model: Sequential, first: int) -> Sequential:
    """Return the layers from number `first` on as a network with copies of the weights.

    A layer that is tied to one before `first` gets that one's transposed kernel as its own.
    """
    weights: list[Floats] = []
    layers: list[Dense] = []
    for layer, (W, b) in zip(model.layers[first:], kernels(model)[first:], strict=True):
        weights += [W] if b is None else [W, b]
        layers.append(
            Dense(layer.units, layer.activation, layer.use_bias, kernel_initializer="zeros")
        )
    network = Sequential(
        layers,
        loss=model.loss,
        dtype=model.dtype,
        precision=model.precision,
        n_threads=model.n_threads,
        random_state=0,
    )
    network.build(len(weights[0]))
    network.set_weights(weights)
    return network
