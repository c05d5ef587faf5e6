"""Files are data: they come back as they were written, or they are refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import math
import re
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.interpolate import CubicSpline

from pyae import Dense, Sequential
from pyae.datasets import load_digits, load_idx, load_images, make_curves
from pyae.optimizers import Adam
from pyae.schedules import Cosine

Array = npt.NDArray[Any]

# The format's table, written again: type code, struct's letter for a big-endian value.
IDX_TYPES = {
    "uint8": (0x08, "B"),
    "int8": (0x09, "b"),
    "int16": (0x0B, "h"),
    "int32": (0x0C, "i"),
    "float32": (0x0D, "f"),
    "float64": (0x0E, "d"),
}
FILES = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100
)


def idx_bytes(array: Array) -> bytes:
    """Write IDX value by value, with `struct` and not with NumPy's byte orders."""
    code, letter = IDX_TYPES[array.dtype.name]
    header = struct.pack(f">2x2B{array.ndim}I", code, array.ndim, *array.shape)
    return header + struct.pack(f">{array.size}{letter}", *array.ravel().tolist())


def npy_bytes(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def npz_bytes(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=array)
    return buffer.getvalue()


def plain(data: bytes) -> bytes:
    return data


def same(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def read_or_refuse(load: Callable[[Path], Array], path: Path) -> Array | None:
    """Return what `load` reads, or None for a ValueError that names the file."""
    try:
        return load(path)
    except ValueError as error:
        if str(path) not in str(error):
            raise
        return None


def small_arrays(dtypes: st.SearchStrategy[Any], min_dims: int = 1) -> st.SearchStrategy[Array]:
    shapes = hnp.array_shapes(min_dims=min_dims, max_dims=4, max_side=5)
    # Signalling NaNs do not survive Python's float, which is how the test writes IDX files.
    return hnp.arrays(dtypes, shapes, elements={"allow_nan": False})


def idx_arrays() -> st.SearchStrategy[Array]:
    return small_arrays(st.sampled_from([np.dtype(name) for name in IDX_TYPES]))


def image_arrays() -> st.SearchStrategy[Array]:
    names = ["bool", "uint8", "int16", ">i4", "uint64", "float16", "float32", ">f4", "float64"]
    return small_arrays(st.sampled_from([np.dtype(name) for name in names]), min_dims=2)


# Digits


def test_digits_are_scaled_and_typed() -> None:
    X, y = load_digits()
    assert (X.shape, y.shape) == ((1797, 64), (1797,))
    assert (X.dtype.name, y.dtype.name) == ("float32", "int64")
    assert (X.min(), X.max()) == (0, 1)
    assert np.array_equal(X * 16, np.round(X * 16))
    assert sorted(set(y.tolist())) == list(range(10))


def test_digits_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'pyae[demo]'")):
        load_digits()


# Curves


def test_curves_are_the_pinned_ones() -> None:
    """Rounded to bytes, which a last bit of another processor's would not change."""
    X = make_curves(100)
    assert (X.shape, X.dtype.name) == ((100, 784), "float32")
    grey = 255 * X.astype(np.float64)
    assert np.abs(grey - np.floor(grey) - 0.5).min() > 255 * 2**-24  # float32's last bit
    digest = hashlib.sha256(np.round(grey).astype(np.uint8).tobytes()).hexdigest()
    assert digest == "eae9705e8fe6553457b72f1dd15ab50406643dbca808357deb4f011bae286892"


def test_curves_are_as_hard_as_documented() -> None:
    X = make_curves()
    assert (X.shape, X.min(), X.max()) == ((30_000, 784), 0, 1)
    mean = X[:20_000].mean(axis=0)
    train, test = X[:20_000] - mean, X[20_000:] - mean
    assert np.square(test).sum(axis=1).mean() == pytest.approx(16, abs=0.1)
    axes = np.linalg.eigh(train.T @ train)[1][:, -18:]  # in rising order of variance
    left = test - test @ axes @ axes.T
    assert np.square(left).sum(axis=1).mean() == pytest.approx(5.90, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(("n_components", "error"), [(6, 7.79), (18, 2.17)])
def test_logistic_pca_of_curves_is_as_documented(n_components: int, error: float) -> None:
    X = make_curves()
    rate = Cosine(1e-2, decay_steps=100 * 150, alpha=0.01)
    model = Sequential(
        [Dense(n_components, "linear"), Dense(784, "sigmoid")],
        loss="binary_crossentropy",
        optimizer=Adam(rate),
        dtype="float32",
        random_state=0,
    )
    model.fit(X[:20_000], epochs=150, batch_size=200)
    difference = X[20_000:] - model.predict(X[20_000:])
    assert np.square(difference).sum(axis=1).mean() == pytest.approx(error, rel=0.02)


def test_curves_are_splines_drawn_in_ink() -> None:
    """One image after the other, pixel by pixel, with scipy's splines."""
    uniform = (np.random.PCG64(5).random_raw(12) >> np.uint64(11)) / 2.0**53
    boxes = uniform.reshape(2, 3, 2) * [5, 15] + [[6, 6], [11, 6], [16, 6]]
    for points, image in zip(boxes, make_curves(2, 5), strict=True):
        places = CubicSpline([0, 1, 2], points, bc_type="natural")(np.linspace(0, 2, 129))
        ink = np.zeros((28, 28))
        for (x0, y0), (x1, y1) in itertools.pairwise(places):
            column = np.maximum(0, 1 - np.abs(np.arange(28) - (x0 + x1) / 2))
            row = np.maximum(0, 1 - np.abs(np.arange(28) - (y0 + y1) / 2))
            ink += np.hypot(x1 - x0, y1 - y0) * np.outer(row, column)
        blur = 0.784 * np.eye(28) + 0.108 * (np.eye(28, k=1) + np.eye(28, k=-1))
        expected = np.minimum(1.92 * blur @ ink @ blur, 1)
        np.testing.assert_allclose(image.reshape(28, 28), expected, rtol=0, atol=1e-6)


def test_fewer_curves_are_the_first_of_more_and_seeds_differ() -> None:
    X = make_curves(250, random_state=7)
    for n in (1, 99, 100, 101):
        assert same(make_curves(n, random_state=7), X[:n])
    assert same(make_curves(3, np.random.default_rng(1)), make_curves(3, np.random.default_rng(1)))
    assert not np.array_equal(make_curves(3, random_state=8), X[:3])
    assert not np.array_equal(make_curves(3, random_state=None), make_curves(3, random_state=None))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_samples": 0}, ValueError, "n_samples must be at least 1, got 0"),
        ({"n_samples": 2.5}, TypeError, "n_samples must be an integer, got 2.5"),
        ({"random_state": -1}, ValueError, "random_state must be from 0"),
        ({"random_state": "one"}, TypeError, "random_state must be an integer"),
    ],
)
def test_curves_of_bad_arguments(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make_curves(**arguments)


# IDX


@FILES
@given(array=idx_arrays(), pack=st.sampled_from([plain, gzip.compress]))
def test_idx_round_trip(tmp_path: Path, array: Array, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "a"
    path.write_bytes(pack(idx_bytes(array)))
    assert same(load_idx(path), array)
    assert same(load_idx(str(path)), array)


def test_idx_result_is_native_and_writable(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(idx_bytes(np.arange(6, dtype=np.float64).reshape(2, 3)))
    array = load_idx(path)
    assert array.dtype.isnative
    assert array.flags.writeable
    assert array.flags.c_contiguous
    array += 1
    assert array[1, 2] == 6


def test_idx_in_several_gzip_members_and_beyond_one_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyae.datasets._CHUNK", 7)
    array = np.arange(60, dtype=np.int32).reshape(3, 20)
    data = idx_bytes(array)
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(data[:50]) + gzip.compress(data[50:]))
    assert same(load_idx(path), array)


@pytest.mark.parametrize("pack", [plain, gzip.compress])
def test_idx_truncated_anywhere_is_refused(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    data = pack(idx_bytes(np.arange(24, dtype=np.int16).reshape(2, 3, 4)))
    path = tmp_path / "a"
    for n in range(len(data)):
        path.write_bytes(data[:n])
        with pytest.raises(ValueError, match=re.escape(str(path))):
            load_idx(path)


@pytest.mark.parametrize("pack", [plain, gzip.compress])
def test_idx_truncated_before_it_is_compressed_is_refused(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    data = idx_bytes(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    path = tmp_path / "a"
    for changed in (*(data[:n] for n in range(len(data))), data + b"\0", data + data):
        path.write_bytes(pack(changed))
        with pytest.raises(ValueError, match=re.escape(str(path))):
            load_idx(path)


@FILES
@given(array=idx_arrays(), data=st.data())
def test_idx_flipped_bytes(tmp_path: Path, array: Array, data: st.DataObject) -> None:
    # A plain file has no check sum: a changed value, or a changed shape of the same size, is
    # another valid file. What is read must then be exactly what the changed bytes say.
    content = bytearray(idx_bytes(array))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "a"
    path.write_bytes(content)
    result = read_or_refuse(load_idx, path)
    if result is not None:
        with np.errstate(invalid="ignore"):
            kept = ~np.isnan(result) if result.dtype.kind == "f" else np.ones(result.shape, bool)
        start = 4 + 4 * result.ndim
        assert content[:start] == idx_bytes(result)[:start]
        big = np.frombuffer(content, result.dtype.newbyteorder(">"), offset=start)
        assert np.array_equal(big.reshape(result.shape)[kept], result[kept])


@FILES
@given(array=idx_arrays(), data=st.data())
def test_idx_gzip_flipped_bytes(tmp_path: Path, array: Array, data: st.DataObject) -> None:
    content = bytearray(gzip.compress(idx_bytes(array)))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "a"
    path.write_bytes(content)
    result = read_or_refuse(load_idx, path)
    if (
        result is not None
    ):  # a byte of gzip's header that carries nothing of the data, such as the time
        assert same(result, array)


@FILES
@given(content=st.binary(max_size=64), start=st.sampled_from([b"", b"\0\0\x08\x01", b"\x1f\x8b"]))
def test_idx_of_anything(tmp_path: Path, content: bytes, start: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(start + content)
    result = read_or_refuse(load_idx, path)
    if result is not None:
        assert idx_bytes(result)[: 4 + 4 * result.ndim] == (start + content)[: 4 + 4 * result.ndim]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"", "two zero bytes"),
        (b"\x00\x01\x08\x01\0\0\0\1", "two zero bytes"),
        (b"\x00\x00\x0a\x01\0\0\0\1", "0x08, 0x09, 0x0B"),
        (b"\x00\x00\x08\x00", "0 dimensions; allowed are 1 to 32"),
        (b"\x00\x00\x08\xff" + b"\0\0\0\1" * 255, "255 dimensions"),
        (b"\x00\x00\x08\x02\0\0\0\1", "inside its header, which has 12 bytes"),
        (b"\x00\x00\x08\x02\0\0\0\0\0\0\0\1", "every dimension must be at least 1"),
        (b"\x00\x00\x08\x01\0\0\0\2", "promises a file of 10 bytes, but there are 9 bytes"),
        (b"\x00\x00\x08\x02" + b"\x40\0\0\0" * 2, "promises a file of 1152921504606846988 bytes"),
        (b"\x00\x00\x0e\x04" + b"\xff\xff\xff\xff" * 4, "promises a file of"),
    ],
)
def test_idx_headers_that_lie(tmp_path: Path, header: bytes, message: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(header if len(header) < 8 else header + b"\0")
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=re.escape(message)) as info:
            load_idx(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(path) in str(info.value)
    assert peak < 1 << 20


@pytest.mark.parametrize("n", [9, 1 << 60])
def test_gzip_bomb_costs_what_its_header_promises(tmp_path: Path, n: int) -> None:
    shape = (3, 3) if n == 9 else (1 << 30, 1 << 30)
    bomb = struct.pack(">2x2B2I", 0x08, 2, *shape) + bytes(1 << 26)
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(bomb))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="goes on after" if n == 9 else "at most"):
            load_idx(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 22


def test_missing_files_say_so(tmp_path: Path) -> None:
    for load in (load_idx, load_images):
        with pytest.raises(FileNotFoundError):
            load(tmp_path / "none")


# Images in .npy and .npz


@FILES
@given(array=image_arrays(), pack=st.sampled_from([npy_bytes, npz_bytes]), fortran=st.booleans())
def test_images_round_trip(
    tmp_path: Path, array: Array, pack: Callable[[Array], bytes], fortran: bool
) -> None:
    path = tmp_path / "a"
    path.write_bytes(pack(np.asfortranarray(array) if fortran else array))
    X = load_images(path)
    expected = array.reshape(len(array), math.prod(array.shape[1:]))
    assert X.dtype.isnative
    assert same(np.asarray(X), expected.astype(expected.dtype.newbyteorder("=")))


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 64), (5, 4, 4, 4)])
def test_npy_is_mapped_and_not_copied(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.arange(320, dtype=np.uint8).reshape(shape))
    X = load_images(path)
    assert isinstance(X, np.memmap)
    assert X.shape == (5, 64)
    assert X.dtype == np.uint8
    assert not X.flags.writeable
    assert X[4, 63] == 319 % 256


def test_npy_is_read_where_files_cannot_be_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no such device")

    path = tmp_path / "a.npy"
    array = np.arange(24.0).reshape(2, 3, 4)
    np.save(path, array)
    monkeypatch.setattr(np, "memmap", refuse)
    assert same(load_images(path), array.reshape(2, 12))


def test_npz_keys(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    train, test = np.zeros((3, 2, 2), np.uint8), np.ones((2, 4), np.float32)
    np.savez(path, train=train, test=test)
    assert same(load_images(path, key="train"), train.reshape(3, 4))
    assert same(load_images(path, "test"), test)
    with pytest.raises(ValueError, match=r"2 arrays; say which with key=: 'train', 'test'"):
        load_images(path)
    with pytest.raises(ValueError, match=r"no array 'valid'; there are: 'train', 'test'"):
        load_images(path, key="valid")
    np.savez(path)
    with pytest.raises(ValueError, match="0 arrays"):
        load_images(path)
    np.save(tmp_path / "a.npy", test)
    with pytest.raises(ValueError, match="without a name"):
        load_images(tmp_path / "a.npy", key="test")


@pytest.mark.parametrize("pack", [npy_bytes, npz_bytes])
@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(3), "shape (3,)"),
        (np.zeros(()), "shape ()"),
        (np.zeros((0, 4)), "no dimension of 0"),
        (np.zeros((4, 0)), "no dimension of 0"),
        (np.zeros((2, 2), complex), "booleans, integers and floats"),
        (np.array([["a", "b"]]), "booleans, integers and floats"),
        (np.zeros((2, 2), [("a", "f4")]), "booleans, integers and floats"),
        (np.zeros((2, 2), "datetime64[s]"), "booleans, integers and floats"),
    ],
)
def test_arrays_that_are_no_images(
    tmp_path: Path, pack: Callable[[Array], bytes], array: Array, message: str
) -> None:
    path = tmp_path / "a"
    path.write_bytes(pack(array))
    with pytest.raises(ValueError, match=re.escape(message)) as info:
        load_images(path)
    assert str(path) in str(info.value)


