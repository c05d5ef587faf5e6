"""The upkeep of a dictionary: an encoder and a decoder of one layer each, with relu-like codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pyae._arrays import Floats
from pyae.callbacks import Callback
from pyae.model import Sequential

_ROWS = 4096  # samples whose codes are in memory at once
_LOOKED_AT = 8192  # samples that decide which units are dead
_REVIVALS = 40  # in a fit
_CANDIDATES = 1024  # units that one revival tries to give a start
_AS_OFTEN = 4  # a revived unit is active for so many times the average unit's share of samples
_SOMEWHAT = 0.1  # what counts as active for units that are never exactly 0


def active_samples(
    model: Sequential, code_layer: int, X: npt.NDArray[Any]
) -> npt.NDArray[np.int64]:
    """Return for how many samples each unit of the code is active: (n_components,)."""
    never_zero = model.layers[code_layer - 1].activation.name in ("sigmoid", "hard_sigmoid")
    least = _SOMEWHAT if never_zero else 0.0
    codes = (model.forward(part, upto=code_layer) for part in _parts(X))
    return np.asarray(sum((code > least).sum(axis=0) for code in codes))


def activity(model: Sequential, code_layer: int, X: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the share of samples for which each unit of the code is active: (n_components,)."""
    return active_samples(model, code_layer, X) / len(X)


