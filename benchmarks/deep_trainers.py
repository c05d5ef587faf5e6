"""Sides of the comparison of optimizers: pyae with any of its optimizers, and JAX with Adam."""

# mypy: disable-error-code="import-not-found,import-untyped,misc,no-any-return,untyped-decorator"
from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from benchmarks.deep_problems import KERNEL_L2, Array, DeepAutoencoder


class DeepTrainer(Protocol):
    """A model that is trained an epoch at a time."""

    updates: int
    ended: str | None  # why there is no further epoch, where there is none

    def epoch(self) -> None:
        """Go through all training images once; return when the work is done."""

    def weights(self) -> list[Array]:
        """[W1, b1, W2, b2, ...] with kernels (in, out)."""


def nesterov_schedule(update: int, largest: float) -> float:
    """Return ``min(1 - 2^(-1 - log2(floor(t/250) + 1)), largest)``, Sutskever et al. (2013)."""
    return min(1 - 2 ** (-1 - math.log2(update // 250 + 1)), largest)


class PyaeTrainer:
    """pyae: a call of ``Sequential.fit`` an epoch.

    A momentum that follows a schedule changes between epochs, as batch sizes do; velocity and order
    go on. `smaller` holds (updates, batch size) in order: batches of that size until so many
    updates are done.
    """

    def __init__(
        self,
        problem: DeepAutoencoder,
        X: Array,
        optimizer: Any,
        batch_size: int,
        threads: int,
        init_scale: float = 1.0,
        momentum: Callable[[int], float] | None = None,
        smaller: Sequence[tuple[int, int]] = (),
    ) -> None:
        self.X = X
        self.largest_batch = batch_size
        self.smaller = smaller
        self.momentum = momentum
        self.ended: str | None = None
        self.updates = 0
        self.model = problem.model(self._at_present(optimizer), threads, init_scale)

    def _at_present(self, optimizer: Any) -> Any:
        if self.momentum is None:
            return optimizer
        return replace(optimizer, momentum=self.momentum(self.updates))

    @property
    def batch_size(self) -> int:
        """The next epoch's."""
        sizes = (size for until, size in self.smaller if self.updates < until)
        return min(next(sizes, self.largest_batch), len(self.X))

    def epoch(self) -> None:
        batch_size = self.batch_size
        present = self._at_present(self.model.optimizer)
        if present != self.model.optimizer:
            self.model = _with_optimizer(self.model, present)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of divergence, which is told by `ended`
            history = self.model.fit(self.X, epochs=1, batch_size=batch_size)
        self.updates += -(-len(self.X) // batch_size)
        if history.diverged:
            self.ended = "diverged"
        elif history.converged:
            self.ended = "no step made the loss smaller"

    def weights(self) -> list[Array]:
        return list(self.model.get_weights())


def _with_optimizer(model: Any, optimizer: Any) -> Any:
    """Return the model where it is, slots included, with another setting of its optimizer."""
    import pyae

    network = model._built_network()
    other = pyae.Sequential(
        model.layers,
        loss=model.loss,
        optimizer=optimizer,
        dtype=model.dtype,
        n_threads=model.n_threads,
        random_state=model.random_state,
    )
    other._restore(model.n_features, network.parameters(), network.state())
    return other


class JaxAdamTrainer:
    """JAX: one compiled call an epoch, `lax.scan` over batches, donated state, order from NumPy.

    Compilation is done when the trainer is made.
    """

    def __init__(
        self,
        problem: DeepAutoencoder,
        X: Array,
        learning_rate: float,
        epsilon: float,
        batch_size: int,
        threads: int,
    ) -> None:
        import jax
        import jax.numpy as jnp

        self.jax = jax
        self.ended: str | None = None
        self.rng = np.random.default_rng(problem.random_state)
        self.n_rows = len(X) // batch_size * batch_size
        self.shape = (self.n_rows // batch_size, batch_size)
        self.X = jnp.asarray(X)
        beta_1, beta_2 = 0.9, 0.999
        activations = problem.activations[:-1]

        def loss(params: Any, x: Any) -> Any:
            y = x
            for (W, b), activation in zip(params[:-1], activations, strict=True):
                y = y @ W + b
                y = jax.nn.sigmoid(y) if activation == "sigmoid" else y
            W, b = params[-1]
            z = y @ W + b
            penalty = KERNEL_L2 * sum((W * W).sum() for W, _ in params)
            return (jnp.maximum(z, 0) - z * x + jnp.log1p(jnp.exp(-jnp.abs(z)))).mean() + penalty

        def step(X: Any, state: Any, rows: Any) -> tuple[Any, Any]:
            params, m, v, t = state
            value, gradient = jax.value_and_grad(loss)(
                params, X.at[rows].get(mode="promise_in_bounds")
            )
            t = t + 1
            tree_map = jax.tree_util.tree_map
            m = tree_map(lambda a, g: a + (1 - beta_1) * (g - a), m, gradient)
            v = tree_map(lambda a, g: a + (1 - beta_2) * (g * g - a), v, gradient)
            rate = learning_rate * jnp.sqrt(1 - beta_2**t) / (1 - beta_1**t)
            params = tree_map(lambda w, a, b: w - rate * a / (jnp.sqrt(b) + epsilon), params, m, v)
            return (params, m, v, t), value

        @partial(jax.jit, donate_argnums=0)
        def epoch(state: Any, X: Any, rows: Any) -> Any:
            return jax.lax.scan(partial(step, X), state, rows)

        self._epoch = epoch
        weights = problem.model("adam", threads).get_weights()

        def start() -> Any:
            params = [
                (jnp.array(W), jnp.array(b))
                for W, b in zip(weights[::2], weights[1::2], strict=True)
            ]
            m, v = (jax.tree_util.tree_map(jnp.zeros_like, params) for _ in range(2))
            return params, m, v, jnp.float32(0)

        self.updates = 0
        self.state = start()
        self.epoch()
        self.state, self.updates = start(), 0

    def epoch(self) -> None:
        order = self.rng.permutation(len(self.X))[: self.n_rows]
        rows = order.astype(np.int32).reshape(self.shape)
        self.state, losses = self._epoch(self.state, self.X, rows)
        self.jax.block_until_ready((self.state, losses))
        self.updates += self.shape[0]
        if not np.isfinite(np.asarray(losses)).all():
            self.ended = "diverged"

    def weights(self) -> list[Array]:
        return [np.asarray(array) for pair in self.state[0] for array in pair]
