"""Layers, as frozen descriptions; the model compiles them into one network."""

from __future__ import annotations

from typing import Any

from pyae import activations, initializers, regularizers
from pyae._arguments import boolean, layer_size

__all__ = ["Dense"]


class Dense:
    """A fully connected layer: ``y = activation(x W + b)``.

    Parameters
    ----------
    units : int
        Number of outputs; at least 1.
    activation : str or Activation, default "linear"
        One of `pyae.activations.names()`, or an `Activation` with parameters.
    use_bias : bool, default True
        Whether b is there.
    kernel_initializer : str or Initializer, default "glorot_uniform"
        How W (n_inputs, units) starts; see `pyae.initializers`.
    kernel_regularizer : Regularizer, optional
        A penalty on W: ``pyae.regularizers.L1``, ``L2`` or ``L1L2``.
    activity_regularizer : Regularizer, optional
        A penalty on y: the same, or `pyae.regularizers.KLSparsity`.
    bias_regularizer : Regularizer, optional
        A penalty on b.
    tied_to : Dense or int, optional
        The layer (itself, or its index in the model) whose kernel's transpose this layer uses: a
        decoder layer tied to an encoder layer. It then has no kernel of its own.
    name : str, optional
        What `Sequential.summary` calls the layer.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    ValueError
        A value is outside its limits, or a name is unknown.

    Examples
    --------
    >>> Dense(32, "relu", kernel_regularizer=regularizers.L2(1e-4))
    Dense(32, 'relu', kernel_regularizer=L1L2(l1=0.0, l2=0.0001))
    """

    def __init__(
        self,
        units: int,
        activation: Any = "linear",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        activity_regularizer: Any = None,
        *,
        bias_regularizer: Any = None,
        tied_to: Dense | int | None = None,
        name: str | None = None,
    ) -> None:
        self.units = layer_size(units, "units")
        self.activation = activations.resolve(activation)
        self.use_bias = boolean(use_bias, "use_bias")
        self.kernel_initializer = initializers.resolve_initializer(kernel_initializer)
        self.kernel_regularizer = regularizers.resolve_parameter(
            kernel_regularizer, "kernel_regularizer"
        )
        self.activity_regularizer = regularizers.resolve_activity(
            activity_regularizer, "activity_regularizer"
        )
        self.bias_regularizer = regularizers.resolve_parameter(bias_regularizer, "bias_regularizer")
        if isinstance(tied_to, bool) or not isinstance(tied_to, Dense | int | None):
            raise TypeError(f"tied_to must be a Dense layer, its index or None, got {tied_to!r}")
        if isinstance(tied_to, int) and tied_to < 0:
            raise ValueError(f"tied_to must be the index of an earlier layer, got {tied_to}")
        if tied_to is not None and self.kernel_regularizer is not None:
            raise ValueError(
                "kernel_regularizer belongs to the layer that owns the kernel, not to a tied one"
            )
        self.tied_to = tied_to
        self.name = name
        self._frozen = True

    def __setattr__(self, key: str, value: Any) -> None:
        if getattr(self, "_frozen", False):
            raise AttributeError(
                f"a layer is a fixed description: {key} cannot be set; make another"
            )
        super().__setattr__(key, value)

    def to_spec(self, layers: list[Dense]) -> dict[str, Any]:
        """Return the JSON-able form of this layer as one of a model's `layers`."""

        def spec(setting: Any) -> Any:
            return None if setting is None else setting.to_spec()

        tied_to = self.tied_to
        if isinstance(tied_to, Dense):
            matches = [i for i, layer in enumerate(layers) if layer is tied_to]
            if not matches:
                raise ValueError("tied_to names a layer that is not in the model")
            tied_to = matches[0]
        return {
            "type": "dense",
            "units": self.units,
            "activation": self.activation.to_spec(),
            "use_bias": self.use_bias,
            "kernel_initializer": self.kernel_initializer.to_spec(),
            "kernel_regularizer": spec(self.kernel_regularizer),
            "bias_regularizer": spec(self.bias_regularizer),
            "activity_regularizer": spec(self.activity_regularizer),
            "tied_to": tied_to,
        }

    def __repr__(self) -> str:
        activation = (
            repr(self.activation.name) if not self.activation.params else repr(self.activation)
        )
        text = f"Dense({self.units}, {activation}"
        if not self.use_bias:
            text += ", use_bias=False"
        if self.kernel_initializer != initializers.GlorotUniform():
            text += f", kernel_initializer={self.kernel_initializer!r}"
        for key in ("kernel_regularizer", "activity_regularizer", "bias_regularizer", "name"):
            if getattr(self, key) is not None:
                text += f", {key}={getattr(self, key)!r}"
        if self.tied_to is not None:
            tied = self.tied_to if isinstance(self.tied_to, int) else repr(self.tied_to)
            text += f", tied_to={tied}"
        return text + ")"
