"""The conditions of a measurement that must hold before NumPy or a peer is imported."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmarks.machine import cores_available

ROOT = Path(__file__).resolve().parent.parent

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def prefer_installed_packages() -> None:
    """Look for packages in the environment before the checkout.

    ``python -m benchmarks.x`` puts the checkout first on ``sys.path``, where the folder ``pyae``
    has no compiled module and would hide the installed package.
    """
    elsewhere = [p for p in sys.path if Path(p or os.getcwd()).resolve() != ROOT]
    sys.path[:] = [*elsewhere, str(ROOT)]


def thread_environment(threads: int) -> dict[str, str]:
    """Environment variables that tell the usual runtimes to use `threads` threads."""
    return dict.fromkeys(THREAD_VARIABLES, str(threads))


def choose_cores(threads: int) -> list[int]:
    """`threads` of the available logical processors, each on its own physical core if possible."""
    available = cores_available()
    first_of_core: dict[str, int] = {}
    for cpu in available:
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            core = siblings.read_text().strip()
        except OSError:
            core = str(cpu)
        first_of_core.setdefault(core, cpu)
    firsts = sorted(first_of_core.values())
    others = [cpu for cpu in available if cpu not in firsts]
    return [*firsts, *others][:threads]


def limit_threads(threads: int) -> None:
    """Hold this process to `threads` threads, by environment variables and by affinity.

    The affinity is what holds XLA, which has no documented setting for its thread pool. Call this
    before NumPy is imported: a BLAS reads its variables when it is loaded.
    """
    os.environ.update(thread_environment(threads))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, choose_cores(threads))
