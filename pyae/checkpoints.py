"""Fits that survive their process: where a fit is, in a file that it can go on from.

`pyae.callbacks.Checkpoint` says where and how often; what is here reads and writes the file. All
random numbers are functions of the seed and the number of the epoch, so that the weights, the
optimizer's and early stopping's memory, the seed and the epochs done are all there is to keep.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from pyae._container import FileFormatError
from pyae._history import History
from pyae._safefile import as_path, check_writable
from pyae.callbacks import Callback, Checkpoint
from pyae.model import Sequential
from pyae.saving import load_network, save_network

_ROWS = 256  # that represent a data set
_BYTES = 1 << 22
_STOPPING = {"best", "waited", "best_epoch", "best_parameters"}
_ADVICE = "give another path, or pyae.callbacks.Checkpoint(path, resume=False) to overwrite it"
_HINTS = {
    "optimizer.learning_rate.decay_steps": " (an estimator's learning_rate='auto' or 'cosine' "
    "falls over max_epochs, which must stay the same then: only with another learning_rate can a "
    "fit go on for more)"
}


@dataclasses.dataclass
class Position:
    """Where a fit is: enough to go on with it."""

    n_epochs: int  # done
    over: bool  # it ended before its last epoch: early stopping, a callback, convergence
    history: History
    parameters: npt.NDArray[Any]  # flat; before the best ones are restored
    state: dict[str, Any]
    stopping: dict[str, Any] | None  # of early stopping
    callbacks: list[Any]  # the states of those that have one
    seed: int

    def restore(self, model: Sequential) -> None:
        """Give a built model the weights, the optimizer's state and the seed."""
        network = model._built_network()
        network.set_parameters(self.parameters)
        network.set_state(self.state)
        model._seed = self.seed


