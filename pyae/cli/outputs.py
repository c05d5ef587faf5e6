"""Files that are written: never over an input, and whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from pyae._safefile import check_writable


def check_output(output: Path, inputs: Iterable[Path | None], suffixes: Iterable[str]) -> None:
    """Refuse, before anything is computed, an output that could not or must not be written.

    Parameters
    ----------
    output : Path
        A file, or a folder where "" is among the suffixes.
    inputs : iterable of Path
        What is read: it is never overwritten.
    suffixes : iterable of str
        What a file's name may end in.

    Raises
    ------
    ValueError
        The suffix is none of these, or the output is an input.
    OSError
        Its folder does not exist or cannot be written to, or there is something in the way.
    """
    allowed = list(suffixes)
    if output.suffix.lower() not in allowed:
        names = ", ".join(suffix or "none (a folder of images)" for suffix in allowed)
        raise ValueError(
            f"{str(output)!r} has the suffix {output.suffix!r}, which says nothing that can be "
            f"written here; allowed are {names}"
        )
    if not output.parent.is_dir():
        raise FileNotFoundError(
            f"{str(output)!r}: there is no folder {str(output.parent)!r}; make it first"
        )
    if output.suffix and output.is_dir():
        raise ValueError(f"{str(output)!r} is a folder; choose another name for the output")
    if not output.suffix and os.path.lexists(output):
        raise ValueError(
            f"{str(output)!r} is there already; choose another name for the folder of images"
        )
    for path in inputs:
        if path is not None and path.exists() and output.exists() and path.samefile(output):
            raise ValueError(
                f"{str(output)!r} is also an input and would be overwritten; choose another "
                "name for the output"
            )
    check_writable(output)


@contextlib.contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """Give the path of a folder to make, which becomes `output` when all went well."""
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        yield temporary
        os.rename(temporary, output)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
