"""Samples in files: what is read is what was written, and what cannot be read is named."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pyae.cli.samples import Reading, Table
from pyae.cli.scaling import KINDS, Scaling
from pyae.cli.tables import read_labels, read_table, write_table

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
matrices = hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=finite)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".npy", ".npz", ".parquet"])
@given(values=matrices)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(suffix: str, values: Any, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"a{suffix}"
    names = [f"name {i}" for i in range(values.shape[1])]
    write_table(path, Table(values, names))
    table = read_table(path, Reading())
    assert (table.values == values).all()
    assert table.names == (None if suffix in (".npy", ".npz") else names)


@given(names=st.lists(st.text(string.printable, min_size=1).map(str.strip), min_size=2, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_names_of_all_kinds(names: list[str], tmp_path: Path) -> None:
    """Quotes, delimiters and line ends in names and labels come back as they were."""
    names = [f"a{name}" for name in dict.fromkeys(names)]
    path = tmp_path / "a.csv"
    values = np.arange(2.0 * len(names)).reshape(2, -1)
    write_table(path, Table(values, names, texts={"label, of": ['x"y', "z\nw"]}))
    table = read_table(path, Reading(keep=("label, of",), delimiter=",", header=True))
    assert table.names == [name.strip() for name in names]
    assert (table.values == values).all()
    assert table.texts == {"label, of": ['x"y', "z\nw"]}


HEADERS: list[tuple[str, list[str] | None, list[list[float]]]] = [
    ("a,b\n1,2\n3,4\n", ["a", "b"], [[1, 2], [3, 4]]),
    ("1,2\n3,4\n", None, [[1, 2], [3, 4]]),
    ("a;b\n1;2\n", ["a", "b"], [[1, 2]]),
    ("a\tb\n1\t2\n", ["a", "b"], [[1, 2]]),
    ("a|b\n1|2\n", ["a", "b"], [[1, 2]]),
    ("\ufeffa,b\n1,2\n", ["a", "b"], [[1, 2]]),
    ("a, b\r\n1, 2\r\n", ["a", "b"], [[1, 2]]),
    ("\n\na,b\n\n1,2\n\n", ["a", "b"], [[1, 2]]),
    ('"a","b"\n"1","2"\n', ["a", "b"], [[1, 2]]),
    ("a\n1\n2\n", ["a"], [[1], [2]]),
    ("1990,b\n1,2\n", ["1990", "b"], [[1, 2]]),
    ("a,b\n1,2\n  \n3,4\n", ["a", "b"], [[1, 2], [3, 4]]),
    ("a,b\n1,True\n2,false\n", ["a", "b"], [[1, 1], [2, 0]]),
    (",b\n1,2\n", ["1", "b"], [[1, 2]]),
    ("a,,\n1,2,3\n", ["a", "2", "3"], [[1, 2, 3]]),
    ("a,b\r1,2\r", ["a", "b"], [[1, 2]]),
    ("True,2\nFalse,3\n", None, [[1, 2], [0, 3]]),
    ("1e3,-.5\n+2,0x\n".replace("0x", "7"), None, [[1000, -0.5], [2, 7]]),
]


@pytest.mark.parametrize(("text", "names", "values"), HEADERS)
def test_headers_and_delimiters_are_found(
    text: str, names: list[str] | None, values: list[list[float]], tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    table = read_table(path, Reading())
    assert table.names == names
    assert table.values.tolist() == values


def test_spaces_between_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text('a   "b c"\n 1  2 \n\n   \n3 True\n')
    table = read_table(path, Reading(delimiter=" "))
    assert table.names == ["a", "b c"]
    assert table.values.tolist() == [[1, 2], [3, 1]]


def test_columns_are_chosen(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,x,y,kind\nu,1,2,k\nv,3,4,l\n")
    chosen = read_table(path, Reading(columns=("y", "x")))
    assert chosen.values.tolist() == [[2, 1], [4, 3]]
    assert chosen.names == ["y", "x"]
    assert chosen.unused == ["id", "kind"]
    dropped = read_table(path, Reading(drop=("kind",), keep=("id",)))
    assert dropped.names == ["x", "y"]
    assert dropped.texts == {"id": ["u", "v"]}
    wanted = read_table(path, Reading(), ["y"])
    assert wanted.values.tolist() == [[2], [4]]
    with pytest.raises(ValueError, match="--columns: 'x' is there twice"):
        read_table(path, Reading(columns=("x", "y", "x")))
    assert not dropped.header_missed
    path.write_text("u,1,2\nv,3,4\n")
    assert read_table(path, Reading(columns=("3", "2"))).values.tolist() == [[2, 1], [4, 3]]
    assert read_table(path, Reading(drop=("1",))).values.tolist() == [[1, 2], [3, 4]]


BAD_FILES: list[tuple[str, bytes, str]] = [
    ("a.csv", b"", "the file is empty"),
    ("a.csv", b"a,b\n", "a header and no samples"),
    ("a.csv", b"a,b\n1,\n", "column 'b' is empty in line 2; fill it, or leave .* --drop b"),
    ("a.csv", b"a,b\n1,2\n1,x\n", "column 'b' is not numeric: 'x' in line 3"),
    ("a.csv", b"a,b c\n1,2\n1,x\n", "--drop 'b c'"),
    ("a.csv", b"a;b\n1,5;2\n", "write decimals with a point"),
    ("a.csv", b"a,b\n1,2\n3\n", "line 3 has 1 cells, but the first line has 2"),
    ("a.csv", b"a,a\n1,2\n", "two columns are called 'a'"),
    ("a.csv", b"a,b\n1,5,2,3\n", "line 2 has 4 cells, but the first .* decimals with a point"),
    ("a.csv", b"1,2\n1,2,3\n", "line 2 has 3 cells, but the first line has 2"),
    ("a.csv", b"a,b\n1,nan\n", r"column 'b' is empty \(nan\) in line 2; fill it"),
    ("a.csv", b"a,b\n\n1,2\n3,NA\n", r"column 'b' is empty \(NA\) in line 4; fill it"),
    ("a.csv", b"a,b\n \n1,2\n1_000,2\n", "column 'a' is not numeric: '1_000' in line 4"),
    ("a.csv", b'a,b\n"1,000",2\n', "has '1,000' in line 2: remove the separators of thousands"),
    (
        "a.csv",
        b"n,a,b\nu,1,\nv,,\nw,3,?\n",
        "column 'n' is not numeric: 'u' in line 2; leave it out with --drop n, or",
    ),
    (
        "a.csv",
        b"a,b\n1,\n2,NA\n,3\n",
        "column 'b' is empty in line 2, and so are 2 more cells; fill them, or .* --drop b,a",
    ),
    ("a.csv", b"a,b\n1,\n2,?\n", "column 'b' is empty in line 2, and one more; .* --drop b"),
    ("a.csv", b"a,b\n1,\n2,x\n,3\n", "column 'b' is empty in line 2, .* --drop b,a"),
    ("a.csv", b"a,b,\n1,2,\n3,4,\n", "column '3' is empty in line 2, .* --drop 3"),
    (
        "a.csv",
        b"n;h;w\nu;1,5;2\nv;1,6;2\n",
        "column 'n' is not numeric: 'u' in line 2; leave it out with --drop n, or",
    ),
    ("a.csv", b"a;b;d\n1;2;2024-01-31\n", "column 'd' is not numeric: '2024-01-31' in line 2"),
    ("a.csv", b"sep=;\na;b\n1;2\n", "the first line, 'sep=;', is no data; remove it"),
    ("a.csv", b"my data\na,b\n1,2\n", "line 2 has 2 cells, .* remove lines above the names"),
    ("a.csv", b"a,b\n1,2,\n", "line 2 has 3 cells, but the first line has 2$"),
    ("a.xlsx", b"1", "readable are .csv.*; save the sheet as 'CSV UTF-8'"),
    ("a.csv.gz", b"1", "readable are .csv.*; unpack it first"),
    ("a.png", b"1", "readable are .csv.*; give the folder that the image is in"),
    ("a.csv", b"a b\n1 2\n", "say so with --delimiter ' '"),
    ("a.csv", b"1 2\n3 4\n", "say so with --delimiter ' '"),
    ("a.csv", "a,b\n1,2\n".encode("utf-16"), "save it as 'CSV UTF-8'"),
    ("a.csv", "a,b\n1,2\n".encode("utf-16-le"), "save it as 'CSV UTF-8'"),
    ("a.csv", "a,b\n1,2\n1,\xe4\n".encode("latin-1"), "save it as 'CSV UTF-8'"),
    ("a.csv", b"a,b\n1,inf\n", "column 'b' of sample 1 is inf"),
    ("a.csv", b"a,b\n1,\xff\n", "not a text file in UTF-8"),
    ("a.doc", b"1", "readable are .csv"),
    ("a.npy", b"1", "neither .npy"),
    ("a.npz", b"1", "not a .npz file"),
    ("a.parquet", b"1", "not a Parquet file"),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD_FILES)
def test_bad_files_are_named(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as info:
        read_table(path, Reading())
    assert name in str(info.value)


def test_parquet_says_which_column(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    columns = {"x": [1, 2], "half": [1.5, None], "word": ["a", "b"], "flag": [True, False]}
    parquet.write_table(arrow.table(columns), path)
    with pytest.raises(ValueError, match="'half' has 1 empty cells"):
        read_table(path, Reading(drop=("word",)))
    with pytest.raises(ValueError, match="'word' is not numeric but string"):
        read_table(path, Reading(drop=("half",)))
    more = columns | {"day": ["u", "v"], "third": [None, 1]}
    parquet.write_table(arrow.table(more), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"'word' is not .* --drop word,day, or"):
        read_table(tmp_path / "b.parquet", Reading(drop=("half", "third")))
    with pytest.raises(
        ValueError, match=r"'half' has 1 .* such columns out with --drop half,third"
    ):
        read_table(tmp_path / "b.parquet", Reading(drop=("word", "day")))
    table = read_table(path, Reading(drop=("half",), keep=("word",)))
    assert table.values.tolist() == [[1, 1], [2, 0]]
    assert table.texts == {"word": ["a", "b"]}


def test_arrays_of_images(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    np.save(tmp_path / "a.npy", pixels)
    table = read_table(tmp_path / "a.npy", Reading())
    assert table.image_shape == (4, 6, 3)
    assert np.allclose(table.values * 255, pixels.reshape(5, -1))
    np.savez(tmp_path / "a.npz", X=pixels[..., 0], y=np.arange(5))
    with pytest.raises(ValueError, match="several arrays; say which with --key: X, y"):
        read_table(tmp_path / "a.npz", Reading())
    table = read_table(tmp_path / "a.npz", Reading(key="X"))
    assert table.image_shape == (4, 6)
    labels = read_labels("y", tmp_path / "a.npz", Reading(), table)
    assert labels.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="no labels 'z'"):
        read_labels("z", tmp_path / "a.npz", Reading(), table)
    np.savez(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="there is no array of samples in it"):
        read_table(tmp_path / "none.npz", Reading())
    with pytest.raises(ValueError, match="--drop is for CSV"):
        read_table(tmp_path / "a.npy", Reading(drop=("x",)))


def test_folders_of_images(tmp_path: Path) -> None:
    image_module = pytest.importorskip("PIL.Image")
    with pytest.raises(ValueError, match="no images in the folder;"):
        read_table(tmp_path, Reading())
    (tmp_path / "below").mkdir()
    with pytest.raises(ValueError, match="no images in the folder itself;"):
        read_table(tmp_path, Reading())
    gray = np.arange(48, dtype=np.uint8).reshape(6, 8)
    image_module.fromarray(gray).save(tmp_path / "b.png")
    image_module.fromarray(gray[::-1]).save(tmp_path / "a.png")
    table = read_table(tmp_path, Reading())
    assert table.image_shape == (6, 8)
    assert table.texts == {"file": ["a.png", "b.png"]}
    assert np.allclose(table.values[1] * 255, gray.ravel())
    assert read_table(tmp_path, Reading(color="rgb")).image_shape == (6, 8, 3)
    assert read_table(tmp_path, Reading(size=(4, 3))).image_shape == (3, 4)
    image_module.fromarray(np.zeros((5, 5, 3), np.uint8)).save(tmp_path / "c.png")
    with pytest.raises(ValueError, match=r"c\.png has 5x5 pixels, a.png 8x6; .* --size 8x6"):
        read_table(tmp_path, Reading())
    assert read_table(tmp_path, Reading(size=(5, 5))).image_shape == (5, 5, 3)
    (tmp_path / "d.png").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"d\.png: not a readable image"):
        read_table(tmp_path, Reading())


@pytest.mark.parametrize(
    ("suffix", "dtype", "largest"),
    [
        (".png", np.uint8, 255),
        (".png", np.uint16, 65535),
        (".tif", np.uint16, 65535),
        (".png", np.bool_, 1),
        (".tif", np.int32, None),
        (".tif", np.float32, None),
    ],
)
def test_images_of_all_depths(suffix: str, dtype: Any, largest: int | None, tmp_path: Path) -> None:
    """More than 8 bits are rounded, not cut off; what has no known white is refused."""
    image_module = pytest.importorskip("PIL.Image")
    values = np.random.default_rng(0).random((2, 4, 6))
    pixels = np.rint(values * (largest or 1)).astype(dtype)
    for i, image in enumerate(pixels):
        image_module.fromarray(image).save(tmp_path / f"{i}{suffix}")
    if largest is None:
        with pytest.raises(ValueError, match=r"0\.tif: pixels of 32 bits; save the images with 8"):
            read_table(tmp_path, Reading())
        return
    table = read_table(tmp_path, Reading())
    assert table.image_shape == (4, 6)
    expected = pixels.reshape(2, -1) / largest
    assert np.abs(table.values - expected).max() <= 0.5 / 255 + 1e-6


@given(values=hnp.arrays(np.float64, (5, 3), elements=st.floats(-1e6, 1e6)))
def test_scaling_there_and_back(values: Any) -> None:
    for kind in KINDS:
        scaling = Scaling.learn(kind, values)
        scaled = scaling.scaled(values)
        assert np.isfinite(scaled).all()
        size = np.abs(values).max() + 1
        assert np.allclose(scaling.unscaled(scaled), values, atol=1e-9 * size)
        again = Scaling.from_data(scaling.to_data(), 3)
        assert (again.scaled(values) == scaled).all()
        if kind == "minmax":
            assert scaled.min() >= 0
            assert scaled.max() <= 1 + 1e-12


def test_scaling_is_scikit_learns() -> None:
    from sklearn.preprocessing import (  # type: ignore[import-untyped, unused-ignore]
        MinMaxScaler,
        StandardScaler,
    )

    values = np.random.default_rng(0).normal(5, 3, (50, 4))
    values[:, 2] = 7.3  # never changes
    for kind, scaler in (("standard", StandardScaler()), ("minmax", MinMaxScaler())):
        expected = scaler.fit_transform(values)
        np.testing.assert_allclose(Scaling.learn(kind, values).scaled(values), expected, atol=1e-12)
