"""Repositories to launch from and scripts to launch."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

Git = Callable[..., str]
RunScript = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test works in an empty folder of its own."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def git(in_own_folder: Path) -> Git:
    """A function that runs git in the test's folder, which is made a repository first."""

    def run(*command: str, cwd: Path = in_own_folder) -> str:
        settings = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main")
        result = subprocess.run(
            ("git", *settings, "-c", "protocol.file.allow=always", *command),
            cwd=cwd, check=True, capture_output=True, text=True,
        )  # fmt: skip
        return result.stdout.strip()

    run("init", "-q")
    return run


@pytest.fixture
def run_script(in_own_folder: Path) -> RunScript:
    """A function that writes a script into the test's folder and runs it to its end."""

    def run(
        source: str, *argv: str, name: str = "script.py", **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        script = in_own_folder / name
        script.write_text(textwrap.dedent(source))
        return subprocess.run(
            (sys.executable, str(script), *argv),
            env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run
