"""pyae: one call of ``Sequential.fit`` an epoch."""

from __future__ import annotations

from benchmarks.networks import Array, BenchmarkNetwork
from benchmarks.workers.pyae_model import sequential
from benchmarks.workers.serve import serve
from benchmarks.workers.trainer import Trainer


class PyaeTrainer(Trainer):
    note = "Sequential.fit(X, X, epochs=1), whole call"
    same_objective = True
    precision: str | None = None

    def __init__(
        self, network: BenchmarkNetwork, X: Array, weights: list[Array], threads: int
    ) -> None:
        self.X = X
        self.batch_size = network.batch_size
        self.model = sequential(network, weights, threads, self.precision)

    def epoch(self) -> None:
        self.model.fit(self.X, self.X, epochs=1, batch_size=self.batch_size)

    def weights(self) -> list[Array]:
        return list(self.model.get_weights())


if __name__ == "__main__":
    serve(PyaeTrainer)
