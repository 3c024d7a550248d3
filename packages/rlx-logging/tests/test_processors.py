"""Processors of rows."""

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_logging import (
    AddPrefix,
    AddSystemMetrics,
    AtMostEvery,
    BaseLogger,
    DroppedRowsWarning,
    JournalLogger,
    KeepKeys,
    LazyLogger,
    Row,
    make_logger,
    rank_zero,
    read_metrics,
)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def test_prefix(tmp_path: Path) -> None:
    """Keys get the prefix, arrays too; the step keeps its name."""
    logger = JournalLogger(tmp_path, processors=[AddPrefix("agent0")], exclude_arrays=False)
    logger.log_info_data({"loss": {"pi": 1.0}, "w": np.arange(3)}, 3)
    logger.finalize()
    metrics = read_metrics(tmp_path)
    assert (list(metrics), list(metrics.arrays)) == (["info/epoch", "info/agent0/loss/pi"], ["info/agent0/w"])


def test_an_empty_prefix_is_refused() -> None:
    """It would do nothing."""
    with pytest.raises(ValueError, match="prefix must be a name, not ''"):
        AddPrefix("")


def test_kept_keys(tmp_path: Path) -> None:
    """Patterns see full names; a row of which nothing is left is not written, one that was empty is."""
    keep = KeepKeys(["info/*", "*/loss"], exclude=["*/debug*"])
    logger = JournalLogger(tmp_path, processors=[keep])
    logger.write("info/epoch", 0, {"r": 1.0, "debug_x": 2.0})
    logger.write("train/env_step", 0, {"loss": 1.0, "other": 2.0})
    logger.write("test/env_step", 0, {"r": 1.0})
    logger.write("save/epoch", 0, {})
    logger.finalize()
    assert list(read_metrics(tmp_path)) == [
        "info/epoch", "info/r", "train/env_step", "train/loss", "save/epoch"
    ]  # fmt: skip


def test_at_most_every(tmp_path: Path) -> None:
    """Each kind of row has its own clock."""
    clock = Clock()
    logger = JournalLogger(tmp_path, processors=[AtMostEvery(10.0, clock=clock)])
    for step in range(6):
        logger.write("update/gradient_step", step, {"a": 1.0})
        logger.write("info/epoch", step, {"a": 1.0})
        clock.now += 4.0
    logger.finalize()
    metrics = read_metrics(tmp_path)
    assert metrics["update/a"].steps.tolist() == metrics["info/a"].steps.tolist() == [0, 3]
    with pytest.raises(ValueError, match="must not be negative"):
        AtMostEvery(-1.0)


def without_first_epochs(row: Row) -> Row | None:
    """Drop a row by its step, and add a value to the others."""
    return None if row.step < 2 else row.with_data({**row.data, "twice": 2 * row.data["x"]})


def test_a_function_is_a_processor(tmp_path: Path) -> None:
    """It sees the whole row, in every backend; the next one sees what it returned."""
    logger = make_logger("csv", log_dir=tmp_path, processors=[without_first_epochs, AddPrefix("a")])
    for epoch in range(5):
        logger.log_info_data({"x": float(epoch)}, epoch)
    logger.finalize()
    assert read_metrics(tmp_path)["info/a/twice"].values.tolist() == [4.0, 6.0, 8.0]
    assert (tmp_path / "progress.csv").read_text().startswith("epoch,a/x,a/twice,")


def test_names_are_written_once_however_often_a_processor_makes_them(tmp_path: Path) -> None:
    """A row of two numbers stays a small record."""
    logger = JournalLogger(tmp_path, processors=[AddPrefix("a")])
    sizes: list[int] = []
    for epoch in range(3):
        logger.log_info_data({"x": 1.0}, epoch)
        sizes.append((tmp_path / "metrics.rlxj").stat().st_size)
    logger.finalize()
    assert sizes[2] - sizes[1] < 60


def raise_error(row: Row) -> Row:
    """Fail."""
    raise RuntimeError(f"no {row.step}")


def log_epochs(logger: BaseLogger, count: int) -> None:
    """Log a row for each epoch."""
    for epoch in range(count):
        logger.log_info_data({"x": float(epoch)}, epoch)


def test_a_failing_processor_costs_a_warning_and_no_row(tmp_path: Path) -> None:
    """The row is written as it was; whoever wants training to stop says so."""
    logger = JournalLogger(tmp_path / "a", processors=[raise_error])
    with pytest.warns(DroppedRowsWarning, match="function: could not process a row") as caught:
        log_epochs(logger, 3)
    assert len(caught) == 1
    logger.finalize()
    assert read_metrics(tmp_path / "a")["info/x"].values.tolist() == [0.0, 1.0, 2.0]
    strict = JournalLogger(tmp_path / "b", processors=[raise_error], on_failure="raise")
    with pytest.raises(RuntimeError, match="no 0"):
        strict.log_info_data({}, 0)


