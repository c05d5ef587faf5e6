"""pyae: ``Sequential.predict``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.networks import Array, BenchmarkNetwork
from benchmarks.workers.predictor import Predictor
from benchmarks.workers.pyae_model import sequential
from benchmarks.workers.serve import serve


class PyaePredictor(Predictor):
    note = "Sequential.predict, whole call; NumPy arrays in and out"

    def __init__(
        self, network: BenchmarkNetwork, X: Array, weights: list[Array], threads: int
    ) -> None:
        super().__init__(X)
        self.model = sequential(network, weights, threads)

    def call(self, X: Array) -> Callable[[], Any]:
        return partial(self.model.predict, X)


if __name__ == "__main__":
    serve(PyaePredictor)
