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
    texts = _texts(path, delimiter, has_header, names, how.keep)
    use = choose_columns(path, names, how, wanted, has_header)
    if has_header and following is None:
        raise ValueError(f"{path}: a header and no samples")

    used = set(use) | {names.index(name) for name in how.keep}
    return Table(
        _numbers(path, delimiter, has_header, names, use),
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
            comma = delimiter == "," and len(row) == 2 * len(names)
            raise ValueError(
                f"{path}: line {line} has {len(row)} cells, but the first line has {len(names)}"
                + ("; write decimals with a point" if comma else "")
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
        pass  # words, or what NumPy does not read: blank lines, True and False
    else:
        if not np.isnan(values).any():
            return values
    rows = []
    for line, row in _data_rows(path, delimiter, header):
        cells = [_number(row[i]) for i in use]
        bad = [i for i, x in zip(use, cells, strict=True) if x is None or math.isnan(x)]
        if bad:
            raise _bad_cell(path, line, row, names, bad)
        rows.append(cells)
    return np.array(rows, dtype=np.float64)


def _bad_cell(
    path: Path, line: int, row: list[str], names: list[str], bad: list[int]
) -> ValueError:
    """Return the error that names the first cell of a line that is not a number."""
    cell, name = row[bad[0]].strip(), names[bad[0]]
    if cell.lower() in _MISSING:
        return ValueError(
            f"{path}: column {name!r} is empty{f' ({cell})' if cell else ''} in line {line}; fill "
            f"it, or leave the column out with --drop {quoted(name)}"
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
    if "," in cell and _is_number(cell.replace(",", ".")):
        return ValueError(
            f"{path}: column {name!r} has {cell!r} in line {line}: write decimals with a point"
        )
    all_bad = ",".join(names[i] for i in bad)
    return ValueError(
        f"{path}: column {name!r} is not numeric: {cell!r} in line {line}; leave it out with "
        f"--drop {quoted(all_bad)}, or choose the columns to use with --columns"
    )


def write_csv(file: BinaryIO, table: Table, suffix: str) -> None:
    """Write a table with a header; with tabs for .tsv."""
    delimiter = "\t" if suffix == ".tsv" else ","
    with io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        writer.writerow([*table.texts, *table.column_names])
        for i, row in enumerate(table.values):
            texts = [cells[i] for cells in table.texts.values()]
            writer.writerow(texts + [f"{value:.{table.digits}g}" for value in row.tolist()])
