"""Loggers round loggers."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rlx_logging import (
    BaseLogger,
    JournalLogger,
    KeyFilterLogger,
    LazyLogger,
    LoggerWrapper,
    PrefixLogger,
    SystemMetricsLogger,
    TimeGateLogger,
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
    """Keys get the prefix, the step keeps its name."""
    logger = PrefixLogger(JournalLogger(tmp_path), "agent0")
    logger.log_info_data({"loss": {"pi": 1.0}}, 3)
    logger.finalize()
    assert list(read_metrics(tmp_path)) == ["info/epoch", "info/agent0/loss/pi"]


def test_an_empty_prefix_is_refused() -> None:
    """It would do nothing."""
    with pytest.raises(ValueError, match="must not be empty"):
        PrefixLogger(LazyLogger(), "")


def test_key_filter(tmp_path: Path) -> None:
    """Patterns see full names; a row of which nothing is left is not written."""
    logger = KeyFilterLogger(JournalLogger(tmp_path), include=["info/*", "*/loss"], exclude=["*/debug*"])
    logger.write("info/epoch", 0, {"r": 1.0, "debug_x": 2.0})
    logger.write("train/env_step", 0, {"loss": 1.0, "other": 2.0})
    logger.write("test/env_step", 0, {"r": 1.0})
    logger.finalize()
    assert list(read_metrics(tmp_path)) == ["info/epoch", "info/r", "train/env_step", "train/loss"]


def test_time_gate(tmp_path: Path) -> None:
    """Each kind of row has its own gate."""
    clock = Clock()
    logger = TimeGateLogger(JournalLogger(tmp_path), 10.0, clock=clock)
    for step in range(6):
        logger.write("update/gradient_step", step, {"a": 1.0})
        logger.write("info/epoch", step, {"a": 1.0})
        clock.now += 4.0
    logger.finalize()
    metrics = read_metrics(tmp_path)
    assert metrics["update/a"].steps.tolist() == metrics["info/a"].steps.tolist() == [0, 3]
    with pytest.raises(ValueError, match="must not be negative"):
        TimeGateLogger(LazyLogger(), -1.0)


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


def test_a_rank_that_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable."""
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(ValueError, match="the rank in RANK must be a number; got 'first'"):
        rank_zero(LazyLogger)


def test_system_metrics(tmp_path: Path) -> None:
    """A row about the machine stands beside rows of one scope, not too often."""
    pytest.importorskip("psutil", reason="needs psutil")
    clock = Clock()
    logger = SystemMetricsLogger(JournalLogger(tmp_path), seconds=10.0, clock=clock)
    for epoch in range(4):
        logger.write("info/epoch", epoch, {"r": 1.0})
        logger.write("train/env_step", epoch, {"r": 1.0})
        clock.now += 6.0
    logger.finalize()
    metrics = read_metrics(tmp_path)
    assert metrics["system/process_memory_mib"].steps.tolist() == [0, 2]
    assert (metrics["system/process_memory_mib"].values > 1).all()
    assert np.isfinite(metrics["system/cpu_percent"].values).all()


def _plainly(logger: BaseLogger) -> BaseLogger:
    return logger


@pytest.mark.parametrize(
    ("before", "after"),
    [(_plainly, LoggerWrapper), (LoggerWrapper, _plainly), (LoggerWrapper, LoggerWrapper)],
)
def test_wrappers_come_and_go_between_two_attempts(
    tmp_path: Path, before: Callable[[BaseLogger], BaseLogger], after: Callable[[BaseLogger], BaseLogger]
) -> None:
    """A state that was saved with a wrapper, or without one, cuts the same logs to the same rows."""
    first = before(make_logger("csv", log_dir=tmp_path))
    first.log_info_data({"x": 0.0}, 0)
    state = first.state_dict()
    first.log_info_data({"x": 1.0}, 1)
    first.finalize()
    second = after(make_logger("csv", log_dir=tmp_path))
    second.load_state_dict(state)
    second.log_info_data({"x": -1.0}, 1)
    second.finalize()
    assert read_metrics(tmp_path)["info/x"].values.tolist() == [0.0, -1.0]
    assert second.last_log_info_step == 1


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
    sample = SystemMetricsLogger(LazyLogger()).sample()
    monkeypatch.delitem(sys.modules, "pynvml")
    gpus = {key: value for key, value in sample.items() if key.startswith("gpu")}
    assert gpus == {key: GPU_SAMPLE[key] for key in expected}


def test_wrappers_stack_and_resume(tmp_path: Path) -> None:
    """Gates, positions and the record of a checkpoint go through all of them."""

    def make() -> BaseLogger:
        inner = make_logger("csv", log_dir=tmp_path, train_interval=2)
        return PrefixLogger(KeyFilterLogger(LoggerWrapper(inner), exclude=["*/secret"]), "a")

    first = make()
    for step in range(5):
        first.log_train_data({"x": float(step), "secret": 1.0}, step)
    first.save_data(1, 5, 7, lambda epoch, env_step, gradient_step: "path")
    state = first.state_dict()
    first.log_train_data({"x": 9.0}, 5)
    first.finalize()
    second = make()
    second.load_state_dict(state)
    assert second.last_log_train_step == 3
    assert second.restore_data() == (1, 5, 7)
    second.log_train_data({"x": 5.0}, 5)
    second.flush()
    second.committed(1)
    second.finalize()
    assert read_metrics(tmp_path)["train/a/x"].values.tolist() == [1.0, 3.0, 5.0]
    third = PrefixLogger(make_logger("csv", log_dir=tmp_path / "fork"), "a")
    third.fork_from(tmp_path, state)
    assert read_metrics(tmp_path / "fork")["train/a/x"].values.tolist() == [1.0, 3.0]
    third.finalize()
