"""The worker's half of the protocol, common to all sides."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from benchmarks.environment import limit_threads, prefer_installed_packages
from benchmarks.memory import peak_mb, resident_mb
from benchmarks.protocol import Job

if TYPE_CHECKING:
    from benchmarks.networks import Array, BenchmarkNetwork


class UnsupportedError(RuntimeError):
    """The peer can't do this network, or not on this machine."""


class Subject(Protocol):
    """A peer's model on its data."""

    note: str  # what a reader must know of how this side is set up

    def greeting(self) -> dict[str, Any]:
        """What else the parent is told when the side is ready."""

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked, and say what came of it."""


Build = Callable[["BenchmarkNetwork", "Array", "list[Array]", int], Subject]


def _private_stdout() -> TextIO:
    """The pipe to the parent; what libraries print goes to standard error from now on."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def serve(build: Build) -> None:
    """Build the subject of the job in ``sys.argv[1]`` and answer until standard input ends.

    `build` (network, X, weights, threads) imports its library itself, so that threads are limited
    before that.
    """
    answers = _private_stdout()

    def say(**answer: Any) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    job = Job.from_json(sys.argv[1])
    prefer_installed_packages()
    limit_threads(job.threads)

    import numpy as np

    from benchmarks.networks import NETWORKS

    network = NETWORKS[job.network]
    X = np.load(job.data)
    with np.load(job.weights) as archive:
        weights = [archive[f"arr_{i}"] for i in range(len(archive.files))]
    start_mb = resident_mb()
    try:
        subject = build(network, X, weights, job.threads)
    except ImportError as error:
        say(error=f"not installed: {error}")
        return
    except UnsupportedError as error:
        say(error=str(error))
        return
    say(ready=True, note=subject.note, **subject.greeting())

    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "memory":
                say(start_mb=start_mb, peak_mb=peak_mb())
            else:
                say(**subject.answer(request))
        except Exception as error:  # whatever a peer raises, the other sides go on
            say(error=f"{type(error).__name__}: {str(error).strip().splitlines()[:1]}")
            return
