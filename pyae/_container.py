"""The file format: one safetensors file, whose metadata hold a document in JSON.

The metadata's one entry, ``"pyae"``, is the document: the format's number, the version and the
instruction-set level that wrote the file, what kind of thing it holds, the content, and at its very
end a SHA-256 checksum over all of the document before it and all arrays. Reading looks at every
size before it allocates anything of that size, and runs nothing.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np

from pyae import __version__
from pyae._backend import core
from pyae._plain import Tensors, from_json, to_json

__all__ = ["FileFormatError"]

_FORMAT = 1
_KEY = "pyae"
_LARGEST_HEADER = 100_000_000  # bytes; safetensors' own limit
_DTYPES = {
    "BOOL": np.dtype("?"),
    "U8": np.dtype("u1"),
    "I8": np.dtype("i1"),
    "U16": np.dtype("<u2"),
    "I16": np.dtype("<i2"),
    "F16": np.dtype("<f2"),
    "U32": np.dtype("<u4"),
    "I32": np.dtype("<i4"),
    "F32": np.dtype("<f4"),
    "U64": np.dtype("<u8"),
    "I64": np.dtype("<i8"),
    "F64": np.dtype("<f8"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_CHECKSUM = re.compile(r',"sha256":"([0-9a-f]{64})"\}')
_CHECKSUM_LENGTH = len(',"sha256":""}') + 64
_OTHERS = {
    b"\x93NUMPY": "a NumPy array",
    b"PK\x03\x04": "a zip archive, as .npz and PyTorch's files are",
    b"\x80": "a pickle",
    b"\x89HDF": "an HDF5 file",
    b"\x89PNG": "a PNG image",
    b"PAR1": "a Parquet file",
    b"{": "JSON",
}


class FileFormatError(ValueError):
    """A file is not one of pyae's, is damaged, or was written by a newer version.

    The message names the file and says what is wrong with it.
    """

    def __init__(self, path: os.PathLike[str] | str, problem: str) -> None:
        super().__init__(f"{os.fspath(path)} {problem}")
        self.path = path
        self.problem = problem

    def __reduce__(self) -> Any:
        return type(self), (self.path, self.problem)


def pack(kind: str, content: dict[str, Any], tensors: Tensors) -> bytes:
    """Return a file's bytes: a document and arrays. Equal contents give equal bytes."""
    from safetensors.numpy import save

    body = to_json(
        {
            "format": _FORMAT,
            "version": __version__,
            "instruction_set": core.build_info()["level"],
            "kind": kind,
            "content": content,
        }
    )
    rows = ((name, _NAMES[a.dtype], a.shape, a.data) for name, a in sorted(tensors.items()))
    text = f'{body[:-1]},"sha256":"{_digest(body, rows)}"}}'
    return bytes(save(tensors, {_KEY: text}))


def unpack(path: Path) -> tuple[dict[str, Any], Tensors]:
    """Return the document and the arrays of a file.

    Raises
    ------
    FileFormatError
        The file is not one of pyae's, is damaged, or was written in a newer format.
    OSError
        There is no such file, or it cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):  # before open, which waits for a pipe's other end
        raise FileFormatError(path, "is a folder" if path.is_dir() else "is no regular file")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head, header = _read_header(path, file, size)
        text = _document_text(path, header)
        document = _parse_document(path, text)
        table = _tensor_table(path, header, size - len(head))
        file.seek(0)
        data = file.read(size)
    if len(data) != size or not data.startswith(head):
        raise FileFormatError(path, "was changed while it was read")
    return document, _read_tensors(path, data, text, table)


def _digest(body: str, tensors: Iterable[tuple[str, str, Any, Any]]) -> str:
    """Return the checksum: of each part's length, as 8 bytes, and the part, one after the other."""
    digest = hashlib.sha256()

    def add(part: Any) -> None:
        digest.update(memoryview(part).nbytes.to_bytes(8, "little"))
        digest.update(part)

    add(body.encode())
    for name, dtype, shape, data in tensors:
        add(to_json([name, dtype, list(shape)]).encode())
        add(memoryview(data).cast("B") if memoryview(data).nbytes else b"")
    return digest.hexdigest()