def initialise(model: Sequential, X: npt.NDArray[Any], weights: Floats | None, seed: int) -> None:
    """Let a new network start from random directions that encoder and decoder share.

    Both work on differences from the mean: ``code = s f((x - mean) V^T)``, ``y = code V + mean``.
    Many units that point the same way would overshoot: s has the least squared error.
    """
    rng = np.random.default_rng(seed)
    n_components, n_features = model.layers[0].units, X.shape[1]
    directions = rng.normal(size=(n_components, n_features))  # V
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    with np.errstate(over="ignore", invalid="ignore"):  # told by name
        mean = np.average(X, axis=0, weights=weights)
        encoder = [directions.T, -directions @ mean]
        if model.layers[1].tied_to is not None:  # the scale of both is 1
            _start(model, [*encoder, mean])
            return
        _start(model, [*encoder, directions, mean])
        some = X[:: -(-len(X) // _ROWS)]  # evenly spread: samples may be sorted
        outputs = np.subtract(model.predict(some), mean, dtype=np.float64)
        wanted, size = np.sum((some - mean) * outputs), np.sum(np.square(outputs))
        if not wanted <= 0:
            encoder = [wanted / size * array for array in encoder]
            _start(model, [*encoder, directions, mean])


def _start(model: Sequential, weights: list[Floats]) -> None:
    """Give a network the weights that were found, which are finite unless X is too large."""
    if not all(np.isfinite(array.astype(model.dtype)).all() for array in weights):
        raise ValueError(
            f"X has values too large for a dictionary in {model.dtype.name}: bring its features to "
            "a smaller scale"
        )
    model.set_weights(weights)


class Upkeep(Callback):
    """After each epoch: entries get the length 1, dead units another start.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The training samples.
    revive_until : int
        Dead units are revived within so many epochs; 0: never.
    seed : int
        Of the samples that they are revived with.
    """

    def __init__(self, X: npt.NDArray[Any], revive_until: int, seed: int) -> None:
        self._X = X
        self._rng = np.random.default_rng(seed)
        self._epochs = {revive_until * (i + 1) // _REVIVALS for i in range(_REVIVALS)} - {0}

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Look after the dictionary."""
        self.normalise(self.model)
        if epoch + 1 in self._epochs:
            self._revive()

    def get_state(self) -> Any:
        """Return the random generator, for checkpoints."""
        return self._rng

    def set_state(self, state: Any) -> None:
        """Take the random generator of a fit that goes on."""
        self._rng = state

    @staticmethod
    def normalise(model: Sequential) -> None:
        """Give entries the length 1; what the network computes stays.

        The code, and so the encoder, is multiplied by what an entry is divided by. (The k largest
        of a code may become others.) The kernel of a tied decoder only gets columns of length 1.
        Weights that diverged and are too large for it stay as they are.
        """
        weights = model.get_weights()
        with np.errstate(over="ignore", invalid="ignore"):
            if model.layers[1].tied_to is None:
                encoder, bias, decoder, _ = weights
                lengths = _lengths(decoder, axis=1)
                decoder /= lengths[:, np.newaxis]
                encoder *= lengths
                bias *= lengths
            else:
                weights[0] /= _lengths(weights[0], axis=0)
        if all(np.isfinite(w).all() for w in weights):
            model.set_weights(weights)

    def _revive(self) -> None:
        """Give dead units to badly reconstructed samples: as many as do not raise the loss.

        The samples are drawn by the square of their error, as Bricken et al. (2023) do.
        """
        X, model = self._X, self.model
        if len(X) > _LOOKED_AT:
            X = X[np.sort(self._rng.choice(len(X), _LOOKED_AT, replace=False))]
        frequency = activity(model, 1, X)
        dead = np.flatnonzero(frequency == 0)[:_CANDIDATES]
        if not len(dead):
            return
        missing = np.subtract(X, model.predict(X), dtype=np.float64)
        errors = np.square(missing).sum(axis=1)
        if not 0 < errors.max() < np.inf:
            return
        chances = np.square(errors / errors.max())
        dead = dead[: np.count_nonzero(chances)]
        rows = self._rng.choice(len(X), len(dead), replace=False, p=chances / chances.sum())
        share = min(_AS_OFTEN * max(frequency.mean(), 1 / len(frequency)), 0.5)
        encoder, bias, decoder = self._starts(X, missing, rows, share)
        before, weights = model.evaluate(X), model.get_weights()
        n_units = len(dead)
        while n_units:
            units = dead[:n_units]
            changed = [array.copy() for array in weights]
            changed[0][:, units] = encoder[:n_units].T
            changed[1][units] = bias[:n_units]
            if model.layers[1].tied_to is None:
                changed[2][units] = decoder[:n_units]
            model.set_weights(changed)
            if model.evaluate(X) <= before:
                return
            n_units //= 2
        model.set_weights(weights)

    def _starts(
        self, X: npt.NDArray[Any], missing: Floats, rows: npt.NDArray[Any], share: float
    ) -> tuple[Floats, Floats, Floats]:
        """Return kernels (n, features), biases (n,) and entries (n, features), for a row each.

        A unit looks along what is missing in its row, for that share of the samples that have most
        of it; its entry and scale are those that explain most of what is missing in them. (Where
        only the k largest of a code stay, it is active for fewer.)
        """
        mean = self.model.get_weights()[-1]  # what is reconstructed by no unit at all
        directions = missing[rows] / _lengths(missing[rows], axis=1)[:, np.newaxis]
        along = np.subtract(X, mean, dtype=np.float64) @ directions.T  # (n_samples, n)
        least = np.quantile(along, 1 - share, axis=0)
        entries, scale = directions, np.ones(len(rows))
        if self.model.layers[1].tied_to is None:
            code = np.maximum(along - least, 0)
            explained = code.T @ missing
            lengths = _lengths(explained, axis=1)
            entries = explained / lengths[:, np.newaxis]
            sizes = np.square(code).sum(axis=0)
            scale = np.divide(lengths, sizes, out=scale, where=sizes > 0)
        kernels = directions * scale[:, np.newaxis]
        return kernels, -kernels @ mean - scale * least, entries


def _lengths(vectors: Floats, axis: int) -> Floats:
    """Return the vectors' lengths; 1 for those of zeros, and for those that are 1 but for rounding.

    So what has a length of 1 stays as it is, bit for bit.
    """
    lengths = np.linalg.norm(vectors, axis=axis)
    one = np.abs(lengths - 1) <= 16 * np.finfo(vectors.dtype).eps
    return np.where(one | (lengths == 0), 1, lengths).astype(vectors.dtype)


def _parts(X: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """Yield some rows after others."""
    for first in range(0, len(X), _ROWS):
        yield X[first : first + _ROWS]
