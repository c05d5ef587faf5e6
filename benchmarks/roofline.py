"""What the machine can do at most: ``python -m benchmarks.roofline`` prints it.

The micro-kernels in ``roofline.c`` are compiled with the machine's own compiler when they are
needed: fused multiply-adds, each counted as two operations, and STREAM's triad, counted as STREAM
does, 24 bytes a number (a processor that reads a cache line before it writes it moves 32). Without
a compiler there are no limits, and no shares of them.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.environment import choose_cores
from benchmarks.harness import significant

SOURCE = Path(__file__).with_suffix(".c")
FLAGS: tuple[list[str], ...] = (
    ["-march=native"],
    ["-mcpu=native"],
    [],
)  # the first that the compiler knows
TRIAD_BYTES = 1 << 28  # of the three arrays together: no cache holds it
REPEATS = 15

Limits = dict[str, Any]


class NoCompilerError(RuntimeError):
    """The micro-kernels can't be compiled here."""


def _load() -> ctypes.CDLL:
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise NoCompilerError("no C compiler")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        target = Path(folder) / "roofline.so"
        for flags in FLAGS:
            command = [*compiler.split(), "-O3", *flags, "-ffp-contract=fast", "-shared", "-fPIC"]
            try:
                built = subprocess.run(
                    [*command, "-o", str(target), str(SOURCE)], capture_output=True, check=False
                )
            except OSError as error:
                raise NoCompilerError(f"{compiler}: {error.strerror}") from None
            if built.returncode == 0:
                return ctypes.CDLL(str(target))
    raise NoCompilerError(f"{compiler} doesn't compile {SOURCE.name}")


def _seconds_together(works: Sequence[Callable[[], object]]) -> float:
    """Seconds from the first's start to the last's end when each runs on a thread of its own."""
    spans: list[tuple[float, float]] = []
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        barrier.wait()
        start = time.perf_counter()
        work()  # foreign code: the interpreter's lock is free meanwhile
        spans.append((start, time.perf_counter()))

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(end for _, end in spans) - min(start for start, _ in spans)


def _fma_gflops(library: ctypes.CDLL, dtype: str, threads: int, at_least: float) -> float:
    fma = library[f"fma_{dtype}"]
    fma.argtypes, fma.restype = [ctypes.c_long], ctypes.c_double
    flops = int(library[f"flops_{dtype}"]())
    iterations = 10_000
    while _seconds_together([partial(fma, iterations)]) < at_least:
        iterations *= 2
    works = [partial(fma, iterations)] * threads
    best = min(_seconds_together(works) for _ in range(REPEATS))
    return threads * iterations * flops / best / 1e9


def _triad_gb(library: ctypes.CDLL, threads: int, n_bytes: int) -> float:
    import numpy as np

    pointer = ctypes.c_void_p
    triad = library.triad
    triad.argtypes, triad.restype = [pointer, pointer, pointer, ctypes.c_size_t], None
    n = n_bytes // 24 // threads
    parts = [[np.ones(n) for _ in range(3)] for _ in range(threads)]

    def work(arrays: list[Any]) -> Callable[[], object]:
        return partial(triad, *(array.ctypes.data for array in arrays), n)

    works = [work(arrays) for arrays in parts]
    best = min(_seconds_together(works) for _ in range(REPEATS))
    return threads * n * 24 / best / 1e9


def measure(threads: int, *, quick: bool = False) -> Limits:
    """Measure the limits with one thread and with `threads`.

    Returns
    -------
    dict
        ``{"float32_gflops": {"1": ..., "<threads>": ...}, "float64_gflops": {...},
        "triad_gb_s": {...}}``, or ``{"unavailable": reason}``.
    """
    try:
        library = _load()
    except NoCompilerError as error:
        return {"unavailable": str(error)}
    at_least, n_bytes = (0.001, 1 << 22) if quick else (0.05, TRIAD_BYTES)
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if allowed is not None:
        os.sched_setaffinity(0, choose_cores(threads))
    try:
        counts = dict.fromkeys((1, threads))
        return {
            f"{dtype}_gflops": {
                str(n): significant(_fma_gflops(library, dtype, n, at_least)) for n in counts
            }
            for dtype in ("float32", "float64")
        } | {"triad_gb_s": {str(n): significant(_triad_gb(library, n, n_bytes), 3) for n in counts}}
    finally:
        if allowed is not None:
            os.sched_setaffinity(0, allowed)


def fma_peak(limits: Limits, dtype: str, threads: int) -> float | None:
    """GFLOP/s of `threads` threads at most, if they were measured."""
    peaks: dict[str, float] = limits.get(f"{dtype}_gflops", {})
    return peaks.get(str(threads))


def main(argv: Sequence[str] | None = None) -> None:
    cores = len(machine.cores_available())
    parser = argparse.ArgumentParser(prog="python -m benchmarks.roofline", description=__doc__)
    parser.add_argument("--threads", type=int, default=cores, help="(%(default)s)")
    options = parser.parse_args(argv)
    if not 1 <= options.threads <= cores:
        parser.error(f"--threads must be from 1 to the {cores} available, got {options.threads}")
    print(json.dumps(measure(options.threads), indent=1))


if __name__ == "__main__":
    main()
