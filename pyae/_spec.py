"""What all named settings share: frozen dataclasses that become JSON-able specs.

A spec is a flat dict with a ``"name"``; the compiled core fills and checks its fields, so that a
setting's limits are written in one place only.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from pyae._arguments import number
from pyae._backend import core

S = TypeVar("S", bound="Spec")

_NUMBERS = {"float": "a number", "int": "an integer"}  # by a field's type: what it must be

_ELSEWHERE = {  # what other libraries, and papers, call what has another name here
    "mse": "mean_squared_error",
    "l2_loss": "mean_squared_error",
    "mae": "mean_absolute_error",
    "l1_loss": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "bce": "binary_crossentropy",
    "log_loss": "binary_crossentropy",
    "cce": "categorical_crossentropy",
    "scce": "sparse_categorical_crossentropy",
    "nll": "sparse_categorical_crossentropy",
    "kl": "kl_divergence",
    "kld": "kl_divergence",
    "identity": "linear",
    "logistic": "sigmoid",
    "swish": "silu",
    "exp": "exponential",
    "lrelu": "leaky_relu",
    "topk": "top_k",
    "momentum": "sgd",
    "xavier": "glorot_uniform",
    "xavier_uniform": "glorot_uniform",
    "xavier_normal": "glorot_normal",
    "kaiming_uniform": "he_uniform",
    "kaiming_normal": "he_normal",
    "lasso": "l1",
    "ridge": "l2",
    "weight_decay": "l2",
    "elasticnet": "l1l2",
    "l1_l2": "l1l2",
    "kl_div": "kl_divergence",
    "dropout": "masking",
}


def unknown_name(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """Return an error for an unknown name that lists what is near it and all that is known."""
    names = sorted(known)
    given = str(name).lower().replace("-", "_").replace(" ", "_")
    same = _ELSEWHERE.get(given)
    near = [same] if same in names else difflib.get_close_matches(given, names, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return ValueError(f"unknown {kind} {name!r}.{hint} Known are: {', '.join(names)}")


def plain(value: Any) -> Any:
    """Return a field's value as JSON has it: specs as dicts, numbers of all kinds as Python's."""
    if isinstance(value, Spec):
        return value.to_spec()
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        return value.item()
    is_json = isinstance(value, int | float) or not hasattr(value, "__float__")
    return value if is_json else float(value)


@dataclasses.dataclass(frozen=True)
class Spec:
    """A named setting; subclasses are frozen dataclasses whose fields are the core's."""

    kind: ClassVar[str]  # the core's table
    name: ClassVar[str]  # its name there

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, allowed = getattr(self, field.name), str(field.type).split(" | ")
            if value is None and "None" in allowed:
                continue
            if allowed[0] in _NUMBERS and "Schedule" not in allowed:
                number(value, f"{self.name}: {field.name}", _NUMBERS[allowed[0]])
                object.__setattr__(self, field.name, plain(value))
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


def resolve(
    value: Any,
    argument: str,
    table: Mapping[str, type[S]],
    short: Mapping[str, Callable[[], S]] | None = None,
) -> S:
    """Return the setting that a user gave as a name, as a spec or as an object.

    `short` holds functions that a name stands for and that give objects of the table's classes.

    Raises
    ------
    TypeError
        ``value`` is none of these.
    ValueError
        The name is not in the table, or a field is not allowed.
    """
    by_name: dict[str, Callable[[], S]] = {**table, **(short or {})}
    if isinstance(value, str):
        if value not in by_name:
            raise unknown_name(argument, value, by_name)
        return by_name[value]()
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
    names, makers = ", ".join(sorted(by_name)), ", ".join(f.__name__ for f in by_name.values())
    raise TypeError(f"{argument} must be a name ({names}) or one of {makers}, got {value!r}")
