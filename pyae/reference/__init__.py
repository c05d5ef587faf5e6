"""The mathematics of pyae in plain NumPy.

It computes what the compiled library computes, from the same specs and the same random numbers,
in code meant to be read; the tests compare the two, and the benchmarks race them.

`activations`, `losses`, `penalties`, `corruption`, `initializers`, `optimizers` and `schedules`
each hold formulas and a table from name to formula; `lbfgs` has its line search too; `network` is
back-propagation and `training` the loop; `random` makes the random numbers.
"""

from __future__ import annotations

from .activations import ACTIVATIONS
from .corruption import CORRUPTIONS, corrupt
from .initializers import INITIALIZERS, initial_kernel
from .lbfgs import LBFGS
from .losses import LOSSES, loss, loss_gradient
from .network import Network
from .optimizers import OPTIMIZERS, build_optimizer, clip_gradients
from .random import permutation
from .schedules import SCHEDULES, learning_rate_at
from .training import evaluate, train, update

__all__ = [
    "ACTIVATIONS",
    "CORRUPTIONS",
    "INITIALIZERS",
    "LBFGS",
    "LOSSES",
    "OPTIMIZERS",
    "SCHEDULES",
    "Network",
    "build_optimizer",
    "clip_gradients",
    "corrupt",
    "evaluate",
    "initial_kernel",
    "learning_rate_at",
    "loss",
    "loss_gradient",
    "permutation",
    "train",
    "update",
]
