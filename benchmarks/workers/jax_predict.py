"""JAX: the network as one compiled function."""

# mypy: disable-error-code="import-not-found,import-untyped,misc,no-any-return,untyped-decorator"
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.networks import Array, BenchmarkNetwork
from benchmarks.workers.predictor import Predictor
from benchmarks.workers.serve import serve


class JaxPredictor(Predictor):
    note = "jit, one shape a compilation; JAX's arrays in and out"

    def __init__(
        self, network: BenchmarkNetwork, X: Array, weights: list[Array], threads: int
    ) -> None:
        super().__init__(X)
        import jax
        import jax.numpy as jnp

        self.jax = jax
        named: dict[str, Callable[[Any], Any]] = {
            "relu": jax.nn.relu,
            "sigmoid": jax.nn.sigmoid,
            "linear": lambda z: z,
        }

        @jax.jit
        def forward(params: list[Any], y: Any) -> Any:
            for (W, b), activation in zip(params, network.activations, strict=True):
                y = named[activation](y @ W + b)
            return y

        self.forward = forward
        self.params = [
            (jnp.array(W), jnp.array(b)) for W, b in zip(weights[::2], weights[1::2], strict=True)
        ]

    def call(self, X: Array) -> Callable[[], Any]:
        x = self.jax.device_put(X).block_until_ready()
        forward, params = self.forward, self.params
        forward(params, x).block_until_ready()  # compiles for this shape
        return lambda: forward(params, x).block_until_ready()


if __name__ == "__main__":
    serve(JaxPredictor)