class Run:
    """A fit with a checkpoint.

    Parameters
    ----------
    checkpoint : Checkpoint
        Where and how often to write.
    model : Sequential
        What is trained; it need not be built yet.
    n_features : int
        Of the training inputs.
    epochs : int
        How many epochs the fit has at most, those done before included.
    settings : dict
        What else a fit's result depends on: plain data.
    callbacks : list of Callback
        Those of the fit; of some the file holds a state.

    Attributes
    ----------
    start : Position or None
        Where the file says that this fit is; None to start from the beginning.

    Raises
    ------
    ValueError
        The file belongs to another fit, or the model holds what that did not come from.
    FileFormatError, OSError
        The file cannot be read or written.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        model: Sequential,
        n_features: int,
        epochs: int,
        settings: dict[str, Any],
        callbacks: list[Callback],
    ) -> None:
        self._checkpoint = checkpoint
        self._path = as_path(checkpoint.path)
        self._model = model
        self._epochs = epochs
        self._callbacks = [item for item in callbacks if item.get_state() is not None]
        names = [type(item).__name__ for item in self._callbacks]
        self._settings = {**settings, "callbacks": names}
        self._newest: Position | None = None
        self._written = time.monotonic()
        self._started_from: str | None = None
        check_writable(self._path)
        self.start: Position | None = None
        if checkpoint.resume and self._path.exists():
            self._newest = self.start = self._read(n_features)

    def begin(self) -> None:
        """Remember what the fit starts from, or give the model what the file holds."""
        if self.start is None:
            self._started_from = digest(self._model)
        else:
            self.start.restore(self._model)

    def broke_off(self) -> None:
        """Let the model know that it holds more of this fit than the file does."""
        self._model._broke_off = (self._started_from, digest(self._model))

    def restore_callbacks(self) -> None:
        """Give callbacks the states that the file holds.

        Raises
        ------
        FileFormatError
            One does not take its state.
        """
        if self.start is None:
            return
        for callback, state in zip(self._callbacks, self.start.callbacks, strict=True):
            try:
                callback.set_state(state)
            except (ValueError, TypeError, LookupError, AttributeError) as error:
                name = type(callback).__name__
                problem = f"holds no state of callback {name}: {type(error).__name__}: {error}"
                raise FileFormatError(self._path, problem) from error

    def epoch_end(self, epoch: int, history: History) -> None:
        """Write the file where it is time to; the fit's last epoch waits for `finish`."""
        network = self._model._built_network()
        early = self._settings["early_stopping"]
        stopping = None if early is None else network.early_stopping_state()
        over = self._model.stop_training or _is_exhausted(stopping, early)
        last = over or epoch + 1 == self._epochs
        if not last and not self._is_due(epoch):
            return
        self._newest = Position(
            n_epochs=epoch + 1,
            over=over,
            history=history,
            parameters=network.parameters(),
            state=network.state(),
            stopping=stopping,
            callbacks=[callback.get_state() for callback in self._callbacks],
            seed=self._model._seed,
        )
        if not last:
            self._write(self._newest, with_parameters=False)

    def finish(self, history: History, restored: bool) -> None:
        """Write the file of a fit that ended; `restored`: with the weights of its best epoch."""
        newest, n_epochs = self._newest, len(history.epoch)
        if newest is None or newest.n_epochs != n_epochs:  # it ended by itself, between two writes
            network = self._model._built_network()
            newest = Position(
                n_epochs=n_epochs,
                over=True,
                history=history,
                parameters=network.parameters(),
                state=network.state(),
                stopping=None,
                callbacks=[callback.get_state() for callback in self._callbacks],
                seed=self._model._seed,
            )
            restored = False
        newest.over |= history.stopped_early or history.converged or history.stalled
        self._write(newest, with_parameters=restored)

    def _is_due(self, epoch: int) -> bool:
        epochs, seconds = self._checkpoint.every_epochs, self._checkpoint.every_seconds
        if epochs is None and seconds is None:
            return True
        return (epochs is not None and (epoch + 1) % epochs == 0) or (
            seconds is not None and time.monotonic() - self._written >= seconds
        )

    def _write(self, position: Position, *, with_parameters: bool) -> None:
        training = {
            "n_epochs": position.n_epochs,
            "over": position.over,
            "stopping": position.stopping,
            "callbacks": position.callbacks,
            "settings": self._settings,
            "parameters": position.parameters if with_parameters else None,
            "start": self._started_from,
        }
        save_network(self._model, self._path, training)
        self._written = time.monotonic()

    def _read(self, n_features: int) -> Position:
        loaded, training = load_network(self._path)
        if training is None:
            raise ValueError(
                f"checkpoint: {self._path} holds a saved model, not a fit to go on with: {_ADVICE}"
            )
        problem = _problem(training, loaded)
        if problem:
            raise FileFormatError(self._path, f"holds no state of a fit: {problem}")
        theirs = _identity(loaded, loaded.n_features, self._model.random_state)
        mine = _identity(self._model, n_features, self._model.random_state)
        found = _difference(
            {**theirs, **training["settings"], "optimizer": loaded.optimizer.to_spec()},
            {**mine, **self._settings, "optimizer": self._model.optimizer.to_spec()},
            "",
        )
        if found is not None:
            where, there, here = found
            raise ValueError(
                f"checkpoint: {self._path} belongs to another fit: {where} is {there!r} there and "
                f"{here!r} here{_HINTS.get(where, '')}. Make them agree, {_ADVICE}"
            )
        self._started_from = training["start"]
        if not self._may_replace(loaded):
            older = " (as far as a file of this age tells)" if self._started_from is None else ""
            raise ValueError(
                f"checkpoint: the model holds training or weights that the fit in {self._path} "
                f"neither started from nor got to{older}, and which going on with that fit would "
                "lose: give a new model, which goes on where the file is; or to train this one on, "
                f"{_ADVICE}"
            )
        n_epochs = training["n_epochs"]
        if n_epochs > self._epochs:
            raise ValueError(
                f"epochs must be at least {n_epochs}, so many are in checkpoint {self._path} "
                f"already, got {self._epochs}; or {_ADVICE}"
            )
        stopping, parameters = training["stopping"], training["parameters"]
        network, history = loaded._built_network(), loaded.history
        if _is_exhausted(stopping, self._settings["early_stopping"]):
            history.stopped_early = True
        return Position(
            n_epochs=n_epochs,
            over=training["over"] or history.stopped_early,
            history=history,
            parameters=network.parameters() if parameters is None else parameters,
            state=network.state(),
            stopping=stopping,
            callbacks=training["callbacks"],
            seed=loaded._seed,
        )

    def _may_replace(self, loaded: Sequential) -> bool:
        """Whether the model holds nothing but what the file's fit has or will come to again."""
        model = self._model
        if not model.built or model._as_built:
            return True
        known = digest(model)
        broke_off = (self._started_from, known)  # later than the file was written
        return known in (self._started_from, digest(loaded)) or model._broke_off == broke_off


def require_start(checkpoint: Checkpoint, model: Sequential) -> None:
    """Refuse a checkpoint whose fit did not start from what an estimator goes on from.

    Its history comes after the estimator's own, which must not hold the same epochs already.

    Raises
    ------
    ValueError
        There is a file, and its fit started from something else.
    FileFormatError, OSError
        The file cannot be read.
    """
    path = as_path(checkpoint.path)
    if not checkpoint.resume or not path.exists():
        return
    _, training = load_network(path)
    if training is not None and training["start"] != digest(model):
        raise ValueError(
            f"checkpoint: the fit in {path} did not start from the fitted weights, which "
            "warm_start=True goes on from: set warm_start=False to go on with that fit, "
            f"{_ADVICE}"
        )


