"""NumPy: back-propagation and Adam of ``pyae.reference``, in place where NumPy can."""

from __future__ import annotations

import numpy as np

from benchmarks.networks import Array, BenchmarkNetwork
from benchmarks.workers.serve import serve
from benchmarks.workers.trainer import Trainer


class NumpyTrainer(Trainer):
    note = "pyae.reference: Network.backward and update; order from NumPy's generator"
    same_objective = True

    def __init__(
        self, network: BenchmarkNetwork, X: Array, weights: list[Array], threads: int
    ) -> None:
        from pyae import reference

        self.X = X
        self.batch_size = network.batch_size
        self.rng = np.random.default_rng(0)  # the reference's own Philox shuffle is slow Python
        self.network = reference.Network(network.spec(), X.shape[1], dtype="float32")
        self.network.set_weights(weights)
        self.update = reference.update

    def epoch(self) -> None:
        order = self.rng.permutation(len(self.X))
        for start in range(0, len(order), self.batch_size):
            x = self.X[order[start : start + self.batch_size]]
            self.network.backward(x, x)
            self.update(self.network)

    def weights(self) -> list[Array]:
        return self.network.get_weights()


if __name__ == "__main__":
    serve(NumpyTrainer)
