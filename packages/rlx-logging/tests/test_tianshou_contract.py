"""What tianshou 1.2 and 2.0 document of their loggers, in calls on ours."""

import struct
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest

from rlx_logging import (
    DataScope,
    DroppedRowsWarning,
    JournalLogger,
    RunLogger,
    TensorboardLogger,
    WandbLogger,
    make_logger,
    read_metrics,
)
from rlx_logging._tensorboard.records import file_version, frame

Make = Callable[..., RunLogger]
both = pytest.mark.parametrize("make", [JournalLogger, TensorboardLogger])


class Hook:
    """A trainer's checkpoint hook that counts its calls."""

    def __init__(self) -> None:
        self.epochs: list[int] = []

    def __call__(self, epoch: int, env_step: int, gradient_step: int) -> str:
        """Note the epoch."""
        self.epochs.append(epoch)
        return f"checkpoint {epoch} {env_step} {gradient_step}"


@both
def test_no_save_interval_means_no_checkpoint(tmp_path: Path, make: Make) -> None:
    """None is the default of tianshou 2, and what its factory passes."""
    hook, logger = Hook(), make(tmp_path, save_interval=None)
    logger.save_data(1, 10, 5, hook)
    logger.finalize()
    assert hook.epochs == []
    assert make(tmp_path).restore_data() == (0, 0, 0)


@both
@pytest.mark.parametrize(("version", "epochs"), [(1, [1, 2]), (2, list[int]())])
def test_checkpoints_by_default_are_those_of_the_trainers_tianshou(
    tmp_path: Path, make: Make, version: int, epochs: list[int]
) -> None:
    """Version 1.2 saves at the end of every epoch, and 2.0 never unless it is asked to."""
    hook, logger = Hook(), make(tmp_path)
    log = logger.log_train_data if version == 1 else logger.log_training_data
    for epoch in (1, 2):
        log({"x": 1.0}, epoch * 1000)
        logger.save_data(epoch, epoch * 1000, epoch, hook)
    logger.finalize()
    assert hook.epochs == epochs


def test_a_given_save_interval_holds_in_both(tmp_path: Path) -> None:
    """Whoever asks for checkpoints gets them."""
    hook, logger = Hook(), JournalLogger(tmp_path, save_interval=2)
    for epoch in range(1, 5):
        logger.log_training_data({}, epoch * 1000)
        logger.save_data(epoch, epoch * 1000, epoch, hook)
    logger.finalize()
    assert hook.epochs == [1, 3]


@both
def test_each_version_gets_its_tags(tmp_path: Path, make: Make) -> None:
    """Dashboards that were made for a version find their curves."""
    logger = make(tmp_path, train_interval=1)
    logger.log_train_data({"loss": 1.0}, 1)
    logger.log_training_data({"loss": 2.0}, 2)
    logger.finalize()
    assert set(read_metrics(tmp_path)) == {
        "train/env_step", "train/loss", "training/env_step", "training/loss"
    }  # fmt: skip
    assert DataScope.TRAINING.value == "training"


def test_both_names_of_the_interval_and_of_its_gate(tmp_path: Path) -> None:
    """They are one interval and one gate."""
    logger = make_logger("csv", log_dir=tmp_path, training_interval=10)
    logger.log_train_data({"x": 1.0}, 12)
    logger.log_training_data({"x": 2.0}, 15)
    assert (logger.train_interval, logger.training_interval) == (10, 10)
    assert (logger.last_log_train_step, logger.last_log_training_step) == (12, 12)
    logger.training_interval, logger.last_log_training_step = 3, -1
    assert (logger.train_interval, logger.last_log_train_step) == (3, -1)
    logger.finalize()


@pytest.mark.parametrize("interval", [-1, "often"])
def test_a_bad_training_interval_is_refused(tmp_path: Path, interval: object) -> None:
    """As the other intervals are."""
    with pytest.raises((ValueError, TypeError), match="interval must"):
        TensorboardLogger(tmp_path, training_interval=interval)  # type: ignore[arg-type]


def foreign_events(folder: Path, points: list[tuple[str, int]]) -> None:
    """Write an event file as torch's writer does: one scalar a record."""
    data = file_version(1.0)
    for tag, step in points:
        value = b"\x0a" + bytes([len(tag)]) + tag.encode() + b"\x15" + struct.pack("<f", step)
        summary = b"\x0a" + bytes([len(value)]) + value
        event = b"\x09" + struct.pack("<d", 1.0) + b"\x10" + _varint(step)
        data += frame(event + b"\x2a" + bytes([len(summary)]) + summary)
    folder.mkdir(exist_ok=True)
    (folder / "events.out.tfevents.1.host").write_bytes(data)


def _varint(number: int) -> bytes:
    if number < 0x80:
        return bytes([number])
    return bytes([number & 0x7F | 0x80]) + _varint(number >> 7)


ROWS = [
    ("train/env_step", 1000),
    ("test/env_step", 2000),
    ("update/gradient_step", 400),
    ("info/epoch", 1),
    ("save/epoch", 1),
    ("save/epoch", 2),
    ("save/env_step", 2000),
    ("save/gradient_step", 500),
    ("train/env_step", 2600),
    ("update/gradient_step", 600),
]


