"""What can follow or stop a fit."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pyae._arguments import boolean, choice, integer, items, not_negative, positive_int

if TYPE_CHECKING:
    from pyae._history import History
    from pyae.model import Sequential

__all__ = ["Callback", "Checkpoint", "EarlyStopping", "LambdaCallback"]


class Callback:
    """Called during a fit; subclass it and override what is needed.

    Weights, predictions and everything else of the model can be used in a callback; setting
    ``model.stop_training = True`` ends the fit after the epoch. An exception that a callback raises
    ends the fit at once and leaves the model as it is.

    Attributes
    ----------
    model : Sequential
        The model that is being fitted.
    """

    model: Sequential

    def on_train_begin(self, model: Sequential) -> None:
        """Do something before the first epoch."""

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Do something after each epoch.

        Parameters
        ----------
        epoch : int
            Number of the epoch within this fit, from 0.
        logs : mapping
            ``"loss"``, ``"learning_rate"``, ``"seconds"``, and ``"val_loss"`` with validation data.
        """

    def on_train_end(self, history: History) -> None:
        """Do something after the last epoch, also when the fit was stopped early."""

    def get_state(self) -> Any:
        """Return what a `Checkpoint` is to keep of this callback, such as how long it has waited.

        Returns
        -------
        plain data or None
            Numbers, texts, arrays, NumPy's random generators, and lists and dicts of these; None,
            the default, for a callback that has nothing to keep.
        """
        return None

    def set_state(self, state: Any) -> None:
        """Take what `get_state` returned, when a fit goes on; called after `on_train_begin`."""


class LambdaCallback(Callback):
    """Calls a function after each epoch.

    Parameters
    ----------
    on_epoch_end : callable
        Called with the epoch's number, from 0, and its logs.

    Raises
    ------
    TypeError
        The argument cannot be called.

    Examples
    --------
    >>> callback = LambdaCallback(lambda epoch, logs: print(epoch, logs["loss"]))
    """

    def __init__(self, on_epoch_end: Callable[[int, Mapping[str, float]], Any]) -> None:
        if not callable(on_epoch_end) or isinstance(on_epoch_end, type):
            raise TypeError(f"on_epoch_end must be callable, got {on_epoch_end!r}")
        self._function = on_epoch_end

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Call the function."""
        self._function(epoch, logs)


@dataclass
class EarlyStopping(Callback):
    """Stop when the loss has not improved for some epochs; it runs within the compiled loop.

    Parameters
    ----------
    monitor : {"val_loss", "loss"}, default "val_loss"
        What must improve.
    patience : int, default 0
        Stop after this many epochs in a row without improvement (0 counts as 1).
    min_delta : float, default 0.0
        An improvement is a fall by more than this.
    restore_best_weights : bool, default True
        Leave the model with the weights of its best epoch.

    Raises
    ------
    ValueError
        A value is outside its limits.

    Examples
    --------
    >>> EarlyStopping(patience=5)
    EarlyStopping(monitor='val_loss', patience=5, min_delta=0.0, restore_best_weights=True)
    """

    monitor: Literal["val_loss", "loss"] = "val_loss"
    patience: int = 0
    min_delta: float = 0.0
    restore_best_weights: bool = True

    def __post_init__(self) -> None:
        choice(self.monitor, "monitor", ("val_loss", "loss"))
        if integer(self.patience, "patience") < 0:
            raise ValueError(f"patience must not be negative, got {self.patience}")
        not_negative(self.min_delta, "min_delta")
        boolean(self.restore_best_weights, "restore_best_weights")

    def to_options(self) -> dict[str, Any]:
        """Return what the core's training loop needs to know."""
        return {
            "monitor": self.monitor,
            "patience": int(self.patience),
            "min_delta": float(self.min_delta),
            "restore_best_weights": bool(self.restore_best_weights),
        }


