"""Samples in .csv files, and others with a line a sample."""

from __future__ import annotations

import csv
import io
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from pyae.cli.samples import Reading, Table, choose_columns, quoted

Array = npt.NDArray[Any]

SUFFIXES: Final = (".csv", ".tsv", ".txt")
_DELIMITERS: Final = ",;\t|"
_TRUTHS: Final = {"true": 1.0, "false": 0.0}
_MISSING: Final = ("", "na", "n/a", "#n/a", "nan", "null", "none", "?", "-")
_THOUSANDS: Final = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")


def read_csv(path: Path, how: Reading, wanted: Sequence[str] | None) -> Table:
    """Read the columns that are wanted; errors as of `read_table`."""
    delimiter = how.delimiter or ("\t" if path.suffix.lower() == ".tsv" else None)
    try:
        first = _first_line(path)
    except UnicodeDecodeError:
        raise _not_utf8(path) from None
    if not first:
        raise ValueError(f"{path}: the file is empty")
    if "\0" in first:
        raise _not_utf8(path)
    if first.lower().startswith("sep=") and len(first.strip()) == 5:
        raise ValueError(f"{path}: the first line, {first.strip()!r}, is no data; remove it")
    if delimiter is None:
        delimiter = max(_DELIMITERS, key=first.count)
    rows = _rows(path, delimiter)
    (_, head), following = next(rows), next(rows, None)
    has_header = _is_header(head, following[1] if following else None)
    if how.header is not None:
        has_header = how.header
    numbers = [str(i + 1) for i in range(len(head))]
    names = numbers
    if has_header:
        # A column without a name, such as one of row numbers, is called by its number.
        names = [cell.strip() or number for cell, number in zip(head, numbers, strict=True)]
    use = choose_columns(path, names, how, wanted, has_header)
    if has_header and following is None:
        raise ValueError(f"{path}: a header and no samples")
    texts: dict[str, list[str]] = {}
    # NumPy counts the cells of a line where it reads them all: no pass over the file to do so.
    reads_all = not how.keep and use == list(range(len(names)))
    values = _loaded(path, delimiter, has_header, None) if reads_all else None
    if values is None or values.shape[1] != len(names):
        texts = _texts(path, delimiter, has_header, names, how.keep)
        values = _loaded(path, delimiter, has_header, use) if use and not reads_all else None
    if values is None:
        values = _numbers(path, delimiter, has_header, names, use)

    used = set(use) | {names.index(name) for name in how.keep}
    return Table(
        values,
        [names[i] for i in use] if has_header else None,
        texts=texts,
        unused=[name for i, name in enumerate(names) if i not in used] if has_header else [],
        header_missed=not has_header and how.header is None,
    )


def _first_line(path: Path) -> str:
    """Return the first line that is not blank; "" if there is none."""
    with _text(path) as file:
        return next((line for line in file if line.strip()), "")


def _text(path: Path) -> io.TextIOWrapper:
    return open(path, encoding="utf-8-sig", newline="")


