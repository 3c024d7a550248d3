"""Weights & Biases: real offline runs read back from their files, and a stand-in for its server."""

import gc
import json
import os
import random
import sys
import threading
import traceback
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from rlx_logging import DroppedRowsWarning, RunLogger, WandbLogger, make_logger, read_metrics
from rlx_logging._sending.sender import Sender, SendError

wandb: Any = pytest.importorskip("wandb", reason="needs wandb")
Rows: TypeAlias = Callable[[Path], list[dict[str, Any]]]

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("wandb_offline")]


def test_scopes_whose_steps_run_apart_lose_no_row(tmp_path: Path, wandb_rows: Rows) -> None:
    """A row whose step is smaller than that of another scope is there."""
    logger = WandbLogger(tmp_path / "run", train_interval=1, update_interval=1)
    logger.log_hparams({"lr": 0.1})
    for step in (100, 200):
        logger.log_train_data({"loss": 0.5}, step)
        logger.log_update_data({"norm": 2}, step // 100)
    logger.log_info_data({"flag": np.bool_(True)}, 1)
    logger.finalize()
    assert wandb_rows(tmp_path / "run") == [
        {"train/env_step": 100, "train/loss": 0.5},
        {"update/gradient_step": 1, "update/norm": 2},
        {"train/env_step": 200, "train/loss": 0.5},
        {"update/gradient_step": 2, "update/norm": 2},
        {"info/epoch": 1, "info/flag": True},
    ]


def save(epoch: int, env_step: int, gradient_step: int) -> str:
    """Stand for a trainer's checkpoint hook."""
    return f"checkpoint {epoch} {env_step} {gradient_step}"


def test_restoring_offline_raises_nothing(tmp_path: Path) -> None:
    """Counts, gates and values come back without a server, where tianshou's logger asks one."""
    logger = WandbLogger(tmp_path)
    logger.log_info_data({"r": 1.5}, 3)
    logger.save_data(3, 30, 300, save)
    logger.finalize()
    again = WandbLogger(tmp_path)
    assert again.restore_data() == (3, 30, 300)
    assert again.last_log_info_step == 3
    again.finalize()
    assert read_metrics(tmp_path)["info/r"].values.tolist() == [1.5]


def test_a_run_that_is_there_can_be_handed_in(tmp_path: Path, wandb_rows: Rows) -> None:
    """The caller's run gets the rows."""
    with wandb.init(dir=str(tmp_path)) as run:
        logger = WandbLogger(tmp_path, run=run)
        logger.write("info/epoch", 0, {"r": 1.0})
        logger.finalize()
    assert wandb_rows(tmp_path) == [{"info/epoch": 0, "info/r": 1.0}]


def test_make_logger_hands_on_the_options(tmp_path: Path) -> None:
    """Project and name reach W&B."""
    logger = make_logger("wandb", log_dir=tmp_path, project="p", name="first", config={"lr": 0.1})
    logger.write("info/epoch", 0, {"r": 1.0})
    backend: Any = logger.backends[1] if isinstance(logger, RunLogger) else None
    run = backend.run
    assert (run.project, run.name, run.config["lr"]) == ("p", "first", 0.1)
    logger.finalize()


def test_the_outbox_holds_rows_until_their_snapshot_is_committed(tmp_path: Path, wandb_rows: Rows) -> None:
    """A commit of an epoch sends the rows that were logged before its snapshot was taken, and no others."""
    logger = WandbLogger(tmp_path, outbox=True)
    state: dict[str, Any] = {}
    for epoch in range(4):
        logger.write("info/epoch", epoch, {"r": float(epoch)})
        state = logger.state_dict()
    logger.committed(1)
    assert logger.state_dict()["backends"]["wandb"]["sent"] == 2
    logger.load_state_dict(state)  # what was not sent is forgotten, and sent again from the journal
    logger.write("info/epoch", 4, {"r": 4.0})
    logger.finalize()
    assert [row["info/epoch"] for row in wandb_rows(tmp_path)] == [0, 1, 2, 3, 4]


class Flaky:
    """A run that fails once, at its first row."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.failed = threading.Event()

    def log(self, data: dict[str, Any], *, commit: bool) -> None:
        """Take a row, but for the first."""
        assert commit
        if data["info/epoch"] == 0:
            self.failed.set()
            raise ConnectionError("reset")
        self.rows.append(data["info/epoch"])

    def define_metric(self, *_: object, **__: object) -> None:
        """Do nothing."""


def test_an_earlier_failure_keeps_no_row_back_at_the_end(tmp_path: Path) -> None:
    """What is held when the logger is finalized is sent, though a row before it was refused."""
    run = Flaky()
    logger = WandbLogger(tmp_path, run=run, outbox=True)
    for epoch in range(5):
        logger.write("info/epoch", epoch, {"r": float(epoch)})
        logger.state_dict()
    logger.committed(0)
    assert run.failed.wait(30)
    with pytest.warns(DroppedRowsWarning, match="ConnectionError: reset"):
        logger.finalize()
    assert run.rows == [1, 2, 3, 4]


def _refuse() -> None:
    raise ConnectionError("no network")


def test_a_run_that_cannot_start_keeps_no_rows_in_memory() -> None:
    """What nobody will ever send is let go of at once."""

    class Row:
        def __call__(self, run: object) -> None:
            """Do nothing."""

    sender = Sender(_refuse, name="W&B", kept="nowhere", finish=lambda run: None)
    sender.run(30)
    job = Row()
    kept = weakref.ref(job)
    with pytest.raises(SendError, match="no run could be started"):
        sender.put(job)
    del job
    gc.collect()
    assert kept() is None


def test_pictures_films_and_texts_go_along(tmp_path: Path, wandb_rows: Rows) -> None:
    """Media are logged with the next row, as files in the run's folder that show what was logged."""
    image: Any = pytest.importorskip("PIL.Image", reason="needs pillow")
    logger = WandbLogger(tmp_path, exclude_arrays=False)
    frames = np.zeros((3, 16, 24, 3), np.uint8)
    frames[1] = 255
    logger.write_image("info/episode", 0, np.full((4, 6, 3), 7, np.uint8))
    logger.write_video("info/film", 0, frames, fps=10)
    logger.write_text("info/note", 0, "a < b")
    logger.log_info_data({"w": np.arange(10.0)}, 0)
    logger.finalize()
    (row,) = wandb_rows(tmp_path)
    assert row["info/w/_type"] == "histogram"
    assert [row[f"info/{tag}/_type"] for tag in ("episode", "film", "note")] == [
        "image-file", "video-file", "html-file"
    ]  # fmt: skip
    (episode,) = tmp_path.rglob("episode_*.png")
    (film,) = tmp_path.rglob("film_*.gif")
    (note,) = tmp_path.rglob("note_*.html")
    with image.open(episode) as picture:
        assert (np.asarray(picture) == np.full((4, 6, 3), 7)).all()
    with image.open(film) as moving:
        assert (moving.size, moving.n_frames, moving.info["duration"]) == ((24, 16), 3, 100)
        moving.seek(1)
        assert (np.asarray(moving.convert("RGB")) == 255).all()
    assert "a &lt; b" in note.read_text(encoding="utf-8")


def test_a_checkpoint_is_an_artifact(
    tmp_path: Path, wandb_artifacts: Callable[[Path], list[Any]], wandb_rows: Rows
) -> None:
    """A model of the run's name, with the file and the three counts; a path that is no file is none."""
    checkpoint = tmp_path / "policy.pt"
    checkpoint.write_bytes(b"weights")
    logger = WandbLogger(tmp_path / "run", run_id="abc")
    logger.save_data(0, 1, 2, lambda epoch, env_step, gradient_step: str(checkpoint))
    logger.save_data(1, 2, 3, save)
    logger.finalize()
    (artifact,) = wandb_artifacts(tmp_path / "run")
    assert (artifact.type, artifact.name) == ("model", "run_abc_checkpoint")
    assert json.loads(artifact.metadata) == {"epoch": 0, "env_step": 1, "gradient_step": 2}
    (stored,) = artifact.manifest.contents
    assert (stored.path, Path(stored.local_path).read_bytes()) == ("policy.pt", b"weights")
    assert len(wandb_rows(tmp_path / "run")) == 6


KEY = "0123456789abcdef0123456789abcdef01234567"


class Denied:
    """A run whose server says the key in its errors."""

    def log(self, *_: object, **__: object) -> None:
        """Fail."""
        raise ConnectionError(f"denied for key {KEY}")

    def define_metric(self, *_: object, **__: object) -> None:
        """Do nothing."""


def tell_by_variable(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give W&B the key by its variable."""
    monkeypatch.setenv("WANDB_API_KEY", KEY)


def tell_by_netrc(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give W&B the key as `wandb login` stores it."""
    path = home / "netrc"
    path.write_text(f"machine api.wandb.ai\n  login user\n  password {KEY}\n")
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))


