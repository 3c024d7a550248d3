"""What is refused at construction, and what the message says."""

import math
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_logging import (
    JournalLogger,
    LazyLogger,
    LogFolder,
    TensorboardLogger,
    make_logger,
    read_metrics,
)

INTERVALS = ("train_interval", "test_interval", "update_interval", "info_interval")


@pytest.mark.parametrize("name", [*INTERVALS, "save_interval"])
def test_a_negative_interval(tmp_path: Path, name: str) -> None:
    """It would never be noticed later, as every row would pass."""
    with pytest.raises(ValueError, match=f"{name} must not be negative; got -1"):
        make_logger("csv", log_dir=tmp_path, **{name: -1})


@pytest.mark.parametrize("name", INTERVALS)
@pytest.mark.parametrize("value", ["1000", None, [1], 1j])
def test_an_interval_that_is_no_number(name: str, value: Any) -> None:
    """A text from a command line is refused before training, not at the first row."""
    with pytest.raises(TypeError, match=f"{name} must be a number"):
        LazyLogger(**{name: value})


def test_an_interval_that_is_not_a_number_of_steps() -> None:
    """NaN would let no row pass."""
    with pytest.raises(ValueError, match="info_interval must not be negative; got nan"):
        LazyLogger(info_interval=math.nan)  # type: ignore[arg-type]


def test_intervals_that_are_fine() -> None:
    """Zero logs everything, infinity nothing; numbers of numpy and floats from a config are numbers."""
    for value in (0, 10, np.int64(3), 1e4, math.inf):
        assert LazyLogger(train_interval=value).train_interval == value  # type: ignore[arg-type]


@pytest.mark.parametrize("writer", [3, None, object(), ["runs"]])
def test_a_writer_that_is_none(writer: Any) -> None:
    """The message names what can be handed in."""
    with pytest.raises(TypeError, match="writer must be a folder or a SummaryWriter; got"):
        TensorboardLogger(writer)


@pytest.mark.parametrize("name", [3, None, ["csv", 3], Path("csv")])
def test_a_backend_name_that_is_no_text(tmp_path: Path, name: Any) -> None:
    """The message says what a name looks like."""
    with pytest.raises(TypeError, match="backends are named by text, as 'csv, tensorboard'; got"):
        make_logger(name, log_dir=tmp_path)


def test_an_empty_folder_name() -> None:
    """It would be the working directory, which nobody asked for."""
    for make in (TensorboardLogger, JournalLogger, LogFolder):
        with pytest.raises(ValueError, match="the folder of a log must have a name; got ''"):
            make("")


@pytest.mark.parametrize("folder", ["s3://bucket/run", Path("s3://bucket/run"), "file:///runs"])
def test_a_folder_that_is_a_url(folder: Any) -> None:
    """No folder `s3:` is made in the working directory."""
    with pytest.raises(ValueError, match=r"must be on this machine, not '(s3|file):/.*; give a local path"):
        JournalLogger(folder)


@pytest.mark.parametrize("folder", [3, None, b"runs"])
def test_a_folder_that_is_no_path(folder: Any) -> None:
    """Numbers are not taken for file descriptors, nor bytes for names."""
    with pytest.raises(TypeError, match="the folder of a log must be a path; got"):
        JournalLogger(folder)


@pytest.mark.parametrize("arguments", [None, ["lr"], Namespace(lr=0.1)])
def test_arguments_that_are_no_mapping(tmp_path: Path, arguments: Any) -> None:
    """What a command line parser returns is not one; the message says how to make it one."""
    with pytest.raises(TypeError, match=r"arguments of a run must map names to values.*vars\(arguments\)"):
        JournalLogger(tmp_path).log_hparams(arguments)


def test_a_tag_that_is_not_there(tmp_path: Path) -> None:
    """The error lists those that are."""
    logger = JournalLogger(tmp_path)
    logger.write("info/epoch", 0, {"loss": 1.0})
    with pytest.raises(KeyError, match="no tag 'loss'; there are: info/epoch, info/loss"):
        read_metrics(tmp_path)["loss"]


def test_a_state_that_is_none(tmp_path: Path) -> None:
    """A logger's state is a mapping; that of a run without snapshots is {}."""
    with pytest.raises(TypeError, match=r"state of a logger must be a mapping.*got None"):
        JournalLogger(tmp_path).load_state_dict(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("data", [None, [1.0], "loss", {1.0}])
def test_a_row_that_is_no_mapping(tmp_path: Path, data: Any) -> None:
    """The message shows what was handed in."""
    with pytest.raises(TypeError, match="a row must map names to values; got"):
        JournalLogger(tmp_path).write("info/epoch", 0, data)


def test_a_state_without_names_of_backends(tmp_path: Path) -> None:
    """It is taken for what it says: where files end."""
    logger = JournalLogger(tmp_path)
    logger.write("info/epoch", 0, {"a": 1.0})
    state = {"files": logger.folder.positions()}
    logger.write("info/epoch", 1, {"a": 1.0})
    logger.load_state_dict(state)
    logger.finalize()
    assert read_metrics(tmp_path)["info/a"].steps.tolist() == [0]
