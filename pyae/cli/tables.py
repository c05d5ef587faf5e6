"""Samples in files: .npy, .npz, .csv, Parquet and folders of images, read and written.

The suffix says what a file is. Names of columns come from a CSV file's header or from Parquet.
"""

from __future__ import annotations

import csv
import io
import math
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pyae.cli import images
from pyae.cli.outputs import atomically
from pyae.datasets import load_images

Array = npt.NDArray[Any]

SUFFIXES: Final = (".csv", ".tsv", ".txt", ".npy", ".npz", ".parquet", ".pq")
_TEXTS: Final = (".csv", ".tsv", ".txt")
_PARQUETS: Final = (".parquet", ".pq")
_DELIMITERS: Final = ",;\t|"


@dataclass(frozen=True)
class Reading:
    """How to read a file: the options of the command line.

    Parameters
    ----------
    columns : tuple of str
        Which columns to use, by name, or by number from 1 where there is no header; all if empty.
    drop : tuple of str
        Which of all not to use.
    keep : tuple of str
        Which to carry along as text.
    delimiter : str or None
        Between the cells of a CSV file; None: the one that its first line has most of.
    header : bool or None
        Whether its first line holds names; None: whether that looks so.
    key : str or None
        Of an array of a .npz file.
    size : tuple of int or None
        (width, height) to resize images to.
    color : {"auto", "gray", "rgb"}
        How to read images.
    """

    columns: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    delimiter: str | None = None
    header: bool | None = None
    key: str | None = None
    size: tuple[int, int] | None = None
    color: str = "auto"


@dataclass
class Table:
    """Samples, what their features are called, and the columns that were carried along."""

    values: Array  # (n_samples, n_features)
    names: list[str] | None = None
    image_shape: tuple[int, ...] | None = None
    texts: dict[str, list[str]] = field(default_factory=dict)
    digits: int = 17  # that are significant, in text
    unused: list[str] = field(default_factory=list)


