"""What a measurement was made on: processor, memory, versions. No path and no host name."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path

PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "jax",
    "jaxlib",
    "keras",
    "onnxruntime",
    "mlxtend",
    "pyae",
)


def cpu_model() -> str:
    """The processor's name, as the system reports it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cores_available() -> list[int]:
    """The logical processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def memory_gib() -> float | None:
    """Physical memory in GiB, where the system says it."""
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
    return round(size / 2**30, 1)


def numpy_blas() -> str:
    """Name and version of the BLAS that NumPy was built with."""
    import numpy as np

    config = np.show_config(mode="dicts")
    blas = config["Build Dependencies"]["blas"]  # type: ignore[index, unused-ignore]
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()


def versions() -> dict[str, str]:
    """Versions of Python and of those packages that are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def pyae_config() -> dict[str, object]:
    """What ``pyae.show_config`` says of the compiled module, or why it can't be had."""
    try:
        import pyae

        config = pyae.show_config(as_dict=True)
    except (ImportError, AttributeError) as error:
        return {"unavailable": str(error)}
    keys = ("version", "level", "levels", "threads", "compiler", "openmp")
    return {key: config[key] for key in keys if key in config}


def describe(threads: int, cores: int) -> dict[str, object]:
    """Everything that a reader needs to place a measurement.

    `threads` is the number that every side was told to use, `cores` the number of processors that
    were available before that.
    """
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "machine": {
            "cpu": cpu_model(),
            "architecture": platform.machine(),
            "system": platform.system(),
            "cores_available": cores,
            "memory_gib": memory_gib(),
        },
        "threads": threads,
        "versions": versions(),
        "numpy_blas": numpy_blas(),
        "pyae": pyae_config(),
    }
