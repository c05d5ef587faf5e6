"""The fit with JAX: one compiled epoch, Adam written out; the last, short batch is left out."""

# mypy: disable-error-code="import-not-found,import-untyped,misc,no-any-return,untyped-decorator"
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

rng = np.random.default_rng(0)
X = np.load(sys.argv[1])
steps = len(X) // 32


def kernel(n_in: int, n_out: int) -> Any:
    limit = np.sqrt(6 / (n_in + n_out))
    return jnp.asarray(rng.uniform(-limit, limit, (n_in, n_out)), jnp.float32)


def loss(params: Any, x: Any) -> Any:
    W1, b1, W2, b2 = params
    return jnp.mean((jax.nn.relu(x @ W1 + b1) @ W2 + b2 - x) ** 2)


def step(state: Any, x: Any) -> Any:
    params, m, v, t = state
    value, gradient = jax.value_and_grad(loss)(params, x)
    t = t + 1
    m = [0.9 * a + 0.1 * g for a, g in zip(m, gradient, strict=True)]
    v = [0.999 * b + 0.001 * g * g for b, g in zip(v, gradient, strict=True)]
    rate = 0.001 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    params = [w - rate * a / (jnp.sqrt(b) + 1e-7) for w, a, b in zip(params, m, v, strict=True)]
    return (params, m, v, t), value


@jax.jit
def epoch(state: Any, X: Any) -> Any:
    return jax.lax.scan(step, state, X)


params = [kernel(64, 32), jnp.zeros(32), kernel(32, 64), jnp.zeros(64)]
state: Any = (params, [0 * w for w in params], [0 * w for w in params], jnp.float32(0))
losses: Any = None
for _ in range(10):
    order = rng.permutation(len(X))[: 32 * steps]
    state, losses = epoch(state, X[order].reshape(steps, 32, 64))
print(float(losses.mean()))
