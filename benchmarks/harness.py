"""Interleaved timing: A B C, B C A, C A B, ... and what is told of it afterwards.

Sides that take turns share whatever else the machine does meanwhile, so their ratio is steadier
than either time. The order rotates, so that no side always follows the same other one.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Protocol

SUBJECT = "pyae"
RESULTS = Path(__file__).resolve().parent / "results"
SCHEMA = 1


class SideError(RuntimeError):
    """A side can't go on; it is left out, and the message becomes its note."""


class Side(Protocol):
    """Something that can be timed, one round a call."""

    @property
    def name(self) -> str: ...

    def measure(self) -> float:
        """Do one round and return the seconds that it took."""


@dataclass
class FunctionSide:
    """A function of this process, called `repeats` times a round."""

    name: str
    function: Callable[[], object]
    repeats: int = 1

    def measure(self) -> float:
        function = self.function
        start = time.perf_counter()
        for _ in range(self.repeats):
            function()
        return (time.perf_counter() - start) / self.repeats

    def calibrate(self, at_least: float) -> None:
        """Choose `repeats` such that a round takes at least about `at_least` seconds."""
        self.repeats = 1
        while (seconds := self.measure() * self.repeats) < at_least:
            grown = int(self.repeats * 1.2 * at_least / max(seconds, 1e-9))
            self.repeats = min(max(grown, self.repeats + 1), self.repeats * 100)


@dataclass
class Outcome:
    """The seconds of each counted round, a side; and why a side was left out."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)


def interleave(
    sides: Sequence[Side],
    rounds: int,
    *,
    warmups: int = 1,
    pause: float = 0.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Measure `sides` in turns.

    Parameters
    ----------
    sides : sequence of Side
    rounds : int
        Counted rounds.
    warmups : int
        Rounds before them that are run in the same way and not counted.
    pause : float
        Seconds before each measurement, in which the threads of the side before it, which spin for
        a while after their last parallel region, go to sleep.
    sleep : callable
        How to pause.

    Returns
    -------
    Outcome
        A side that raises `SideError` in any round is in `dropped`, and not in `seconds`.
    """
    outcome = Outcome(seconds={side.name: [] for side in sides})
    if len(outcome.seconds) != len(sides):
        raise ValueError(f"two sides have one name: {[side.name for side in sides]}")
    for turn in range(warmups + rounds):
        shift = turn % max(len(sides), 1)
        for side in [*sides[shift:], *sides[:shift]]:
            if side.name in outcome.dropped:
                continue
            sleep(pause)
            try:
                seconds = side.measure()
            except SideError as error:
                outcome.dropped[side.name] = str(error)
                del outcome.seconds[side.name]
                continue
            if turn >= warmups:
                outcome.seconds[side.name].append(seconds)
    return outcome


def significant(value: float, digits: int = 4) -> float:
    """`value` rounded to `digits` significant digits."""
    return float(f"{value:.{digits}g}")


def summarize(
    outcome: Outcome,
    *,
    units: int = 1,
    gflop: float | None = None,
    peak: float | None = None,
    subject: str = SUBJECT,
) -> dict[str, Any]:
    """Minimum and median of each side in microseconds a unit, and the ratios peer / subject.

    Parameters
    ----------
    outcome : Outcome
    units : int
        Units of work (training steps, say) in a round.
    gflop : float, optional
        Work of one unit in 1e9 floating-point operations; adds GFLOP/s at the minimum.
    peak : float, optional
        GFLOP/s that the processor can do at most; adds the share of it that was reached.
    subject : str
        The side that the others are divided by. A ratio above 1 says that the subject is faster.

    Returns
    -------
    dict
        ``{"sides": {name: {"min_us", "median_us", "rounds", "gflops", "peak_share"}},
        "ratios": {peer: {"min", "median"}}, "left_out": {name: reason}}``
    """
    exact = {
        name: (min(seconds) / units, median(seconds) / units)
        for name, seconds in outcome.seconds.items()
        if seconds
    }
    sides: dict[str, dict[str, Any]] = {}
    for name, (low, middle) in exact.items():
        sides[name] = {
            "min_us": significant(low * 1e6),
            "median_us": significant(middle * 1e6),
            "rounds": len(outcome.seconds[name]),
        }
        if gflop is not None:
            sides[name]["gflops"] = significant(gflop / low)
            if peak is not None:
                sides[name]["peak_share"] = significant(gflop / low / peak, 3)
    ratios: dict[str, dict[str, float]] = {}
    if subject in exact:
        own_low, own_middle = exact[subject]
        ratios = {
            name: {
                "min": significant(low / own_low, 3),
                "median": significant(middle / own_middle, 3),
            }
            for name, (low, middle) in exact.items()
            if name != subject
        }
    return {"sides": sides, "ratios": ratios, "left_out": dict(outcome.dropped)}


def difference(value: Any, expected: Any) -> float:
    """Largest absolute difference, divided by the largest absolute expected entry."""
    import numpy as np  # not above: threads are limited before NumPy is loaded

    value, expected = np.asarray(value, np.float64), np.asarray(expected, np.float64)
    if value.shape != expected.shape:
        raise SideError(f"the result has shape {value.shape}, expected {expected.shape}")
    scale = float(np.abs(expected).max()) or 1.0
    return float(np.abs(value - expected).max()) / scale


_PATH = re.compile(r"(?<![\w.])(?:[A-Za-z]:)?(?:[\\/][\w.+@~-]+){2,}[\\/]?")


def without_paths(value: Any) -> Any:
    """`value` with every absolute path in its strings cut to the path's last part."""
    if isinstance(value, str):
        return _PATH.sub(lambda match: re.split(r"[\\/]", match[0].rstrip("\\/"))[-1], value)
    if isinstance(value, dict):
        return {key: without_paths(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_paths(item) for item in value]
    return value


def save(
    path: Path,
    benchmark: str,
    description: dict[str, Any],
    settings: dict[str, Any],
    cases: list[dict[str, Any]],
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Write one run as JSON and return it."""
    record: dict[str, Any] = without_paths(
        {
            "schema": SCHEMA,
            "benchmark": benchmark,
            **description,
            "settings": settings,
            "notes": list(notes),
            "cases": cases,
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return record
