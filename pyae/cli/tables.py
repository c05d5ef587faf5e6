"""Samples in files: .npy, .npz, .csv, Parquet and folders of images, read and written.

The suffix says what a file is. Names of columns come from a CSV file's header or from Parquet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pyae._safefile import replacement
from pyae.cli import array_files, csv_files, images, parquet_files
from pyae.cli.outputs import new_folder
from pyae.cli.samples import Reading, Table

Array = npt.NDArray[Any]

SUFFIXES: Final = (*csv_files.SUFFIXES, *array_files.SUFFIXES, *parquet_files.SUFFIXES)
_HINTS: Final = {
    ".safetensors": "; this is a model, not its samples",
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "; save the sheet as 'CSV UTF-8'"),
    **dict.fromkeys((".gz", ".zip", ".bz2", ".xz"), "; unpack it first"),
    **dict.fromkeys(images.SUFFIXES, "; give the folder that the image is in"),
}


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
    elif suffix in csv_files.SUFFIXES:
        table = csv_files.read_csv(path, how, wanted)
    elif suffix in parquet_files.SUFFIXES:
        table = parquet_files.read_parquet(path, how, wanted)
    elif suffix in array_files.SUFFIXES:
        table = array_files.read_arrays(path, how)
    else:
        raise ValueError(
            f"{str(path)!r} has the suffix {path.suffix!r}; readable are "
            f"{', '.join(SUFFIXES)} and folders of images{_HINTS.get(suffix, '')}"
        )
    if not table.values.size:
        raise ValueError(f"{path}: no samples, or no columns to use")
    _require_finite(path, table)
    return table


def write_table(path: Path, table: Table) -> None:
    """Write samples as the suffix says, whole or not at all.

    A path without a suffix becomes a folder of PNG images.
    """
    suffix = path.suffix.lower()
    if not suffix:
        with new_folder(path) as folder:
            images.write_folder(folder, table.values, table.image_shape, table.texts.get("file"))
        return
    twice = set(table.texts) & set(table.column_names)
    if twice and suffix not in array_files.SUFFIXES:  # the names of images beside features
        raise ValueError(f"{path}: two columns would be called {min(twice)!r}; write .npz")
    with replacement(path) as file:
        if suffix in csv_files.SUFFIXES:
            csv_files.write_csv(file, table, suffix)
        elif suffix in parquet_files.SUFFIXES:
            parquet_files.write_parquet(file, table)
        else:
            array_files.write_arrays(file, table, suffix)


def check_kept(keep: Sequence[str], made: Sequence[str], output: Path) -> None:
    """Refuse, before anything is computed, kept columns that an output cannot hold.

    Parameters
    ----------
    keep : sequence of str
        The names of columns to carry along.
    made : sequence of str
        Those of the columns that are written.
    output : Path
        Where to.

    Raises
    ------
    ValueError
        One is called like what is written, or such a file has no place for it.
    """
    suffix = output.suffix.lower()
    names_of_images = not suffix and set(keep) == {"file"}
    if keep and suffix in ("", ".npy") and not names_of_images:
        kind = "a .npy file" if suffix else "a folder of images"
        raise ValueError(
            f"--keep {','.join(keep)}: {kind} holds no columns to carry along; write .npz, .csv "
            "or Parquet"
        )
    twice = set(keep) & set([array_files.DATA] if suffix == ".npz" else made)
    if twice:
        raise ValueError(
            f"--keep: {str(output)!r} gets a column {min(twice)!r} already; rename the one that "
            "is carried along"
        )


def read_labels(name: str, path: Path, how: Reading, table: Table) -> Array:
    """Return one label a sample: a column of the table, an array of a .npz file, or a file.

    Raises
    ------
    ValueError
        There are none of that name, or not one a sample.
    """
    if path.suffix.lower() == ".npz" and name in array_files.members(path):
        with np.load(path, allow_pickle=False) as archive:
            labels: Array = archive[name]
    elif name in table.texts:
        labels = _as_numbers(table.texts[name])
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


def _read_images(path: Path, how: Reading) -> Table:
    if how.columns or how.drop:
        raise ValueError(f"{path}: images have no columns; --columns and --drop are for tables")
    lost = [name for name in how.keep if name != "file"]
    if lost:
        raise ValueError(f"{path}: images have no columns but 'file', their names; no {lost[0]!r}")
    pixels, names = images.read_folder(path, how.size, how.color)
    shape = pixels.shape[1:]
    values = pixels.reshape(len(pixels), math.prod(shape)).astype(np.float32) / np.float32(255)
    return Table(values, image_shape=shape, texts={"file": names})