def test_processors_come_and_go_between_two_attempts(tmp_path: Path) -> None:
    """A state cuts the same logs to the same rows, whatever rows went through."""
    first = make_logger("csv", log_dir=tmp_path, processors=[KeepKeys(exclude=["*/y"])])
    first.log_info_data({"x": 0.0, "y": 1.0}, 0)
    state = first.state_dict()
    first.log_info_data({"x": 1.0}, 1)
    first.finalize()
    second = make_logger("csv", log_dir=tmp_path)
    second.load_state_dict(state)
    second.log_info_data({"x": -1.0}, 1)
    second.finalize()
    assert read_metrics(tmp_path)["info/x"].values.tolist() == [0.0, -1.0]
    assert "info/y" not in read_metrics(tmp_path)


@pytest.mark.parametrize(
    ("variables", "expected"), [({}, True), ({"RANK": "0"}, True), ({"SLURM_PROCID": "3"}, False)]
)
def test_rank_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: bool
) -> None:
    """Only the process of rank 0 gets a logger; the others do not even make one."""
    for name in ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    made: list[BaseLogger] = []

    def make() -> BaseLogger:
        made.append(JournalLogger(tmp_path))
        return made[0]

    logger = rank_zero(make)
    assert bool(made) == expected
    assert isinstance(logger, JournalLogger) == expected
    assert isinstance(rank_zero(make, rank=1), LazyLogger)


def test_the_rank_of_torch_is_the_one_that_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that were not started by torchrun have a rank in their process group alone."""
    distributed: Any = pytest.importorskip("torch.distributed", reason="No module named 'torch'")
    monkeypatch.setenv("RANK", "3")
    assert isinstance(rank_zero(lambda: JournalLogger(tmp_path)), LazyLogger)
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    try:
        assert isinstance(rank_zero(lambda: JournalLogger(tmp_path)), JournalLogger)
    finally:
        distributed.destroy_process_group()


def test_a_rank_that_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable."""
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(ValueError, match="the rank in RANK must be a number; got 'first'"):
        rank_zero(LazyLogger)


def test_system_metrics(tmp_path: Path) -> None:
    """Rows of one scope say what the machine does, not too often."""
    pytest.importorskip("psutil", reason="needs psutil")
    clock = Clock()
    logger = JournalLogger(tmp_path, processors=[AddSystemMetrics(seconds=10.0, clock=clock)])
    for epoch in range(4):
        logger.write("info/epoch", epoch, {"r": 1.0})
        logger.write("train/env_step", epoch, {"r": 1.0})
        clock.now += 6.0
    logger.finalize()
    metrics = read_metrics(tmp_path)
    assert metrics["info/system/process_memory_mib"].steps.tolist() == [0, 2]
    assert (metrics["info/system/process_memory_mib"].values > 1).all()
    assert np.isfinite(metrics["info/system/cpu_percent"].values).all()
    assert metrics["info/r"].steps.tolist() == [0, 1, 2, 3]


NVML = """
class NVMLError(Exception):
    pass

def nvmlInit():
    if {broken}:
        raise NVMLError("Driver Not Loaded")

def nvmlDeviceGetCount():
    return 2

def nvmlDeviceGetHandleByIndex(index):
    return index

class Answer:
    def __init__(self, **values):
        self.__dict__.update(values)

def nvmlDeviceGetUtilizationRates(handle):
    if {silent}:
        raise NVMLError("Not Supported")
    return Answer(gpu=40 + handle)

def nvmlDeviceGetMemoryInfo(handle):
    return Answer(used=(handle + 1) * 2**30)
"""


GPU_SAMPLE = {
    "gpu0_percent": 40.0,
    "gpu0_memory_mib": 1024.0,
    "gpu1_percent": 41.0,
    "gpu1_memory_mib": 2048.0,
}


@pytest.mark.parametrize(
    ("broken", "silent", "expected"),
    [
        pytest.param(False, False, set(GPU_SAMPLE), id="two GPUs"),
        pytest.param(False, True, {"gpu0_memory_mib", "gpu1_memory_mib"}, id="two that do not tell all"),
        pytest.param(True, False, set[str](), id="no driver"),
    ],
)
def test_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bool, silent: bool, expected: set[str]
) -> None:
    """Percent and MiB of every GPU that tells them. The library stands in for NVIDIA's."""
    pytest.importorskip("psutil", reason="needs psutil")
    library = NVML.replace("{broken}", str(broken)).replace("{silent}", str(silent))
    (tmp_path / "pynvml.py").write_text(library)
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    sample = AddSystemMetrics().sample()
    monkeypatch.delitem(sys.modules, "pynvml")
    gpus = {key: value for key, value in sample.items() if key.startswith("gpu")}
    assert gpus == {key: GPU_SAMPLE[key] for key in expected}
