"""What every side of the training benchmark does."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from benchmarks.networks import Array


class Trainer(ABC):
    """A model on its data that is trained an epoch at a time; satisfies `serve.Subject`."""

    note: str
    same_objective: bool  # whether it minimizes exactly the network's loss

    @abstractmethod
    def epoch(self) -> None:
        """Shuffle, and train on every batch once; return when the work is done."""

    @abstractmethod
    def weights(self) -> list[Array]:
        """[W1, b1, W2, b2, ...] with kernels (in, out)."""

    def greeting(self) -> dict[str, Any]:
        return {"same_objective": self.same_objective}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] == "epoch":
            start = time.perf_counter()
            self.epoch()
            return {"seconds": time.perf_counter() - start}
        np.savez(request["path"], *self.weights())
        return {"saved": True}