def _read_header(path: Path, file: IO[bytes], size: int) -> tuple[bytes, dict[str, Any]]:
    """Return the file's beginning up to its data, and the header in it."""
    if size == 0:
        raise FileFormatError(path, "is empty")
    start = file.read(8)
    for magic, name in _OTHERS.items():
        if start.startswith(magic) and int.from_bytes(start, "little") > size - 8:
            raise FileFormatError(path, f"is {name}, not a file that pyae saved")
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > size - 8 or length > _LARGEST_HEADER:
        raise FileFormatError(path, "is not a safetensors file, or its end is missing")
    head = file.read(length)
    try:
        header = from_json(head.decode())
    except ValueError as error:
        raise FileFormatError(
            path, f"is not a safetensors file, or is damaged: its header is no valid JSON ({error})"
        ) from None
    if not isinstance(header, dict):
        raise FileFormatError(path, "is not a safetensors file: its header is no JSON object")
    return start + head, header


def _document_text(path: Path, header: dict[str, Any]) -> str:
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not isinstance(metadata.get(_KEY), str):
        raise FileFormatError(
            path, "is a safetensors file of another program: it has no description of a pyae model"
        )
    if len(metadata) != 1:
        raise FileFormatError(path, "was changed by another program: it has further metadata")
    text: str = metadata[_KEY]
    return text


def _parse_document(path: Path, text: str) -> dict[str, Any]:
    try:
        document = from_json(text)
        number = document["format"]
        if type(number) is not int or number < 1:
            raise ValueError(f"format {number!r}")
        if number > _FORMAT:
            version = str(document.get("version"))[:40]
            raise FileFormatError(
                path,
                f"was written by pyae {version} in format {number}, which this pyae, "
                f"{__version__}, does not know; it reads format {_FORMAT}. Install a newer pyae",
            )
        if not isinstance(document["kind"], str) or not isinstance(document["content"], dict):
            raise ValueError("kind or content")
    except FileFormatError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FileFormatError(
            path, f"is damaged: its description does not read ({error})"
        ) from None
    return dict(document)


def _tensor_table(
    path: Path, header: dict[str, Any], n_bytes: int
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return dtype and shape by name, once they are known to fill the data without a gap."""
    table: dict[str, tuple[str, tuple[int, ...]]] = {}
    ranges = []
    for name, entry in header.items():
        try:
            if set(entry) != {"dtype", "shape", "data_offsets"}:
                raise ValueError("its fields are others")
            dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
            if not all(type(n) is int and n >= 0 for n in [*shape, begin, end]):
                raise ValueError("a size is no number")
            if end - begin != math.prod(shape) * _DTYPES[dtype].itemsize:
                raise ValueError("its size does not fit its shape")
        except (ValueError, TypeError, KeyError) as error:
            raise FileFormatError(
                path, f"is damaged: its entry for array {name!r} is wrong ({error})"
            ) from None
        table[name] = dtype, tuple(shape)
        ranges.append((begin, end))
    position = 0
    for begin, end in sorted(ranges):
        if begin != position:
            raise FileFormatError(path, "is damaged: its arrays overlap or leave a gap")
        position = end
    if position > n_bytes:
        raise FileFormatError(
            path, f"is cut off: {position - n_bytes} of its {position} bytes of arrays are missing"
        )
    if position < n_bytes:
        raise FileFormatError(path, f"is damaged: {n_bytes - position} bytes follow its end")
    return table


def _read_tensors(
    path: Path, data: bytes, text: str, table: dict[str, tuple[str, tuple[int, ...]]]
) -> Tensors:
    from safetensors import SafetensorError, deserialize

    try:
        raw: dict[str, Any] = dict(deserialize(data))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise FileFormatError(path, f"is damaged: {error}") from None
    given = _CHECKSUM.fullmatch(text[-_CHECKSUM_LENGTH:])
    rows = ((name, *table[name], raw[name]["data"]) for name in sorted(table))
    if given is None or given[1] != _digest(text[:-_CHECKSUM_LENGTH] + "}", rows):
        raise FileFormatError(path, "is damaged: its contents do not have its checksum")
    return {
        name: np.frombuffer(raw[name]["data"], _DTYPES[dtype]).reshape(shape)
        for name, (dtype, shape) in table.items()
    }
