"""Samples in .npy and .npz files."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from pyae.cli.samples import Reading, Table, listed
from pyae.datasets import load_images

SUFFIXES: Final = (".npy", ".npz")
DATA: Final = "data"  # what samples are called among the arrays of a .npz file


def read_arrays(path: Path, how: Reading) -> Table:
    """Read one array; errors as of `read_table`."""
    for option in ("columns", "drop", "keep"):
        if getattr(how, option) and not (option == "keep" and path.suffix.lower() == ".npz"):
            raise ValueError(
                f"{path}: columns of an array have no names; --{option} is for CSV and "
                "Parquet files"
            )
    key = how.key
    if key is None and path.suffix.lower() == ".npz":
        key = _only_one(path, [name for name in members(path) if name not in how.keep])
    values = load_images(path, key)
    shape = _shape_of(path, key)[1:]
    image_shape = shape if len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4)) else None
    if values.dtype == np.uint8 and image_shape is not None:
        values = values.astype(np.float32) / np.float32(255)
    return Table(values, image_shape=image_shape, texts=_texts(path, how.keep, len(values)))


def _only_one(path: Path, names: list[str]) -> str:
    """Return which array the samples are."""
    if not names:
        raise ValueError(f"{path}: there is no array of samples in it")
    if len(names) > 1 and DATA not in names:
        raise ValueError(f"{path}: several arrays; say which with --key: {listed(names)}")
    return DATA if DATA in names else names[0]


def _texts(path: Path, keep: Sequence[str], n_samples: int) -> dict[str, list[str]]:
    """Return arrays that are carried along."""
    if not keep:
        return {}
    texts = {}
    with np.load(path, allow_pickle=False) as archive:
        for name in keep:
            if name not in archive.files:
                raise ValueError(
                    f"{path}: --keep or --labels: no array {name!r}; arrays: "
                    f"{listed(archive.files)}"
                )
            values = archive[name]
            if values.shape != (n_samples,):
                raise ValueError(
                    f"{path}: --keep or --labels: array {name!r} has shape {values.shape}; there "
                    f"must be one value for each of the {n_samples} samples"
                )
            texts[name] = [str(value) for value in values.tolist()]
    return texts


def members(path: Path) -> list[str]:
    """Return the names of a .npz file's arrays."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: not a .npz file: {error}") from None


def _shape_of(path: Path, key: str | None) -> tuple[int, ...]:
    """Return the shape that the header of an array says; the file was read without error."""
    if path.suffix.lower() == ".npy":
        return tuple(np.load(path, mmap_mode="r", allow_pickle=False).shape)
    member = f"{key or members(path)[0]}.npy"
    with zipfile.ZipFile(path) as archive, archive.open(member) as file:
        if np.lib.format.read_magic(file) == (1, 0):
            return tuple(np.lib.format.read_array_header_1_0(file)[0])
        return tuple(np.lib.format.read_array_header_2_0(file)[0])


def write_arrays(file: BinaryIO, table: Table, suffix: str) -> None:
    """Write samples; of a .npz file they are the array `DATA`, beside what is carried along."""
    values = table.values
    if table.image_shape is not None:
        values = values.reshape(len(values), *table.image_shape)
    if suffix == ".npy":
        np.save(file, values)
        return
    arrays = {DATA: values} | {name: np.array(cells) for name, cells in table.texts.items()}
    # Not numpy.savez: its own parameters are no names for arrays.
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
