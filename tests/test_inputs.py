"""Arrays of every kind give the bits that a plain one gives, are read in place and left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyae
from pyae import losses, noise

ROOT = Path(pyae.__file__).parents[1]
N, FEATURES = 37, 9  # odd, and no multiple of a vector
DTYPES = ["float32", "float64"]


def base(low: int = 0, high: int = 101, seed: int = 0, columns: int = FEATURES) -> np.ndarray:
    """Return whole numbers, which every dtype holds exactly."""
    return np.random.default_rng(seed).integers(low, high, (N, columns)).astype(np.float64)


def model_of(dtype: str, outputs: int = FEATURES, **options: Any) -> pyae.Sequential:
    return pyae.Sequential(
        [pyae.Dense(5, "tanh"), pyae.Dense(outputs)],
        optimizer="adam",
        dtype=dtype,
        random_state=3,
        **options,
    )


def unaligned(a: np.ndarray) -> np.ndarray:
    """Return a copy that starts at an odd address."""
    memory = np.zeros(a.nbytes + 1, dtype=np.uint8)
    view = np.frombuffer(memory.data, dtype=a.dtype, count=a.size, offset=1).reshape(a.shape)
    view[...] = a
    assert not view.flags.aligned
    return view


def strided(a: np.ndarray, steps: tuple[int, int]) -> np.ndarray:
    """Return a view with these steps, of either sign, that equals `a`."""
    shape = [length * abs(step) for length, step in zip(a.shape, steps, strict=True)]
    view = np.full(shape, 77, dtype=a.dtype)[:: steps[0], :: steps[1]]
    view[...] = a
    return view


def within(a: np.ndarray) -> np.ndarray:
    """Return a view of a block in the middle of a larger array."""
    memory = np.full((a.shape[0] + 4, a.shape[1] + 7), 77, dtype=a.dtype)
    memory[2:-2, 3:-4] = a
    return memory[2:-2, 3:-4]


def read_only(a: np.ndarray) -> np.ndarray:
    a = a.copy()
    a.flags.writeable = False
    return a


def swapped(a: np.ndarray) -> np.ndarray:
    return a.astype(a.dtype.newbyteorder())


def record_field(a: np.ndarray) -> np.ndarray:
    """Return a view of a field within records, so that rows are apart."""
    records = np.zeros(len(a), dtype=[("flag", "u1"), ("x", a.dtype, a.shape[1:])])
    records["x"] = a
    return records["x"]


LAYOUTS: dict[str, Callable[[np.ndarray], Any]] = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "every other column": lambda a: strided(a, (1, 2)),
    "every third row": lambda a: strided(a, (3, 1)),
    "rows backwards": lambda a: strided(a, (-1, 1)),
    "columns backwards": lambda a: strided(a, (1, -1)),
    "both backwards, with steps": lambda a: strided(a, (-2, -3)),
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "block of a larger array": within,
    "read-only": read_only,
    "unaligned": unaligned,
    "byte-swapped": swapped,
    "byte-swapped, strided": lambda a: strided(swapped(a), (2, -2)),
    "byte-swapped, Fortran": lambda a: np.asfortranarray(swapped(a)),
    "field of records": record_field,
    "subclass": lambda a: a.view(type("Named", (np.ndarray,), {})),
}


class WithArray:
    """Something that gives an array when asked, as tensors of other libraries do."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.array if dtype is None else self.array.astype(dtype)


OTHER_KINDS: dict[str, Callable[[np.ndarray], Any]] = {
    **{
        name: lambda a, name=name: a.astype(name)
        for name in (
            "float16", "float32", "float64", "longdouble", "int8", "int16", "int32", "int64",
            "uint8", "uint16", "uint32", "uint64", "object",
        )
    },
    **{
        f"{name}, {layout}": lambda a, name=name, layout=layout: LAYOUTS[layout](a.astype(name))
        for name in ("int16", "uint32", "int64", "uint64", "uint8", "float16")
        for layout in ("byte-swapped", "both backwards, with steps", "Fortran", "unaligned")
        if not (name == "uint8" and layout == "unaligned")  # bytes are aligned anywhere
    },
    "list of lists": lambda a: a.tolist(),
    "list of arrays": list,
    "tuple of lists": lambda a: tuple(a.tolist()),
    "list of lists of int": lambda a: a.astype(int).tolist(),
    "DataFrame": pd.DataFrame,
    "DataFrame of mixed dtypes": lambda a: pd.DataFrame(a).astype({0: "int8", 3: "float32"}),
    "DataFrame of nullable dtype": lambda a: pd.DataFrame(a).astype("Float64"),
    "an object with an array": lambda a: WithArray(a),
}  # fmt: skip


