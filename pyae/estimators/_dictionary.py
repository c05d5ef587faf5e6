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
_REVIVALS = 5  # in a fit
_SOMEWHAT = 0.1  # what counts as active for units that are never exactly 0


def activity(model: Sequential, code_layer: int, X: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the share of samples for which each unit of the code is active: (n_components,)."""
    never_zero = model.layers[code_layer - 1].activation.name in ("sigmoid", "hard_sigmoid")
    least = _SOMEWHAT if never_zero else 0.0
    codes = (model.forward(part, upto=code_layer) for part in _parts(X))
    return np.asarray(sum((code > least).sum(axis=0) for code in codes) / len(X))


def initialise(model: Sequential, X: npt.NDArray[Any], weights: Floats | None, seed: int) -> None:
    """Let a new network start from random directions that encoder and decoder share.

    Both work on differences from the mean: ``code = f((x - mean) V^T)``, ``y = code V + mean``.
    """
    rng = np.random.default_rng(seed)
    n_components, n_features = model.layers[0].units, X.shape[1]
    directions = rng.normal(size=(n_components, n_features))  # V
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    mean = np.average(X, axis=0, weights=weights)
    arrays = [directions.T, -directions @ mean]
    if model.layers[1].tied_to is None:
        arrays.append(directions)
    model.set_weights([*arrays, mean])


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
        """
        weights = model.get_weights()
        if model.layers[1].tied_to is None:
            encoder, bias, decoder, _ = weights
            lengths = _lengths(decoder, axis=1)
            decoder /= lengths[:, np.newaxis]
            encoder *= lengths
            bias *= lengths
        else:
            weights[0] /= _lengths(weights[0], axis=0)
        model.set_weights(weights)

    def _revive(self) -> None:
        """Point dead units at what is missing in samples, drawn by the square of their error."""
        X = self._X
        if len(X) > _LOOKED_AT:
            X = X[np.sort(self._rng.choice(len(X), _LOOKED_AT, replace=False))]
        dead = np.flatnonzero(activity(self.model, 1, X) == 0)
        missing = X - self.model.predict(X)
        chances = np.square(np.square(missing, dtype=np.float64).sum(axis=1))
        dead = dead[: np.count_nonzero(chances)]
        if not len(dead):
            return
        rows = self._rng.choice(len(X), len(dead), replace=False, p=chances / chances.sum())
        directions = missing[rows] / _lengths(missing[rows], axis=1)[:, np.newaxis]
        weights = self.model.get_weights()
        mean = weights[-1]  # the decoder's bias: what is reconstructed by no unit at all
        weights[0][:, dead] = directions.T
        weights[1][dead] = -directions @ mean
        if self.model.layers[1].tied_to is None:
            weights[2][dead] = directions
        self.model.set_weights(weights)


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
