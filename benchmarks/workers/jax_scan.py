"""JAX in its fastest form: one compiled call an epoch, `lax.scan` over batches, donated state."""

# mypy: disable-error-code="import-not-found,import-untyped,misc,no-any-return,untyped-decorator"
from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks import networks
from benchmarks.networks import Array, BenchmarkNetwork
from benchmarks.workers.serve import serve
from benchmarks.workers.trainer import Trainer


class JaxTrainer(Trainer):
    note = "jit of a whole epoch, lax.scan, donated state, order from NumPy; BCE from logits"
    same_objective = True

    def __init__(
        self, network: BenchmarkNetwork, X: Array, weights: list[Array], threads: int
    ) -> None:
        import jax
        import jax.numpy as jnp

        self.jax = jax
        self.rng = np.random.default_rng(0)
        self.steps = (len(X) // network.batch_size, network.batch_size)
        self.X = jnp.asarray(X)
        hidden = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}[network.hidden]
        last = len(network.shapes) - 1

        def loss(params: list[Any], x: Any) -> Any:
            y = x
            penalty = 0.0
            for number, (W, b) in enumerate(params):
                z = y @ W + b
                y = hidden(z) if number < last else z
                if network.code_l1 and number == network.code_layer:
                    penalty = network.code_l1 * jnp.abs(y).sum() / x.shape[0]
            if network.loss == "mean_squared_error":
                return jnp.mean(jnp.square(y - x)) + penalty
            values = jnp.maximum(y, 0) - y * x + jnp.log1p(jnp.exp(-jnp.abs(y)))
            return values.mean() + penalty

        def step(X: Any, state: Any, rows: Any) -> tuple[Any, Any]:
            params, m, v, t = state
            x = X.at[rows].get(mode="promise_in_bounds")
            value, gradient = jax.value_and_grad(loss)(params, x)
            t = t + 1
            tree_map = jax.tree_util.tree_map
            m = tree_map(lambda a, g: a + (1 - networks.BETA_1) * (g - a), m, gradient)
            v = tree_map(lambda a, g: a + (1 - networks.BETA_2) * (g * g - a), v, gradient)
            rate = (
                networks.LEARNING_RATE * jnp.sqrt(1 - networks.BETA_2**t) / (1 - networks.BETA_1**t)
            )
            params = tree_map(
                lambda w, a, b: w - rate * a / (jnp.sqrt(b) + networks.EPSILON), params, m, v
            )
            return (params, m, v, t), value

        @partial(jax.jit, donate_argnums=0)
        def epoch(state: Any, X: Any, rows: Any) -> Any:
            return jax.lax.scan(partial(step, X), state, rows)

        self._epoch = epoch
        params = [
            (jnp.array(W), jnp.array(b)) for W, b in zip(weights[::2], weights[1::2], strict=True)
        ]

        def zeros() -> Any:
            return jax.tree_util.tree_map(jnp.zeros_like, params)

        self.state = (params, zeros(), zeros(), jnp.float32(0))

    def epoch(self) -> None:
        order = self.rng.permutation(len(self.X)).astype(np.int32).reshape(self.steps)
        self.state, losses = self._epoch(self.state, self.X, order)
        self.jax.block_until_ready((self.state, losses))

    def weights(self) -> list[Array]:
        return [np.asarray(array) for pair in self.state[0] for array in pair]


if __name__ == "__main__":
    serve(JaxTrainer)
