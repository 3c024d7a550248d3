"""Searches with studies of Optuna: asked, told, pruned, killed and continued."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna", reason="optuna is not installed")
pytest.importorskip("rlx_logging", reason="rlx-logging is not installed")

from rlx_experiment._runs.status import read_status

pytestmark = pytest.mark.processes

optuna: Any = import_module("optuna")

PROGRAM = """
import sys, time
import optuna
from rlx_experiment import wrap_experiment

optuna.logging.set_verbosity(optuna.logging.WARNING)


@wrap_experiment
def train(ctxt, *, lr: float, seed: int = 1, hang: bool = False):
    logger = ctxt.logger("csv")
    for epoch in range(3):
        logger.write("info/epoch", epoch, {"AverageReturn": -((lr - 0.3) ** 2)})
        logger.committed(epoch)
    if lr < 0 or hang and not ctxt.resuming:
        open(f"{ctxt.snapshot_dir}/hanging", "w").close()
        while not ctxt.stop_requested:
            time.sleep(0.05)
        sys.exit(75)
    if lr > 100:
        raise ValueError(f"lr is {lr}")
    logger.finalize()


def make_study(name="lr", **options):
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend("study.log"))
    sampler = optuna.samplers.TPESampler(seed=1)
    return optuna.create_study(
        storage=storage, study_name=name, direction="maximize", load_if_exists=True, sampler=sampler, **options
    )


def space(trial):
    return {"lr": trial.suggest_float("lr", 0.0, 1.0)}
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make the module of an experiment and a study, and import it."""
    (tmp_path / "searching.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delitem(sys.modules, "searching", raising=False)
    return import_module("searching")


def between(low: float, high: float) -> Callable[[Any], dict[str, Any]]:
    """Return a space of learning rates."""

    def space(trial: Any) -> dict[str, Any]:
        return {"lr": trial.suggest_float("lr", low, high)}

    return space


def first_fails(trial: Any) -> dict[str, Any]:
    """Return a learning rate that the experiment refuses, and then others."""
    return {"lr": 101.0 if trial.number == 0 else trial.suggest_float("lr", 0, 1)}


def first_hangs(trial: Any) -> dict[str, Any]:
    """Return arguments with which the first run hangs unless it resumes."""
    return {"lr": trial.suggest_float("lr", 0, 1), "hang": trial.number == 0}


def unknown_argument(trial: Any) -> dict[str, Any]:
    """Return an argument that the experiment does not have."""
    return {"rate": trial.suggest_float("rate", 0, 1)}


def search(program: Any, n_trials: int, **options: Any) -> Any:
    """Search one trial after the other, and return the study."""
    study = options.pop("study", None) or program.make_study()
    space = options.pop("space", program.space)
    program.train.search(study, space, n_trials=n_trials, jobs=1, log_dir="search", progress=False, **options)
    return study


def asked(study: Any) -> list[float]:
    """Return the learning rates of the trials, in their order."""
    return [trial.params["lr"] for trial in study.trials]


def test_scores_are_told(program: Any) -> None:
    """Each trial is a finished run, whose logged score the study has."""
    study = search(program, 2)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2
    assert [trial.value for trial in study.trials] == [
        pytest.approx(-((lr - 0.3) ** 2)) for lr in asked(study)
    ]
    assert sorted(path.name for path in Path("search").glob("trial_*")) == ["trial_0000", "trial_0001"]


def test_continued_search_asks_what_an_unbroken_one_asks(program: Any) -> None:
    """The sampler's state is kept: a search in two parts proposes the points of one, and none of them twice."""
    search(program, 2)
    continued = search(program, 4)
    unbroken = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=1))
    for _ in range(4):
        trial: Any = unbroken.ask()
        unbroken.tell(trial, -((program.space(trial)["lr"] - 0.3) ** 2))
    assert asked(continued) == asked(unbroken)


def test_no_point_twice_where_the_state_is_gone(program: Any) -> None:
    """Without the kept state a sampler with a seed is seeded again, rather than asking the same points again."""
    search(program, 2)
    Path("search/sampler.pkl").unlink()
    assert len(set(asked(search(program, 4)))) == 4


def test_study_in_sqlite(program: Any) -> None:
    """A study in a database lasts as one in a journal does."""
    options: dict[str, Any] = {"storage": "sqlite:///study.db", "study_name": "lr", "load_if_exists": True}
    for n_trials in (1, 2):
        search(program, n_trials, study=optuna.create_study(**options))
    assert [trial.state.name for trial in optuna.create_study(**options).trials] == ["COMPLETE"] * 2


def test_failed_run(program: Any) -> None:
    """A run that raises is a failed trial, with the first line of its error in the result; the others continue."""
    study = program.make_study()
    results = program.train.search(
        study,
        first_fails,
        n_trials=2,
        jobs=1,
        log_dir="search",
        progress=False,
    )
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE"]
    assert results[0].error == "ValueError: lr is 101.0"


def test_hopeless_run_is_pruned(program: Any) -> None:
    """A run that the pruner gives up, by the rows it logs, is stopped, and its trial says so."""
    study = program.make_study(pruner=optuna.pruners.ThresholdPruner(lower=-1.0))
    search(program, 1, study=study, space=between(-9.0, -8.0))
    (trial,) = study.trials
    assert trial.state.name == "PRUNED"
    assert set(trial.intermediate_values) == {0, 1, 2}


def test_arguments_that_do_not_fit(program: Any) -> None:
    """Arguments that the experiment does not take end the search, and leave no trial running."""
    study = program.make_study()
    with pytest.raises(TypeError, match="rate"):
        search(program, 1, study=study, space=unknown_argument)
    assert [trial.state.name for trial in study.trials] == ["FAIL"]


@pytest.mark.skipif(sys.platform == "win32", reason="ends a process as Unix does")
def test_killed_search_continues(program: Any, tmp_path: Path) -> None:
    """After a kill the run under way resumes in its folder, is told, and nothing stays running."""
    killed = textwrap.dedent(
        """
        from searching import make_study, train
        train.search(make_study(), lambda trial: {"lr": trial.suggest_float("lr", 0, 1), "hang": True},
                     n_trials=2, jobs=1, log_dir="search", progress=False)
        """
    )
    with subprocess.Popen([sys.executable, "-c", killed], cwd=tmp_path, start_new_session=True) as process:
        while not Path("search/trial_0000/hanging").exists():
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    while read_status(Path("search/trial_0000")).state == "running":  # its process sees that it is alone
        time.sleep(0.05)
    study = search(program, 2, space=first_hangs)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2
    assert sorted(path.name for path in Path("search").glob("trial_*")) == ["trial_0000", "trial_0001"]
