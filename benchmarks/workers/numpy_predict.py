"""NumPy: ``forward`` of ``pyae.reference``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.networks import Array, BenchmarkNetwork
from benchmarks.workers.predictor import Predictor
from benchmarks.workers.serve import serve


class NumpyPredictor(Predictor):
    note = "pyae.reference: Network.forward, all rows at once"

    def __init__(
        self, network: BenchmarkNetwork, X: Array, weights: list[Array], threads: int
    ) -> None:
        super().__init__(X)
        from pyae import reference

        self.network = reference.Network(network.spec(), X.shape[1], dtype="float32")
        self.network.set_weights(weights)

    def call(self, X: Array) -> Callable[[], Any]:
        return partial(self.network.forward, X)


if __name__ == "__main__":
    serve(NumpyPredictor)
