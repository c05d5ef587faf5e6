"""Data sets: digits, drawn curves, MNIST's IDX files, and images in ``.npy`` and ``.npz`` files.

Files are data, never code, and a file's header is a claim: every size it promises is checked
against the file before anything is allocated, and pickles are never read.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import math
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, Protocol

import numpy as np
import numpy.typing as npt

from pyae._curves import make_curves

__all__ = ["load_digits", "load_idx", "load_images", "make_curves"]

# IDX type codes, from the format's description on the MNIST page; the values are big-endian.
_IDX_DTYPES: Final[dict[int, np.dtype[Any]]] = {
    0x08: np.dtype(np.uint8),
    0x09: np.dtype(np.int8),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
_MAX_DIMENSIONS: Final = 32  # the most that every supported NumPy can reshape to

_GZIP_MAGIC: Final = b"\x1f\x8b"
_NPY_MAGIC: Final = b"\x93NUMPY"
_ZIP_MAGICS: Final = (b"PK\x03\x04", b"PK\x05\x06")  # the second is an archive without members

# Deflate cannot do better than 1032 to 1: a block's longest match is 258 bytes and costs 2 bits.
_MAX_DEFLATE_RATIO: Final = 1032

_CHUNK: Final = 1 << 24


class _Stream(Protocol):
    """What an open file, a gzip file and a zip archive's member have in common."""

    def read(self, size: int = -1, /) -> bytes: ...
    def readinto(self, buffer: memoryview, /) -> int: ...
    def tell(self) -> int: ...


def load_digits() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return scikit-learn's handwritten digits: real images of 8 x 8 pixels, without a download.

    Returns
    -------
    X : ndarray of shape (1797, 64), float32
        One image a row, in the order of its pixels, scaled from 0..16 to [0, 1].
    y : ndarray of shape (1797,), int64
        The digit each image shows, 0 to 9.

    Raises
    ------
    ImportError
        scikit-learn is not installed.

    Examples
    --------
    >>> from pyae.datasets import load_digits
    >>> X, y = load_digits()
    >>> X.shape, X.dtype.name, float(X.min()), float(X.max())
    ((1797, 64), 'float32', 0.0, 1.0)
    >>> y[:5].tolist()
    [0, 1, 2, 3, 4]
    """
    try:
        from sklearn import datasets  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise ImportError(
            "the digits come with scikit-learn, which is not installed: pip install 'pyae[demo]'"
        ) from error
    X, y = datasets.load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y.astype(np.int64)


def load_idx(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Read one array from a file in MNIST's IDX format, plain or gzipped.

    Whether the file is gzipped is seen from its content, not from its name. Fashion-MNIST, KMNIST
    and EMNIST come in the same format.

    Parameters
    ----------
    path : path-like
        For instance ``train-images-idx3-ubyte.gz``.

    Returns
    -------
    ndarray
        With the file's shape, such as (60000, 28, 28) for MNIST's images and (60000,) for its
        labels; uint8, int8, int16, int32, float32 or float64 as the file says, in this machine's
        byte order.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        The file is not IDX, or its size is not the one its header promises.

    Examples
    --------
    A file of two images of 2 x 3 pixels:

    >>> import pathlib, tempfile
    >>> from pyae.datasets import load_idx
    >>> header = bytes([0, 0, 0x08, 3]) + b"".join(n.to_bytes(4, "big") for n in (2, 2, 3))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "images-idx3-ubyte")
    ...     _ = path.write_bytes(header + bytes(range(12)))
    ...     images = load_idx(path)
    >>> images.shape, images.dtype.name, images[1].tolist()
    ((2, 2, 3), 'uint8', [[6, 7, 8], [9, 10, 11]])
    """
    name = os.fspath(path)
    with open(name, "rb") as file:
        file_size = _size(file)
        is_gzip = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        if not is_gzip:
            array = _read_idx(file, name, min_size=file_size, max_size=file_size)
        else:
            with _damaged(name, "gzip"), gzip.GzipFile(fileobj=file) as stream:
                array = _read_idx(stream, name, 0, _MAX_DEFLATE_RATIO * file_size)
    return array