@dataclass
class Checkpoint(Callback):
    """Write to a file where the fit is, and go on from there when the fit is started again.

    A fit that was killed and is started again with the same arguments ends with the same bits as
    one that was not: weights, history (but for the seconds) and early stopping's decisions. The
    file is replaced in one step, so that there always is a whole one; `pyae.load` reads it too.

    `Sequential.fit` takes it, or just its path, as `checkpoint`; it may also be among the
    `callbacks`, an estimator's too. Of other callbacks the file holds what they give
    (`Callback.get_state`). Each fit has a file of its own, so also each fit of an estimator that
    goes on from what is fitted (``warm_start=True``); `partial_fit`, which trains one epoch a call,
    takes none.

    Parameters
    ----------
    path : str or path object
        The file, by custom with the suffix ``.safetensors``. When it is there already, it must be
        this fit's: the same network, data, seed and options. Of data, the shape, the type and up to
        256 rows, evenly spread, are compared: changes of others are not noticed. Only `epochs` may
        differ: a fit that ended after them goes on when there are more. (Of an estimator,
        `max_epochs` may, unless its learning rate falls over them: "auto", the default, does for
        Adam and its relatives, and "cosine" for all.) The model must be new, or one that holds what
        the fit started from or got to: what a model has learned since is not thrown away.
    every_epochs : int, optional
        Write after so many epochs. By default after each one, unless `every_seconds` is given.
    every_seconds : float, optional
        Write after the epoch in which so much time has passed since the last time. Writing waits
        for the disk, some milliseconds, which is long where epochs are short.
    resume : bool, default True
        False: start from the beginning, and overwrite what is there.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type, or is outside its limits.

    Examples
    --------
    >>> Checkpoint("run.safetensors", every_seconds=60)
    Checkpoint(path='run.safetensors', every_epochs=None, every_seconds=60, resume=True)
    """

    path: str | os.PathLike[str]
    every_epochs: int | None = None
    every_seconds: float | None = None
    resume: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | bytes | os.PathLike):
            raise TypeError(f"path must be a path, got {self.path!r}")
        if self.every_epochs is not None:
            positive_int(self.every_epochs, "every_epochs")
        if self.every_seconds is not None:
            not_negative(self.every_seconds, "every_seconds")
        boolean(self.resume, "resume")

    def on_train_begin(self, model: Sequential) -> None:
        """Refuse a fit that does not know checkpoints; `Sequential.fit` never comes here."""
        raise ValueError("callbacks: this kind of fit cannot write a Checkpoint; leave it out")


def resolve_checkpoint(value: Any, callbacks: list[Callback]) -> Checkpoint | None:
    """Return the checkpoint given by itself, as a path or an object, or among callbacks."""
    from pyae._safefile import as_path

    found = [item for item in callbacks if isinstance(item, Checkpoint)]
    if value is not None:
        if not isinstance(value, Checkpoint):
            as_path(value, "checkpoint")
            value = Checkpoint(value)
        found.append(value)
    if len(found) > 1:
        raise ValueError("checkpoint must be one, but there are more; callbacks may hold one too")
    return found[0] if found else None


def resolve_callbacks(value: Any) -> list[Callback]:
    """Return the callbacks given as one, as a function (epoch, logs), or as a sequence of these."""
    if value is None:
        return []
    if isinstance(value, Callback) or callable(value):
        value = [value]
    result: list[Callback] = []
    for item in items(value, "callbacks", "Callback objects or functions"):
        if isinstance(item, type) and issubclass(item, Callback):
            raise TypeError(f"callbacks must be instances: write {item.__name__}()")
        if isinstance(item, Callback):
            result.append(item)
        elif callable(item) and not isinstance(item, type):
            result.append(LambdaCallback(item))
        else:
            raise TypeError(f"callbacks must be Callback objects or functions, got {item!r}")
    if sum(isinstance(item, EarlyStopping) for item in result) > 1:
        raise ValueError("callbacks must hold at most one EarlyStopping")
    return result
