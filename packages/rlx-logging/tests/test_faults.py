"""Disks that are full, folders that cannot be written, backends that fail, several writers at once."""

import errno
import gc
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlx_logging import (
    Backend,
    BaseLogger,
    DroppedRowsWarning,
    LogFolder,
    Row,
    RunLogger,
    make_logger,
    read_metrics,
)
from rlx_logging._files.sidecar import write_sidecar

NAMES = "csv,jsonl,tensorboard"
OPEN_FILES = Path("/proc/self/fd")

FULL_DISK = """
import resource, sys, warnings
from pathlib import Path
from rlx_logging import make_logger, DroppedRowsWarning

unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
root = Path(sys.argv[1])
for limit in range(int(sys.argv[2]), int(sys.argv[3]), 7):
    logger = make_logger("csv,jsonl,tensorboard", log_dir=root / str(limit))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, unlimited[1]))
        for step in range(12):
            logger.write("info/epoch", step, {"value": step / 3})
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        logger.write("info/epoch", 12, {"value": 4.0})
        count = len(caught)
        logger.finalize()
    assert all(issubclass(one.category, DroppedRowsWarning) for one in caught), [str(one.message) for one in caught]
    names = [str(one.message).partition(":")[0] for one in caught[:count]]
    assert len(names) == len(set(names)), names
    reports = [str(one.message) for one in caught[count:]]
    assert all("calls were dropped in all" in report for report in reports), reports
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on file sizes")
def test_a_full_disk_costs_rows_and_nothing_else(tmp_path: Path) -> None:
    """Wherever the room ends, files hold whole rows only, and logging continues when there is room again.

    The limit on the size of files makes the kernel write short and then fail, as a full disk does.
    """
    command = [sys.executable, "-W", "error", "-c", FULL_DISK, str(tmp_path), "1", "900"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    complete = 0
    for folder in tmp_path.iterdir():
        metrics = read_metrics(folder)
        assert metrics.damaged == 0
        steps = metrics["info/value"].steps.tolist()
        assert steps[-1] == 12
        assert steps == sorted(set(steps))
        (events,) = folder.glob("events*")
        assert read_metrics(events).damaged == 0
        assert b"brain.Event:2" in events.read_bytes()[:40]
        for line in (folder / "metrics.jsonl").read_text().splitlines():
            json.loads(line)
        assert {line.count(",") for line in (folder / "progress.csv").read_text().splitlines()} == {2}
        complete += len(steps) == 13
    assert 0 < complete < len(list(tmp_path.iterdir()))


def write_rows(logger: BaseLogger, count: int) -> None:
    """Write rows with the steps from zero on."""
    for step in range(count):
        logger.write("info/epoch", step, {"value": 1.0})


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """One warning for each backend, no error, and the number of dropped calls at the end."""
    (tmp_path / "file").write_text("in the way")
    logger = make_logger(NAMES, log_dir=tmp_path / "file" / "run")
    with pytest.warns(DroppedRowsWarning, match="could not write a row") as caught:
        write_rows(logger, 5)
    assert len(caught) == 4
    with pytest.warns(DroppedRowsWarning, match="5 calls were dropped in all") as caught:
        logger.finalize()
    assert len(caught) == 4


@pytest.fixture
def read_only_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder on a disk that is mounted for reading: a real one where that is allowed, else a likeness."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = _mount(["-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)])
    if not mounted:
        _refuse_to_write_below(folder, monkeypatch)
    yield folder
    if mounted:
        subprocess.run(["umount", str(folder)], check=True, timeout=30)


def _mount(arguments: list[str]) -> bool:
    command = shutil.which("mount")
    if command is None:
        return False
    return subprocess.run([command, *arguments], check=False, capture_output=True, timeout=30).returncode == 0


def _refuse_to_write_below(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refuse(path: str | os.PathLike[str], flags: int, *arguments: int, **options: int) -> int:
        if folder in Path(path).parents and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return real(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)


def test_a_disk_that_is_mounted_for_reading(read_only_disk: Path) -> None:
    """One warning for each backend that says so, and training continues."""
    logger = make_logger(NAMES, log_dir=read_only_disk)
    with pytest.warns(DroppedRowsWarning, match="Read-only file system") as caught:
        write_rows(logger, 5)
    assert len(caught) == 4
    logger.state_dict()
    with pytest.warns(DroppedRowsWarning, match="5 calls were dropped in all") as caught:
        logger.finalize()
    assert len(caught) == 4
    assert list(read_only_disk.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux which files are open")
def test_a_file_is_known_as_own_before_it_can_outlive_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest is on the disk before the file that it names is made."""
    real, order = os.fsync, list[tuple[str, bool]]()

    def fsync(descriptor: int) -> None:
        order.append(
            (Path(f"/proc/self/fd/{descriptor}").readlink().name, (tmp_path / "metrics.rlxj").exists())
        )
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    logger = make_logger("journal", log_dir=tmp_path)
    logger.write("info/epoch", 0, {"value": 1.0})
    logger.finalize()
    assert order == [("logs.manifest", False)]


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux which files are open")
def test_the_record_of_a_checkpoint_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First what it holds, then its name."""
    synced: list[tuple[str, str]] = []

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((path.name.partition(".json")[0], "" if path.is_dir() else path.read_text()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_sidecar(tmp_path, {"epoch": 1})
    assert synced == [(".logs.restore", '{"epoch": 1}\n'), (tmp_path.name, "")]


class Failing(Backend):
    """A backend that takes no rows with odd steps."""

    name = "failing"

    def __init__(self) -> None:
        self.steps: list[int] = []

    def write(self, row: Row) -> None:
        """Take a row or fail."""
        if row.step % 2:
            raise ConnectionError("no route to host")
        self.steps.append(row.step)

    def flush(self) -> None:
        """Fail."""
        raise ConnectionError("no route to host")


def test_a_failing_backend_stops_neither_training_nor_the_others(tmp_path: Path) -> None:
    """The others get every row; the failing one is asked again each time."""
    from rlx_logging._journal.backend import JournalBackend

    folder = LogFolder(tmp_path)
    failing = Failing()
    logger = RunLogger(folder, [failing, JournalBackend(folder)])
    with pytest.warns(
        DroppedRowsWarning, match=r"failing: could not write a row \(ConnectionError: no route"
    ) as caught:
        write_rows(logger, 6)
    assert len(caught) == 1
    state = logger.state_dict()
    assert failing.steps == [0, 2, 4]
    assert state["files"]["metrics.rlxj"] > 0
    assert read_metrics(tmp_path)["info/value"].steps.tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.warns(DroppedRowsWarning, match="4 calls were dropped"):
        logger.finalize()


def test_failures_can_be_let_through(tmp_path: Path) -> None:
    """Whoever wants training to stop says so."""
    logger = RunLogger(LogFolder(tmp_path), [Failing()], on_failure="raise")
    with pytest.raises(ConnectionError, match="no route to host"):
        logger.write("info/epoch", 1, {})
    with pytest.raises(ConnectionError, match="no route to host"):
        logger.flush()


def test_nothing_is_warned_of_when_nothing_fails(tmp_path: Path) -> None:
    """An undisturbed run is silent."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger = make_logger(NAMES, log_dir=tmp_path)
        logger.write("info/epoch", 0, {"value": 1.0})
        logger.state_dict()
        logger.finalize()
        logger.finalize()


