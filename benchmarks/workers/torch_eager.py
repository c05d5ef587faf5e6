"""PyTorch as its tutorials write it: modules, autograd, fused Adam; `index_select` for batches."""

# mypy: disable-error-code="import-not-found,import-untyped,misc,no-any-return,no-untyped-call"
from __future__ import annotations

from typing import Any

from benchmarks import networks
from benchmarks.networks import Array, BenchmarkNetwork
from benchmarks.workers.serve import serve
from benchmarks.workers.trainer import Trainer


class TorchTrainer(Trainer):
    note = "eager; Adam(fused=True); BCE from logits"
    same_objective = True
    mixed = False

    def __init__(
        self, network: BenchmarkNetwork, X: Array, weights: list[Array], threads: int
    ) -> None:
        import torch

        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.torch = torch
        self.batch_size = network.batch_size
        self.X = torch.from_numpy(X)
        encoder: list[Any] = []
        decoder: list[Any] = []
        last = len(network.shapes) - 1
        for number, ((n_in, n_out), activation) in enumerate(
            zip(network.shapes, network.activations, strict=True)
        ):
            part = encoder if number <= network.code_layer else decoder
            linear = torch.nn.Linear(n_in, n_out)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(weights[2 * number]).T)
                linear.bias.copy_(torch.from_numpy(weights[2 * number + 1]))
            part.append(linear)
            if number < last:  # the output stays a logit: BCEWithLogits is the stable form
                part.append({"relu": torch.nn.ReLU, "sigmoid": torch.nn.Sigmoid}[activation]())
        encode = torch.nn.Sequential(*encoder)
        decode = torch.nn.Sequential(*decoder)
        criterion = {
            "mean_squared_error": torch.nn.functional.mse_loss,
            "binary_crossentropy": torch.nn.functional.binary_cross_entropy_with_logits,
        }[network.loss]

        def loss(x: Any) -> Any:
            code = encode(x)
            value = criterion(decode(code), x)
            if network.code_l1:
                value = value + network.code_l1 * code.abs().sum() / x.shape[0]
            return value

        self.linears = [part for part in (*encode, *decode) if isinstance(part, torch.nn.Linear)]
        parameters = [*encode.parameters(), *decode.parameters()]
        self.optimizer = torch.optim.Adam(
            parameters,
            lr=networks.LEARNING_RATE,
            betas=(networks.BETA_1, networks.BETA_2),
            eps=networks.EPSILON,
            fused=True,
        )
        self.loss = loss

    def epoch(self) -> None:
        order = self.torch.randperm(len(self.X))
        for rows in order.split(self.batch_size):
            x = self.X.index_select(0, rows)
            self.optimizer.zero_grad(set_to_none=True)
            with self.torch.autocast("cpu", self.torch.bfloat16, enabled=self.mixed):
                loss = self.loss(x)
            loss.backward()
            self.optimizer.step()

    def weights(self) -> list[Array]:
        pairs = [(linear.weight.T, linear.bias) for linear in self.linears]
        return [tensor.detach().numpy() for pair in pairs for tensor in pair]


if __name__ == "__main__":
    serve(TorchTrainer)
