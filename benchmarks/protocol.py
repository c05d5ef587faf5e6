"""How the benchmark talks to its workers: one JSON object a line, over pipes.

The worker says ``{"ready": true, "note": ..., ...}`` or ``{"error": reason}`` once. Then the parent
asks, and each request has one answer. Of a side that trains:

- ``{"do": "epoch"}``: ``{"seconds": s}``;
- ``{"do": "weights", "path": p}``: ``{"saved": true}``.

Of a side that predicts, which repeats its data to the rows asked for:

- ``{"do": "predict", "rows": n, "at_least": s}``: ``{"seconds": s}`` of one call, the mean of as
  many as take `at_least` seconds;
- ``{"do": "workspace", "rows": n}``: ``{"mb": m}``, what the first such call needs beside its input
  and its output (none where the system doesn't say);
- ``{"do": "output", "rows": n, "path": p}``: ``{"saved": true}``.

And of any, ``{"do": "memory"}``: ``{"start_mb": m, "peak_mb": m}``, its resident memory when NumPy
and the data were there, and the most that it ever was.

The end of the worker's standard input is its end. A worker that isn't asked is blocked in a read,
and uses no processor time once its thread pool sleeps.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from benchmarks.environment import ROOT, thread_environment
from benchmarks.harness import SideError

if TYPE_CHECKING:
    from benchmarks.networks import Array

START_LIMIT = 300.0  # seconds until a worker has to be ready
ANSWER_LIMIT = 900.0  # seconds for an epoch; the first one may compile


# Seconds before each turn, in which the threads of the side before it go to sleep. OpenBLAS's are
# the slowest: each spins for 2**28 cycles after its last call, 0.13 s at 2 GHz, on the processors
# of the side that follows.
PAUSE = 0.2


@dataclass(frozen=True)
class Peer:
    """A side: the module that its worker runs, and what that worker's environment needs."""

    module: str
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Job:
    """What a worker works on: a network by its name, its data (.npy), its weights (.npz)."""

    network: str
    data: str
    weights: str
    threads: int

    @staticmethod
    def write(folder: Path, network: str, X: Array, weights: Sequence[Array], threads: int) -> Job:
        """Put data and weights into `folder` and return the job that names them."""
        import numpy as np  # not above: a worker limits its threads before it loads NumPy

        np.save(folder / "data.npy", X)
        np.savez(folder / "first.npz", *weights)
        return Job(network, str(folder / "data.npy"), str(folder / "first.npz"), threads)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Job:
        return Job(**json.loads(text))


class Worker:
    """A side in a process of its own."""

    def __init__(self, name: str, module: str, job: Job, environment: dict[str, str]) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, job.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
            env=environment | thread_environment(job.threads),
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.greeting = self._answer(START_LIMIT)
        except SideError:
            self.close()
            raise

    def close(self) -> None:
        """Let the worker end; it is killed if it doesn't within some seconds."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def ask(self, **request: Any) -> dict[str, Any]:
        """Return the answer to one request; an error of the worker is a `SideError`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise SideError(f"the worker is gone: {self._last_words()}") from None
        return self._answer(ANSWER_LIMIT)

    def _answer(self, limit: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=limit)
        except queue.Empty:
            self._process.kill()
            raise SideError(f"no answer within {limit:.0f} s") from None
        if not line:
            raise SideError(f"the worker ended early: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SideError(str(answer["error"]))
        return answer

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return lines[-1] if lines else "it said nothing"


@dataclass
class Turn:
    """The request with which a worker's turn is measured; satisfies `harness.Side`."""

    worker: Worker
    request: dict[str, Any]

    @property
    def name(self) -> str:
        return self.worker.name

    def measure(self) -> float:
        return float(self.worker.ask(**self.request)["seconds"])


def start_workers(
    stack: ExitStack,
    sides: Iterable[tuple[str, Peer]],
    job: Job,
    tell: Callable[[str], None] = print,
) -> tuple[list[Worker], dict[str, str]]:
    """Start a worker for each side; `stack` ends them.

    Returns
    -------
    list of Worker, dict
        Those that are ready, and why each of the others is left out.
    """
    workers: list[Worker] = []
    left_out: dict[str, str] = {}
    for name, peer in sides:
        environment = dict(os.environ) | dict(peer.environment)
        try:
            worker = Worker(name, peer.module, job, environment)
        except SideError as error:
            left_out[name] = str(error)
            tell(f"  {name} is left out: {error}")
            continue
        workers.append(stack.enter_context(worker))
    return workers, left_out
