"""Nothing is added half: every name that the core knows has all that belongs to it.

The core's tables are walked, and each name must have its Python counterpart with the same fields
and defaults, its formula in `pyae.reference`, its documentation and its test data. The stub of the
compiled module is held to the module itself.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import inspect
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import test_activations
import test_losses
import test_optimizers
import test_penalties
import test_random

import pyae
from pyae import (
    activations,
    initializers,
    losses,
    noise,
    optimizers,
    reference,
    regularizers,
    schedules,
)
from pyae._backend import core
from pyae._spec import Spec
from pyae.reference import penalties

Tables = dict[str, dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Kind:
    """Where the counterparts of one of the core's tables are."""

    module: ModuleType
    reference: Mapping[str, Any]
    tested: set[str]  # the names that the tests have data for
    extra: Mapping[str, set[str]] = dataclasses.field(default_factory=dict)  # of fields, by name
    absent: frozenset[str] = frozenset()  # names that Python has no class for


CLIPS = {"learning_rate", "clipvalue", "clipnorm", "global_clipnorm"}

KINDS: dict[str, Kind] = {
    "activations": Kind(
        activations, reference.ACTIVATIONS, {name for name, _ in test_activations.CASES}
    ),
    "losses": Kind(
        losses,
        reference.LOSSES,
        {name for name, _ in test_losses.CASES},
        {"*": {"reduction"}},  # of the samples' values, outside the formula
    ),
    "optimizers": Kind(
        optimizers,
        reference.OPTIMIZERS,
        {optimizer.name for optimizer in test_optimizers.OPTIMIZERS},
        {"*": CLIPS},  # shared by all rules
    ),
    "schedules": Kind(
        schedules,
        reference.SCHEDULES,
        {schedule.name for schedule, _, _ in test_optimizers.CLOSED_FORMS},
        # Lists and other schedules: the core's fields are numbers.
        {"piecewise": {"boundaries", "values"}, "warm_up": {"then"}},
    ),
    "initializers": Kind(
        initializers,
        reference.INITIALIZERS,
        {spec["name"] for spec in test_random.INITIALIZERS},
    ),
    "penalties": Kind(
        regularizers,
        penalties.ACTIVITY_PENALTIES,
        {spec["name"] for spec in test_penalties.L1L2S + test_penalties.SPARSITIES},
    ),
    "corruptions": Kind(
        noise,
        reference.CORRUPTIONS,
        {spec["name"] for spec in test_random.NOISES},
        absent=frozenset({"none"}),  # in Python that is None
    ),
}


def classes_of(module: ModuleType) -> dict[str, type[Spec]]:
    """Return the public classes of a module that stand for a name of the core."""
    found = [getattr(module, name) for name in module.__all__]
    return {
        cls.name: cls
        for cls in found
        if inspect.isclass(cls) and issubclass(cls, Spec) and hasattr(cls, "name")
    }


def parameters_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a function's parameters and their defaults; those of a class and its bases."""
    functions = [function]
    if inspect.isclass(function):
        functions = [vars(cls)["__init__"] for cls in function.__mro__ if "__init__" in vars(cls)]
    merged: dict[str, Any] = {}
    for f in reversed(functions):
        if f is not object.__init__:
            merged |= {p.name: p.default for p in inspect.signature(f).parameters.values()}
    return merged


def same_default(given: Any, of_core: float | None) -> bool:
    """Whether a default is the core's; a parameter without one has nothing to compare."""
    if given in (inspect.Parameter.empty, dataclasses.MISSING) or given is None or of_core is None:
        return given is of_core or given in (inspect.Parameter.empty, dataclasses.MISSING)
    return float(given) == of_core


def has_example(thing: Any) -> bool:
    doc = inspect.getdoc(thing) or ""
    return re.search(r"Examples\n-{8}\n", doc) is not None and ">>>" in doc


# What a counterpart may leave out: a field that a user must choose has no default.
REQUIRED = {
    ("schedules", "constant"),
    ("schedules", "exponential"),
    ("schedules", "inverse_time"),
    ("schedules", "cosine"),
    ("schedules", "warm_up"),
    ("corruptions", "gaussian"),
    ("corruptions", "masking"),
    ("corruptions", "salt_and_pepper"),
}


