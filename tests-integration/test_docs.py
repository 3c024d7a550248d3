"""Every python block of the documentation runs, page by page, in a folder and a process of its own.

The blocks of a page are one program, in order. A block with a title that ends in ``.py`` is a file
of that name instead, and is run by itself where it has a ``__main__`` part. A block titled ``garage``,
``tianshou`` or ``Stable-Baselines3`` shows that library's code: it is only parsed. Commands in a
console block are started at the end, without a shell; one with ``Killed`` below it has to be.
"""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for pattern in ("docs/**/*.md", "packages/*/README.md")
    for path in ROOT.glob(pattern)
    if "```python" in path.read_text(encoding="utf-8")
)
OTHERS = {"garage", "tianshou", "Stable-Baselines3"}
FENCE = re.compile(r'^```python(?: +title="(?P<title>[^"]+)")?\n(?P<code>.*?)^```$', re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEAD_OF_TABLE = re.compile(r"^(\|.*\|)\n\|[ :|-]+\|$", re.MULTILINE)
NEEDED = re.compile(r"^<!-- needs (?P<module>\w+) -->$", re.MULTILINE)


class Block(NamedTuple):
    """One block of code."""

    title: str
    code: str


def blocks_of(page: Path) -> list[Block]:
    """Return the python blocks of a page."""
    found = FENCE.finditer(page.read_text(encoding="utf-8"))
    return [Block(match["title"] or "rlx", textwrap.dedent(match["code"])) for match in found]


def run(folder: Path, name: str, code: str) -> None:
    """Run one program in `folder`."""
    (folder / name).write_text(code, encoding="utf-8")
    command = [sys.executable, "-W", "error::DeprecationWarning:__main__", name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"


class Command(NamedTuple):
    """One command line, and whether the page shows that it is killed."""

    words: list[str]
    killed: bool


def commands_of(page: Path) -> list[Command]:
    """Return the command lines that the page shows, without their output."""
    lines = "".join(CONSOLE.findall(page.read_text(encoding="utf-8"))).splitlines()
    return [
        Command(shlex.split(line[2:], comments=True), killed=below == "Killed")
        for line, below in zip(lines, [*lines, ""][1:], strict=True)
        if line.startswith("$ ")
    ]


def name_of(page: Path) -> str:
    """A page's name in the list of tests."""
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
class TestPages:
    def test_every_block_is_python(self, page: Path) -> None:
        """Each block parses, those of other libraries too, and every opened block is found."""
        blocks = blocks_of(page)
        assert len(blocks) == len(re.findall(r"^```python", page.read_text(encoding="utf-8"), re.MULTILINE))
        for block in blocks:
            ast.parse(block.code)

    def test_blocks_run(self, page: Path, tmp_path: Path) -> None:
        """The page does what it says, from its first block to its last."""
        text = page.read_text(encoding="utf-8")
        for needed in NEEDED.finditer(text):
            if find_spec(needed["module"]) is None:
                pytest.skip(f"needs {needed['module']}")
        blocks = [block for block in blocks_of(page) if block.title not in OTHERS]
        for block in blocks:
            if block.title.endswith(".py"):
                run(tmp_path, block.title, block.code)
        program = "\n".join(block.code for block in blocks if not block.title.endswith(".py"))
        run(tmp_path, "page.py", program)
        scripts = str(Path(sys.executable).parent)
        for command in commands_of(page):
            name, *arguments = command.words
            program = shutil.which(name, path=scripts) or name
            done = subprocess.run([program, *arguments], cwd=tmp_path, timeout=250, check=False)
            assert done.returncode == (-signal.SIGKILL if command.killed else 0), command.words


NAMED_FILE = re.compile(
    r"`((?:packages|tests-integration|examples|findings|docs)/[\w./-]+\.(?:py|sh|md|txt|toml))`"
)


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/**/*.md")), ids=name_of)
def test_files_that_a_page_names_exist(page: Path) -> None:
    """A claim that points to a test or a script of the repository points to one that is there."""
    named = NAMED_FILE.findall(page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("packages/*/README.md")]), ids=name_of
)
def test_columns_of_tables_have_names(page: Path) -> None:
    """A head without a word leaves the reader to guess."""
    heads = HEAD_OF_TABLE.findall(page.read_text(encoding="utf-8"))
    assert [head for head in heads if not all(map(str.strip, head.strip("|").split("|")))] == []
