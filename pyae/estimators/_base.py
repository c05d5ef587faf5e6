"""What all estimators share: from parameters to a network, its training, what is kept of it."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from pyae._arguments import boolean, items, layer_size, number, positive_int, seed_of, verbosity
from pyae._arrays import Floats, as_weights, within_reach
from pyae.activations import Activation
from pyae.activations import resolve as resolve_activation
from pyae.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    resolve_callbacks,
    resolve_checkpoint,
)
from pyae.estimators._corruption import corrupted
from pyae.estimators._frames import validate_data
from pyae.layers import Dense
from pyae.model import Sequential
from pyae.noise import Noise
from pyae.optimizers import KFAC, LBFGS, Muon, NewtonCG, Optimizer, resolve_optimizer
from pyae.schedules import Cosine, Schedule

# Measured: better than the usual 0.001, since they decay over the fit.
_AUTO_RATES = {"adam": 0.003, "adamw": 0.003, "nadam": 0.003, "muon": 0.015}

_AUTO_BATCH = 32  # samples an update
_MUON_BATCH = 200  # of Muon, whose update costs as much as a few hundred samples
_KFAC_BATCH = 2000  # of K-FAC: curvature wants more samples than a gradient
_FEW = _AUTO_BATCH  # samples: one batch by default, where their order cannot matter

_Estimator = TypeVar("_Estimator", bound="NetworkEstimator")
_Arguments = ParamSpec("_Arguments")


def all_or_nothing(
    fit: Callable[Concatenate[_Estimator, _Arguments], Any],
) -> Callable[Concatenate[_Estimator, _Arguments], Any]:
    """Make a method that fits leave the estimator as it was where it raises before training."""

    @functools.wraps(fit)
    def method(self: _Estimator, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> Any:
        before = dict(vars(self))
        try:
            return fit(self, *args, **kwargs)
        except BaseException:
            if vars(self).get("history_") is before.get("history_"):  # a training has its own
                self.__dict__ = before
            raise

    return method


@dataclasses.dataclass(frozen=True)
class Samples:
    """Checked arrays that go into a fit; y is None where it is X, weights where all are 1."""

    X: npt.NDArray[Any]  # (n_samples, n_features)
    y: npt.NDArray[Any] | None = None  # (n_samples,) or (n_samples, n_outputs)
    weights: Floats | None = None  # (n_samples,), float64
    names: tuple[str, str] = ("X", "y")  # what the caller calls X and what is to come out

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: npt.NDArray[Any]) -> Samples:
        """Return some of the samples."""
        y = None if self.y is None else self.y[rows]
        weights = None if self.weights is None else self.weights[rows]
        return dataclasses.replace(self, X=self.X[rows], y=y, weights=weights)

    def weighted(self) -> Samples:
        """Return them without those of weight 0, the other weights scaled to a mean of 1.

        So an integer weight means as much as repeating the sample, whatever the weights' scale.
        """
        samples = self
        if self.weights is not None:
            samples = dataclasses.replace(self, weights=within_reach(self.weights))
        used = samples.used()
        if used.weights is None:
            return used
        return dataclasses.replace(used, weights=used.weights / used.weights.mean())

    def used(self) -> Samples:
        """Return them without those of weight 0.

        Of few samples, equal ones are merged: repeating a sample then gives the same bits as
        doubling its weight, not only the same sums.
        """
        used = self
        if self.weights is not None and not self.weights.all():
            used = self.take(np.flatnonzero(self.weights))
        return used._merged() if len(used) <= _FEW else used

    def _merged(self) -> Samples:
        """Return the different samples, in order, with sums of weights, where that changes them."""
        parts = [self.X] if self.y is None else [self.X, self.y.reshape(len(self), -1)]
        rows = np.column_stack([part.astype(np.float64) for part in parts])
        _, first, group = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        if self.weights is None and len(first) == len(self):
            return self
        weights = np.bincount(group.ravel(), self.weights).astype(np.float64)
        return dataclasses.replace(self.take(first), weights=weights)

    def name_in(self, error: Exception) -> None:
        """Let an error of `Sequential.fit` call validation data what the caller does."""
        text = str(error.args[0]) if error.args else ""
        for i, name in enumerate(self.names):
            text = text.replace(f"validation_data[{i}]", name)
        error.args = (text,)

    def as_validation(self) -> tuple[Any, Any, Any]:
        """Return them as `Sequential.fit` takes them."""
        return self.X, self.y, self.weights


class NetworkEstimator(BaseEstimator):
    """Base of all estimators: a `pyae.Sequential`, made and trained from the parameters.

    Subclasses have the parameters ``optimizer learning_rate batch_size max_epochs early_stopping
    validation_fraction n_iter_no_change dtype precision n_threads warm_start random_state verbose
    callbacks``, and `all_or_nothing` methods that call `_train` with the layers they want.

    What a fit learned is in attributes that end with an underscore: the network in ``model_``, and
    arrays and plain data in all others, which `_get_state` and `_set_state` carry.
    """

    model_: Sequential
    history_: dict[str, list[float]]
    n_iter_: int

    # ---- input -----------------------------------------------------------------------------------

    def _samples(self, X: Any, sample_weight: Any = None, *, reset: bool) -> Samples:
        """Return checked inputs, in place where the core can read them."""
        X = validate_data(self, X, reset=reset, dtype="numeric")
        return Samples(X, None, as_weights(sample_weight, "sample_weight", len(X), np.float64))

    def _inputs(self, X: Any) -> npt.NDArray[Any]:
        """Return checked inputs of a fitted estimator."""
        check_is_fitted(self)
        return np.asarray(validate_data(self, X, reset=False, dtype="numeric"))

    def _predict(self, X: Any) -> Floats:
        """Return the network's outputs, of a fitted estimator."""
        inputs = self._inputs(X)
        return self.model_.predict(inputs)

    def _validation_inputs(self, X: Any, name: str = "X_val") -> npt.NDArray[Any]:
        """Return checked inputs to validate on, after those of the fit."""
        return np.asarray(validate_data(self, X, name=name, reset=False, dtype="numeric"))

    def _goes_on(self) -> bool:
        """Whether fit goes on from what is fitted."""
        return boolean(self.warm_start, "warm_start") and self._is_fitted()

    def _is_fitted(self) -> bool:
        return hasattr(self, "model_")

    def _fitted_model(self) -> Sequential:
        """Return the network for a property, which may raise an AttributeError only."""
        if not self._is_fitted():
            raise AttributeError("the estimator is not fitted yet: call fit")
        return self.model_

    # ---- training --------------------------------------------------------------------------------

    def _train(
        self,
        layers: Sequence[Dense],
        samples: Samples,
        *,
        loss: Any,
        validation: Samples | None = None,
        noise: Noise | None = None,
        stratify: bool = False,
        incremental: bool = False,
        checkpoint: Any = None,
        learned: Mapping[str, Any] | None = None,
    ) -> None:
        """Train a network of these layers, and keep it, its history and what else is `learned`.

        An exception before training began keeps nothing. One that ends training (Ctrl-C, an error
        in a callback) leaves the estimator fitted, with the weights of the last update.
        """
        epochs = 1 if incremental else positive_int(self.max_epochs, "max_epochs")
        verbose, stops_early = (
            verbosity(self.verbose),
            boolean(self.early_stopping, "early_stopping"),
        )
        resume = self._goes_on() or (incremental and self._is_fitted())
        followers = resolve_callbacks(self.callbacks)
        saver = resolve_checkpoint(checkpoint, followers)
        if saver is not None and incremental:
            raise ValueError(
                "callbacks: a Checkpoint cannot be combined with partial_fit, which trains one "
                "epoch a call and has nothing to go on with; leave it out, and call save instead"
            )
        if saver is not None and self.random_state is None:
            raise ValueError(
                "checkpoint needs a random_state: without one, a fit that is started again would "
                "hold out other samples, and not be the same"
            )
        followers = [item for item in followers if not isinstance(item, Checkpoint)]
        samples = samples.weighted()
        if stops_early and not incremental:
            if validation is None:
                samples, validation = self._split(samples, stratify)
            patience = positive_int(self.n_iter_no_change, "n_iter_no_change")
            followers.append(EarlyStopping(patience=patience))
        followers += self._upkeep(samples, incremental)
        if validation is not None and noise is not None:
            validation = self._corrupted(validation, noise)

        batch_size = self._batch_size(len(samples))
        n_updates = None if incremental else epochs * -(-len(samples) // batch_size)
        model = self._network(layers, loss, n_updates, resume, samples)
        if saver is not None and resume:
            from pyae.checkpoints import require_start

            require_start(saver, model)
        before = model.history
        try:
            model.fit(
                samples.X,
                samples.y,
                epochs=epochs,
                batch_size=batch_size,
                validation_data=None if validation is None else validation.as_validation(),
                sample_weight=samples.weights,
                noise=noise,
                callbacks=followers,
                verbose=verbose,
                checkpoint=saver,
            )
        except (TypeError, ValueError) as error:
            if model.history is before and validation is not None:  # it was refused
                validation.name_in(error)
            raise
        finally:
            if model.history is not before:
                self._keep(model, resume)
                for name, value in (learned or {}).items():
                    setattr(self, name, value)
                self._finish(samples)

    def _network(
        self,
        layers: Sequence[Dense],
        loss: Any,
        n_updates: int | None,
        resume: bool,
        samples: Samples,
    ) -> Sequential:
        """Return the network to train: a fresh one, or the fitted one to go on with.

        The fitted network goes on with its optimizer's state unless the loss, the optimizer or a
        layer's settings changed, or its learning rate ran down: then a new one takes its weights.
        """
        model = Sequential(
            layers,
            loss=loss,
            optimizer=self._optimizer(n_updates),
            dtype=self.dtype,
            precision=self.precision,
            n_threads=self.n_threads,
            random_state=self._seed(),
        )
        if not resume:
            self._initialise(model.build(samples.X.shape[1]), samples)
            model._as_built = True  # so does every fit of this estimator start
            return model
        fitted = self.model_
        ran_down = n_updates is not None and model.optimizer != self._optimizer(None)
        if fitted.spec == model.spec and fitted.dtype == model.dtype and not ran_down:
            fitted.n_threads = model.n_threads
            return fitted
        model.build(samples.X.shape[1])
        try:
            model.set_weights(fitted.get_weights())
        except ValueError as error:
            raise ValueError(
                "to go on training (warm_start, partial_fit), the layers must have the sizes "
                f"that were fitted: {error}"
            ) from None
        return model

    def _initialise(self, model: Sequential, samples: Samples) -> None:
        """Give a new network other initial weights than its layers'."""

    def _upkeep(self, samples: Samples, incremental: bool) -> list[Callback]:
        """Return callbacks of the estimator's own, given the samples that it trains on."""
        return []

    def _finish(self, samples: Samples) -> None:
        """Do something after training, with the samples of it."""

    def _keep(self, model: Sequential, resume: bool) -> None:
        """Keep the trained network and its history, after the earlier one where it went on."""
        new = model.history.history
        old = self.history_ if resume else {key: [] for key in new}
        n_old, n_new = len(old["loss"]), len(new["loss"])
        nan = float("nan")
        self.history_ = {
            key: old.get(key, [nan] * n_old) + new.get(key, [nan] * n_new) for key in {**old, **new}
        }
        self.n_iter_ = n_old + n_new
        self.model_ = model

    def _split(self, samples: Samples, stratify: bool) -> tuple[Samples, Samples]:
        """Hold samples out to validate on: of each class as large a part, if there are enough."""
        fraction = number(self.validation_fraction, "validation_fraction")
        if not 0 < fraction < 1:
            raise ValueError(f"validation_fraction must be between 0 and 1, got {fraction!r}")
        n_samples = len(samples)
        if n_samples < 2:
            raise ValueError(
                "early_stopping=True needs samples to validate on, but there is only one different "
                "sample of positive weight"
            )
        n_held_out = min(max(round(fraction * n_samples), 1), n_samples - 1)
        labels = None
        if stratify and samples.y is not None:
            labels = samples.y if samples.y.ndim == 1 else samples.y.argmax(axis=1)
            counts = np.unique(labels, return_counts=True)[1]
            if counts.min() < 2 or min(n_held_out, n_samples - n_held_out) < len(counts):
                labels = None
        train, held_out = train_test_split(
            np.arange(n_samples),
            test_size=n_held_out,
            random_state=self._seed() % 2**32,
            stratify=labels,
        )
        return samples.take(train), samples.take(held_out)

    def _corrupted(self, samples: Samples, noise: Noise) -> Samples:
        """Return samples with corrupted inputs and clean targets: what training minimises."""
        clean = samples.X if samples.y is None else samples.y
        X = corrupted(samples.X, noise, self._seed(), self.dtype)
        return dataclasses.replace(samples, X=X, y=clean)

    # ---- parameters ------------------------------------------------------------------------------

    def _batch_size(self, n_samples: int) -> int:
        if isinstance(self.batch_size, str):
            if self.batch_size != "auto":
                raise ValueError(
                    f"batch_size must be 'auto' or an integer, got {self.batch_size!r}"
                )
            optimizer = resolve_optimizer(self.optimizer)
            if isinstance(optimizer, LBFGS | NewtonCG):
                return n_samples
            sizes = {KFAC: _KFAC_BATCH, Muon: _MUON_BATCH}
            return min(sizes.get(type(optimizer), _AUTO_BATCH), n_samples)
        return min(positive_int(self.batch_size, "batch_size"), n_samples)

    def _optimizer(self, n_updates: int | None) -> Optimizer:
        """Return the optimizer with the learning rate that was asked for.

        `n_updates` is how many a fit plans; None where more may always follow.
        """
        optimizer = resolve_optimizer(self.optimizer)
        rate = self.learning_rate
        if rate is None:
            return optimizer
        if isinstance(rate, str):
            if rate not in ("auto", "cosine"):
                raise ValueError(
                    "learning_rate must be 'auto', 'cosine', a number, a schedule or None (the "
                    f"optimizer's own), got {rate!r}"
                )
            initial = optimizer.learning_rate
            if rate == "auto":
                if not isinstance(self.optimizer, str) or self.optimizer not in _AUTO_RATES:
                    return optimizer
                initial = _AUTO_RATES[self.optimizer]
            elif isinstance(initial, Schedule):
                raise ValueError(
                    "learning_rate='cosine' starts from the optimizer's own rate, which must be a "
                    f"number then, got {initial!r}"
                )
            rate = initial if n_updates is None else Cosine(initial, n_updates)
        return dataclasses.replace(optimizer, learning_rate=rate)

    def _seed(self) -> int:
        """Return a 64-bit seed: the same for a random state that is an integer."""
        state = self.random_state
        return seed_of(check_random_state(None) if state is None else state)

    # ---- state -----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the fitted estimator in a file that `pyae.load` reads.

        The file is a safetensors file, and holds data alone: the parameters but for `callbacks`,
        which belong to a fit, and all that was learned. It takes an old file's place in one step.

        Parameters
        ----------
        path : str or path object
            The file, by custom with the suffix ``.safetensors``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        TypeError
            A parameter is something that a file cannot hold; the message names it.
        OSError
            The file cannot be written; an old file is as it was then.
        """
        from pyae._safefile import as_path
        from pyae.saving import save_estimator

        save_estimator(self, as_path(path))

    def _get_state(self) -> dict[str, Any]:
        """Return what a fit learned beside the network, by attribute: arrays and plain data.

        The network is ``model_``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        """
        check_is_fitted(self)
        return {
            name: value
            for name, value in vars(self).items()
            if name.endswith("_") and not name.startswith("_") and name != "model_"
        }

    def _set_state(self, state: Mapping[str, Any], model: Sequential) -> None:
        """Make this the fitted estimator that `_get_state` and its network came from."""
        for name, value in state.items():
            setattr(self, name, value)
        self.model_ = model

    def __sklearn_is_fitted__(self) -> bool:
        return self._is_fitted()


def as_sizes(value: Any, name: str) -> tuple[int, ...]:
    """Return layer sizes given as one integer or a sequence of them.

    Raises
    ------
    TypeError
        They are no integers.
    ValueError
        One is not positive.
    """
    one = isinstance(value, np.ndarray) and not value.ndim
    if isinstance(value, Iterable) and not one:
        sizes = items(value, name, "a sequence of integers")
    else:
        sizes = [value]
    return tuple(layer_size(size, f"{name}[{i}]") for i, size in enumerate(sizes))


def as_activations(value: Any, n_layers: int, name: str) -> list[Activation]:
    """Return one activation a layer, given as one for all or as a sequence of one each.

    Raises
    ------
    TypeError
        A value is no activation.
    ValueError
        A name is unknown, or their number is wrong.
    """
    if isinstance(value, list | tuple):
        if len(value) != n_layers:
            raise ValueError(
                f"{name} must be one activation or one for each of the {n_layers} hidden layers, "
                f"got {len(value)}"
            )
        return [resolve_activation(item, f"{name}[{i}]") for i, item in enumerate(value)]
    return [resolve_activation(value, name)] * n_layers
