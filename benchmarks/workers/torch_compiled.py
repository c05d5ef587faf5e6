"""PyTorch with ``torch.compile`` of a whole step: gather, forward, backward and Adam, one graph.

The gradient is `torch.func.grad_and_value` and Adam is written out, because autograd's
``backward`` and `torch.optim` break the graph, which costs a small network most of its time.
"""

# mypy: disable-error-code="import-not-found,import-untyped,misc,no-any-return,no-untyped-call"
from __future__ import annotations

from typing import Any

from benchmarks import networks
from benchmarks.networks import Array, BenchmarkNetwork
from benchmarks.workers.serve import serve
from benchmarks.workers.trainer import Trainer


class CompiledTorchTrainer(Trainer):
    note = "torch.compile of a whole step, torch.func.grad, Adam written out; BCE from logits"
    same_objective = True

    def __init__(
        self, network: BenchmarkNetwork, X: Array, weights: list[Array], threads: int
    ) -> None:
        import torch

        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.torch = torch
        self.batch_size = network.batch_size
        self.X = torch.from_numpy(X)
        hidden = {"relu": torch.relu, "sigmoid": torch.sigmoid}[network.hidden]
        criterion = {
            "mean_squared_error": torch.nn.functional.mse_loss,
            "binary_crossentropy": torch.nn.functional.binary_cross_entropy_with_logits,
        }[network.loss]
        last = len(network.shapes) - 1

        def loss(params: list[Any], x: Any) -> Any:
            y = x
            penalty: Any = 0.0
            for number in range(last + 1):
                z = torch.addmm(params[2 * number + 1], y, params[2 * number])
                y = hidden(z) if number < last else z
                if network.code_l1 and number == network.code_layer:
                    penalty = network.code_l1 * y.abs().sum() / x.shape[0]
            return criterion(y, x) + penalty

        gradient_and_loss = torch.func.grad_and_value(loss)

        def step(params: Any, m: Any, v: Any, t: Any, X: Any, rows: Any) -> Any:
            gradients, value = gradient_and_loss(params, X.index_select(0, rows))
            t.add_(1)
            rate = (
                networks.LEARNING_RATE * (1 - networks.BETA_2**t).sqrt() / (1 - networks.BETA_1**t)
            )
            for w, a, b, g in zip(params, m, v, gradients, strict=True):
                a.lerp_(g, 1 - networks.BETA_1)
                b.lerp_(g * g, 1 - networks.BETA_2)
                w.sub_(rate * a / (b.sqrt() + networks.EPSILON))
            return value

        self.step = torch.compile(step)
        self.params = [torch.from_numpy(weight.copy()) for weight in weights]
        self.m = [torch.zeros_like(w) for w in self.params]
        self.v = [torch.zeros_like(w) for w in self.params]
        self.t = torch.zeros(())

    def epoch(self) -> None:
        order = self.torch.randperm(len(self.X))
        with self.torch.no_grad():
            for rows in order.split(self.batch_size):
                self.step(self.params, self.m, self.v, self.t, self.X, rows)

    def weights(self) -> list[Array]:
        return [w.numpy() for w in self.params]


if __name__ == "__main__":
    serve(CompiledTorchTrainer)
