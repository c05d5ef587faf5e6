"""How the benchmark talks to its workers: one JSON object a line, over pipes.

The worker says ``{"ready": true, ...}`` or ``{"error": reason}`` once. Then the parent asks for
``{"do": "epoch"}``, answered by ``{"seconds": s}``, or for ``{"do": "weights", "path": p}``,
answered by ``{"saved": true}``. The end of the worker's standard input is its end. A worker that
isn't asked is blocked in a read, and uses no processor time once its thread pool sleeps.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.environment import ROOT, thread_environment
from benchmarks.harness import SideError

START_LIMIT = 300.0  # seconds until a worker has to be ready
ANSWER_LIMIT = 900.0  # seconds for an epoch; the first one may compile


@dataclass(frozen=True)
class Job:
    """What a worker trains: a network by its name, its data (.npy), its first weights (.npz)."""

    network: str
    data: str
    weights: str
    threads: int

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Job:
        return Job(**json.loads(text))


class Worker:
    """A training side in a process of its own; satisfies `harness.Side`."""

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

    def measure(self) -> float:
        return float(self._ask(do="epoch")["seconds"])

    def save_weights(self, path: Path) -> None:
        """Have the worker write its weights as arr_0, arr_1, ... of an .npz file."""
        self._ask(do="weights", path=str(path))

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

    def _ask(self, **request: str) -> dict[str, Any]:
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
