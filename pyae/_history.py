"""History: what happened during a fit, and the warnings of one that did not go well."""

from __future__ import annotations

import dataclasses
import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyae.optimizers import Optimizer

__all__ = ["DivergenceWarning", "History", "StallWarning"]

LOGS = ("loss", "val_loss", "learning_rate", "seconds")  # of an epoch


class DivergenceWarning(RuntimeWarning):
    """Training was stopped because the loss or the weights were no longer finite."""


class StallWarning(RuntimeWarning):
    """Training ended where the optimizer found no smaller loss, though the gradient is not zero."""


@dataclasses.dataclass
class History:
    """What happened during a fit.

    Attributes
    ----------
    history : dict of str to list of float
        ``"loss"``, ``"learning_rate"`` (of the epoch's last update), ``"seconds"`` and, with
        validation data, ``"val_loss"``: one value an epoch. Losses are means over samples and hold
        the penalties; a training loss is the mean over the epoch's batches, as the weights changed.
    diverged : bool
        Whether training stopped because a loss or a weight was not finite.
    stopped_early : bool
        Whether `EarlyStopping` ended it.
    best_epoch : int or None
        The best epoch, from 0, as `EarlyStopping` saw it.
    converged : bool
        Whether training stopped because the optimizer, one that re-evaluates such as L-BFGS, had
        nothing left to gain that rounding errors would leave to see.
    stalled : bool
        Whether training stopped because such an optimizer found no step that makes the loss
        smaller, though the gradient says that there should be one.
    """

    history: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    diverged: bool = False
    stopped_early: bool = False
    best_epoch: int | None = None
    converged: bool = False
    stalled: bool = False

    @property
    def epoch(self) -> list[int]:
        """The numbers of the epochs that were finished, from 0."""
        return list(range(len(self.history.get("loss", []))))

    def _append(self, logs: dict[str, float]) -> None:
        for key, value in logs.items():
            self.history.setdefault(key, []).append(value)


def _callers_level() -> int:
    """Return the stack level, for a function here, of who called fit from outside."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("pyae."):
        frame, level = frame.f_back, level + 1
    return level


def warn_of_divergence(result: dict[str, Any], epochs: int, optimizer: Optimizer) -> None:
    """Tell where the core's `result` says that training diverged, and what may help."""
    kept = "those of the best epoch" if result["restored_best"] else "the last finite ones"
    advice = "try a smaller learning rate or gradient clipping"
    if hasattr(optimizer, "damping"):  # it would make smaller steps by itself
        advice = "check the scale of features, sample weights and the optimizer's damping"
    warnings.warn(
        f"training diverged in epoch {result['diverged_epoch'] + 1} of {epochs}: the loss or a "
        f"weight was no longer finite at a learning rate of "
        f"{result['diverged_learning_rate']:.3g}. The weights are {kept}, and the optimizer "
        f"starts afresh; {advice}",
        DivergenceWarning,
        stacklevel=_callers_level(),
    )


def warn_of_stall(history: History, epochs: int, optimizer: Optimizer) -> None:
    """Tell in which epoch training stalled."""
    warnings.warn(
        f"training stalled in epoch {len(history.epoch)} of {epochs}: optimizer {optimizer.name} "
        "found no step that makes the loss smaller, though its gradient is not zero. The loss may "
        "have a kink there, or the features, the sample weights or the optimizer's settings an "
        "extreme scale",
        StallWarning,
        stacklevel=_callers_level(),
    )
