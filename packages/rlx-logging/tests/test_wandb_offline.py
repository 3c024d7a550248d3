"""Offline runs of W&B: each row of the journal once after `wandb sync`, whatever was killed in between."""

import contextlib
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from rlx_logging import Backend, LogFolder, WandbLogger, read_metrics
from rlx_logging._wandb.backend import make_wandb
from rlx_logging._wandb.offline import OfflineRun
from rlx_logging._wandb.transaction_log import HEADER, TransactionLog, has_ended
from rlx_logging.testing import Points, check_backend

wandb: Any = pytest.importorskip("wandb", reason="needs wandb")
Rows: TypeAlias = Callable[[Path], list[dict[str, Any]]]

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("wandb_offline")]
EPOCHS = "400"
TRAINING = str(Path(__file__).with_name("wandb_training.py"))


def log(folder: Path, epochs: range, state: dict[str, Any] | None = None, **options: Any) -> list[Any]:
    """Log some epochs and close; return the logger's state after each."""
    logger = WandbLogger(folder, project="p", **options)
    if state is not None:
        logger.load_state_dict(state)
    states: list[Any] = []
    for epoch in epochs:
        logger.write("info/epoch", epoch, {"r": epoch / 2})
        states.append(logger.state_dict())
    logger.finalize()
    return states


def files(folder: Path) -> list[Path]:
    """Return the files of all attempts, the oldest first."""
    return sorted(folder.glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.parent.name)


def test_rows_after_the_snapshot_are_taken_out(tmp_path: Path, wandb_rows: Rows) -> None:
    """The next attempt logs them again; the first one's file ends at the snapshot."""
    states = log(tmp_path, range(8))
    log(tmp_path, range(5, 10), states[4])
    assert [row["info/epoch"] for row in wandb_rows(tmp_path)] == list(range(10))
    assert len(files(tmp_path)) == 2


def test_an_older_snapshot_reaches_into_every_attempt(tmp_path: Path, wandb_rows: Rows) -> None:
    """Rows of the second and the third attempt go, those before the snapshot stay."""
    states = log(tmp_path, range(4))
    states += log(tmp_path, range(4, 8), states[3])
    log(tmp_path, range(8, 10), states[7])
    log(tmp_path, range(2, 5), states[1])
    assert [row["info/epoch"] for row in wandb_rows(tmp_path)] == list(range(5))


def test_nothing_committed_begins_the_same_run_again(tmp_path: Path, wandb_rows: Rows) -> None:
    """The rows of an attempt without a snapshot are no second run."""
    log(tmp_path, range(3), {})
    log(tmp_path, range(4), {})
    assert [row["info/epoch"] for row in wandb_rows(tmp_path)] == list(range(4))
    assert len({path.name for path in files(tmp_path)}) == 1


@pytest.mark.parametrize("lost", [1, 40, 700, None], ids=["torn", "few", "many", "all"])
def test_what_the_file_of_a_killed_attempt_lacks_is_sent_again(
    tmp_path: Path, wandb_rows: Rows, lost: int | None
) -> None:
    """W&B writes late: the file decides what is sent, not what W&B was given."""
    states = log(tmp_path, range(6))
    (path,) = files(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[:HEADER] if lost is None else data[:-lost])
    log(tmp_path, range(6, 8), states[5])
    assert [row["info/epoch"] for row in wandb_rows(tmp_path)] == list(range(8))