def load_images(path: str | os.PathLike[str], key: str | None = None) -> npt.NDArray[Any]:
    """Read images from a ``.npy`` or ``.npz`` file, one image a row.

    Which of the two the file is, is seen from its content. Pickled objects are refused.

    Parameters
    ----------
    path : path-like
        A file that `numpy.save`, `numpy.savez` or `numpy.savez_compressed` wrote.
    key : str, optional
        The name of an array in a ``.npz`` file. Needed when it holds more than one.

    Returns
    -------
    ndarray of shape (n_images, n_features)
        The file's array; of (n_images, height, width) or more dimensions, all but the first are
        joined. It keeps its type (uint8 stays uint8), but is in this machine's byte order. A
        ``.npy`` file is memory-mapped, read-only, so that one larger than the memory can be used;
        what must be rearranged (Fortran order with three dimensions or more, the other byte
        order) is read into memory.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        The file is not one of the two, is damaged, holds something other than numbers, or does
        not hold `key`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from pyae.datasets import load_images
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "images.npz")
    ...     np.savez(path, train=np.zeros((5, 8, 8), np.uint8), test=np.ones((2, 8, 8), np.uint8))
    ...     X = load_images(path, key="test")
    >>> X.shape, X.dtype.name
    ((2, 64), 'uint8')
    """
    name = os.fspath(path)
    with open(name, "rb") as file:
        file_size = _size(file)
        magic = file.read(len(_NPY_MAGIC))
        file.seek(0)
        if magic == _NPY_MAGIC:
            if key is not None:
                raise ValueError(f"{name}: a .npy file holds one array without a name; key={key!r}")
            array = _read_npy(file, name, file_size, mapped=True)
        elif magic.startswith(_ZIP_MAGICS):
            array = _read_npz(file, name, key)
        else:
            raise ValueError(
                f"{name}: begins with {magic!r}, which is neither .npy ({_NPY_MAGIC!r}) "
                f"nor .npz ({_ZIP_MAGICS[0]!r})"
            )
    if array.ndim < 2 or array.size == 0:
        raise ValueError(
            f"{name}: an array of shape {array.shape}; images are (n, features), "
            "(n, height, width) or more, with no dimension of 0"
        )
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array.reshape(array.shape[0], math.prod(array.shape[1:]))


def _size(file: BinaryIO) -> int:
    """Return the bytes of an open file."""
    return os.fstat(file.fileno()).st_size


