"""Samples in Parquet files, with pyarrow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from pyae.cli.samples import Reading, Table, choose_columns, quoted

SUFFIXES: Final = (".parquet", ".pq")


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "Parquet files need pyarrow, which is not installed: pip install pyarrow"
        ) from error
    return pyarrow


def read_parquet(path: Path, how: Reading, wanted: Sequence[str] | None) -> Table:
    """Read the columns that are wanted; errors as of `read_table`."""
    arrow = _pyarrow()
    try:
        data = arrow.parquet.read_table(path)
    except arrow.ArrowException as error:
        raise ValueError(f"{path}: not a Parquet file: {error}") from error
    names: list[str] = data.column_names
    use = choose_columns(path, names, how, wanted, has_names=True)
    words = [names[i] for i in use if not _is_numeric(arrow, data.schema.field(i).type)]
    empty = [names[i] for i in use if data.column(i).null_count]
    columns = []
    for i in use:
        column, kind = data.column(i), data.schema.field(i).type
        if not _is_numeric(arrow, kind):
            raise ValueError(
                f"{path}: column {names[i]!r} is not numeric but {kind}; leave it out with "
                f"--drop {quoted(words)}, or choose the columns to use with --columns"
            )
        if column.null_count:
            raise ValueError(
                f"{path}: column {names[i]!r} has {column.null_count} empty cells; fill them, or "
                f"leave {'it' if len(empty) == 1 else 'such columns'} out with "
                f"--drop {quoted(empty)}"
            )
        columns.append(np.asarray(column, dtype=np.float64))
    used = set(use) | {names.index(name) for name in how.keep}
    return Table(
        np.column_stack(columns) if columns else np.empty((0, 0)),
        [names[i] for i in use],
        texts={name: [str(v) for v in data.column(name).to_pylist()] for name in how.keep},
        unused=[name for i, name in enumerate(names) if i not in used],
    )


def _is_numeric(arrow: Any, kind: Any) -> bool:
    """Whether the values of a column are numbers, or true and false."""
    is_number = arrow.types.is_floating(kind) or arrow.types.is_integer(kind)
    return bool(is_number or arrow.types.is_boolean(kind))


def write_parquet(file: BinaryIO, table: Table) -> None:
    """Write a table."""
    arrow = _pyarrow()
    columns = [arrow.array(column) for column in (*table.texts.values(), *table.values.T)]
    names = [*table.texts, *table.column_names]
    arrow.parquet.write_table(arrow.table(columns, names=names), file)