def read_table(path: Path, how: Reading, wanted: Sequence[str] | None = None) -> Table:
    """Read samples.

    Parameters
    ----------
    path : Path
        A file, or a folder of images.
    how : Reading
        The options.
    wanted : sequence of str, optional
        The names of the features that a model was trained on: these columns are used, in this
        order, where the file has names and `how` does not choose.

    Returns
    -------
    Table
        With at least one sample and one feature; all values are finite.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        The file is not what its suffix says, or its cells are not numbers; the message names the
        column and the line.
    ImportError
        What reads such files is not installed.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {str(path)!r}")
    suffix = path.suffix.lower()
    if path.is_dir():
        table = _read_images(path, how)
    elif suffix in _TEXTS:
        table = _read_csv(path, how, wanted)
    elif suffix in _PARQUETS:
        table = _read_parquet(path, how, wanted)
    elif suffix in (".npy", ".npz"):
        table = _read_arrays(path, how)
    else:
        raise ValueError(
            f"{str(path)!r} has the suffix {path.suffix!r}; readable are "
            f"{', '.join(SUFFIXES)} and folders of images"
        )
    if not table.values.size:
        raise ValueError(f"{path}: no samples, or no columns to use")
    _require_finite(path, table)
    return table


def write_table(path: Path, table: Table) -> None:
    """Write samples as the suffix says, whole or not at all.

    A path without a suffix becomes a folder of PNG images.
    """
    with atomically(path) as temporary:
        suffix = path.suffix.lower()
        if not suffix:
            images.write_folder(temporary, table.values, table.image_shape, table.texts.get("file"))
        elif suffix in _TEXTS:
            _write_csv(temporary, table)
        elif suffix in _PARQUETS:
            _write_parquet(temporary, table)
        else:
            values = table.values
            if table.image_shape is not None:
                values = values.reshape(len(values), *table.image_shape)
            if suffix == ".npy":
                np.save(temporary, values)
            else:
                texts: Any = {name: np.array(cells) for name, cells in table.texts.items()}
                np.savez(temporary, data=values, **texts)


def read_labels(name: str, path: Path, how: Reading, table: Table) -> Array:
    """Return one label a sample: a column of the table, an array of a .npz file, or a file.

    Raises
    ------
    ValueError
        There are none of that name, or not one a sample.
    """
    if name in table.texts:
        labels = _as_numbers(table.texts[name])
    elif path.suffix.lower() == ".npz" and name in _members(path):
        with np.load(path, allow_pickle=False) as archive:
            labels = archive[name]
    elif Path(name).is_file() and Path(name).suffix.lower() == ".npy":
        labels = np.load(name, allow_pickle=False)
    else:
        raise ValueError(
            f"no labels {name!r}: they must be a column of {path}, an array of that .npz file, or "
            "a .npy file"
        )
    if labels.shape != (len(table.values),):
        raise ValueError(
            f"labels {name!r} have shape {labels.shape}; there must be one for each of the "
            f"{len(table.values)} samples"
        )
    return labels


def _as_numbers(cells: list[str]) -> Array:
    try:
        return np.array([float(cell) for cell in cells])
    except ValueError:
        return np.array(cells)


def _require_finite(path: Path, table: Table) -> None:
    if np.isfinite(table.values).all():
        return
    row, column = (int(i) for i in np.argwhere(~np.isfinite(table.values))[0])
    name = table.names[column] if table.names else str(column + 1)
    raise ValueError(
        f"{path}: column {name!r} of sample {row + 1} is {table.values[row, column]}; all values "
        "must be finite: fill it, or leave the sample or the column out"
    )


# ---- columns -------------------------------------------------------------------------------------


def _choose(
    path: Path, names: list[str], how: Reading, wanted: Sequence[str] | None, has_names: bool
) -> list[int]:
    """Return the indices of the columns to use."""
    place = {name: i for i, name in enumerate(names)}
    if len(place) < len(names) and has_names:
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{path}: two columns are called {twice!r}; rename one")

    def index(name: str, option: str) -> int:
        if name not in place:
            kind = "columns" if has_names else "columns, by number, since there is no header"
            raise ValueError(f"{path}: {option}: no column {name!r}; {kind}: {_listed(names)}")
        return place[name]

    carried = {index(name, "--keep or --labels") for name in how.keep}
    dropped = {index(name, "--drop") for name in how.drop}
    if how.columns:
        return [index(name, "--columns") for name in how.columns]
    if wanted is not None and has_names:
        missing = [name for name in wanted if name not in place]
        if missing:
            raise ValueError(
                f"{path}: no column {', '.join(map(repr, missing[:5]))}"
                f"{f' and {len(missing) - 5} more' if len(missing) > 5 else ''}, which the model "
                f"was trained on; columns: {_listed(names)}"
            )
        return [place[name] for name in wanted]
    return [i for i in range(len(names)) if i not in dropped | carried]


def _listed(names: Sequence[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > 12 else ""
    return ", ".join(names[:12]) + more


# ---- CSV -----------------------------------------------------------------------------------------


def _read_csv(path: Path, how: Reading, wanted: Sequence[str] | None) -> Table:
    delimiter = how.delimiter or ("\t" if path.suffix.lower() == ".tsv" else None)
    try:
        first = _first_line(path)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file in UTF-8 ({error.reason})") from None
    if not first:
        raise ValueError(f"{path}: the file is empty")
    if delimiter is None:
        delimiter = max(_DELIMITERS, key=first.count)
    rows = _rows(path, delimiter)
    (_, head), following = next(rows), next(rows, None)
    has_header = _is_header(head, following[1] if following else None)
    if how.header is not None:
        has_header = how.header
    names = [cell.strip() for cell in head]
    if not has_header:
        names = [str(i + 1) for i in range(len(head))]
    use = _choose(path, names, how, wanted, has_header)
    if has_header and following is None:
        raise ValueError(f"{path}: a header and no samples")

    values = _numbers(path, delimiter, has_header, names, use)
    texts: dict[str, list[str]] = {}
    if how.keep:
        places = {name: names.index(name) for name in how.keep}
        texts = {name: [] for name in places}
        for line, row in _data_rows(path, delimiter, has_header):
            for name, i in places.items():
                if i >= len(row):
                    raise ValueError(f"{path}: line {line} ends before column {name!r}")
                texts[name].append(row[i])
    used = set(use) | {names.index(name) for name in how.keep}
    return Table(
        values,
        [names[i] for i in use] if has_header else None,
        texts=texts,
        unused=[name for i, name in enumerate(names) if i not in used] if has_header else [],
    )


def _first_line(path: Path) -> str:
    """Return the first line that is not blank; "" if there is none."""
    with _text(path) as file:
        return next((line for line in file if line.strip()), "")


def _text(path: Path) -> io.TextIOWrapper:
    return open(path, encoding="utf-8-sig", newline="")


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line numbers and cells of the lines that are not blank."""
    with _text(path) as file:
        reader = csv.reader(file, delimiter=delimiter)
        try:
            for row in reader:
                if row and (len(row) > 1 or row[0].strip()):
                    yield reader.line_num, row
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not a text file in UTF-8 ({error.reason})") from None
        except csv.Error as error:
            raise ValueError(f"{path}: line {reader.line_num}: {error}") from None


