"""scikit-learn: one call of ``MLPRegressor.partial_fit`` an epoch."""

# mypy: disable-error-code="import-not-found,import-untyped,misc,no-any-return"
from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import networks
from benchmarks.networks import Array, BenchmarkNetwork
from benchmarks.workers.serve import UnsupportedError, serve
from benchmarks.workers.trainer import Trainer


class SklearnTrainer(Trainer):
    def __init__(
        self, network: BenchmarkNetwork, X: Array, weights: list[Array], threads: int
    ) -> None:
        from sklearn.neural_network import MLPRegressor

        if network.code_l1:
            raise UnsupportedError("MLPRegressor has no activity penalty")
        first = iter(zip(weights[::2], weights[1::2], strict=True))

        class GivenWeights(MLPRegressor):
            def _init_coef(self, fan_in: int, fan_out: int, dtype: Any) -> tuple[Array, Array]:
                kernel, bias = next(first)
                return kernel.copy(), bias.copy()

        self.X = X
        self.model = GivenWeights(
            hidden_layer_sizes=network.widths[1:-1],
            activation={"relu": "relu", "sigmoid": "logistic"}[network.hidden],
            solver="adam",
            alpha=0.0,
            batch_size=network.batch_size,
            learning_rate_init=networks.LEARNING_RATE,
            beta_1=networks.BETA_1,
            beta_2=networks.BETA_2,
            epsilon=networks.EPSILON,
            shuffle=True,
            random_state=np.random.RandomState(0),  # an int would repeat one order
            n_iter_no_change=10**9,
        )
        self.same_objective = network.output == "linear" and network.loss == "mean_squared_error"
        self.note = "partial_fit; half squared error"
        if not self.same_objective:
            self.note += ", identity output (it has no cross-entropy for real targets)"

    def epoch(self) -> None:
        self.model.partial_fit(self.X, self.X)

    def weights(self) -> list[Array]:
        pairs = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        return [array for pair in pairs for array in pair]


if __name__ == "__main__":
    serve(SklearnTrainer)
