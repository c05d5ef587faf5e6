"""Memory of this process, as Linux tells it; None elsewhere."""

from __future__ import annotations

from pathlib import Path

MB = 1e6


def _status_mb(key: str) -> float | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024 / MB
    return None


def resident_mb() -> float | None:
    """The resident memory now, in MB."""
    return _status_mb("VmRSS")


def peak_mb() -> float | None:
    """The most resident memory since the start or the last `reset_peak`, in MB."""
    return _status_mb("VmHWM")


def reset_peak() -> bool:
    """Count the peak from now on; whether that is possible."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True
