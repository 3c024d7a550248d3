"""Every public name of garage's and tianshou's documented APIs is here, with the parameters they document."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import tomllib
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import pytest

HERE = Path(__file__).parent
CONTRACT: dict[str, dict[str, dict[str, Any]]] = tomllib.loads((HERE / "contract.toml").read_text())
NO_DEFAULT = "no default"


class Parameter(NamedTuple):
    """One documented parameter; `default` is source text."""

    name: str
    kind: str
    default: str


class Change(NamedTuple):
    """One row of the table of changed defaults."""

    where: str
    parameter: str
    documented: str
    here: str
    reason: str


def look_up(module: str, name: str) -> Any:
    """The object that users reach as `module.name`."""
    return reduce(getattr, name.split("."), importlib.import_module(module))


def documented_parameters(signature: str) -> list[Parameter]:
    """Read a signature of the contract."""
    definition = ast.parse(f"def f{signature}: ...").body[0]
    assert isinstance(definition, ast.FunctionDef)
    given = definition.args
    missing = [None] * (len(given.args) - len(given.defaults))
    found = [
        ("POSITIONAL_OR_KEYWORD", arg, value)
        for arg, value in zip(given.args, [*missing, *given.defaults], strict=True)
    ]
    found += [("VAR_POSITIONAL", given.vararg, None)] if given.vararg else []
    found += [
        ("KEYWORD_ONLY", arg, value) for arg, value in zip(given.kwonlyargs, given.kw_defaults, strict=True)
    ]
    found += [("VAR_KEYWORD", given.kwarg, None)] if given.kwarg else []
    return [
        Parameter(arg.arg, kind, ast.unparse(value) if value else NO_DEFAULT) for kind, arg, value in found
    ]


def real_parameters(thing: Any) -> list[Parameter]:
    """The parameters of a function, method or class as they are, without `self`."""
    parameters = [p for p in inspect.signature(thing).parameters.values() if p.name != "self"]
    return [Parameter(p.name, p.kind.name, default_text(p.default)) for p in parameters]


def default_text(default: object) -> str:
    """A default as it would stand in source."""
    if default is inspect.Parameter.empty:
        return NO_DEFAULT
    return str(default) if repr(default).startswith("<") else repr(default)


def changes() -> list[Change]:
    """The rows of docs/changed-defaults.md."""
    lines = (HERE.parent / "docs" / "changed-defaults.md").read_text().splitlines()
    rows = [
        [cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines
        if line.startswith("| `")
    ]
    return [Change(*row) for row in rows]


def entries(kind: str) -> list[Any]:
    """One pytest parameter for each name that the contract lists under `kind`."""
    return [
        pytest.param(module, name, value, id=f"{module}.{name}")
        for module, sections in CONTRACT.items()
        for name, value in sections.get(kind, {}).items()
    ]


@pytest.mark.parametrize(("module", "name", "signature"), entries("signatures"))
class TestSignatures:
    def test_names_order_and_kinds_are_as_documented(self, module: str, name: str, signature: str) -> None:
        """Old calls, positional ones too, keep working; whatever was added is keyword-only."""
        renamed = {
            c.documented: c.parameter
            for c in changes()
            if c.where == f"{module}.{name}" and c.here == "renamed"
        }
        wanted = [(renamed.get(p.name, p.name), p.kind) for p in documented_parameters(signature)]
        real = [(p.name, p.kind) for p in real_parameters(look_up(module, name))]
        assert [pair for pair in real if pair in wanted] == wanted
        assert {kind for pair in real if pair not in wanted for kind in pair[1:]} <= {"KEYWORD_ONLY"}

    def test_defaults_are_as_documented_or_explained(self, module: str, name: str, signature: str) -> None:
        """A default that differs has a row, with both values, in docs/changed-defaults.md."""
        listed = {(c.parameter, c.documented, c.here) for c in changes() if c.where == f"{module}.{name}"}
        real = {p.name: p.default for p in real_parameters(look_up(module, name))}
        wanted = {
            (p.name, p.default, real[p.name]) for p in documented_parameters(signature) if p.name in real
        }
        assert {row for row in wanted if row[1] != row[2]} == {row for row in listed if row[2] != "renamed"}


@pytest.mark.parametrize(("module", "name", "members"), entries("members"))
def test_enumerations_have_the_documented_members(module: str, name: str, members: dict[str, str]) -> None:
    """Members and their values are as documented; more may follow."""
    real = {member.name: member.value for member in look_up(module, name)}
    assert members.items() <= real.items()


@pytest.mark.parametrize(("module", "name", "properties"), entries("properties"))
def test_documented_attributes_are_there(module: str, name: str, properties: list[str]) -> None:
    """Attributes that users read can be read."""
    assert set(properties) <= set(dir(look_up(module, name)))


@pytest.mark.parametrize(("module", "name", "base"), entries("bases"))
def test_bases_are_as_documented(module: str, name: str, base: str) -> None:
    """`isinstance` and `except` in user code keep meaning the same."""
    assert base in [parent.__name__ for parent in look_up(module, name).__mro__]


@pytest.mark.parametrize(("module", "name", "methods"), entries("abstract"))
def test_abstract_methods_are_exactly_the_documented_ones(module: str, name: str, methods: list[str]) -> None:
    """A subclass that users have written already is complete here too."""
    assert sorted(look_up(module, name).__abstractmethods__) == methods


def test_every_change_is_of_a_documented_name_and_gives_a_reason() -> None:
    """The table holds no row for something that does not exist, and none without a reason."""
    names = {f"{module}.{name}" for module, sections in CONTRACT.items() for name in sections["signatures"]}
    assert {c.where for c in changes()} <= names
    assert all(c.reason for c in changes())
