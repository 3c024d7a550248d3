"""The rules of the house that no linter knows, for every source and test file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(ROOT.glob("packages/*/src/**/*.py"))
TESTS = sorted([*ROOT.glob("packages/*/tests/**/test_*.py"), *ROOT.glob("tests-integration/**/test_*.py")])
MAX_FILE_LINES = 300
MAX_MODULES = 24
LIMITS: dict[type[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef], int] = {
    ast.ClassDef: 150,
    ast.FunctionDef: 40,
    ast.AsyncFunctionDef: 40,
}
VAGUE_NAMES = {"utils", "util", "common", "helpers", "misc", "manager", "base_utils"}
PLATFORM_MODULES = {"os", "signal", "select", "socket", "sys"}  # what they hold depends on the platform
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")
ROLE = re.compile(r":(?:class|meth|func|mod|data|attr|exc):`")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:root|work|tmp/wt)/")
Node = TypeVar("Node", bound=ast.AST)
Scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: object) -> str:
    """A short name for a test's parameter."""
    return str(path.relative_to(ROOT)) if isinstance(path, Path) else str(path)


every_source = pytest.mark.parametrize("path", SOURCES, ids=name_of)
every_test = pytest.mark.parametrize("path", TESTS, ids=name_of)


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def nodes(tree: ast.AST, kind: type[Node]) -> Iterator[Node]:
    """All nodes of one kind below `tree`."""
    return (node for node in ast.walk(tree) if isinstance(node, kind))


@cache
def lines_of_code(path: Path) -> tuple[int, ...]:
    """The numbers of the lines that are neither empty, nor a comment, nor a docstring."""
    documented = [
        node for node in ast.walk(tree_of(path)) if isinstance(node, Scope) and ast.get_docstring(node)
    ]
    prose = {line for node in documented for line in span(node.body[0])}
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    return tuple(
        n for n, line in lines if line.strip() and not line.strip().startswith("#") and n not in prose
    )


def span(node: ast.stmt) -> range:
    """The numbers of the lines of a statement."""
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def size(path: Path, node: ast.stmt) -> int:
    """How many lines of code a class or function has."""
    lines = span(node)
    return sum(1 for line in lines_of_code(path) if line in lines)


def called(call: ast.Call) -> str:
    """The name that a call is written with."""
    return ast.unparse(call.func)


@every_source
class TestSources:
    def test_sizes_stay_readable(self, path: Path) -> None:
        """Files, classes and functions stay below the sizes at which they should be taken apart."""
        assert len(lines_of_code(path)) <= MAX_FILE_LINES
        sizes = {
            f"{node.name}, line {node.lineno}": size(path, node) - limit
            for kind, limit in LIMITS.items()
            for node in nodes(tree_of(path), kind)
        }
        assert {name: over for name, over in sizes.items() if over > 0} == {}

    def test_errors_are_raised_not_asserted(self, path: Path) -> None:
        """`python -O` removes assertions, and their messages tell a user nothing."""
        assert [node.lineno for node in nodes(tree_of(path), ast.Assert)] == []

    def test_no_state_is_shared_through_globals(self, path: Path) -> None:
        """Module state that functions rebind makes two runs in one process disturb each other."""
        assert [node.lineno for node in nodes(tree_of(path), ast.Global)] == []

    def test_nothing_is_probed_for(self, path: Path) -> None:
        """What an object offers is asked in `_offers.py` alone."""
        calls = [call for call in nodes(tree_of(path), ast.Call) if called(call) in {"getattr", "hasattr"}]
        objects = [call for call in calls if ast.unparse(call.args[0]) not in PLATFORM_MODULES]
        probes = [call.lineno for call in objects if called(call) == "hasattr" or len(call.args) > 2]
        assert path.name == "_offers.py" or probes == []

    def test_nothing_is_left_unfinished(self, path: Path) -> None:
        """What is not done is said in the documentation, where users find it."""
        assert UNFINISHED.findall(path.read_text(encoding="utf-8")) == []

    def test_names_in_docstrings_are_code(self, path: Path) -> None:
        """The site shows what stands in docstrings, and knows no roles of Sphinx."""
        assert ROLE.findall(path.read_text(encoding="utf-8")) == []

    def test_modules_are_named_for_what_they_do(self, path: Path) -> None:
        """A name that fits everything tells a reader nothing."""
        assert path.stem.strip("_") not in VAGUE_NAMES


@pytest.mark.parametrize("folder", sorted({path.parent for path in SOURCES}), ids=name_of)
class TestFolders:
    def test_a_folder_is_read_at_a_glance(self, folder: Path) -> None:
        """Where many modules lie side by side, those that belong together get a folder of their own."""
        assert len(list(folder.glob("*.py"))) <= MAX_MODULES

    def test_a_group_says_what_it_is_for(self, folder: Path) -> None:
        """The first line of a folder's `__init__` explains it."""
        assert ast.get_docstring(tree_of(folder / "__init__.py"))


@every_test
class TestTests:
    def test_expected_errors_are_told_apart(self, path: Path) -> None:
        """Every `pytest.raises` says which message it expects."""
        raises = [call for call in nodes(tree_of(path), ast.Call) if called(call) == "pytest.raises"]
        assert [
            call.lineno for call in raises if "match" not in {keyword.arg for keyword in call.keywords}
        ] == []

    def test_every_test_says_what_it_holds(self, path: Path) -> None:
        """A failing test explains itself by its docstring."""
        tests = [node for node in nodes(tree_of(path), ast.FunctionDef) if node.name.startswith("test_")]
        assert [node.name for node in tests if not ast.get_docstring(node)] == []


def test_no_file_names_a_folder_of_the_machine_it_was_written_on() -> None:
    """The repository works wherever it is cloned."""
    suffixes = {".py", ".md", ".toml", ".yml", ".cfg", ".txt"}
    folders = ["packages", "examples", "docs", "tests-integration", ".github", ".ci"]
    files = [
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in suffixes or path.name == "run"
    ]
    assert [
        name_of(path)
        for path in files
        if path.is_file() and MACHINE_PATH.search(path.read_text(encoding="utf-8"))
    ] == []


@pytest.mark.parametrize("package", sorted((ROOT / "packages").iterdir()), ids=name_of)
@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml"])
def test_every_package_is_complete(package: Path, name: str) -> None:
    """A package can be published on its own."""
    assert (package / name).stat().st_size > 0