def tell_by_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give W&B the key in the home folder's netrc."""
    path = home / (".netrc" if os.name != "nt" else "_netrc")
    path.write_text(f"machine wandb.example\n  login user\n  password {KEY}\n")
    path.chmod(0o600)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))


def tell_by_login(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give W&B the key as `wandb.login(key=...)` does for the session."""
    monkeypatch.setattr(wandb.setup().settings, "api_key", KEY)


@pytest.mark.parametrize("tell", [tell_by_variable, tell_by_netrc, tell_by_home, tell_by_login])
def test_a_key_never_reaches_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tell: Callable[[Path, pytest.MonkeyPatch], None]
) -> None:
    """Where an error of W&B holds the key, the warning does not, wherever W&B has it from."""
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    tell(tmp_path, monkeypatch)
    logger = WandbLogger(tmp_path, run=Denied())
    logger.write("info/epoch", 0, {"r": 1.0})
    with pytest.warns(DroppedRowsWarning, match=r"ConnectionError: denied for key \[key\]"):
        logger.finalize()


def test_a_key_never_reaches_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where failures are let through, neither the error nor what led to it tells the key."""
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    logger = WandbLogger(tmp_path, run=Denied(), on_failure="raise")
    logger.write("info/epoch", 0, {"r": 1.0})
    with pytest.raises(RuntimeError, match=r"denied for key \[key\]") as caught:
        logger.finalize()
    assert KEY not in "".join(traceback.format_exception(caught.value))


ONLINE = """
import json, os, sys
from rlx_logging import make_logger
folder, first, last, keep = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
options = {"project": "p", "entity": "e", "outbox": sys.argv[5] == "outbox", "finish_seconds": 100}
logger = make_logger("wandb", log_dir=folder, **options)
state_file = os.path.join(folder, "state.json")
if os.path.exists(state_file):
    with open(state_file) as file:
        logger.load_state_dict(json.load(file))
for epoch in range(first, last):
    logger.write("info/epoch", epoch, {"r": epoch / 2})
    state = logger.state_dict()
    if epoch == keep:
        with open(state_file, "w") as file:
            json.dump(state, file)
        logger.committed(epoch)
logger.finalize()
"""


@pytest.mark.parametrize("mode", ["live", "outbox"])
def test_a_resumed_run_has_each_row_once_on_the_server(tmp_path: Path, server: Any, mode: str) -> None:
    """Rows after the snapshot are logged again, and the server has them once."""
    first = server.client(ONLINE, str(tmp_path), "0", "8", "4", mode)
    assert first.returncode == 0, first.stderr
    second = server.client(ONLINE, str(tmp_path), "5", "10", "99", mode)
    assert second.returncode == 0, second.stderr
    rows = server.received()
    assert [(row["_step"], row["info/epoch"], row["info/r"]) for row in rows] == [
        (epoch, epoch, epoch / 2) for epoch in range(10)
    ]


ENDLESS = """
import json, os, pathlib, sys
from rlx_logging import make_logger
folder, last = pathlib.Path(sys.argv[1]), int(sys.argv[2])
logger = make_logger("wandb", log_dir=folder, project="p", entity="e", outbox=sys.argv[3] == "outbox", finish_seconds=100)
snapshot, temporary = folder / "state.json", folder / "state.tmp"
state = json.loads(snapshot.read_text()) if snapshot.exists() else {"epoch": 0, "logger": {}}
logger.load_state_dict(state["logger"])
for epoch in range(state["epoch"], last):
    for step in (2 * epoch, 2 * epoch + 1):
        logger.write("update/gradient_step", step, {"loss": step / 2})
    logger.write("info/epoch", epoch, {"r": epoch / 2})
    temporary.write_text(json.dumps({"epoch": epoch + 1, "logger": logger.state_dict()}))
    temporary.replace(snapshot)
    logger.committed(epoch)
    print(epoch, flush=True)
    if sys.argv[4] == "slow":
        sys.stdin.readline()
logger.finalize()
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("mode", ["live", "outbox"])
def test_a_run_killed_at_random_has_each_row_once_on_the_server(
    tmp_path: Path, server: Any, mode: str
) -> None:
    """Killed with W&B's service, as a machine that goes down kills both; what the server lacks is sent again."""
    psutil: Any = pytest.importorskip("psutil", reason="needs psutil")
    arguments = ("-c", ENDLESS, str(tmp_path), "40", mode)
    killed_at = random.randrange(1, 39)
    with server.start(*arguments, "slow") as client:
        for line in client.stdout or ():
            if int(line) == killed_at:
                break
            print("on", file=client.stdin, flush=True)
        victims = psutil.Process(client.pid).children(recursive=True)
        client.kill()
        for victim in victims:
            victim.kill()
        psutil.wait_procs(victims, timeout=30)
    before = len(server.received())
    done = server.client(*arguments[1:], "fast")
    assert done.returncode == 0, done.stderr
    rows = server.received()
    assert [row["_step"] for row in rows] == list(range(120)), (killed_at, before)
    assert [row["info/r"] for row in rows[2::3]] == [epoch / 2 for epoch in range(40)]
    assert [row["update/loss"] for row in rows if "update/loss" in row and row["_step"] % 3 < 2] == [
        step / 2 for step in range(80)
    ]


OUTAGE = """
import os, signal, sys, time, warnings
from rlx_logging import make_logger
logger = make_logger("wandb", log_dir=sys.argv[1], project="p", entity="e", finish_seconds=int(sys.argv[3]))
slowest = 0.0

def end_service():
    import psutil
    for child in psutil.Process().children(recursive=True):
        if "wandb-core" in child.name():
            child.kill()
            child.wait()
            print("killed", flush=True)

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for epoch in range(50):
        start = time.perf_counter()
        logger.write("info/epoch", epoch, {"r": 1.0})
        slowest = max(slowest, time.perf_counter() - start)
        if epoch == 25 and sys.argv[2] != "never there":
            assert logger.backends[1].run is not None
            end_service() if sys.argv[2] == "crash" else os.kill(int(sys.argv[2]), signal.SIGKILL)
    logger.finalize()
print(sum("calls were dropped in all" not in str(one.message) for one in caught), slowest < 1.0)
for one in caught:
    print(one.message, file=sys.stderr)
"""


def test_a_server_that_is_not_there_costs_one_warning(tmp_path: Path, server: Any) -> None:
    """No call is held up, and finalizing gives up long before its limit; the journal has every row."""
    server.stop()
    done = server.client(OUTAGE, str(tmp_path), "never there", "1000")
    assert done.stdout.split() == ["1", "True"], done.stderr
    assert len(read_metrics(tmp_path)["info/r"]) == 50


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_server_that_goes_away_costs_one_warning(tmp_path: Path, server: Any) -> None:
    """It is there when the run starts, and killed in its midst."""
    done = server.client(OUTAGE, str(tmp_path), str(server.process), "5")
    assert done.stdout.split()[:2] == ["1", "True"], done.stderr  # W&B's exit hook speaks last
    assert "W&B cannot be reached; what it has is in its own folder" in done.stderr
    assert len(read_metrics(tmp_path)["info/r"]) == 50


def test_a_crash_of_wandbs_service_costs_one_warning(tmp_path: Path, server: Any) -> None:
    """The process that W&B sends from is killed in the middle of a run."""
    pytest.importorskip("psutil", reason="needs psutil")
    done = server.client(OUTAGE, str(tmp_path), "crash", "1000")
    assert done.stdout.split() == ["killed", "1", "True"], done.stderr
    assert len(read_metrics(tmp_path)["info/r"]) == 50
