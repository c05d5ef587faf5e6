"""What the multi-layer perceptrons share."""

from __future__ import annotations

from typing import Any

from pyae.estimators._base import NetworkEstimator, as_activations, as_sizes
from pyae.layers import Dense


class Perceptron(NetworkEstimator):
    """What the classifier and the regressor share: their hidden layers."""

    def _hidden_layers(self) -> list[Dense]:
        sizes = as_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        activations = as_activations(self.activation, len(sizes), "activation")
        return [
            Dense(
                units,
                activation,
                kernel_regularizer=self.kernel_regularizer,
                activity_regularizer=self.activity_regularizer,
            )
            for units, activation in zip(sizes, activations, strict=True)
        ]

    def _output_layer(self, units: int, activation: Any) -> Dense:
        return Dense(units, activation, kernel_regularizer=self.kernel_regularizer)