def _not_utf8(path: Path) -> ValueError:
    return ValueError(
        f"{path}: not a text file in UTF-8; save it as 'CSV UTF-8', as spreadsheets call it"
    )


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line numbers and cells of the lines that are not blank.

    Spaces may be many between two cells, where they are what separates them.
    """
    with _text(path) as file:
        spaces = delimiter == " "
        lines = (line.rstrip() for line in file) if spaces else file
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=spaces)
        try:
            for row in reader:
                if row and (len(row) > 1 or row[0].strip()):
                    yield reader.line_num, row
        except UnicodeDecodeError:
            raise _not_utf8(path) from None
        except csv.Error as error:
            raise ValueError(f"{path}: line {reader.line_num}: {error}") from None


def _data_rows(path: Path, delimiter: str, header: bool) -> Iterator[tuple[int, list[str]]]:
    rows = _rows(path, delimiter)
    if header:
        next(rows)
    return rows


def _texts(
    path: Path, delimiter: str, header: bool, names: list[str], keep: Sequence[str]
) -> dict[str, list[str]]:
    """Return the columns to carry along; all lines must have as many cells as the first."""
    places = {name: names.index(name) for name in keep if name in names}
    texts: dict[str, list[str]] = {name: [] for name in places}
    for line, row in _data_rows(path, delimiter, header):
        if len(row) != len(names):
            comma = delimiter == "," and len(row) == 2 * len(names) and all(map(_is_number, row))
            hint = "; remove lines above the names of columns" if len(names) == 1 else ""
            raise ValueError(
                f"{path}: line {line} has {len(row)} cells, but the first line has {len(names)}"
                + ("; write decimals with a point" if comma else hint)
            )
        for name, i in places.items():
            texts[name].append(row[i])
    return texts


def _is_header(first: list[str], second: list[str] | None) -> bool:
    """Whether the first line holds names: a word above a number, or nothing but words."""
    if second is not None and len(second) == len(first):
        if any(_is_number(b) and not _is_number(a) for a, b in zip(first, second, strict=True)):
            return True
        if any(_is_number(a) for a in first):
            return False
    return not any(_is_number(cell) for cell in first)


def _is_number(cell: str) -> bool:
    return _number(cell) is not None


def _number(cell: str) -> float | None:
    """Return what a cell stands for; None if that is no number."""
    if "_" in cell:  # Python's, but not a file's
        return None
    try:
        return float(cell)
    except ValueError:
        return _TRUTHS.get(cell.strip().lower())


def _loaded(path: Path, delimiter: str, header: bool, use: list[int] | None) -> Array | None:
    """Return the cells of some columns, or all, if NumPy takes them for numbers."""
    skip = 0
    if header:
        skip = next(line for line, _ in _rows(path, delimiter))
    try:
        with _text(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a file without data
            values: Array = np.loadtxt(
                file,
                delimiter=delimiter,
                skiprows=skip,
                usecols=use,
                ndmin=2,
                comments=None,
                quotechar='"',
            )
    except ValueError:
        return None  # words, or what NumPy does not read: blank lines, True and False
    return None if np.isnan(values).any() else values


def _numbers(path: Path, delimiter: str, header: bool, names: list[str], use: list[int]) -> Array:
    """Return the cells of some columns as numbers, one by one."""
    rows: list[list[float | None]] = []
    bad: dict[int, list[tuple[int, str]]] = {}  # of a column, the lines and cells
    for line, row in _data_rows(path, delimiter, header):
        cells = [_number(row[i]) for i in use]
        for i, x in zip(use, cells, strict=True):
            if x is None or math.isnan(x):
                bad.setdefault(i, []).append((line, row[i].strip()))
        if not bad:
            rows.append(cells)
    if bad:
        raise _bad_cells(path, names, bad)
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(use))


def _bad_cells(path: Path, names: list[str], bad: dict[int, list[tuple[int, str]]]) -> ValueError:
    """Return the error that names the first cell that is not a number, and columns like its."""
    first = next(iter(bad))
    (line, cell), name = bad[first][0], names[first]
    empty = {i: sum(_is_missing(text) for _, text in cells) for i, cells in bad.items()}
    if _is_missing(cell):
        # Columns of words are another matter.
        like = [i for i, cells in bad.items() if empty[i] == len(cells) or i == first]
        more = sum(empty[i] for i in like) - 1
        others = f", and so are {more} more cells" if more > 1 else ", and one more" if more else ""
        return ValueError(
            f"{path}: column {name!r} is empty{f' ({cell})' if cell else ''} in line {line}"
            f"{others}; fill {'them' if more else 'it'}, or leave the column"
            f"{'s' if len(like) > 1 else ''} out with --drop {quoted([names[i] for i in like])}"
        )
    if len(cell.split()) > 1 and all(map(_is_number, cell.split())):
        return ValueError(
            f"{path}: line {line} has {cell!r} in one cell; if spaces separate cells, say so with "
            "--delimiter ' '"
        )
    if _THOUSANDS.fullmatch(cell):
        return ValueError(
            f"{path}: column {name!r} has {cell!r} in line {line}: remove the separators of "
            "thousands; decimals are written with a point"
        )
    if _has_decimal_comma(cell):
        return ValueError(
            f"{path}: column {name!r} has {cell!r} in line {line}: write decimals with a point"
        )
    words = [
        names[i]
        for i, cells in bad.items()
        if not all(_is_missing(text) or _has_decimal_comma(text) for _, text in cells)
    ]
    return ValueError(
        f"{path}: column {name!r} is not numeric: {cell!r} in line {line}; leave it out with "
        f"--drop {quoted(words)}, or choose the columns to use with --columns"
    )


def _has_decimal_comma(cell: str) -> bool:
    return "," in cell and _is_number(cell.replace(",", "."))


def _is_missing(cell: str) -> bool:
    return cell.lower() in _MISSING


def write_csv(file: BinaryIO, table: Table, suffix: str) -> None:
    """Write a table with a header; with tabs for .tsv."""
    delimiter = "\t" if suffix == ".tsv" else ","
    with io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        writer.writerow([*table.texts, *table.column_names])
        for i, row in enumerate(table.values):
            texts = [cells[i] for cells in table.texts.values()]
            writer.writerow(texts + [f"{value:.{table.digits}g}" for value in row.tolist()])
