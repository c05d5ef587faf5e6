"""A dense layer: ``z = x W + b``, ``y = f(z)``, and the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import activations
from .arrays import Array, Spec, split_spec

_ALLOWED = {
    "type",
    "name",
    "units",
    "activation",
    "use_bias",
    "kernel_initializer",
    "kernel_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "tied_to",
}


@dataclass(frozen=True)
class LayerSpec:
    """What a layer is, read from its spec; a tied layer has ``W = W_k^T`` of layer ``tied_to``."""

    fan_in: int
    units: int
    activation: activations.Activation
    activation_params: Mapping[str, Any]
    use_bias: bool
    kernel_initializer: Spec
    kernel_regularizer: Spec | None
    bias_regularizer: Spec | None
    activity_regularizer: Spec | None
    tied_to: int | None

    @classmethod
    def read(cls, spec: Spec, fan_in: int) -> LayerSpec:
        """Read ``{"type": "dense", "units": ..., ...}``; missing entries have their defaults."""
        unknown = sorted(set(spec) - _ALLOWED)
        if unknown or spec.get("type", "dense") != "dense":
            raise ValueError(f"not a dense layer: type {spec.get('type')!r}, unknown {unknown}")
        name, params = split_spec(spec.get("activation") or {"name": "linear"})
        return cls(
            fan_in=fan_in,
            units=int(spec["units"]),
            activation=activations.get(name),
            activation_params=params,
            use_bias=bool(spec.get("use_bias", True)),
            kernel_initializer=spec.get("kernel_initializer") or {"name": "glorot_uniform"},
            kernel_regularizer=spec.get("kernel_regularizer"),
            bias_regularizer=spec.get("bias_regularizer"),
            activity_regularizer=spec.get("activity_regularizer"),
            tied_to=spec.get("tied_to"),
        )


@dataclass
class Dense:
    """A layer's views into the flat parameters and gradients of its network.

    W and dW are (fan_in, units), for a tied layer transposed views of the other layer's; b and db
    are (units,), or None without a bias.
    """

    spec: LayerSpec
    W: Array
    dW: Array
    b: Array | None
    db: Array | None

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return ``z = x W + b`` and ``y = f(z)``, both (m, units), for x (m, fan_in)."""
        z = x @ self.W
        if self.b is not None:
            z += self.b
        return z, self.spec.activation.value(z, **self.spec.activation_params)

    def back_through_activation(self, z: Array, dy: Array) -> Array:
        """Return dz (m, units) from dy (m, units)."""
        return self.spec.activation.vjp(z, dy, **self.spec.activation_params)

    def add_gradients(self, x: Array, dz: Array) -> None:
        """Add ``dW += x^T dz`` and ``db += sum of dz over the batch``."""
        self.dW += x.T @ dz
        if self.db is not None:
            self.db += dz.sum(axis=0)

    def back_to_input(self, dz: Array) -> Array:
        """Return ``dx = dz W^T``: (m, fan_in)."""
        return np.asarray(dz @ self.W.T)


def cut(flat: Array, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    """Cut a flat array into consecutive views of these shapes."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    pieces = np.split(flat, np.cumsum(sizes)[:-1])
    return [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]


def transposed_views(s: LayerSpec, kernels: dict[int, tuple[Array, Array]]) -> tuple[Array, Array]:
    """Return the transposed views of the kernel and gradient that a tied layer shares."""
    if s.tied_to not in kernels:
        raise ValueError(f"tied_to={s.tied_to}: must be an earlier layer with its own kernel")
    W, dW = kernels[s.tied_to]
    if W.T.shape != (s.fan_in, s.units):
        raise ValueError(
            f"tied_to={s.tied_to}: the transposed kernel is {W.T.shape}, "
            f"the tied layer needs {(s.fan_in, s.units)}"
        )
    return W.T, dW.T
