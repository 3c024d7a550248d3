"""Trials of Ray Tune that die, are paused or take over another one's state continue from the folder that Tune has copied."""

import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_runner import Checkpoint, set_seed

ray: Any = pytest.importorskip("ray", reason="No module named 'ray'")
pytest.importorskip("pyarrow", reason="No module named 'pyarrow'")
tune: Any = pytest.importorskip("ray.tune", reason="No module named 'ray'")
pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # Ray's own start leaves files open and warns of its future
    pytest.mark.timeout(300),
]

N_STEPS = 12


@pytest.fixture(scope="module")
def home() -> Generator[Path]:
    """Start a local Ray, which writes into this folder."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="tune", dir="/tmp", ignore_cleanup_errors=True) as home:
        os.environ |= {
            "HOME": home,
            "RAY_TMPDIR": home,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "disabled",
        }
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _temp_dir=home)
        yield Path(home)
        ray.shutdown()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def folder(home: Path) -> Path:
    """Return a fresh folder for one study."""
    return Path(tempfile.mkdtemp(dir=home))


def learn(weights: Any, rng: np.random.Generator) -> None:
    """Do one step, with generators of every owner."""
    weights += rng.random(2) + np.random.random()


def trial(config: Mapping[str, Any]) -> None:
    """Train, report each snapshot, and die once in the middle of the way."""
    run_folder = Path("run").absolute()
    newest: Any = tune.get_checkpoint()
    if newest is not None:
        shutil.rmtree(run_folder, ignore_errors=True)
        newest.to_directory(str(run_folder))
    set_seed(config["seed"])
    weights, rng = np.zeros(2), np.random.default_rng(config["seed"])
    tried = Path(config["marks"], str(config["seed"]))

    def report(steps_done: int) -> None:
        copied: Any = tune.Checkpoint.from_directory(str(run_folder))
        row = {"weight": float(weights[0]), "steps_done": steps_done, "resumed": newest is not None}
        tune.report(row, checkpoint=copied)

    run = Checkpoint(run_folder, progress=False, weights=weights, rng=rng, on_durable=report)
    for step in run.steps(N_STEPS, every=3):
        if step == 7 and not tried.exists():
            tried.touch()
            os._exit(1)
        learn(weights, rng)


def unbroken(seed: int) -> float:
    """Return what an undisturbed trial comes to."""
    set_seed(seed)
    weights, rng = np.zeros(2), np.random.default_rng(seed)
    for _ in range(N_STEPS):
        learn(weights, rng)
    return float(weights[0])


def test_a_trial_that_dies_continues_from_tunes_copy(folder: Path) -> None:
    """Two trials, each killed once: both end with the numbers of trials that were left alone."""
    settings: Any = tune.RunConfig(
        storage_path=str(folder / "results"), failure_config=tune.FailureConfig(max_failures=2)
    )
    (folder / "marks").mkdir()
    space: dict[str, Any] = {"seed": tune.grid_search([1, 2]), "marks": str(folder / "marks")}
    results: Any = tune.Tuner(trial, param_space=space, run_config=settings).fit()
    found = {result.config["seed"]: result.metrics for result in results}
    assert {seed: row["weight"] for seed, row in found.items()} == {1: unbroken(1), 2: unbroken(2)}
    assert all(row["resumed"] and row["steps_done"] == N_STEPS for row in found.values())


def test_a_paused_trial_continues_where_it_was(folder: Path) -> None:
    """A scheduler that pauses every trial after its first report: its process ends, and another one continues."""
    schedulers: Any = pytest.importorskip("ray.tune.schedulers", reason="No module named 'ray'")
    paused: set[str] = set()

    class PauseOnce(schedulers.FIFOScheduler):  # type: ignore[misc]
        def on_trial_result(self, controller: Any, trial: Any, result: Any) -> Any:
            del controller, result
            if trial.trial_id in paused:
                return self.CONTINUE
            paused.add(trial.trial_id)
            return self.PAUSE

    (folder / "marks").mkdir()
    for seed in (1, 2):
        (folder / "marks" / str(seed)).touch()  # nobody dies
    space: dict[str, Any] = {"seed": tune.grid_search([1, 2]), "marks": str(folder / "marks")}
    results: Any = tune.Tuner(
        trial,
        param_space=space,
        tune_config=tune.TuneConfig(scheduler=PauseOnce()),
        run_config=tune.RunConfig(storage_path=str(folder / "results")),
    ).fit()
    assert len(paused) == 2
    found = {result.config["seed"]: result.metrics for result in results}
    assert {seed: row["weight"] for seed, row in found.items()} == {1: unbroken(1), 2: unbroken(2)}
    assert all(row["resumed"] for row in found.values())


def member(config: Mapping[str, Any]) -> None:
    """Train as one of a population: the sum of draws, each multiplied by a rate that is set from outside."""
    run_folder = Path("run").absolute()
    newest: Any = tune.get_checkpoint()
    if newest is not None:
        shutil.rmtree(run_folder, ignore_errors=True)
        newest.to_directory(str(run_folder))
    total, rng = np.zeros(1), np.random.default_rng(config["seed"])
    draws: list[float] = []

    def report(steps_done: int) -> None:
        copied: Any = tune.Checkpoint.from_directory(str(run_folder))
        row = {"total": float(total[0]), "draws": list(draws), "steps_done": steps_done}
        tune.report(row, checkpoint=copied)

    run = Checkpoint(run_folder, progress=False, total=total, rng=rng, draws=draws, on_durable=report)
    for _ in run.steps(N_STEPS, every=3):
        draws.append(rng.random())
        total += config["rate"] * draws[-1]


def first_rate(spec: Any) -> float:
    """Return another rate for each member."""
    rate: float = 0.01**spec.config.seed
    return rate


@pytest.mark.slow
def test_a_member_of_a_population_takes_over_the_state_of_another(folder: Path) -> None:
    """After an exploit it has the other one's sum and generator, and a rate of its own."""
    schedulers: Any = pytest.importorskip("ray.tune.schedulers", reason="No module named 'ray'")
    population: Any = schedulers.PopulationBasedTraining(
        time_attr="steps_done",
        perturbation_interval=3,
        quantile_fraction=0.5,
        resample_probability=0.0,
        hyperparam_mutations={"rate": [0.01, 1.0]},
        synch=True,
    )
    results: Any = tune.Tuner(
        member,
        param_space={
            "seed": tune.grid_search([1, 2]),
            "rate": tune.sample_from(first_rate),
        },
        tune_config=tune.TuneConfig(scheduler=population, metric="total", mode="max"),
        run_config=tune.RunConfig(storage_path=str(folder / "results")),
    ).fit()
    streams = {seed: np.random.default_rng(seed).random(N_STEPS).tolist() for seed in (1, 2)}
    rows = [result.metrics for result in results]
    assert [row["steps_done"] for row in rows] == [N_STEPS] * 2
    assert [row["draws"] for row in rows] == [streams[1]] * 2
