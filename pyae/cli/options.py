"""Options that commands share, and how their results are said."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from pyae.cli.samples import Reading

F = TypeVar("F", bound=Callable[..., Any])


class Names(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """Names with commas between them; one that holds a comma stands in double quotes."""

    name = "NAMES"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        """Return the names."""
        if isinstance(value, tuple):
            return value
        rows = csv.reader(io.StringIO(str(value)), skipinitialspace=True)
        return tuple(name.strip() for row in rows for name in row if name.strip())


def names_option(*declarations: str, help: str) -> Callable[[F], F]:
    """Return an option of names that may be given several times: all of them count."""
    return click.option(
        *declarations,
        type=Names(),
        multiple=True,
        callback=lambda ctx, param, value: tuple(name for names in value for name in names),
        help=help,
    )


class Sizes(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """Positive integers with commas between them."""

    name = "SIZES"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """Return the integers."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",") if part.strip()]
        if not all(part.isascii() and part.isdigit() and 0 < int(part) < 2**31 for part in parts):
            self.fail(f"{value!r}; write sizes such as 128,64, or '' for none", param, ctx)
        return tuple(map(int, parts))


class Size(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """Width and height in pixels."""

    name = "WxH"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """Return both."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([1-9]\d{0,4})(?:[xX]([1-9]\d{0,4}))?", str(value))
        if match is None:
            self.fail(f"{value!r}; write width x height in pixels, such as 28x28", param, ctx)
        return int(match[1]), int(match[2] or match[1])


class Number(click.FloatRange):
    """A number within limits; "nan", which click takes as within any, and "inf" are none."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


class Seed(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """An unsigned integer of 64 bits."""

    name = "N"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Return the integer."""
        text = str(value)
        if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < 2**64):
            self.fail(f"{value!r}; allowed are integers from 0 to 2**64 - 1", param, ctx)
        return int(text)


FILE = click.Path(path_type=Path)


def reading_options(function: F) -> F:
    """Add the options that say how to read a file of samples."""
    for option in reversed(
        [
            names_option("--columns", help="Use these columns only, such as height,age."),
            names_option("--drop", help="Do not use these columns."),
            click.option("--delimiter", metavar="CHAR", help="Of a CSV file; found by itself."),
            click.option("--header/--no-header", default=None, help="Of a CSV file; the same."),
            click.option("--key", metavar="NAME", help="Which array of a .npz file."),
            click.option("--size", type=Size(), help="Resize images to this."),
            click.option(
                "--color",
                type=click.Choice(["auto", "gray", "rgb"]),
                default="auto",
                help="How to read images; gray by itself when all are.",
            ),
        ]
    ):
        function = option(function)
    return function


def json_option(function: F) -> F:
    """Add ``--json``."""
    text = "Print the result as one JSON object, all else to the standard error."
    return click.option("--json", "as_json", is_flag=True, help=text)(function)


def reading(options: dict[str, Any], keep: tuple[str, ...] = ()) -> Reading:
    """Return what the options of `reading_options` say."""
    from pyae.cli.samples import Reading  # and NumPy, which takes longer than all of --help

    delimiter = options["delimiter"]
    if delimiter is not None:
        delimiter = {"\\t": "\t", "tab": "\t"}.get(delimiter, delimiter)
        if len(delimiter) != 1:
            raise click.UsageError(f"--delimiter must be one character or 'tab', not {delimiter!r}")
    if options["columns"] and options["drop"]:
        raise click.UsageError("give --columns or --drop, not both")
    return Reading(
        columns=options["columns"],
        drop=options["drop"],
        keep=tuple(dict.fromkeys(keep)),
        delimiter=delimiter,
        header=options["header"],
        key=options["key"],
        size=options["size"],
        color=options["color"],
    )


def say(result: dict[str, Any], text: str, as_json: bool) -> None:
    """Print a result: for scripts as JSON, for people as text."""
    if as_json:
        click.echo(json.dumps(result, allow_nan=False, default=str))
    elif text:
        click.echo(text)


def note(text: str) -> None:
    """Say something beside the result, in one line."""
    click.echo(f"pyae: {' '.join(text.split())}", err=True)


@contextlib.contextmanager
def no_warnings(quiet: bool) -> Iterator[None]:
    """Say nothing of warnings, if so."""
    with warnings.catch_warnings():
        if quiet:
            warnings.simplefilter("ignore")
        yield
