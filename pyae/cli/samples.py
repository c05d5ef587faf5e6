"""Samples as a table, and which columns of a file they are."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]


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
    header_missed: bool = False  # a CSV file in which none was found

    @property
    def column_names(self) -> list[str]:
        """The names of the features, in files that have names."""
        return self.names or numbered("x", self.values.shape[1])


def choose_columns(
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
            near = difflib.get_close_matches(name, names, 1) if has_names else []
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"{path}: {option}: no column {name!r}{hint}; {kind}: {listed(names)}")
        return place[name]

    carried = {index(name, "--keep or --labels") for name in how.keep}
    dropped = {index(name, "--drop") for name in how.drop}
    if how.columns:
        for name in how.columns:
            if how.columns.count(name) > 1:
                raise ValueError(f"{path}: --columns: {name!r} is there twice")
        chosen = [index(name, "--columns") for name in how.columns]
        if wanted is not None and sorted(how.columns) == sorted(wanted):
            return [place[name] for name in wanted]
        return chosen
    if wanted is not None and has_names:
        needed = [name for name in how.drop if name in wanted]
        if needed:
            raise ValueError(f"{path}: --drop: the model needs column {needed[0]!r}")
        missing = [name for name in wanted if name not in place]
        if missing:
            raise ValueError(
                f"{path}: no column {', '.join(map(repr, missing[:5]))}"
                f"{f' and {len(missing) - 5} more' if len(missing) > 5 else ''}, which the model "
                f"needs; columns: {listed(names)}"
            )
        return [place[name] for name in wanted]
    return [i for i in range(len(names)) if i not in dropped | carried]


def listed(names: Sequence[str]) -> str:
    """Return names for a message: not all of very many."""
    more = f", ... ({len(names)} in all)" if len(names) > 12 else ""
    return ", ".join(names[:12]) + more


def numbered(prefix: str, n: int) -> list[str]:
    """Return the names of columns that have none."""
    return [f"{prefix}{i}" for i in range(n)]


def counted(n: int, noun: str) -> str:
    """Return how many there are of something."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def quoted(names: Sequence[str]) -> str:
    """Return names as an option takes them, and as a shell needs them."""
    cells = ['"' + name.replace('"', '""') + '"' if "," in name else name for name in names]
    return shlex.quote(",".join(cells))