def fields_missing(
    kind: str, name: str, entry: dict[str, Any], given: dict[str, Any], where: str
) -> list[str]:
    """Compare parameters and defaults with the core's fields of a name."""
    k = KINDS[kind]
    extra = k.extra.get("*", set()) | k.extra.get(name, set())
    found = []
    if set(given) - extra != set(entry["fields"]):
        found.append(
            f"{where} has {sorted(set(given) - extra)}, the core {sorted(entry['fields'])}"
        )
    for field, (default, _, _) in entry["fields"].items():
        value = given.get(field, inspect.Parameter.empty)
        missing = value in (inspect.Parameter.empty, dataclasses.MISSING)
        if not same_default(value, default) or (missing and (kind, name) not in REQUIRED):
            found.append(f"{where}: {field} defaults to {value}, in the core to {default}")
    return found


def missing_of_function(kind: str, name: str, entry: dict[str, Any], arguments: int) -> list[str]:
    module = KINDS[kind].module
    where = f"{module.__name__}.{name}"
    function = getattr(module, name, None)
    if function is None or name not in module.__all__:
        return [f"{where} is missing"]
    given = dict(list(parameters_of(function).items())[arguments:])
    found = fields_missing(kind, name, entry, given, where)
    if not has_example(function):
        found.append(f"{where} has no Examples section")
    if not re.search(rf"^``{name}`` ", module.__doc__ or "", re.MULTILINE):
        found.append(f"{module.__name__}'s table has no row ``{name}``")
    return found


def missing_of_class(kind: str, name: str, entry: dict[str, Any]) -> list[str]:
    cls = classes_of(KINDS[kind].module).get(name)
    if cls is None:
        return [f"{KINDS[kind].module.__name__} has no class for {name!r}"]
    where = f"{KINDS[kind].module.__name__}.{cls.__name__}"
    given = {f.name: f.default for f in dataclasses.fields(cls)}
    found = fields_missing(kind, name, entry, given, where)
    rate = entry.get("learning_rate")
    if rate is not None and given.get("learning_rate") != rate:
        found.append(f"{where}: learning_rate defaults to {given['learning_rate']}, not {rate}")
    if not has_example(cls):
        found.append(f"{where} has no Examples section")
    return found


def missing_of_reference(kind: str, name: str, entry: dict[str, Any]) -> list[str]:
    found = KINDS[kind].reference.get(name)
    if found is None:
        return [f"pyae.reference has no {name!r} among its {kind}"]
    function = getattr(found, "value", None) or getattr(found, "per_sample", None) or found
    if isinstance(function, tuple):  # a penalty's value and gradient
        function = function[0]
    given = parameters_of(function)
    if kind == "optimizers" and not same_default(
        given["learning_rate"], entry.get("learning_rate", math.nan)
    ):
        return [f"pyae.reference: {name}'s learning_rate differs"]
    return [
        f"pyae.reference: {name}'s {field} defaults to {given.get(field, 'nothing')}, not {default}"
        for field, (default, _, _) in entry["fields"].items()
        if field not in given or not same_default(given[field], default)
    ]


DOMAINS = {  # how the reference says what the core's domain says
    "real": (-math.inf, math.inf, False),
    "nonnegative": (0.0, math.inf, False),
    "unit": (0.0, 1.0, False),
    "probabilities": (0.0, 1.0, False),
    "classes": (0.0, math.inf, True),
}


def missing_of_domain(name: str, entry: dict[str, Any]) -> list[str]:
    low, high = entry["domain"]
    in_reference = DOMAINS.get(reference.LOSSES[name].targets) if name in reference.LOSSES else None
    if (low, high, entry["classes"]) != in_reference:
        return [f"{name} has the domain [{low}, {high}], in the reference {in_reference}"]
    return []


def missing_of_kind(kind: str, names: dict[str, Any]) -> list[str]:
    """Return what any name of one table lacks, and names that the table lacks."""
    k = KINDS[kind]
    found = []
    for name, entry in names.items():
        if name in k.absent:
            continue
        if kind == "activations":
            found += missing_of_function(kind, name, entry, arguments=1)
        else:
            found += missing_of_class(kind, name, entry)
        if kind == "losses":
            found += missing_of_function(kind, name, entry, arguments=2)
            found += missing_of_domain(name, entry)
        found += missing_of_reference(kind, name, entry)
        if name not in k.tested:
            found.append(f"no test has data for {name!r} of {kind}")
    known = set(k.reference) | k.tested
    if kind != "activations":
        known |= set(classes_of(k.module))
    return found + [f"the core has no {name!r} among its {kind}" for name in known - set(names)]


