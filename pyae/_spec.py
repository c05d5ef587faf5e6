"""What all named settings share: frozen dataclasses that become JSON-able specs.

A spec is a flat dict with a ``"name"``; the compiled core fills and checks its fields, so that a
setting's limits are written in one place only.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from pyae._backend import core

S = TypeVar("S", bound="Spec")


def unknown_name(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """Return an error for an unknown name that lists what is near it and all that is known."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name).lower(), names, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return ValueError(f"unknown {kind} {name!r}.{hint} Known are: {', '.join(names)}")


def plain(value: Any) -> Any:
    """Return a field's value as JSON has it: specs as dicts, NumPy scalars as numbers."""
    if isinstance(value, Spec):
        return value.to_spec()
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value.item() if hasattr(value, "item") else value


@dataclasses.dataclass(frozen=True)
class Spec:
    """A named setting; subclasses are frozen dataclasses whose fields are the core's."""

    kind: ClassVar[str]  # the core's table
    name: ClassVar[str]  # its name there

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raise a TypeError or ValueError that names the field, when one is not allowed."""
        core.check_spec(self.kind, self.to_spec())

    def to_spec(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        fields = {f.name: plain(getattr(self, f.name)) for f in dataclasses.fields(self)}
        return {"name": self.name, **fields}


def table_of(*classes: type[S]) -> dict[str, type[S]]:
    """Return the classes by name."""
    return {cls.name: cls for cls in classes}


def resolve(value: Any, argument: str, table: Mapping[str, type[S]]) -> S:
    """Return the setting that a user gave as a name, as a spec or as an object.

    Raises
    ------
    TypeError
        ``value`` is none of these.
    ValueError
        The name is not in the table, or a field is not allowed.
    """
    if isinstance(value, str):
        if value not in table:
            raise unknown_name(argument, value, table)
        return table[value]()
    if isinstance(value, Mapping):
        fields = dict(value)
        if "name" not in fields:
            raise ValueError(f"{argument} must have a 'name', got {value!r}")
        name = fields.pop("name")
        if name not in table:
            raise unknown_name(argument, name, table)
        cls = table[name]
        known = {f.name for f in dataclasses.fields(cls)}
        for field in fields:
            if field not in known:
                raise unknown_name(f"parameter of {name}", field, known)
        return cls(**fields)
    for cls in table.values():
        if isinstance(value, cls):
            return value
    classes = ", ".join(cls.__name__ for cls in table.values())
    raise TypeError(
        f"{argument} must be a name ({', '.join(sorted(table))}) or one of {classes}, got {value!r}"
    )
