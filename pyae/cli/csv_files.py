"""Samples in .csv files, and others with a line a sample."""

from __future__ import annotations

import csv
import io
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


def read_csv(path: Path, how: Reading, wanted: Sequence[str] | None) -> Table:
    """Read the columns that are wanted; errors as of `read_table`."""
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
    use = choose_columns(path, names, how, wanted, has_header)
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
                f"out with --drop {quoted(name)}"
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
    return None


def write_csv(file: BinaryIO, table: Table, suffix: str) -> None:
    """Write a table with a header; with tabs for .tsv."""
    delimiter = "\t" if suffix == ".tsv" else ","
    with io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        writer.writerow([*table.texts, *table.column_names])
        for i, row in enumerate(table.values):
            texts = [cells[i] for cells in table.texts.values()]
            writer.writerow(texts + [f"{value:.{table.digits}g}" for value in row.tolist()])