def _data_rows(path: Path, delimiter: str, header: bool) -> Iterator[tuple[int, list[str]]]:
    rows = _rows(path, delimiter)
    if header:
        next(rows)
    return rows


def _is_header(first: list[str], second: list[str] | None) -> bool:
    """Whether the first line holds names: a word above a number, or nothing but words."""
    if second is not None and len(second) == len(first):
        if any(_is_number(b) and not _is_number(a) for a, b in zip(first, second, strict=True)):
            return True
        if any(_is_number(a) for a in first):
            return False
    return not any(_is_number(cell) for cell in first)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(path: Path, delimiter: str, header: bool, names: list[str], use: list[int]) -> Array:
    """Return the cells of some columns as numbers."""
    if not use:
        return np.empty((0, 0))
    skip = 0
    if header:
        skip = next(line for line, _ in _rows(path, delimiter))
    try:
        with _text(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a file without data
            return np.loadtxt(
                file,
                delimiter=delimiter,
                skiprows=skip,
                usecols=use,
                ndmin=2,
                comments=None,
                quotechar='"',
            )
    except ValueError as error:
        raise _bad_cell(path, delimiter, header, names, use) or ValueError(
            f"{path}: {error}"
        ) from None


def _bad_cell(
    path: Path, delimiter: str, header: bool, names: list[str], use: list[int]
) -> ValueError | None:
    """Return the error that names the first cell that is not a number."""
    for line, row in _data_rows(path, delimiter, header):
        if len(row) <= max(use):
            return ValueError(
                f"{path}: line {line} has {len(row)} cells, but the first line has {len(names)}"
            )
        bad = [i for i in use if not _is_number(row[i])]
        if not bad:
            continue
        cell, name = row[bad[0]], names[bad[0]]
        if not cell.strip():
            return ValueError(
                f"{path}: column {name!r} is empty in line {line}; fill it, or leave the column "
                f"out with --drop {_quoted(name)}"
            )
        if "," in cell and _is_number(cell.replace(",", ".")):
            return ValueError(
                f"{path}: column {name!r} has {cell!r} in line {line}: write decimals with a point"
            )
        all_bad = ",".join(names[i] for i in bad)
        return ValueError(
            f"{path}: column {name!r} is not numeric: {cell!r} in line {line}; leave it out with "
            f"--drop {_quoted(all_bad)}, or choose the columns to use with --columns"
        )
    return None


def _quoted(text: str) -> str:
    return f"'{text}'" if " " in text else text


def _write_csv(path: Path, table: Table) -> None:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        names = table.names or [f"x{i}" for i in range(table.values.shape[1])]
        writer.writerow([*table.texts, *names])
        for i, row in enumerate(table.values):
            texts = [cells[i] for cells in table.texts.values()]
            writer.writerow(texts + [f"{value:.{table.digits}g}" for value in row.tolist()])


# ---- Parquet -------------------------------------------------------------------------------------


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "Parquet files need pyarrow, which is not installed: pip install pyarrow"
        ) from error
    return pyarrow


