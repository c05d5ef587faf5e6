"""PyTorch: modules under ``torch.inference_mode``."""

# mypy: disable-error-code="import-not-found,import-untyped,misc,no-any-return,no-untyped-call"
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.networks import Array, BenchmarkNetwork
from benchmarks.workers.predictor import Predictor
from benchmarks.workers.serve import serve


class TorchPredictor(Predictor):
    note = "nn.Sequential in eval and inference mode; tensors in and out"

    def __init__(
        self, network: BenchmarkNetwork, X: Array, weights: list[Array], threads: int
    ) -> None:
        super().__init__(X)
        import torch

        torch.set_num_threads(threads)
        self.torch = torch
        modules: list[Any] = []
        for number, ((n_in, n_out), activation) in enumerate(
            zip(network.shapes, network.activations, strict=True)
        ):
            linear = torch.nn.Linear(n_in, n_out)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(weights[2 * number]).T)
                linear.bias.copy_(torch.from_numpy(weights[2 * number + 1]))
            modules.append(linear)
            if activation != "linear":
                modules.append({"relu": torch.nn.ReLU, "sigmoid": torch.nn.Sigmoid}[activation]())
        self.model = torch.nn.Sequential(*modules).eval()

    def call(self, X: Array) -> Callable[[], Any]:
        model, inference_mode = self.model, self.torch.inference_mode
        x = self.torch.from_numpy(X)

        def predict() -> Any:
            with inference_mode():
                return model(x)

        return predict


if __name__ == "__main__":
    serve(TorchPredictor)
