"""Trackers of experiments: MLflow on its SQLite file, Trackio below its folder; each row once, whatever is killed."""

import math
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from rlx_logging import Backend, DroppedRowsWarning, LogFolder, make_logger, read_metrics
from rlx_logging._sending.position import Position
from rlx_logging._trackers.mlflow import make_mlflow, name_in_mlflow
from rlx_logging._trackers.trackio import make_trackio
from rlx_logging.testing import Points, check_backend

pytestmark = [
    pytest.mark.processes,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),  # of MLflow with SQLAlchemy 2.1
]
needs_mlflow = pytest.mark.skipif(find_spec("mlflow") is None, reason="No module named 'mlflow'")
needs_trackio = pytest.mark.skipif(find_spec("trackio") is None, reason="No module named 'trackio'")
States: TypeAlias = list[dict[str, Any]]


@pytest.fixture(scope="session", autouse=True)
def trackio_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep Trackio out of the home folder; it looks once, when it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("trackio")
        patch.setenv("TRACKIO_DIR", str(folder))
        yield folder


@pytest.fixture(scope="session")
def mlflow_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database without runs: MLflow takes seconds to make one."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    import_module("mlflow").MlflowClient(tracking_uri=f"sqlite:///{path.as_posix()}").search_experiments()
    return path


