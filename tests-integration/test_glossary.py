"""The glossary and the code agree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TERMS, AVOIDED = (
    (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").split("## Words that we do not use")
)
TERM = re.compile(r"^\| ([^|]+) \| [^|]+ \| `(\w+)` \|$", re.MULTILINE)
AVOIDED_WORD = re.compile(r"^\| (?!not )(\w+) \| [\w ]+ \|$", re.MULTILINE)
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
Defining = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@cache
def defined() -> dict[str, Path]:
    """Every module, class, function, parameter and variable of the packages, and where it is."""
    found: dict[str, Path] = {}
    for path in sorted(ROOT.glob("packages/*/src/**/*.py")):
        found |= dict.fromkeys([path.stem, *names_in(ast.parse(path.read_text(encoding="utf-8")))], path)
    return found


def names_in(tree: ast.AST) -> Iterator[str]:
    """Yield the names that a module defines."""
    for node in ast.walk(tree):
        if isinstance(node, Defining):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def words_of(name: str) -> set[str]:
    """The words that a name is made of, in small letters."""
    return {word.lower() for word in WORD.findall(name)}


@pytest.mark.parametrize(("term", "name"), TERM.findall(TERMS))
def test_a_term_is_in_the_code(term: str, name: str) -> None:
    """What the glossary explains has the name that it gives."""
    assert name in defined(), f"{term!r} is said to be {name}, which nothing in the packages is called"


@pytest.mark.parametrize("word", AVOIDED_WORD.findall(AVOIDED))
def test_an_avoided_word_is_not(word: str) -> None:
    """One thing has one name."""
    using = {name: str(path.relative_to(ROOT)) for name, path in defined().items() if word in words_of(name)}
    assert using == {}


def test_terms_are_in_order() -> None:
    """A term is found where the alphabet says."""
    terms = [term.lower() for term, _ in TERM.findall(TERMS)]
    assert len(terms) > 40
    assert terms == sorted(terms)