@both
def test_a_log_of_tianshous_own_logger_is_gone_on_with(tmp_path: Path, make: Make) -> None:
    """Counts and gates are those of its last checkpoint; rows after that are not counted."""
    foreign_events(tmp_path, ROWS)
    logger = make(tmp_path)
    assert logger.restore_data() == (2, 2000, 500)
    assert logger.last_logged_steps == {"train": 1000, "test": 2000, "update": 400, "info": 1}
    hook = Hook()
    logger.save_data(2, 2000, 500, hook)
    logger.save_data(3, 3000, 700, hook)
    logger.finalize()
    assert hook.epochs == [3]
    assert make(tmp_path).restore_data() == (3, 3000, 700)


def test_names_of_tianshou_2_in_a_foreign_log(tmp_path: Path) -> None:
    """It calls the steps of training and update otherwise."""
    renamed = {"train/env_step": "training/env_step", "update/gradient_step": "update/update_step"}
    foreign_events(tmp_path, [(renamed.get(tag, tag), step) for tag, step in ROWS])
    logger = TensorboardLogger(tmp_path)
    assert logger.restore_data() == (2, 2000, 500)
    assert logger.last_logged_steps == {"train": 1000, "test": 2000, "update": 400, "info": 1}


def test_an_offline_trainers_log_has_no_env_step(tmp_path: Path) -> None:
    """Its count is zero then."""
    foreign_events(tmp_path, [("save/epoch", 4), ("save/gradient_step", 900)])
    assert TensorboardLogger(tmp_path).restore_data() == (4, 0, 900)


def test_foreign_events_without_a_checkpoint_and_damaged_ones(tmp_path: Path) -> None:
    """There is nothing to continue from."""
    foreign_events(tmp_path / "a", [("train/env_step", 1000)])
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "events.out.tfevents.1.host").write_bytes(b"no event file" * 9)
    for name in "ab":
        assert TensorboardLogger(tmp_path / name).restore_data() == (0, 0, 0)


def test_what_was_cut_off_is_not_restored_from_own_events(tmp_path: Path) -> None:
    """A state without a checkpoint stays one."""
    logger = TensorboardLogger(tmp_path)
    state = logger.state_dict()
    logger.save_data(1, 10, 5, Hook())
    logger.load_state_dict(state)
    assert logger.restore_data() == (0, 0, 0)
    logger.finalize()


class TestWandb:
    """The W&B logger's constructor and `load`."""

    @pytest.fixture(autouse=True)
    def _offline(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """No server is asked, and no service is started where no row is logged."""
        pytest.importorskip("wandb", reason="needs wandb")
        monkeypatch.setenv("WANDB_MODE", "offline")
        monkeypatch.chdir(tmp_path)

    def test_all_arguments_of_tianshou_are_taken(self) -> None:
        """Under both names of the interval."""
        arguments = {
            "train_interval": 10, "training_interval": 10, "test_interval": 1, "update_interval": 10,
            "info_interval": 1, "save_interval": None, "write_flush": True, "project": "p", "name": "n",
            "entity": None, "run_id": None, "group": "g", "job_type": "j", "config": Namespace(lr=1),
            "monitor_gym": False, "disable_stats": True, "log_dir": ".",
        }  # fmt: skip
        logger = WandbLogger(**arguments)  # type: ignore[arg-type]
        assert (logger.train_interval, logger.save_interval) == (10, None)

    def test_an_interval_in_the_first_place_is_refused_in_words(self) -> None:
        """There stands the folder here."""
        with pytest.raises(TypeError, match=r"log_dir must be a path, not 1000; name .* train_interval=1000"):
            WandbLogger(1000)  # type: ignore[arg-type]

    @pytest.mark.processes
    def test_what_wandb_is_told(self, tmp_path: Path) -> None:
        """Group, type of job and arguments reach the run."""
        logger = WandbLogger(
            tmp_path, project="p", group="g", job_type="j", config=Namespace(lr=1), disable_stats=True
        )
        run = logger.wandb_run
        assert (run.group, run.job_type, dict(run.config)) == ("g", "j", {"lr": 1})
        assert run.settings.x_disable_stats is True
        logger.finalize()

    def test_load_takes_a_writer(self, tmp_path: Path) -> None:
        """A writer of tianshou's usual second line gets the rows too."""
        tensorboardx = pytest.importorskip("tensorboardX", reason="needs tensorboardX")
        logger = WandbLogger(tmp_path, mode="disabled", train_interval=1)
        logger.load(tensorboardx.SummaryWriter(str(tmp_path / "events")))
        logger.log_train_data({"loss": 0.5}, 1)
        logger.finalize()
        assert read_metrics(tmp_path / "events")["train/loss"].values.tolist() == [0.5]

    def test_load_names_what_is_no_writer(self, tmp_path: Path) -> None:
        """It costs a warning, and no row of the others."""
        logger = WandbLogger(tmp_path, mode="disabled")
        with pytest.warns(DroppedRowsWarning, match="writer must be a SummaryWriter, not 'events'"):
            logger.load("events")
