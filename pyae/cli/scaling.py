"""Features brought to one scale before a network sees them, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

KINDS: Final = ("standard", "minmax", "none")


@dataclass(frozen=True)
class Scaling:
    """``scaled = (x - offset) / scale``, feature by feature.

    Parameters
    ----------
    kind : {"standard", "minmax", "none"}
        Mean 0 and standard deviation 1, or from 0 to 1, or as they are. A feature that never
        changes is only shifted.
    offset, scale : ndarray of shape (n_features,)
        What was learned of the training samples.
    """

    kind: str
    offset: Array
    scale: Array

    @classmethod
    def learn(cls, kind: str, X: Array) -> Scaling:
        """Learn the scale of training samples."""
        n_features = X.shape[1]
        if kind == "none":
            return cls(kind, np.zeros(n_features), np.ones(n_features))
        if kind == "standard":
            offset, scale = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
        else:
            offset = X.min(axis=0).astype(np.float64)
            scale = X.max(axis=0) - offset
        # Rounding makes the deviation of equal values not quite 0.
        constant = scale <= 1e-12 * np.abs(offset)
        return cls(kind, offset, np.where(constant, 1.0, scale))

    def scaled(self, X: Array) -> Array:
        """Return samples as the network sees them."""
        return X if self.kind == "none" else (X - self.offset) / self.scale

    def unscaled(self, X: Array) -> Array:
        """Return samples as the user knows them."""
        return X if self.kind == "none" else X * self.scale + self.offset

    def to_data(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        if self.kind == "none":
            return {"kind": self.kind}
        return {"kind": self.kind, "offset": self.offset.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_data(cls, data: dict[str, Any], n_features: int) -> Scaling:
        """Return what `to_data` described."""
        if data["kind"] == "none":
            return cls("none", np.zeros(n_features), np.ones(n_features))
        return cls(data["kind"], np.array(data["offset"]), np.array(data["scale"]))