def _read_parquet(path: Path, how: Reading, wanted: Sequence[str] | None) -> Table:
    arrow = _pyarrow()
    try:
        data = arrow.parquet.read_table(path)
    except arrow.ArrowException as error:
        raise ValueError(f"{path}: not a Parquet file: {error}") from error
    names: list[str] = data.column_names
    use = _choose(path, names, how, wanted, has_names=True)
    columns = []
    for i in use:
        column, kind = data.column(i), data.schema.field(i).type
        is_number = arrow.types.is_floating(kind) or arrow.types.is_integer(kind)
        if not (is_number or arrow.types.is_boolean(kind)):
            raise ValueError(
                f"{path}: column {names[i]!r} is not numeric but {kind}; leave it out with "
                f"--drop {_quoted(names[i])}, or choose the columns to use with --columns"
            )
        if column.null_count:
            raise ValueError(
                f"{path}: column {names[i]!r} has {column.null_count} empty cells; fill them, or "
                f"leave the column out with --drop {_quoted(names[i])}"
            )
        columns.append(np.asarray(column, dtype=np.float64))
    used = set(use) | {names.index(name) for name in how.keep}
    return Table(
        np.column_stack(columns) if columns else np.empty((0, 0)),
        [names[i] for i in use],
        texts={name: [str(v) for v in data.column(name).to_pylist()] for name in how.keep},
        unused=[name for i, name in enumerate(names) if i not in used],
    )


def _write_parquet(path: Path, table: Table) -> None:
    arrow = _pyarrow()
    names = table.names or [f"x{i}" for i in range(table.values.shape[1])]
    columns = [*table.texts.values(), *table.values.T]
    data = arrow.table([arrow.array(c) for c in columns], names=[*table.texts, *names])
    arrow.parquet.write_table(data, path)


# ---- arrays and images ---------------------------------------------------------------------------


def _read_arrays(path: Path, how: Reading) -> Table:
    for option in ("columns", "drop", "keep"):
        if getattr(how, option) and not (option == "keep" and path.suffix.lower() == ".npz"):
            raise ValueError(
                f"{path}: columns of an array have no names; --{option} is for CSV and "
                "Parquet files"
            )
    key = how.key
    if key is None and path.suffix.lower() == ".npz" and len(_members(path)) > 1:
        members = [name for name in _members(path) if name not in how.keep]
        if len(members) > 1:
            raise ValueError(f"{path}: several arrays; say which with --key: {_listed(members)}")
        key = members[0] if members else None
    values = load_images(path, key)
    shape = _shape_of(path, key)[1:]
    image_shape = shape if len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4)) else None
    if values.dtype == np.uint8 and image_shape is not None:
        values = values.astype(np.float32) / np.float32(255)
    return Table(values, image_shape=image_shape)


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: not a .npz file: {error}") from None


def _shape_of(path: Path, key: str | None) -> tuple[int, ...]:
    """Return the shape that the header of an array says; the file was read without error."""
    if path.suffix.lower() == ".npy":
        return tuple(np.load(path, mmap_mode="r", allow_pickle=False).shape)
    member = f"{key or _members(path)[0]}.npy"
    with zipfile.ZipFile(path) as archive, archive.open(member) as file:
        if np.lib.format.read_magic(file) == (1, 0):
            return tuple(np.lib.format.read_array_header_1_0(file)[0])
        return tuple(np.lib.format.read_array_header_2_0(file)[0])


def _read_images(path: Path, how: Reading) -> Table:
    if how.columns or how.drop:
        raise ValueError(f"{path}: images have no columns; --columns and --drop are for tables")
    pixels, names = images.read_folder(path, how.size, how.color)
    shape = pixels.shape[1:]
    values = pixels.reshape(len(pixels), math.prod(shape)).astype(np.float32) / np.float32(255)
    return Table(values, image_shape=shape, texts={"file": names})