WRITER = """
import sys
from rlx_logging import make_logger
sys.stdin.readline()
logger = make_logger("csv,jsonl,tensorboard", log_dir=sys.argv[1])
for step in range(400):
    logger.write("info/epoch", step, {"value" + sys.argv[2]: 1.0, "both": float(sys.argv[2])})
logger.finalize()
"""


def test_several_processes_in_one_folder_lose_nothing(tmp_path: Path) -> None:
    """Started together, with different keys, they all find all their rows in every file."""
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(number)], stdin=subprocess.PIPE)
        for number in range(3)
    ]
    for process in processes:
        process.communicate(b"go\n", timeout=60)
        assert process.returncode == 0
    metrics = read_metrics(tmp_path)
    assert metrics.damaged == 0
    for number in range(3):
        assert metrics[f"info/value{number}"].steps.tolist() == list(range(400))
        assert (metrics["info/both"].values == number).sum() == 400
    assert len(list(tmp_path.glob("events*"))) == 3
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1200
    assert len((tmp_path / "progress.csv").read_text().splitlines()) == 1201
    assert len(make_logger("csv", log_dir=tmp_path).state_dict()["files"]) == 6


def test_a_warning_points_at_the_callers_line(tmp_path: Path) -> None:
    """However deep in the logger the failure was."""
    (tmp_path / "file").write_text("in the way")
    logger = make_logger("csv", log_dir=tmp_path / "file" / "run", info_interval=1)
    with pytest.warns(DroppedRowsWarning, match="could not write a row") as caught:
        logger.log_info_data({"a": 1.0}, 1)
    assert {warning.filename for warning in caught} == {__file__}
    again = make_logger("csv", log_dir=tmp_path / "file" / "run")
    with pytest.warns(DroppedRowsWarning, match="could not write 'info/note'") as caught:
        again.write_text("info/note", 1, "hello")
    assert {warning.filename for warning in caught} == {__file__}


def test_a_record_of_save_data_that_cannot_be_written(tmp_path: Path) -> None:
    """Training continues; whoever wants it to stop says so."""
    (tmp_path / "logs.restore.json").mkdir()
    logger = make_logger("csv", log_dir=tmp_path)
    with pytest.warns(DroppedRowsWarning, match="could not record where training stood"):
        logger.save_data(1, 2, 3, "epoch {} {} {}".format)
    logger.finalize()
    strict = make_logger("csv", log_dir=tmp_path, on_failure="raise")
    with pytest.raises(OSError, match=r"logs\.restore\.json"):
        strict.save_data(2, 2, 3, "epoch {} {} {}".format)
    strict.finalize()


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="needs a list of open files")
def test_a_logger_that_is_forgotten_closes_its_files(tmp_path: Path) -> None:
    """As Python's own files do, so that a sweep of many runs in one process does not run out of them."""

    def log_and_forget() -> None:
        make_logger("csv,jsonl,tensorboard", log_dir=tmp_path).write("info/epoch", 0, {"value": 1.0})

    log_and_forget()
    gc.collect()
    before = len(list(OPEN_FILES.iterdir()))
    for _ in range(5):
        log_and_forget()
    gc.collect()
    assert len(list(OPEN_FILES.iterdir())) == before