def missing(tables: Tables) -> list[str]:
    """Return what is missing in any table, and tables that are not known or not there."""
    found = []
    for kind, names in tables.items():
        if kind in KINDS:
            found += missing_of_kind(kind, names)
        else:
            found.append(f"the walker does not know the table {kind!r}")
    return found + [f"the core has no table {kind!r}" for kind in KINDS if kind not in tables]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_missing(kind: str) -> None:
    found = missing_of_kind(kind, core.tables()[kind])
    assert not found, "\n".join(found)


def test_the_walker_knows_every_table() -> None:
    assert set(core.tables()) == set(KINDS)


# ------------------------------------------------------------------------ the walker itself fails


def _with(tables: Tables, kind: str, name: str, entry: dict[str, Any] | None) -> Tables:
    changed = copy.deepcopy(tables)
    if entry is None:
        del changed[kind][name]
    else:
        changed[kind][name] = entry
    return changed


@pytest.mark.parametrize("kind", KINDS)
def test_the_walker_sees_a_new_name(kind: str) -> None:
    tables = core.tables()
    usual = set(missing(tables))
    entry = {"fields": {}, "domain": (0.0, 1.0), "classes": False, "learning_rate": 0.1}
    found = set(missing(_with(tables, kind, "newcomer", entry))) - usual
    assert any("pyae.reference has no 'newcomer'" in line for line in found)
    assert any("no test has data for 'newcomer'" in line for line in found)
    if kind == "activations":
        assert "pyae.activations.newcomer is missing" in found
    else:
        assert any("has no class for 'newcomer'" in line for line in found)


@pytest.mark.parametrize("kind", KINDS)
def test_the_walker_sees_a_lost_name(kind: str) -> None:
    tables = core.tables()
    name = next(name for name in tables[kind] if name not in KINDS[kind].absent)
    found = missing(_with(tables, kind, name, None))
    assert f"the core has no {name!r} among its {kind}" in found


@pytest.mark.parametrize("kind", KINDS)
def test_the_walker_sees_a_new_field_and_a_new_default(kind: str) -> None:
    tables = core.tables()
    usual = set(missing(tables))
    for name, entry in tables[kind].items():
        if name in KINDS[kind].absent:
            continue
        more = {**entry, "fields": {**entry["fields"], "novelty": (0.5, 0.0, 1.0)}}
        found = set(missing(_with(tables, kind, name, more))) - usual
        assert any("novelty" in line for line in found)
        for field, (default, low, high) in entry["fields"].items():
            if default is None or (kind, name) in REQUIRED:
                continue
            changed = {**entry, "fields": {**entry["fields"], field: (default + 0.25, low, high)}}
            found = set(missing(_with(tables, kind, name, changed))) - usual
            assert any(field in line and str(default + 0.25) in line for line in found)


def test_the_walker_sees_a_new_rate_a_new_domain_and_a_new_table() -> None:
    tables = core.tables()
    usual = set(missing(tables))

    def news(changed: Tables) -> set[str]:
        return set(missing(changed)) - usual

    assert news(
        _with(tables, "optimizers", "adam", {**tables["optimizers"]["adam"], "learning_rate": 1.0})
    )
    assert news(
        _with(tables, "losses", "huber", {**tables["losses"]["huber"], "domain": (0.0, 1.0)})
    )
    assert news({**tables, "layers": {}}) == {"the walker does not know the table 'layers'"}
    assert news({k: v for k, v in tables.items() if k != "losses"}) >= {
        "the core has no table 'losses'"
    }


