"""Which compiled module is used: the best level that this processor runs, or the one asked for.

CMake writes the levels that were built into ``_levels.json``, best first; the tiny module ``_cpu``
says what the processor runs. The environment variable ``PYAE_ISA`` forces a level. A level that is
listed but does not load is an error, never a silent fallback.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from pyae._arguments import thread_count

if TYPE_CHECKING:
    from pyae import _core as core
    from pyae._core import Network32, Network64

    Network = Network32 | Network64

__all__ = ["core", "effective_threads", "set_num_threads", "show_config"]


_MANIFEST = "_levels.json"


def _compiled_folder() -> Path:
    """Return the folder with the compiled modules: this one, or the installed package's.

    The second is for Python that runs within a checkout, whose folder ``pyae`` hides the installed
    one: the checkout's Python files then work with the installed compiled modules.
    """
    here = Path(__file__).parent
    if (here / _MANIFEST).is_file():
        return here
    from importlib.metadata import PackageNotFoundError, distribution

    import pyae

    try:
        installed = distribution("pyae")
        folder = Path(str(installed.locate_file("pyae")))
        if installed.version == pyae.__version__ and (folder / _MANIFEST).is_file():
            pyae.__path__.append(str(folder))
            return folder
    except PackageNotFoundError:
        pass
    raise ImportError(
        f"pyae's compiled modules are missing: {here} is a source folder, and version "
        f"{pyae.__version__} is not installed. Install it with pip"
    )


def _read_manifest() -> dict[str, Any]:
    path = _compiled_folder() / _MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        assert manifest["levels"]
    except (ValueError, KeyError, TypeError, AssertionError):
        raise ImportError(f"pyae's {_MANIFEST} is damaged; install pyae again") from None
    return manifest


def _choose_level(built: list[str], supported: list[str], forced: str | None) -> str:
    """Return the level to load: the forced one, or the best that is both built and supported."""
    if forced:
        if forced not in built:
            raise ImportError(
                f"PYAE_ISA={forced!r} is not a level of this installation; built are "
                f"{', '.join(built)}"
            )
        if forced not in supported:
            usable = ", ".join(level for level in built if level in supported)
            raise ImportError(
                f"PYAE_ISA={forced!r} needs instructions that this processor lacks; it runs "
                f"{usable or 'none of those built'}"
            )
        return forced
    for level in built:
        if level in supported:
            return level
    raise ImportError(
        f"this processor runs none of the levels that were built ({', '.join(built)}); "
        "install pyae from source on this machine"
    )


def _load() -> tuple[Any, dict[str, Any], list[str]]:
    manifest = _read_manifest()
    modules = {entry["level"]: entry["module"] for entry in manifest["levels"]}
    supported: list[str] = importlib.import_module("pyae._cpu").supported_levels()
    level = _choose_level(list(modules), supported, os.environ.get("PYAE_ISA") or None)
    try:
        module = importlib.import_module(f"pyae.{modules[level]}")
    except ImportError as error:
        raise ImportError(
            f"pyae's module for {level} was built but does not load: {error}. "
            "Reinstall pyae, or choose another level with PYAE_ISA"
        ) from error
    return module, manifest, [name for name in modules if name in supported]


if not TYPE_CHECKING:
    core, _manifest, _usable_levels = _load()
else:
    _manifest: dict[str, Any]
    _usable_levels: list[str]


_fork_warned = False


def set_num_threads(n: int | None) -> None:
    """Limit the threads of every later call that does not say its own number.

    Parameters
    ----------
    n : int or None
        At most this many threads; None removes the limit. The limit lowers what the process may
        use (processor affinity, control group, OMP_NUM_THREADS); it never raises it.

    Raises
    ------
    ValueError
        When ``n`` is less than 1.

    Examples
    --------
    >>> import pyae
    >>> pyae.set_num_threads(1)
    >>> pyae.set_num_threads(None)
    """
    core.set_thread_limit(0 if n is None else thread_count(n))


def effective_threads(n_threads: int | None) -> int:
    """Return how many threads a call is to use; 0, for None, stands for what the process may use.

    In a process that was forked from one whose threads had worked that is 1, and a warning says so
    once: worker threads do not live through a fork.
    """
    global _fork_warned
    if core.forked_after_threads():
        if n_threads != 1 and not _fork_warned:
            _fork_warned = True
            warnings.warn(
                "this process was forked after pyae had used several threads, so it uses one; "
                "start processes with the 'spawn' or 'forkserver' method to use more",
                RuntimeWarning,
                stacklevel=4,
            )
        return 1
    return 0 if n_threads is None else int(n_threads)


def _openmp_runtime() -> str:
    """Return the file name of the OpenMP runtime in this process, where the system tells."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    names = {line.rsplit("/", 1)[-1] for line in maps.splitlines() if "/" in line}
    runtimes = sorted(n for n in names if n.startswith(("libgomp", "libomp", "libiomp")))
    return ", ".join(runtimes) or "unknown"


@overload
def show_config(as_dict: Literal[False] = False) -> None: ...
@overload
def show_config(as_dict: Literal[True]) -> dict[str, Any]: ...
def show_config(as_dict: bool = False) -> dict[str, Any] | None:
    """Print (or return) version, instruction-set level, threads, compiler and OpenMP runtime.

    Parameters
    ----------
    as_dict : bool, default False
        Return the configuration instead of printing it.

    Examples
    --------
    >>> import pyae
    >>> sorted(pyae.show_config(as_dict=True))[:3]
    ['bfloat16', 'build_type', 'compiler']
    """
    from pyae import __version__

    info = core.build_info()
    config: dict[str, Any] = {
        "version": __version__,
        "level": info["level"],
        "levels": [entry["level"] for entry in _manifest["levels"]],
        "usable_levels": _usable_levels,
        "vector_bits": 8 * info["vector_bytes"],
        "bfloat16": "in hardware" if info["bfloat16"] else "by rounding floats",
        "threads": core.available_threads(),
        "forked_after_threads": core.forked_after_threads(),
        "compiler": info["compiler"],
        "build_type": _manifest["build_type"],
        "openmp": f"{_openmp_runtime()} (specification {info.get('openmp', 'none')})",
        "python": sys.version.split()[0],
    }
    if as_dict:
        return config
    width = max(map(len, config))
    for key, value in config.items():
        text = ", ".join(value) if isinstance(value, list) else value
        print(f"{key:<{width}}  {text}")
    return None