def digest(model: Sequential) -> str:
    """Return a hash of all that training changes: weights, optimizer's state, epochs trained."""
    network = model._built_network()
    state = {key: value for key, value in network.state().items() if key != "seed"}
    result = hashlib.sha256()
    for name, value in sorted({**state, "parameters": network.parameters()}.items()):
        result.update(f"{name}:".encode())
        result.update(value.data if isinstance(value, np.ndarray) else repr(value).encode())
    return result.hexdigest()


def fingerprint(array: npt.NDArray[Any] | None) -> dict[str, Any] | None:
    """Return what tells one data set from another: shape, dtype and a hash of some of its rows."""
    if array is None:
        return None
    n_rows = min(len(array), _ROWS, max(1, _BYTES * len(array) // max(array.nbytes, 1)))
    rows = array[np.linspace(0, len(array) - 1, n_rows).astype(np.int64)]
    native = np.ascontiguousarray(rows.astype(rows.dtype.newbyteorder("="), copy=False))
    return {
        "shape": list(array.shape),
        "dtype": native.dtype.name,
        "sha256": hashlib.sha256(native.tobytes()).hexdigest(),
    }


def _problem(training: dict[str, Any], loaded: Sequential) -> str:
    """Return what is wrong with a file's state of a fit; nothing, unless it was made to do harm."""
    n = loaded.n_parameters
    settings, stopping = training["settings"], training["stopping"]
    n_epochs = training["n_epochs"]
    if type(n_epochs) is not int or n_epochs != len(loaded.history.epoch):
        return "its number of epochs is not its history's"
    if not isinstance(training["start"], str | None):
        return "what it started from is no hash"
    if type(training["over"]) is not bool:
        return "it does not say whether the fit is over"
    if not _is_plain(settings) or not isinstance(training["callbacks"], list):
        return "its settings are none"
    names = settings.get("callbacks")
    if not isinstance(names, list) or len(names) != len(training["callbacks"]):
        return "its callbacks have no states"
    flat = [(training["parameters"], [(n,)])]
    if stopping is not None:
        if settings.get("early_stopping") is None:
            return "it has early stopping without its settings"
        if not isinstance(stopping, dict) or set(stopping) != _STOPPING:
            return "what early stopping has seen is not there"
        if [type(stopping[name]) for name in ("best", "waited", "best_epoch")] != [float, int, int]:
            return "what early stopping has seen are no numbers"
        waited, best_epoch = stopping["waited"], stopping["best_epoch"]
        if math.isnan(stopping["best"]):
            return "the best loss is no number"
        if not 0 <= waited <= n_epochs or not -1 <= best_epoch < n_epochs:
            return "what early stopping has seen are epochs that never were"
        flat.append((stopping["best_parameters"], [(n,), (0,)]))
    for array, shapes in flat:
        if array is None:
            continue
        if not isinstance(array, np.ndarray) or array.dtype != loaded.dtype:
            return "its parameters are of another type"
        if array.shape not in shapes or not np.isfinite(array).all():
            return "its parameters are of another number, or not finite"
    return ""


def _is_plain(settings: Any) -> bool:
    """Whether settings are a dict that can be compared with another: without arrays."""
    try:
        json.dumps(settings)
    except TypeError:
        return False
    return isinstance(settings, dict)


def _is_exhausted(stopping: dict[str, Any] | None, early: dict[str, Any] | None) -> bool:
    """Whether early stopping has waited long enough."""
    if stopping is None or early is None:
        return False
    return bool(0 < stopping["waited"] >= early["patience"])


def _identity(model: Sequential, n_features: int | None, random_state: Any) -> dict[str, Any]:
    """Return what of a model must agree for one fit to go on with another's state.

    The optimizer is compared after all else: its schedule may depend on the number of samples.
    """
    spec = model.spec
    return {
        **{key: value for key, value in spec.items() if key != "optimizer"},
        "dtype": model.dtype.name,
        "uint8_scale": model.uint8_scale,
        "n_features": n_features,
        "random_state": None if random_state is None else model._seed,
    }


def _difference(there: Any, here: Any, where: str) -> tuple[str, Any, Any] | None:
    """Return where two pieces of plain data differ first, and how."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in {**here, **there}:
            inner = f"{where}.{key}" if where else str(key)
            found = _difference(there.get(key), here.get(key), inner)
            if found is not None:
                return found
        return None
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for i, pair in enumerate(zip(there, here, strict=True)):
            found = _difference(*pair, f"{where}[{i}]")
            if found is not None:
                return found
        return None
    return None if there == here else (where, there, here)