def test_the_walker_sees_a_missing_row_and_example(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = set(missing(core.tables()))
    rows = str(activations.__doc__).replace("``relu`` ", "``rely`` ")
    monkeypatch.setattr(activations, "__doc__", rows)
    monkeypatch.setattr(losses.Huber, "__doc__", "A loss.")
    assert set(missing(core.tables())) - usual == {
        "pyae.activations's table has no row ``relu``",
        "pyae.losses.Huber has no Examples section",
    }


# ------------------------------------------------------------------------------------- the lists


def test_names_are_the_tables() -> None:
    tables = core.tables()
    assert activations.names() == list(tables["activations"])
    assert losses.names() == list(tables["losses"])
    assert set(activations.names()) <= set(activations.__all__)
    assert set(losses.names()) <= set(losses.__all__)


@pytest.mark.parametrize("name", losses.names())
def test_a_loss_s_domain_is_what_it_accepts(name: str) -> None:
    entry = core.tables()["losses"][name]
    case: test_losses.Case = (name, {})
    t, p, _ = test_losses.draw(case, (40, 5), np.float64)
    low, high = entry["domain"]
    assert t.min() >= low
    assert t.max() <= high
    assert np.isfinite(getattr(losses, name)(t, p)).all()
    outside = [end for end in (low - 0.5, high + 0.5) if math.isfinite(end)]
    for value in [*outside, *([p.shape[-1], 0.5] if entry["classes"] else [])]:
        wrong = t.astype(float)
        wrong.flat[3] = value
        with pytest.raises(ValueError, match="y_true"):
            getattr(losses, name)(wrong, p)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "activations"])
def test_specs_of_all_classes_are_accepted_by_the_core(kind: str) -> None:
    for name, cls in classes_of(KINDS[kind].module).items():
        assert cls.name == name
        assert cls.__doc__
        if (kind, name) not in REQUIRED | {("schedules", "piecewise")}:
            spec = cls().to_spec()
            spec.pop("reduction", None)
            core.check_spec(cls.kind, spec)
            with pytest.raises(ValueError, match="novelty"):
                core.check_spec(cls.kind, {**spec, "novelty": 1.0})


# -------------------------------------------------------------------------------------- the stub

STUB = ast.parse(Path(pyae.__file__).with_name("_core.pyi").read_text(encoding="utf-8"))
NETWORKS = ["Network32", "Network64"]


def _public(thing: Any) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def _stub_class(name: str) -> dict[str, ast.FunctionDef]:
    """Return the members of a class of the stub, inherited ones included."""
    node = next(n for n in STUB.body if isinstance(n, ast.ClassDef) and n.name == name)
    members: dict[str, ast.FunctionDef] = {}
    for base in node.bases:
        assert isinstance(base, ast.Name)
        members |= _stub_class(base.id)
    return members | {n.name: n for n in node.body if isinstance(n, ast.FunctionDef)}


def _stub_functions() -> dict[str, ast.FunctionDef]:
    return {n.name: n for n in STUB.body if isinstance(n, ast.FunctionDef)}


def _compiled_arguments(function: Any) -> list[list[str]]:
    """Return the names of the arguments of each overload, as pybind11 documents them."""
    signatures = re.findall(rf"^(?:\d+\. )?{function.__name__}\((.*)\) -> ", function.__doc__, re.M)
    return [re.findall(r"(?:^|, )(\w+): ", text) for text in signatures]


def test_the_stub_has_the_module_s_names() -> None:
    functions = set(_stub_functions())
    classes = {n.name for n in STUB.body if isinstance(n, ast.ClassDef)}
    assert functions | {name for name in classes if not name.startswith("_")} == _public(core)
    assert all(callable(getattr(core, name)) for name in functions)


@pytest.mark.parametrize("name", sorted(_stub_functions()))
def test_the_stub_has_the_functions_arguments(name: str) -> None:
    compiled = _compiled_arguments(getattr(core, name))
    assert compiled
    for arguments in compiled:
        assert [a.arg for a in _stub_functions()[name].args.args] == arguments


@pytest.mark.parametrize("name", NETWORKS)
def test_the_stub_has_the_networks_members(name: str) -> None:
    cls = getattr(core, name)
    members = _stub_class(name)
    assert set(members) - {"__init__"} == _public(cls)
    for member, node in members.items():
        is_property = any(
            isinstance(d, ast.Name) and d.id == "property" for d in node.decorator_list
        )
        compiled = getattr(cls, member)
        assert isinstance(compiled, property) == is_property, member
        if not is_property:
            assert [[a.arg for a in node.args.args]] == _compiled_arguments(compiled), member
