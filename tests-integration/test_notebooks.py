"""Experiments in the cells of notebooks, run as Jupyter runs them: by nbconvert, and in a kernel that is restarted."""

import json
import subprocess
import sys
from collections.abc import Generator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbconvert", reason="nbconvert is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")
pytest.importorskip("gymnasium", reason="gymnasium is not installed")

nbformat: Any = import_module("nbformat")
jupyter_client: Any = import_module("jupyter_client")

DEFINITIONS = """
import gymnasium
from rlx_experiment import Run, grid, wrap_experiment
from rlx_runner import LocalRunner, set_seed
from rlx_sampler import LocalSampler

class RandomPolicy:
    def get_actions(self, observations, /, *, rngs):
        return [rng.integers(2) for rng in rngs], {}

class Algorithm:
    max_episode_length = 50
    policy = RandomPolicy()
    def train(self, loop):
        for epoch in loop.step_epochs():
            loop.obtain_episodes(epoch)
"""
EXPERIMENT = """
@wrap_experiment
def random_walk(ctxt, *, seed: int = 1, n_epochs: int = 2):
    runner = LocalRunner(ctxt, logger=ctxt.logger("csv"))
    if ctxt.resuming and runner.try_restore(ctxt.snapshot_dir):
        return runner.resume(n_epochs=n_epochs)
    set_seed(seed)
    runner.setup(Algorithm(), gymnasium.make("CartPole-v1"), sampler_cls=LocalSampler)
    return runner.train(n_epochs=n_epochs, batch_size=50)
"""


def execute(folder: Path, *cells: str) -> list[list[Any]]:
    """Run cells as a notebook, as ``jupyter nbconvert --execute`` does, and return the outputs of each."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(notebook, folder / "walk.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace", "walk.ipynb"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    return [cell.outputs for cell in nbformat.read(folder / "walk.ipynb", 4).cells]


def shown(outputs: list[Any], kind: str = "text/plain") -> str:
    """Return what a cell shows: its streams, and its results as `kind`."""
    return "\n".join(str(output.get("text") or output.get("data", {}).get(kind, "")) for output in outputs)


def epochs(run: Path) -> list[str]:
    """Return the epochs of the rows that a run has logged."""
    return [line.split(",")[0] for line in (run / "progress.csv").read_text().splitlines()[1:]]


def test_edited_cell_is_the_same_experiment(tmp_path: Path) -> None:
    """A run continues in another kernel with an edited function: no row is there twice, and the change is said."""
    execute(tmp_path, DEFINITIONS, EXPERIMENT, 'random_walk({"log_dir": "run"})')
    edited = EXPERIMENT.replace("set_seed(seed)", "set_seed(seed + 0)")
    again = 'random_walk({"log_dir": "run", "use_existing_dir": True}, n_epochs=4)'
    *_, outputs = execute(tmp_path, DEFINITIONS, edited, again)
    assert epochs(tmp_path / "run") == ["0", "1", "2", "3"]
    assert "random_walk was defined otherwise in the last attempt" in shown(outputs)
    assert "set_seed(seed + 0)" in (tmp_path / "run" / "cells.py").read_text()


def test_command_line_and_progress_in_cells(tmp_path: Path) -> None:
    """`main` returns at the end of a run and of a help text, and progress is a bar that is replaced."""
    words = 'random_walk.main(["--log-dir", "run", "--n-epochs", "3"])'
    _, _, run, after = execute(tmp_path, DEFINITIONS, EXPERIMENT, words, 'print("still here")')
    assert epochs(tmp_path / "run") == ["0", "1", "2"]
    assert '<progress max="3" value="3"' in shown(run, "text/html")
    assert "still here" in shown(after)


def test_refused_words_end_the_cell_with_an_error(tmp_path: Path) -> None:
    """Words that the experiment does not take raise, so that the cells below do not run, but nothing exits."""
    refused = """
try:
    random_walk.main(["--n-epochs", "many"])
except RuntimeError as error:
    print(error)
"""
    *_, outputs = execute(tmp_path, DEFINITIONS, EXPERIMENT, refused)
    assert "main(--n-epochs many) was refused, with exit code 2" in shown(outputs)


class Kernel:
    """A kernel of Jupyter that is asked cell by cell."""

    def __init__(self, folder: Path) -> None:
        self._manager, self._client = jupyter_client.manager.start_new_kernel(cwd=str(folder))

    def run(self, code: str) -> str:
        """Run a cell and return what it wrote and its value; an error counts as written."""
        written: list[str] = []

        def hook(message: Any) -> None:
            content = message["content"]
            written.append(
                content.get("text") or content.get("evalue") or content.get("data", {}).get("text/plain", "")
            )

        self._client.execute_interactive(code, timeout=120, output_hook=hook)
        return "\n".join(written)

    def restart(self) -> None:
        """Restart the process of the kernel, as the button does."""
        self._manager.restart_kernel(now=True)
        self._client.wait_for_ready(timeout=60)

    def stop(self) -> None:
        """End the process of the kernel."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(tmp_path: Path) -> Generator[Kernel, None, None]:
    """Start a kernel, and end it."""
    started = Kernel(tmp_path)
    yield started
    started.stop()


def test_resume_after_a_restart_of_the_kernel(tmp_path: Path, kernel: Kernel) -> None:
    """A recorded run resumes in the kernel that has its function, and names the cell where it is missing."""
    kernel.run(DEFINITIONS)
    kernel.run(EXPERIMENT)
    stopping = EXPERIMENT.replace("n_epochs=n_epochs, b", "n_epochs=1, b").replace("int = 2", "int = 3")
    kernel.run(stopping)
    kernel.run('random_walk({"log_dir": "run"})')
    assert epochs(tmp_path / "run") == ["0"]
    kernel.restart()
    kernel.run(DEFINITIONS)
    assert "no experiment random_walk is defined here: run that cell" in kernel.run(
        'Run.open("run").resume()'
    )
    kernel.run(EXPERIMENT)
    assert kernel.run('Run.open("run").resume()').split()[-1] == "0"
    assert epochs(tmp_path / "run") == ["0", "1", "2"]
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "finished"
