"""Files that are written: never over an input, and whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path


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
    FileNotFoundError
        Its folder does not exist.
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
    for path in inputs:
        if path is not None and path.exists() and output.exists() and path.samefile(output):
            raise ValueError(
                f"{str(output)!r} is also an input and would be overwritten; choose another "
                "name for the output"
            )


@contextlib.contextmanager
def atomically(output: Path) -> Iterator[Path]:
    """Give a temporary path beside `output` that becomes it when all went well.

    What stood at `output` before is there until the new file is complete and on the disk.
    """
    temporary = output.with_name(f".{output.stem}.{os.getpid()}{output.suffix}")
    try:
        yield temporary
        if temporary.is_file():
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
        os.replace(temporary, output)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)
