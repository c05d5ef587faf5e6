"""Writing a file all or nothing: whatever happens, there is the old file or the whole new one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:  # a platform without locks
    fcntl = None  # type: ignore[assignment]

_SUFFIX = ".tmp"


def as_path(path: Any, argument: str = "path") -> Path:
    """Return a path given as text or as a path object, with a leading ``~`` replaced.

    Raises
    ------
    TypeError
        It is neither.
    ValueError
        It is empty, or holds a null character.
    """
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise TypeError(f"{argument} must be a path, got {path!r}") from None
    if not text or "\0" in text:
        raise ValueError(f"{argument} must be the path of a file, got {path!r}")
    return Path(text).expanduser()


def check_writable(path: Path) -> Path:
    """Return the file that writing to a path writes to: at the end of its symbolic links.

    Raises
    ------
    OSError
        Its folder does not exist or cannot be written to, or there is something at the path that
        is no regular file or cannot be written to.
    """
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(f"{path} is a symbolic link that leads to itself")
    folder = target.parent
    if not folder.exists():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {folder}")
    if not folder.is_dir():
        raise NotADirectoryError(f"{path} cannot be written: {folder} is no folder")
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the path of a file in it")
    if target.exists() and not target.is_file():
        raise OSError(f"{path} is no regular file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{path} cannot be written: folder {folder} may not be written to")
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(f"{path} may not be written to")
    return target


def write_file(path: Path, data: bytes) -> None:
    """Replace a file, or make it, in one step that a crash cannot cut in two.

    The data go to a temporary file in the same folder, are synced to the disk, and take the file's
    name. Permissions are the old file's, or those of any new file. Symbolic links stay.

    Raises
    ------
    OSError
        The file cannot be written (see `check_writable`), or the disk is full. The old file, if
        there was one, is as it was.
    """
    with _replacement(path) as descriptor:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]


@contextlib.contextmanager
def replacement(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write to, which takes a path's place when all went well.

    For what is not at hand as a whole; otherwise as `write_file`.
    """
    with _replacement(path) as descriptor, os.fdopen(descriptor, "wb", closefd=False) as file:
        yield file


@contextlib.contextmanager
def _replacement(path: Path) -> Iterator[int]:
    target = check_writable(path)
    _remove_abandoned(target)
    with _temporary(target) as (descriptor, temporary):
        if target.exists():
            os.fchmod(descriptor, stat.S_IMODE(target.stat().st_mode) & 0o777)
        yield descriptor
        os.fsync(descriptor)
        os.replace(temporary, target)
    _sync_folder(target.parent)


@contextlib.contextmanager
def _temporary(target: Path) -> Iterator[tuple[int, Path]]:
    """Give a new, locked file beside the target; afterwards it has another name, or is gone."""
    while True:
        temporary = target.with_name(_prefix(target) + secrets.token_hex(8) + _SUFFIX)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o666)
        try:
            if fcntl is not None:
                with contextlib.suppress(OSError):  # a file system without locks
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:  # otherwise taken for abandoned before it was locked
                yield descriptor, temporary
                return
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        finally:
            os.close(descriptor)


def _prefix(target: Path) -> str:
    """Return how the names of a target's temporary files begin; short, however long its own is."""
    return f".pyae-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}-"


def _remove_abandoned(target: Path) -> None:
    """Remove what processes that were killed while they wrote this target left behind.

    A process that still writes holds a lock; without locks nobody knows, and all stays.
    """
    if fcntl is None:
        return
    for path in target.parent.glob(_prefix(target) + "*" + _SUFFIX):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Write a folder's new entry to the disk, where the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