@contextlib.contextmanager
def _damaged(name: str, kind: str) -> Iterator[None]:
    """Turn what the decompressors raise on a damaged file into a ValueError that names the file."""
    try:
        yield
    except (
        EOFError,
        NotImplementedError,  # zipfile, for features it does not know
        RuntimeError,  # zipfile, for an encrypted member
        gzip.BadGzipFile,
        struct.error,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise ValueError(f"{name}: damaged {kind} data: {error}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # zipfile, for an offset outside of the file
            raise
        raise ValueError(f"{name}: damaged {kind} data: an offset out of range") from error
    except ValueError as error:
        if name in str(error):
            raise
        raise ValueError(f"{name}: damaged {kind} data: {error}") from error


def _read_idx(stream: _Stream, name: str, min_size: int, max_size: int) -> npt.NDArray[Any]:
    """Read an IDX array from a stream known to give at least and at most so many bytes."""
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _IDX_DTYPES:
        codes = ", ".join(f"0x{code:02X}" for code in _IDX_DTYPES)
        raise ValueError(
            f"{name}: begins with {start!r}; an IDX file begins with two zero bytes, "
            f"a type code ({codes}) and the number of dimensions"
        )
    dtype, ndim = _IDX_DTYPES[start[2]], start[3]
    if not 1 <= ndim <= _MAX_DIMENSIONS:
        raise ValueError(f"{name}: {ndim} dimensions; allowed are 1 to {_MAX_DIMENSIONS}")
    dims = stream.read(4 * ndim)
    if len(dims) < 4 * ndim:
        raise ValueError(f"{name}: ends inside its header, which has {4 + 4 * ndim} bytes")
    shape = struct.unpack(f">{ndim}I", dims)
    if 0 in shape:
        raise ValueError(f"{name}: shape {shape}; every dimension must be at least 1")
    n_bytes = math.prod(shape) * dtype.itemsize  # Python integers do not overflow
    promised = 4 + 4 * ndim + n_bytes
    if not min_size <= promised <= max_size:
        held = f"{max_size} bytes" if min_size == max_size else f"at most {max_size} bytes"
        raise ValueError(
            f"{name}: its header ({dtype.name}, shape {shape}) promises a file of {promised} "
            f"bytes, but there are {held}"
        )
    return _read_array(stream, name, shape, dtype)


def _read_npz(file: BinaryIO, name: str, key: str | None) -> npt.NDArray[Any]:
    """Read one array of a zip archive of ``.npy`` members."""
    with _damaged(name, "zip"), zipfile.ZipFile(file) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        listed = ", ".join(map(repr, list(members)[:20])) + (", ..." if len(members) > 20 else "")
        if key is None and len(members) != 1:
            raise ValueError(f"{name}: {len(members)} arrays; say which with key=: {listed}")
        if key is None:
            key = next(iter(members))
        if key not in members:
            raise ValueError(f"{name}: no array {key!r}; there are: {listed}")
        member = members[key]
        inside = f"{name}[{key!r}]"
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(
                f"{inside}: zip compression method {member.compress_type}; allowed are "
                "0 (stored) and 8 (deflated)"
            )
        if member.file_size > _MAX_DEFLATE_RATIO * min(member.compress_size, _size(file)):
            raise ValueError(
                f"{inside}: promises {member.file_size} bytes, but {member.compress_size} "
                f"compressed bytes of a file of {_size(file)} cannot hold as many"
            )
        with archive.open(member) as stream:
            return _read_npy(stream, inside, member.file_size, mapped=False)


def _read_npy(file: Any, name: str, size: int, mapped: bool) -> npt.NDArray[Any]:
    """Read, or map, a ``.npy`` file or archive member of `size` bytes."""
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, fortran_order, dtype = np.lib.format.read_array_header_2_0(file)
        else:  # 3.0 exists for the field names of structured arrays, which are no images
            raise ValueError(f"version {version}; allowed are (1, 0) and (2, 0)")
    except OSError:
        raise
    except Exception as error:  # whatever NumPy's parser says of a damaged header
        raise ValueError(f"{name}: not a .npy header: {error}") from error
    if dtype.kind not in "biuf" or dtype.shape:
        raise ValueError(f"{name}: holds {dtype!r}; allowed are booleans, integers and floats")
    if any(n < 0 for n in shape) or len(shape) > _MAX_DIMENSIONS:
        raise ValueError(f"{name}: shape {shape}; allowed are up to {_MAX_DIMENSIONS} sizes >= 0")
    offset = file.tell()
    n_bytes = math.prod(shape) * dtype.itemsize  # Python integers do not overflow
    if offset + n_bytes != size:
        raise ValueError(
            f"{name}: its header ({dtype.name}, shape {shape}) promises {offset + n_bytes} bytes, "
            f"but there are {size}"
        )
    order: Any = "F" if fortran_order else "C"
    if mapped and n_bytes:
        # A file system that cannot map files still can be read from.
        with contextlib.suppress(OSError):
            return np.memmap(file, dtype, mode="r", offset=offset, shape=shape, order=order)
        file.seek(offset)
    array = _read_array(file, name, shape[::-1] if fortran_order else shape, dtype)
    return array.T if fortran_order else array


def _read_array(
    stream: _Stream, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    """Read the last array of a stream, and give it in native byte order.

    The caller has checked that the stream can hold as many bytes. That there are as many and no
    more is checked here, which also makes a decompressor compare its check sum.
    """
    array = np.empty(shape, dtype)
    left = memoryview(array.reshape(-1).view(np.uint8).data)
    while left:
        n_read = stream.readinto(left[:_CHUNK])
        if not n_read:
            raise ValueError(
                f"{name}: ends {len(left)} bytes before the {array.nbytes} bytes of data that its "
                f"header ({dtype.name}, shape {shape}) promises"
            )
        left = left[n_read:]
    if stream.read(1):
        raise ValueError(
            f"{name}: goes on after the {array.nbytes} bytes of data that its header "
            f"({dtype.name}, shape {shape}) promises"
        )
    if not dtype.isnative:
        array = array.byteswap(inplace=True).view(dtype.newbyteorder(sys.byteorder))
    return array
