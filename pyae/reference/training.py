"""The training loop: shuffle, corrupt, forward, loss, backward, clip, update."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .arrays import Array, Spec
from .corruption import corrupt, with_feature_range
from .kfac import KFAC
from .lbfgs import LBFGS
from .network import BatchLoss, Network
from .newton_cg import NewtonCG
from .optimizers import clip_gradients
from .random import permutation
from .schedules import learning_rate_at


@dataclass
class EpochLoss:
    """The mean over samples, not over batches, of the losses of an epoch's batches.

    ``sum_i w_i l_i / n + sum_b m_b penalty_b / n``; with the reduction "sum" the data term is not
    divided, and n of the data term leaves out samples of an ignored class.
    """

    reduction: str
    data_sum: float = 0.0
    n_counted: int = 0
    penalty_sum: float = 0.0
    n_samples: int = 0

    def add(self, batch: BatchLoss, m: int) -> None:
        """Add a batch of `m` samples."""
        self.data_sum += batch.data_sum
        self.n_counted += batch.n_counted
        self.penalty_sum += m * batch.penalty
        self.n_samples += m

    @property
    def value(self) -> float:
        """The loss so far."""
        data = self.data_sum / (1 if self.reduction == "sum" else max(self.n_counted, 1))
        return data + self.penalty_sum / max(self.n_samples, 1)


def train(
    network: Network,
    X: npt.ArrayLike,
    Y: npt.ArrayLike | None = None,
    epochs: int = 1,
    batch_size: int = 32,
    sample_weight: npt.ArrayLike | None = None,
    noise: Spec | None = None,
    shuffle: bool = True,
    validation_data: Sequence[npt.ArrayLike] | None = None,
    max_steps: int | None = None,
) -> dict[str, list[float]]:
    """Train a network in place.

    Parameters
    ----------
    X : array (n, n_features)
    Y : array (n, units), or (n,) for class numbers; None for X itself
    sample_weight : array (n,)
    noise : mapping or None
        The spec of the corruption of the inputs; the targets stay clean.
    validation_data : (X, Y) or (X, Y, sample_weight)
    max_steps : int or None
        Stop after this many updates, in the middle of an epoch if need be.

    Returns
    -------
    history : dict of lists, one number an epoch
        "loss", "learning_rate" (of the last update), "seconds" and, with validation data,
        "val_loss".
    """
    X = np.asarray(X)
    Y = X if Y is None else np.asarray(Y)
    weight = None if sample_weight is None else np.asarray(sample_weight)
    if len(Y) != len(X) or (weight is not None and len(weight) != len(X)):
        raise ValueError("X, Y and sample_weight must have the same number of rows")
    noise = with_feature_range(noise, X)
    history: dict[str, list[float]] = {"loss": [], "learning_rate": [], "seconds": []}
    if validation_data is not None:
        history["val_loss"] = []

    steps_left = max_steps
    for _ in range(epochs):
        if steps_left == 0:
            break
        start = time.perf_counter()
        loss, learning_rate, n_steps = _train_epoch(
            network, X, Y, batch_size, weight, noise, shuffle, steps_left
        )
        history["loss"].append(loss)
        history["learning_rate"].append(learning_rate)
        history["seconds"].append(time.perf_counter() - start)
        if validation_data is not None:
            history["val_loss"].append(_validate(network, validation_data, batch_size))
        if steps_left is not None:
            steps_left -= n_steps
        if noise is None and n_steps == 0:
            break  # converged
    return history


def _validate(network: Network, data: Sequence[npt.ArrayLike], batch_size: int) -> float:
    X, Y, sample_weight = (*data, None, None)[:3]
    return evaluate(network, np.asarray(X), Y, sample_weight, batch_size)


def _train_epoch(
    network: Network,
    X: Array,
    Y: Array,
    batch_size: int,
    weight: Array | None,
    noise: Spec | None,
    shuffle: bool,
    max_steps: int | None,
) -> tuple[float, float, int]:
    """Return the epoch's loss, its last learning rate and its number of updates.

    No update at all means that the optimizer, one that re-evaluates, has converged.
    """
    n, epoch, seed = len(X), network.epochs_trained, network.seed
    order = permutation(n, seed, epoch) if shuffle else np.arange(n)  # (n,)
    mean = EpochLoss(network.reduction)
    learning_rate, before = 0.0, network.optimizer.iterations
    for start in range(0, n, batch_size)[:max_steps]:
        rows = order[start : start + batch_size]  # (m,)
        x = corrupt(noise, X[rows].astype(network.dtype, copy=False), rows, epoch, seed)
        y, w = Y[rows], None if weight is None else weight[rows]
        batch = network.backward(x, y, w)
        mean.add(batch, len(rows))
        if isinstance(network.optimizer, LBFGS):
            learning_rate = minimize(network, network.optimizer, batch, x, y, w)
        elif isinstance(network.optimizer, (KFAC, NewtonCG)):
            learning_rate = network.optimizer.minimize(network, x, y, w, batch)
        else:
            learning_rate = update(network)
    network.epochs_trained += 1
    return mean.value, learning_rate, network.optimizer.iterations - before


def update(network: Network) -> float:
    """Clip the network's gradients, do one step of its optimizer, return the learning rate."""
    optimizer = network.optimizer
    clip_gradients(network.gradients, network.gradient_views, *optimizer.clipping)
    return optimizer.step(network.parameters, network.gradients, network.is_kernel)


def minimize(
    network: Network,
    optimizer: LBFGS,
    batch: BatchLoss,
    X: Array,
    Y: Array,
    weight: Array | None,
) -> float:
    """Do one step on a batch, whose loss and gradients are there; return the learning rate."""

    def objective(w: Array) -> tuple[float, Array]:
        network.parameters[...] = w
        return network.backward(X, Y, weight).total, network.gradients.copy()

    rate = learning_rate_at(optimizer.learning_rate, optimizer.iterations)
    w, _ = optimizer.minimize(
        objective,
        network.parameters.copy(),
        batch.total,
        network.gradients.copy(),
        network.l1_penalties,
    )
    network.parameters[...] = w
    return rate


def evaluate(
    network: Network,
    X: npt.ArrayLike,
    Y: npt.ArrayLike | None = None,
    sample_weight: npt.ArrayLike | None = None,
    batch_size: int = 256,
) -> float:
    """Return the loss on clean data, penalties included: the mean over samples."""
    X = np.asarray(X)
    Y = X if Y is None else np.asarray(Y)
    weight = None if sample_weight is None else np.asarray(sample_weight)
    mean = EpochLoss(network.reduction)
    for start in range(0, len(X), batch_size):
        rows = slice(start, start + batch_size)
        batch = network.batch_loss(X[rows], Y[rows], None if weight is None else weight[rows])
        mean.add(batch, len(X[rows]))
    return mean.value
