"""Keras on its JAX backend: one call of ``Model.fit`` an epoch."""

# mypy: disable-error-code="import-not-found,import-untyped,misc,no-any-return"
from __future__ import annotations

import os

from benchmarks import networks
from benchmarks.networks import Array, BenchmarkNetwork
from benchmarks.workers.serve import serve
from benchmarks.workers.trainer import Trainer


class KerasTrainer(Trainer):
    same_objective = True

    def __init__(
        self, network: BenchmarkNetwork, X: Array, weights: list[Array], threads: int
    ) -> None:
        os.environ["KERAS_BACKEND"] = "jax"
        import keras

        keras.utils.set_random_seed(0)
        self.X = X
        self.batch_size = network.batch_size
        steps = len(X) // network.batch_size
        layers = [
            keras.layers.Dense(
                units,
                activation,
                activity_regularizer=(
                    keras.regularizers.L1(network.code_l1)
                    if network.code_l1 and number == network.code_layer
                    else None
                ),
            )
            for number, ((_, units), activation) in enumerate(
                zip(network.shapes, network.activations, strict=True)
            )
        ]
        self.model = keras.Sequential([keras.Input((X.shape[1],)), *layers])
        self.model.set_weights(weights)
        self.model.compile(
            loss=network.loss,
            optimizer=keras.optimizers.Adam(
                networks.LEARNING_RATE,
                beta_1=networks.BETA_1,
                beta_2=networks.BETA_2,
                epsilon=networks.EPSILON,
            ),
            steps_per_execution=steps,
        )
        self.note = f"fit(X, X, epochs=1), JAX backend, jit, steps_per_execution={steps}"

    def epoch(self) -> None:
        self.model.fit(self.X, self.X, epochs=1, batch_size=self.batch_size, verbose=0)

    def weights(self) -> list[Array]:
        return list(self.model.get_weights())


if __name__ == "__main__":
    serve(KerasTrainer)