def everything(
    model: pyae.Sequential, X: Any, y: Any, weights: Any, held_out: Any, shuffle: bool
) -> list[np.ndarray]:
    """Return the results of all that takes data."""
    history = model.fit(
        X,
        y,
        epochs=2,
        batch_size=8,
        sample_weight=weights,
        validation_data=held_out,
        shuffle=shuffle,
        noise=noise.SaltAndPepper(0.2),
    ).history
    loss, gradients = model.loss_and_gradients(X, y, weights)
    return [
        np.array(history["loss"] + history["val_loss"]),
        *model.get_weights(),
        model.predict(X),
        model.forward(X, upto=1),
        model.forward(X, upto=0),
        np.array([loss, model.evaluate(X, y, weights, batch_size=10)]),
        *gradients,
    ]


def assert_same_bits(actual: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
        assert a.dtype == e.dtype
        np.testing.assert_array_equal(a, e, err_msg=f"result {i}")


def expected_of(dtype: str, shuffle: bool, **options: Any) -> list[np.ndarray]:
    X, y = base().astype(dtype), base(seed=1).astype(dtype)
    weights = np.arange(1, N + 1, dtype=dtype)
    return everything(model_of(dtype, **options), X, y, weights, (X, y, weights), shuffle)


def memory_of(value: Any) -> bytes:
    """Return the bytes of the values that an array or a table stands for."""
    array = np.asarray(value)
    return (array.astype(np.float64) if array.dtype == object else array).tobytes()


@pytest.mark.parametrize("shuffle", [True, False], ids=["shuffled", "in order"])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("given_dtype", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_layouts(
    dtype: str, given_dtype: str, layout: Callable[[np.ndarray], Any], shuffle: bool
) -> None:
    X, y = layout(base().astype(given_dtype)), layout(base(seed=1).astype(given_dtype))
    weights = layout(np.arange(1, N + 1, dtype=given_dtype)[:, None])[:, 0]
    before = [memory_of(a) for a in (X, y, weights)]
    results = everything(model_of(dtype), X, y, weights, (X, y, weights), shuffle)
    assert_same_bits(results, expected_of(dtype, shuffle))
    assert [memory_of(a) for a in (X, y, weights)] == before


@pytest.mark.parametrize("kind", OTHER_KINDS.values(), ids=OTHER_KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_kinds(dtype: str, kind: Callable[[np.ndarray], Any]) -> None:
    X, y = kind(base()), kind(base(seed=1))
    weights = pd.Series(range(1, N + 1)) if isinstance(X, pd.DataFrame) else list(range(1, N + 1))
    before = [memory_of(a) for a in (X, y)]
    results = everything(model_of(dtype), X, y, weights, (X, y, weights), True)
    assert_same_bits(results, expected_of(dtype, True))
    assert [memory_of(a) for a in (X, y)] == before


@pytest.mark.parametrize("name", ["int8", "int16", "int32", "int64", "float16"])
def test_negative_values(name: str) -> None:
    X = base(-100, 100)
    model, other = model_of("float32"), model_of("float32")
    model.fit(X.astype(name), epochs=2)
    other.fit(X.astype(np.float32), epochs=2)
    assert_same_bits(model.get_weights(), other.get_weights())


LARGE = [
    ("uint16", 2**16 - 1),
    ("uint32", 2**32 - 1),
    ("int32", -(2**31)),
    ("uint64", 2**64 - 1),
    ("uint64", 2**63 + 2**40 + 1),
    ("int64", -(2**63)),
    ("int64", 2**53 + 1),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "value"), LARGE)
def test_large_integers_are_rounded_once(name: str, value: int, dtype: str) -> None:
    X = np.full((2, FEATURES), value, dtype=name)
    model = model_of(dtype).build(FEATURES)
    W, b = model.get_weights()[:2]
    scaled = [W / 2**64 for W in (W, b)]
    model.set_weights(scaled + model.get_weights()[2:])
    np.testing.assert_array_equal(model.predict(X), model.predict(X.astype(dtype)))
    np.testing.assert_array_equal(model.forward(X, upto=0), X.astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["C", "every third row", "both backwards, with steps"])
def test_booleans(layout: str, dtype: str) -> None:
    X = base(0, 2)
    model, other = model_of(dtype, uint8_scale=0.1), model_of(dtype)
    model.fit(LAYOUTS[layout](X.astype(bool)), epochs=2, batch_size=8)
    other.fit(X.astype(dtype), epochs=2, batch_size=8)
    assert_same_bits(model.get_weights(), other.get_weights())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1 / 255, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("layout", ["C", "Fortran", "every other column", "rows backwards"])
def test_uint8_scale(layout: str, scale: float, dtype: str) -> None:
    pixels = base(0, 256).astype(np.uint8)
    scaled = pixels.astype(dtype) * np.dtype(dtype).type(scale)
    X, weights = LAYOUTS[layout](pixels), np.arange(1, N + 1)
    model, other = model_of(dtype, uint8_scale=scale), model_of(dtype)
    results = everything(model, X, X[::-1], weights, (X, X), True)
    # Without layers the data themselves come back, in Python's hands: see the test below.
    del results[7]
    expected = everything(other, scaled, scaled[::-1], weights, (scaled, scaled), True)
    del expected[7]
    assert_same_bits(results, expected)


def test_uint8_scale_holds_when_no_layer_is_gone_through() -> None:
    """`forward(X, upto=0)` is what the first layer sees."""
    pixels = base(0, 256).astype(np.uint8)
    model = model_of("float32", uint8_scale=1 / 255).build(FEATURES)
    expected = pixels.astype(np.float32) * np.float32(1 / 255)
    np.testing.assert_array_equal(model.forward(pixels, upto=0), expected)


def test_uint8_scale_leaves_other_types_and_classes_alone() -> None:
    layers = [pyae.Dense(3, "softmax")]
    loss = losses.SparseCategoricalCrossentropy()
    X, y = base(0, 10), np.arange(N) % 3
    runs = []
    for kind in ("uint8", "int64", "float32"):
        model = pyae.Sequential(layers, loss, random_state=0, uint8_scale=1 / 255)
        model.fit(X, y.astype(kind), epochs=2)
        runs.append(model.get_weights())
    assert_same_bits(runs[0], runs[1])
    assert_same_bits(runs[0], runs[2])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", ["float32", "float64", "uint8", ">f4"])
def test_memmap(tmp_path: Path, name: str, order: Any, dtype: str) -> None:
    path = tmp_path / "data"
    written = np.memmap(path, dtype=name, mode="w+", shape=(N, FEATURES), order=order)
    written[...] = base()
    written.flush()
    content = path.read_bytes()
    X = np.memmap(path, dtype=name, mode="r", shape=(N, FEATURES), order=order)
    y, weights = base(seed=1), np.arange(1, N + 1)
    held_out = (base(), y, weights)
    results = everything(model_of(dtype), X, y, weights, held_out, True)
    assert_same_bits(results, expected_of(dtype, True))
    assert path.read_bytes() == content


def test_broadcast_rows_and_columns() -> None:
    """Strides of 0."""
    row, column = np.arange(FEATURES, dtype=np.float32), np.arange(N, dtype=np.float32)[:, None]
    for view in (np.broadcast_to(row, (N, FEATURES)), np.broadcast_to(column, (N, FEATURES))):
        model, other = model_of("float32"), model_of("float32")
        model.fit(view, epochs=2)
        other.fit(view.copy(), epochs=2)
        assert_same_bits(model.get_weights(), other.get_weights())


def test_targets_of_one_column_come_flat_too() -> None:
    X, y = base(), base(columns=1, seed=4)
    shapes = [y, y[:, 0], y[:, 0].tolist(), pd.Series(y[:, 0]), pd.DataFrame(y), y[::-1][::-1]]
    runs = []
    for target in shapes:
        model = model_of("float32", outputs=1)
        model.fit(X, target, epochs=2)
        runs.append(model.get_weights())
    for run in runs[1:]:
        assert_same_bits(run, runs[0])


def test_targets_of_another_kind_than_inputs() -> None:
    X, y = base(), base(seed=1)
    expected = model_of("float32")
    expected.fit(X, y, epochs=2)
    for name in ("uint8", "int64", "float32", ">f8"):
        model = model_of("float32")
        model.fit(X.astype("int16"), y.astype(name), epochs=2)
        assert_same_bits(model.get_weights(), expected.get_weights())


@pytest.mark.parametrize("kind", ["uint8", "int8", "int64", ">i4", "float64", "bool"])
def test_classes_of_every_kind(kind: str) -> None:
    X, y = base(), np.arange(N) % 2
    runs = []
    for target in (y.astype(kind), y.astype(np.int64)[:, None], y.tolist()):
        model = pyae.Sequential(
            [pyae.Dense(2, "softmax")], "sparse_categorical_crossentropy", random_state=0
        )
        model.fit(X, target, epochs=2)
        runs.append(model.get_weights())
    assert_same_bits(runs[0], runs[1])
    assert_same_bits(runs[0], runs[2])


def test_inputs_as_their_own_targets() -> None:
    X = base(0, 5).astype(np.float32)
    runs = []
    for shuffle in (True, False):
        for target in (None, X, X.copy(), X.astype(np.float64)):
            model = model_of("float32")
            model.fit(X, target, epochs=2, shuffle=shuffle, noise=noise.Gaussian(0.2))
            runs.append(model.get_weights())
    for i in range(1, 4):
        assert_same_bits(runs[i], runs[0])
        assert_same_bits(runs[4 + i], runs[4])


def test_predictions_are_arrays_of_their_own() -> None:
    model = model_of("float32").build(FEATURES)
    X = base().astype(np.float32)
    for upto in (0, 1, 2):
        first = model.forward(X, upto=upto)
        kept = first.copy()
        assert first.flags.c_contiguous
        assert first.flags.writeable
        assert not np.shares_memory(first, X)
        model.forward(X + 1, upto=upto)
        np.testing.assert_array_equal(first, kept)
        first[...] = 0
    np.testing.assert_array_equal(X, base())


@given(
    name=st.sampled_from(["float32", "float64", ">f4", ">f8", "int16", ">u4", "uint8", "int64"]),
    steps=st.tuples(*[st.sampled_from([-3, -2, -1, 1, 2, 3])] * 2),
    fortran=st.booleans(),
    n=st.integers(1, 70),
    n_features=st.integers(1, 40),
    batch_size=st.integers(1, 80),
    dtype=st.sampled_from(DTYPES),
    shuffle=st.booleans(),
)
def test_random_views(
    name: str,
    steps: tuple[int, int],
    fortran: bool,
    n: int,
    n_features: int,
    batch_size: int,
    dtype: str,
    shuffle: bool,
) -> None:
    plain = np.random.default_rng(n).integers(0, 100, (n, n_features)).astype(dtype)
    X = plain.astype(name)
    X = strided(X.T, steps[::-1]).T if fortran else strided(X, steps)
    runs = []
    for given_array in (plain, X):
        model = model_of(dtype, outputs=n_features)
        model.fit(given_array, batch_size=batch_size, shuffle=shuffle)
        runs.append([*model.get_weights(), model.predict(given_array)])
    assert_same_bits(runs[1], runs[0])


# ------------------------------------------------------------------------------------------ memory

LARGE_FILE = """
import resource, sys
import numpy as np
import pyae

path, n, dtype = sys.argv[1], int(sys.argv[2]), sys.argv[3]
X = np.memmap(path, dtype=dtype, mode="r", shape=(n, 100))
model = pyae.Sequential(
    [pyae.Dense(2), pyae.Dense(100)], random_state=0, n_threads=1, uint8_scale=1 / 255
)
model.fit(X[:1000], batch_size=500)  # everything is loaded
with open("/proc/self/statm") as statm:
    data = int(statm.read().split()[5]) * resource.getpagesize()
allowed = data + X.nbytes // 2
resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
try:
    np.array(X)
except MemoryError:
    print("a copy does not fit")
model.fit(X, batch_size=500, validation_data=X, noise=pyae.noise.SaltAndPepper(0.1))
model.fit(X[::-1], batch_size=500, shuffle=False)
print(model.evaluate(X) > 0)
model.loss_and_gradients(X[:1000])
print(model.forward(X, upto=1).shape == (n, 2))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
@pytest.mark.parametrize("dtype", ["float32", "uint8", "float64"])
def test_a_large_file_is_not_copied(tmp_path: Path, dtype: str) -> None:
    """A file of 40 MB is worked on in memory for half of it, which no copy would fit."""
    path = tmp_path / "large"
    n = 40_000_000 // (100 * np.dtype(dtype).itemsize)
    block = np.random.default_rng(0).integers(0, 256, (n // 100, 100)).astype(dtype)
    with path.open("wb") as file:
        for _ in range(100):
            block.tofile(file)
    result = subprocess.run(
        [sys.executable, "-c", LARGE_FILE, str(path), str(n), dtype],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split("\n")[:3] == ["a copy does not fit", "True", "True"]


@given(
    st.sampled_from(DTYPES),
    st.tuples(st.integers(1, 40), st.integers(1, 300)),
    st.floats(0, 1, exclude_max=True),
    st.sampled_from([np.nan, np.inf, -np.inf, -0.1, 1.1]),
)
def test_a_bad_value_is_found_wherever_it_is(
    dtype: str, shape: tuple[int, int], where: float, value: float
) -> None:
    X = np.random.default_rng(0).random(shape).astype(dtype)
    at = int(where * X.size)
    X.flat[at] = value
    n_features = shape[1]
    model = pyae.Sequential(
        [pyae.Dense(n_features, "sigmoid")], loss="binary_crossentropy", dtype=dtype
    )
    model.build(n_features)
    before = model.get_weights()
    message = "must lie in" if np.isfinite(value) else f"in row {at // n_features}$"
    with pytest.raises(ValueError, match=message):
        model.fit(X, X, epochs=1)
    for kept, now in zip(before, model.get_weights(), strict=True):
        assert np.array_equal(kept, now)
