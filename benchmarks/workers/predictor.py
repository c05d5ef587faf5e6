"""What every side of the inference benchmark does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.harness import FunctionSide
from benchmarks.memory import MB, peak_mb, reset_peak, resident_mb
from benchmarks.networks import Array


class Predictor(ABC):
    """A model that predicts; satisfies `serve.Subject`. It repeats `X` to the rows asked for."""

    note: str

    def __init__(self, X: Array) -> None:
        self.X = X
        self._sides: dict[int, FunctionSide] = {}  # by rows
        self._calibrated: set[int] = set()

    @abstractmethod
    def call(self, X: Array) -> Callable[[], Any]:
        """Return the call that predicts all rows of `X` and is done when it returns."""

    def greeting(self) -> dict[str, Any]:
        return {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        rows = request["rows"]
        if rows not in self._sides:
            X = np.resize(self.X, (rows, self.X.shape[1]))
            self._sides[rows] = FunctionSide("", self.call(X))
            if request["do"] == "workspace":
                return {"mb": _workspace_mb(self._sides[rows].function)}
            self._sides[rows].measure()  # what is compiled or allocated once
        side = self._sides[rows]
        if request["do"] == "predict":
            if rows not in self._calibrated:
                side.calibrate(request["at_least"])
                self._calibrated.add(rows)
            return {"seconds": side.measure()}
        np.save(request["path"], np.asarray(side.function()))
        return {"saved": True}


def _workspace_mb(function: Callable[[], Any]) -> float | None:
    if not reset_peak():
        return None
    before = resident_mb()
    n_bytes = np.asarray(function()).nbytes
    after = peak_mb()
    return None if before is None or after is None else max(after - before - n_bytes / MB, 0.0)