def test_a_service_that_outlives_its_process_adds_nothing(tmp_path: Path, wandb_rows: Rows) -> None:
    """It has the old file open; the one that is synced is another."""
    states = log(tmp_path, range(4))
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with path.open("ab") as orphan:
        log(tmp_path, range(4, 6), states[3])
        orphan.write(whole[len(whole) // 2 :])
    assert [row["info/epoch"] for row in wandb_rows(tmp_path)] == list(range(6))


def test_what_was_synced_is_not_sent_again(tmp_path: Path, wandb_rows: Rows) -> None:
    """The server has rows that no snapshot covers: they stay as they are, and the run continues behind them."""
    states = log(tmp_path, range(6))
    (path,) = files(tmp_path)
    path.with_name(path.name + ".synced").touch()
    log(tmp_path, range(3, 8), states[2])
    assert [row["info/epoch"] for row in wandb_rows(tmp_path)] == list(range(8))


def test_what_was_synced_and_cleaned_is_not_sent_again(tmp_path: Path, wandb_rows: Rows) -> None:
    """`wandb sync --clean` leaves nothing of it."""
    states = log(tmp_path, range(4))
    shutil.rmtree(tmp_path / "wandb")
    log(tmp_path, range(4, 6), states[3])
    assert [row["info/epoch"] for row in wandb_rows(tmp_path)] == [4, 5]


def test_a_run_that_is_named_again_continues_behind_its_rows(tmp_path: Path, wandb_rows: Rows) -> None:
    """Without a state, rows are new ones; none is dropped for its step."""
    for _ in range(2):
        log(tmp_path, range(3), run_id="mine")
    assert [row["info/epoch"] for row in wandb_rows(tmp_path)] == [0, 1, 2, 0, 1, 2]
    assert [TransactionLog(path.read_bytes()).next_step for path in files(tmp_path)] == [3, 6]


def test_restoring_as_a_trainer_does_continues_the_run(tmp_path: Path, wandb_rows: Rows) -> None:
    """`restore_data` alone: the same run, and the next steps."""
    for first in (1, 3):
        logger = WandbLogger(tmp_path)
        assert logger.restore_data()[0] == first - 1
        for epoch in range(first, first + 2):
            logger.save_data(epoch, epoch, epoch, "epoch {} {} {}".format)
            logger.log_info_data({"r": 1.0}, epoch)
        logger.finalize()
    assert [row["info/epoch"] for row in wandb_rows(tmp_path) if "info/epoch" in row] == [1, 2, 3, 4]
    assert len({path.name for path in files(tmp_path)}) == 1


def test_rows_join_a_run_to_which_the_caller_logs_too(tmp_path: Path, wandb_rows: Rows) -> None:
    """Before, between and after: nobody's rows are dropped for their step."""
    run = wandb.init(dir=str(tmp_path))
    for number in range(5):
        run.log({"own": number})
    logger = WandbLogger(tmp_path / "log", run=run)
    for epoch in range(5):
        logger.write("info/epoch", epoch, {"r": 1.0})
        run.log({"own": 5 + epoch}, step=20 * (epoch + 1))
    logger.finalize()
    run.log({"own": 10})
    run.finish()
    rows = wandb_rows(tmp_path)
    assert sorted(row["info/epoch"] for row in rows if "info/epoch" in row) == list(range(5))
    assert [row["own"] for row in rows if "own" in row] == list(range(11))


def test_the_outbox_keeps_a_callers_run_free_of_rows_that_are_logged_again(
    tmp_path: Path, wandb_rows: Rows
) -> None:
    """Its files are not cut: what a failed attempt had not committed is not sent to it."""
    run = wandb.init(dir=str(tmp_path))
    logger = WandbLogger(tmp_path / "log", run=run, outbox=True)
    logger.write("info/epoch", 0, {"r": 0.0})
    state = logger.state_dict()
    logger.committed(0)
    logger.write("info/epoch", 1, {"r": 1.0})
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        logger.finalize()
    again = WandbLogger(tmp_path / "log", run=run, outbox=True)
    again.load_state_dict(state)
    for epoch in (1, 2):
        again.write("info/epoch", epoch, {"r": 2.0})
    again.finalize()
    run.finish()
    assert [(row["info/epoch"], row["info/r"]) for row in wandb_rows(tmp_path)] == [
        (0, 0.0),
        (1, 2.0),
        (2, 2.0),
    ]


def test_a_run_that_the_caller_has_open_is_neither_used_nor_finished(
    tmp_path: Path, wandb_rows: Rows
) -> None:
    """A logger without `run=` opens one of its own."""
    with wandb.init(dir=str(tmp_path / "own")) as run:
        log(tmp_path / "log", range(2))
        run.log({"own": 1})
        assert wandb.run is run
    assert wandb_rows(tmp_path / "own") == [{"own": 1}]
    assert [row["info/epoch"] for row in wandb_rows(tmp_path / "log")] == [0, 1]


def test_the_callers_run_of_the_same_name_is_not_finished(tmp_path: Path, wandb_rows: Rows) -> None:
    """Its rows and the logger's are one run."""
    with wandb.init(dir=str(tmp_path), id="mine") as run:
        run.log({"own": 1})
        log(tmp_path, range(2), run_id="mine")
        run.log({"own": 2})
    rows = wandb_rows(tmp_path)
    assert [row.get("own", row.get("info/epoch")) for row in rows] == [1, 0, 1, 2]


def test_two_loggers_have_two_runs(tmp_path: Path, wandb_rows: Rows) -> None:
    """The second does not take the first one's run, though W&B would give it to it."""
    loggers = [WandbLogger(tmp_path / name) for name in "ab"]
    for epoch in range(3):
        for logger in loggers:
            logger.write("info/epoch", epoch, {"r": 1.0})
    for logger in loggers:
        logger.finalize()
    for name in "ab":
        assert [row["info/epoch"] for row in wandb_rows(tmp_path / name)] == [0, 1, 2]


@pytest.mark.parametrize("failed", [False, True])
def test_a_run_ends_as_the_attempt_did(
    tmp_path: Path, failed: bool, wandb_exits: Callable[[Path], list[int]]
) -> None:
    """An exception on its way is a failure, the end of the program is none."""
    logger = WandbLogger(tmp_path)
    logger.write("info/epoch", 0, {"r": 1.0})
    try:
        if failed:
            raise KeyboardInterrupt
        logger.finalize()
    except KeyboardInterrupt:
        logger.finalize()
    assert wandb_exits(tmp_path) == [int(failed)]


def test_every_prefix_of_a_file_is_cut_to_whole_records(tmp_path: Path) -> None:
    """Wherever a kill tore it; what is left is a prefix that ends with a record."""
    log(tmp_path, range(200))  # more than a block
    (path,) = files(tmp_path)
    data = path.read_bytes()
    whole = TransactionLog(data)
    assert (whole.finished, whole.next_step, whole.cut) == (True, 200, len(data))
    assert len(data) > 2**15
    assert has_ended(path)
    known = {HEADER: 0}
    for length in (*range(HEADER, len(data), 97), *range(2**15 - 20, 2**15 + 20)):
        cut = TransactionLog(data[:length])
        assert cut.cut <= length
        again = TransactionLog(data[: cut.cut])
        assert (again.cut, again.next_step) == (cut.cut, cut.next_step)
        assert known.setdefault(cut.cut, cut.next_step) == cut.next_step
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 1
    assert TransactionLog(bytes(damaged)).cut <= len(data) // 2


def test_the_end_of_a_file_is_waited_for(tmp_path: Path) -> None:
    """W&B writes it after it has said that the run is finished."""
    log(tmp_path, range(200), run_id="mine")
    (path,) = files(tmp_path)
    data = path.read_bytes()
    for length in (0, HEADER, 2**15 - 1, 2**15, 2**15 + 1, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(TimeoutError, match=r"run-mine\.wandb does not end with the end of the run"):
            OfflineRun(tmp_path, "mine").wait_for_end(0.0)
        writer = threading.Timer(0.1, path.write_bytes, [data])
        writer.start()
        OfflineRun(tmp_path, "mine").wait_for_end(60.0)
        writer.join()
        assert path.read_bytes() == data


def _train(folder: Path, how: str) -> subprocess.CompletedProcess[str]:
    """Train to the end."""
    command = [sys.executable, TRAINING, str(folder), EPOCHS, how]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _attempt(folder: Path, how: str, seconds: float, *, with_service: bool) -> None:
    """Train until the first epoch is there and a moment has passed, and be killed."""
    psutil: Any = pytest.importorskip("psutil", reason="needs psutil")
    command = [sys.executable, TRAINING, str(folder), EPOCHS, how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as client:
        assert client.stdout is not None
        client.stdout.readline()
        with contextlib.suppress(subprocess.TimeoutExpired):
            client.wait(seconds)
        victims: list[Any] = []
        if with_service:
            with contextlib.suppress(psutil.NoSuchProcess):
                victims = psutil.Process(client.pid).children(recursive=True)
        client.kill()
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        psutil.wait_procs(victims, timeout=30)


def _synced(folder: Path, server: Any) -> list[dict[str, Any]]:
    """Sync folder after folder with W&B's own command, and return what the server has."""
    for path in files(folder):
        done = server.sync(path.parent)
        assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = server.received()
    return rows


def _compare(rows: list[dict[str, Any]], folder: Path) -> None:
    """Check that the rows are those of the journal, each once and with its step."""
    journal = read_metrics(folder)
    for tag, series in journal.items():
        assert [row[tag] for row in rows if tag in row] == series.values.tolist(), tag
    assert [row["_step"] for row in rows] == list(range(len(rows)))


def wandb_of(folder: LogFolder) -> Backend:
    """Return W&B offline."""
    return make_wandb(folder, project="p", mode="offline", disable_stats=True)


def test_the_backend_passes_the_conformance_kit(tmp_path: Path, wandb_rows: Rows) -> None:
    """Each row once in the files of all attempts, with odd values and keys."""

    def read(run: Path) -> Points:
        points: dict[str, list[tuple[int, float]]] = {}
        for row in wandb_rows(run):
            step = row[
                next(name for name in ("odd/step", "update/gradient_step", "info/epoch") if name in row)
            ]
            for tag, value in row.items():
                points.setdefault(tag, []).append((step, float(value)))
        return points

    check_backend(wandb_of, read, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["snapshot", "trainer"])
def test_killed_and_resumed_twice_and_synced(tmp_path: Path, server: Any, how: str) -> None:
    """Each row of the journal is once on the server, with its number as its step.

    The process that starts the attempts logs to W&B too, whose service they would use by default.
    """
    folder = tmp_path / "run"
    with wandb.init(dir=str(tmp_path)) as run:
        run.log({"own": 1})
        for seconds in (0.0, 0.4):
            _attempt(folder, how, seconds, with_service=seconds > 0)
        done = _train(folder, how)
        assert done.returncode == 0, done.stderr
        _compare(_synced(folder, server), folder)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("with_service", [False, True], ids=["alone", "with the service"])
@pytest.mark.parametrize("how", ["snapshot", "trainer"])
def test_killed_at_ten_moments_and_synced(tmp_path: Path, server: Any, how: str, with_service: bool) -> None:
    """Ten attempts, each killed at some moment of the first seconds of the run."""
    folder = tmp_path / "run"
    moments = [random.choice((0.0, 0.02, 0.1, 0.3, 0.6, 1.0)) for _ in range(10)]
    for seconds in moments:
        _attempt(folder, how, seconds, with_service=with_service)
    done = _train(folder, how)
    assert done.returncode == 0, done.stderr
    _compare(_synced(folder, server), folder)
