"""What the examples refuse, before there is a run."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = [
    "cem_cartpole",
    *(
        pytest.param(name, marks=pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="No module named 'torch'"))
        for name in ("ppo_cartpole", "dqn_cartpole", "sac_hopper")
    ),
]  # fmt: skip


def experiment(name: str) -> Any:
    """Return the experiment of an example."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return vars(module)[name]


@pytest.mark.parametrize("name", NAMES)
def test_numbers_out_of_bounds_are_refused(name: str) -> None:
    """Every count has its least value, which a call is checked against before a run begins."""
    example = experiment(name)
    for argument, value in {"batch_size": 0, "n_epochs": -1, "n_workers": 0}.items():
        with pytest.raises(ValueError, match=f"^{argument} should be "):
            example.bind({argument: value})
    example.bind({"batch_size": 1, "n_epochs": 0, "n_workers": 1})


def test_command_line_says_what_is_wrong_and_leaves_nothing(tmp_path: Path) -> None:
    """A number out of bounds is wrong usage, and no run that failed."""
    command = [sys.executable, str(EXAMPLES / "cem_cartpole.py"), "--batch-size", "0", "--log-dir", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "error: batch_size should be at least 1, not 0\n")
    assert list(tmp_path.iterdir()) == []