class Trap:
    """Unpickling this fails the test."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was executed",))


def test_pickles_are_never_read(tmp_path: Path) -> None:
    array = np.array([[Trap(), Trap()]], dtype=object)
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    np.savez(tmp_path / "a.npz", images=array)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ValueError, match="booleans, integers and floats"):
            load_images(tmp_path / name)


@pytest.mark.parametrize("pack", [npy_bytes, npz_bytes])
def test_images_truncated_anywhere_are_refused(
    tmp_path: Path, pack: Callable[[Array], bytes]
) -> None:
    data = pack(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    path = tmp_path / "a"
    for n in range(len(data)):
        path.write_bytes(data[:n])
        with pytest.raises(ValueError, match=re.escape(str(path))):
            load_images(path)


def test_npy_with_more_than_its_header_promises(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(npy_bytes(np.zeros((2, 2))) + b"\0")
    with pytest.raises(ValueError, match="promises 160 bytes, but there are 161"):
        load_images(path)


@FILES
@given(array=image_arrays(), data=st.data())
def test_npy_flipped_bytes(tmp_path: Path, array: Array, data: st.DataObject) -> None:
    content = bytearray(npy_bytes(array))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "a"
    path.write_bytes(content)
    X = read_or_refuse(load_images, path)
    if X is not None:  # no check sum: what the changed bytes say, as NumPy itself reads them
        expected = np.load(io.BytesIO(content), allow_pickle=False)
        expected = expected.reshape(len(expected), -1)
        native = expected.astype(expected.dtype.newbyteorder("="))
        assert X.dtype == native.dtype
        assert X.shape == native.shape
        assert np.array_equal(X, native, equal_nan=X.dtype.kind == "f")


@FILES
@given(array=image_arrays(), data=st.data(), store=st.booleans())
def test_npz_flipped_bytes(tmp_path: Path, array: Array, data: st.DataObject, store: bool) -> None:
    buffer = io.BytesIO()
    (np.savez if store else np.savez_compressed)(buffer, images=array)
    content = bytearray(buffer.getvalue())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "a"
    path.write_bytes(content)
    X = read_or_refuse(load_images, path)
    if X is not None:  # a byte of the archive that carries nothing of the data
        expected = array.reshape(len(array), math.prod(array.shape[1:]))
        assert same(np.asarray(X), expected.astype(expected.dtype.newbyteorder("=")))


def test_npz_sizes_that_lie(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1152921504606846976), }"
    header = npy_bytes(np.zeros((1, 1), np.uint8))[:10] + text.ljust(117) + b"\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", header + b"\0")
    with pytest.raises(ValueError, match="promises 1152921504606847104 bytes, but there are 129"):
        load_images(path)
    # The archive's own claim, of 2 GiB in a few hundred bytes, does not help.
    data = bytearray(path.read_bytes())
    for signature, field in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", data, data.index(signature) + field, 2**31)
    path.write_bytes(data)
    with pytest.raises(ValueError, match="cannot hold as many"):
        load_images(path)


def test_npz_other_compression_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("images.npy", npy_bytes(np.zeros((2, 2))))
    with pytest.raises(ValueError, match="compression method 14; allowed are 0"):
        load_images(path)


@FILES
@given(
    content=st.binary(max_size=64),
    start=st.sampled_from([b"", b"\x93NUMPY", b"\x93NUMPY\1\0", b"\x93NUMPY\2\0", b"PK\3\4"]),
)
def test_images_of_anything(tmp_path: Path, content: bytes, start: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(start + content)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        load_images(path)
