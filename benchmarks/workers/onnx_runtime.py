"""onnxruntime: the model that ``pyae.export_onnx`` writes."""

# mypy: disable-error-code="import-not-found,import-untyped,misc,no-any-return"
from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.networks import Array, BenchmarkNetwork
from benchmarks.workers.predictor import Predictor
from benchmarks.workers.pyae_model import sequential
from benchmarks.workers.serve import serve


class OnnxRuntimePredictor(Predictor):
    note = "InferenceSession.run of pyae.export_onnx's model, all graph optimizations"

    def __init__(
        self, network: BenchmarkNetwork, X: Array, weights: list[Array], threads: int
    ) -> None:
        super().__init__(X)
        import onnxruntime

        import pyae

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            pyae.export_onnx(sequential(network, weights, threads), path)
            self.session = onnxruntime.InferenceSession(
                path.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        self.input = self.session.get_inputs()[0].name

    def call(self, X: Array) -> Callable[[], Any]:
        run, feed = self.session.run, {self.input: X}
        return lambda: run(None, feed)[0]


if __name__ == "__main__":
    serve(OnnxRuntimePredictor)
