"""What the examples refuse, before there is a run."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
MODULES = {
    "cem_cartpole": (),
    "ppo_cartpole": ("torch",),
    "dqn_cartpole": ("torch",),
    "sac_hopper": ("torch",),
    "ppo_pixels": ("torch", "ale_py"),
    "reinforce_jax": ("jax",),
}
"""What each example needs beside NumPy and gymnasium."""
MOST_LINES = 25


def experiment(name: str) -> Any:
    """Return the experiment of an example."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return vars(module)[name]


def lines_of_rlx(tree: ast.Module) -> set[int]:
    """Return the lines on which an example uses rlx: a name that it imports from there, or an object that it got."""
    imports = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rlx_")
    ]
    names = {alias.name for node in imports for alias in node.names} | {"ctxt", "runner", "loop"}
    used = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in names}
    return used | {node.lineno for node in imports}


@pytest.mark.parametrize("name", MODULES)
def test_an_example_is_its_algorithm(name: str) -> None:
    """Of a whole algorithm with its command line, few lines are rlx's."""
    tree = ast.parse((EXAMPLES / f"{name}.py").read_text(encoding="utf-8"))
    assert 5 < len(lines_of_rlx(tree)) <= MOST_LINES


@pytest.mark.parametrize("name", MODULES)
def test_numbers_out_of_bounds_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every number has its bounds, which a call is checked against before a run begins."""
    for module in MODULES[name]:
        pytest.importorskip(module)
    monkeypatch.syspath_prepend(EXAMPLES)  # pyright: ignore[reportUnknownMemberType]
    example = experiment(name)
    for argument, value in {"batch_size": 0, "n_epochs": -1}.items():
        with pytest.raises(ValueError, match=f"^{argument} is .*; it must be "):
            example.bind({argument: value})
    example.bind({"batch_size": 1, "n_epochs": 0, "env_id": "Acrobot-v1"})


def test_command_line_says_what_is_wrong_and_leaves_nothing(tmp_path: Path) -> None:
    """A number out of bounds is wrong usage, and no run that failed."""
    command = [sys.executable, str(EXAMPLES / "cem_cartpole.py"), "--batch-size", "0", "--log-dir", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "error: batch_size is 0; it must be at least 1\n")
    assert list(tmp_path.iterdir()) == []
