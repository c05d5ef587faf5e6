"""pyae: one call of ``Sequential.fit`` an epoch."""

from __future__ import annotations

from benchmarks import networks
from benchmarks.networks import Array, BenchmarkNetwork
from benchmarks.workers.serve import serve


class PyaeTrainer:
    note = "Sequential.fit(X, X, epochs=1), whole call"
    same_objective = True

    def __init__(
        self, network: BenchmarkNetwork, X: Array, weights: list[Array], threads: int
    ) -> None:
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
        self.X = X
        self.batch_size = network.batch_size
        self.model = pyae.Sequential(
            layers,
            loss=network.loss,
            optimizer=optimizer,
            dtype="float32",
            n_threads=threads,
            random_state=0,
        )
        self.model.build(X.shape[1])
        self.model.set_weights(weights)

    def epoch(self) -> None:
        self.model.fit(self.X, self.X, epochs=1, batch_size=self.batch_size)

    def weights(self) -> list[Array]:
        return list(self.model.get_weights())


if __name__ == "__main__":
    serve(PyaeTrainer)