@pytest.fixture(autouse=True)
def trackers_of_a_test(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Give a test that uses MLflow a database of its own."""
    if "mlflow" in request.node.name:
        shutil.copy(request.getfixturevalue("mlflow_file"), tmp_path / "mlflow.db")


def uri(run: Path) -> str:
    """Return where the runs of a test are in MLflow."""
    return f"sqlite:///{(run.parent / 'mlflow.db').as_posix()}"


def mlflow_of(folder: LogFolder) -> Backend:
    """Return MLflow on a file beside the run folder."""
    return make_mlflow(folder, tracking_uri=uri(folder.path), project="tests")


def trackio_of(folder: LogFolder) -> Backend:
    """Return Trackio with a project for each test."""
    return make_trackio(folder, project=folder.path.parent.name)


def run_id(run: Path, name: str) -> str:
    """Return the identity of the run that a folder logs to."""
    position = Position.read(run / f"logs.{name}.json")
    assert position is not None
    return position.run_id


def client_of(run: Path) -> Any:
    """Return MLflow's client."""
    return import_module("mlflow").MlflowClient(tracking_uri=uri(run))


def read_mlflow(run: Path) -> Points:
    """Return what MLflow has of a folder's run."""
    client, identity = client_of(run), run_id(run, "mlflow")
    return {
        tag: [(metric.step, metric.value) for metric in client.get_metric_history(identity, tag)]
        for tag in client.get_run(identity).data.metrics
    }


def read_trackio(run: Path) -> Points:
    """Return what Trackio has of a folder's run."""
    points: dict[str, list[tuple[int, float]]] = defaultdict(list)
    storage = import_module("trackio.sqlite_storage").SQLiteStorage
    for row in storage.get_logs(run.parent.name, run_id=run_id(run, "trackio")):
        for tag in row.keys() - {"timestamp", "step"}:
            points[tag].append((row["step"], float(row[tag])))
    return points


def as_kept_by_mlflow(value: float) -> float:
    """Return what MLflow makes of a number: infinities are the largest ones."""
    return math.copysign(1.7976931348623157e308, value) if math.isinf(value) else float(value)


@needs_mlflow
def test_mlflow_passes(tmp_path: Path) -> None:
    """Each row once, killed or not, in the run that the folder logs to."""
    check_backend(mlflow_of, read_mlflow, tmp_path, stored=as_kept_by_mlflow, named=name_in_mlflow)


@needs_trackio
def test_trackio_passes(tmp_path: Path) -> None:
    """Each row once, killed or not, in the run that the folder logs to."""
    check_backend(trackio_of, read_trackio, tmp_path)


def log(
    name: str, folder: Path, epochs: range, state: Mapping[str, Any] | None = None, **options: Any
) -> States:
    """Log some epochs, each with a snapshot, and close; return the logger's states."""
    place = {"tracking_uri": uri(folder)} if name == "mlflow" else {"project": folder.parent.name}
    logger = make_logger(name, log_dir=folder, **place, **options)
    if state is not None:
        logger.load_state_dict(state)
    states: States = []
    for epoch in epochs:
        logger.write("info/epoch", epoch, {"r": epoch / 2})
        states.append(logger.state_dict())
        logger.committed(epoch)
    logger.finalize()
    return states


each_tracker = pytest.mark.parametrize(
    ("name", "read"),
    [
        pytest.param("mlflow", read_mlflow, marks=needs_mlflow),
        pytest.param("trackio", read_trackio, marks=needs_trackio),
    ],
)


@each_tracker
def test_a_run_gets_the_rows_from_before_the_store_was_there(
    tmp_path: Path, name: str, read: Callable[[Path], Points]
) -> None:
    """The journal has them: no gap, and no warning of one."""
    folder = tmp_path / "run"
    first = make_logger("csv", log_dir=folder)
    first.write("info/epoch", 0, {"r": 1.0})
    state = first.state_dict()
    first.finalize()
    log(name, folder, range(1, 3), state)
    assert read(folder)["info/epoch"] == [(0, 0.0), (1, 1.0), (2, 2.0)]


@each_tracker
def test_a_trainer_that_only_restores_has_each_row_once(
    tmp_path: Path, name: str, read: Callable[[Path], Points]
) -> None:
    """`save_data` sends rows, and the next attempt continues behind those that came after it."""
    folder = tmp_path / "run"
    place = {"tracking_uri": uri(folder)} if name == "mlflow" else {"project": tmp_path.name}
    for first in (1, 3):
        logger = make_logger(name, log_dir=folder, **place)
        assert logger.restore_data()[0] == first - 1
        for epoch in range(first, first + 2):
            logger.save_data(epoch, epoch, epoch, "epoch {} {} {}".format)
            logger.log_info_data({"r": 1.0}, epoch)
        logger.finalize()
    assert [step for step, _ in read(folder)["info/r"]] == [1, 2, 3, 4]


@each_tracker
def test_rows_go_out_when_they_are_committed(
    tmp_path: Path, name: str, read: Callable[[Path], Points]
) -> None:
    """What no snapshot covers is not there when the attempt fails, and is when a run ends well."""
    folder = tmp_path / "run"
    place = {"tracking_uri": uri(folder)} if name == "mlflow" else {"project": tmp_path.name}
    logger = make_logger(name, log_dir=folder, **place)
    state: dict[str, Any] = {}
    for epoch in range(3):
        logger.write("info/epoch", epoch, {"r": 1.0})
        state = logger.state_dict()
    logger.write("info/epoch", 3, {"r": 2.0})
    logger.committed(2)
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        logger.finalize()
    assert [step for step, _ in read(folder)["info/r"]] == [0, 1, 2]
    log(name, folder, range(3, 5), state)
    assert read(folder)["info/r"] == [(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.5), (4, 2.0)]


@needs_mlflow
def test_mlflow_is_told_how_an_attempt_ended(tmp_path: Path) -> None:
    """An exception on its way is a failure; the next attempt runs again, and a tag keeps how the one before ended."""
    folder = tmp_path / "run"
    logger = make_logger("mlflow", log_dir=folder, tracking_uri=uri(folder))
    logger.write("info/epoch", 0, {"r": 1.0})
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        logger.finalize()
    client, identity = client_of(folder), run_id(folder, "mlflow")
    assert client.get_run(identity).info.status == "FAILED"
    client.update_run(identity, status="RUNNING")  # as a kill leaves it
    log("mlflow", folder, range(1, 2))
    run = client.get_run(identity)
    assert (run.info.status, run.data.tags["rlx.attempt.1"]) == ("FINISHED", "KILLED")
    assert run.data.tags["mlflow.runName"] == "run"


@needs_mlflow
def test_mlflow_ends_the_run_that_another_one_replaces(tmp_path: Path) -> None:
    """Rows cannot be deleted there: an older snapshot gets a run of its own, with all of its rows."""
    folder = tmp_path / "run"
    states = log("mlflow", folder, range(5))
    before = run_id(folder, "mlflow")
    log("mlflow", folder, range(2, 4), states[1])
    assert [step for step, _ in read_mlflow(folder)["info/r"]] == [0, 1, 2, 3]
    run = client_of(folder).get_run(before)
    assert run.info.status == "KILLED"
    assert "older snapshot" in run.data.tags["rlx.abandoned"]


@needs_trackio
def test_trackio_renames_the_run_that_another_one_replaces(tmp_path: Path) -> None:
    """Both are there, and their names tell them apart."""
    folder = tmp_path / "run"
    states = log("trackio", folder, range(5))
    before = run_id(folder, "trackio")
    log("trackio", folder, range(2, 4), states[1])
    storage = import_module("trackio.sqlite_storage").SQLiteStorage
    names = {run["id"]: run["name"] for run in storage.get_run_records(tmp_path.name)}
    assert names == {before: f"run (abandoned {before[:6]})", run_id(folder, "trackio"): "run"}


@needs_mlflow
def test_parameters_of_mlflow_that_change_are_shown(tmp_path: Path) -> None:
    """MLflow changes none: the new value is in a tag, and the others are not lost for it."""
    folder = tmp_path / "run"
    (state,) = log("mlflow", folder, range(1), config={"lr": 0.1, "net": {"sizes": [64, 64]}, "a(b": None})
    log("mlflow", folder, range(1, 2), state, config={"lr": 0.2, "seed": 1})
    data = client_of(folder).get_run(run_id(folder, "mlflow")).data
    assert data.params == {
        "lr": "0.1",
        "net/sizes": "(64, 64)",
        name_in_mlflow("a(b"): "None",
        "seed": "1",
    }
    assert data.tags["rlx.changed.lr"] == "0.2"


@needs_trackio
def test_the_config_of_trackio_is_that_of_the_last_attempt(tmp_path: Path) -> None:
    """What is given again replaces what was there, and the rest stays."""
    folder = tmp_path / "run"
    (state,) = log("trackio", folder, range(1), config={"lr": 0.1, "net": {"size": 64}})
    log("trackio", folder, range(1, 2), state, config={"lr": 0.2})
    storage = import_module("trackio.sqlite_storage").SQLiteStorage
    config = storage.get_run_config(tmp_path.name, run_id=run_id(folder, "trackio"))
    assert {key: config[key] for key in config if not key.startswith("_")} == {"lr": 0.2, "net/size": 64}


@each_tracker
def test_without_outbox_rows_go_out_as_they_come(
    tmp_path: Path, name: str, read: Callable[[Path], Points]
) -> None:
    """Nobody commits, nobody ends the run, and they arrive."""
    folder = tmp_path / "run"
    place = {"tracking_uri": uri(folder)} if name == "mlflow" else {"project": tmp_path.name}
    logger = make_logger(name, log_dir=folder, outbox=False, **place)
    epoch = 0
    while not (folder / f"logs.{name}.json").exists() or not read(folder):
        logger.write("info/epoch", epoch, {"r": 1.0})
        epoch += 1
        time.sleep(0.02)
    logger.finalize()
    assert len(read(folder)["info/r"]) == epoch


@needs_mlflow
def test_an_mlflow_that_is_not_there_costs_one_warning_and_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it lacks is sent by the next attempt."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    folder = tmp_path / "run"
    logger = make_logger("mlflow", log_dir=folder, tracking_uri="http://127.0.0.1:1")
    logger.write("info/epoch", 0, {"r": 1.0})
    with pytest.warns(
        DroppedRowsWarning, match="mlflow: could not close .*no run could be started"
    ) as caught:
        logger.finalize()
    assert len(caught) == 1
    assert read_metrics(folder)["info/r"].values.tolist() == [1.0]
    log("mlflow", folder, range(1, 2))
    assert [step for step, _ in read_mlflow(folder)["info/r"]] == [0, 1]
