"""What several test modules need: offline runs of W&B, read from their files."""

import json
import os
import struct
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Generator, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

BLOCK = 32768
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def _records(path: Path) -> Iterator[bytes]:
    """Yield every complete record of a ``.wandb`` file."""
    data, position, parts = path.read_bytes(), 7, list[bytes]()
    while position + 7 <= len(data):
        room = BLOCK - position % BLOCK
        _, length, kind = struct.unpack_from("<IHB", data, position)
        if room < 7 or (kind == 0 and length == 0):
            position += room
            continue
        piece = data[position + 7 : position + 7 + length]
        position += 7 + length
        parts = [piece] if kind in (FULL, FIRST) else [*parts, piece]
        if kind in (FULL, LAST):
            yield b"".join(parts)


def _logged(folder: Path, kind: str) -> list[Any]:
    """Return the records of a kind of all offline runs below a folder, in the order of their files."""
    wandb_internal_pb2 = import_module("wandb.proto.wandb_internal_pb2")
    import_module("wandb").teardown()  # its service writes the last records after `finish` has returned
    records = [
        wandb_internal_pb2.Record.FromString(data)
        for path in sorted(folder.rglob("*.wandb"))
        for data in _records(path)
    ]
    return [getattr(record, kind) for record in records if record.WhichOneof("record_type") == kind]


class Server:
    """The stand-in, in a process of its own; its clients leave what W&B writes beside them in `cwd`."""

    def __init__(self, cwd: Path) -> None:
        self._cwd = cwd
        script = Path(__file__).with_name("wandb_stand_in.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        self.port = int(self._process.stdout.readline()) if self._process.stdout else 0

    @property
    def process(self) -> int:
        """Number of the process."""
        return self._process.pid

    def received(self) -> list[dict[str, Any]]:
        """Return the rows that arrived."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/received") as answer:
            rows: list[dict[str, Any]] = json.load(answer)
        return rows

    def stop(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def _environment(self) -> dict[str, str]:
        # W&B tells child processes by variables to use the parent's service: these are to have their own.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
        return {
            **inherited, "WANDB_BASE_URL": f"http://127.0.0.1:{self.port}", "WANDB_API_KEY": "0" * 40,
            "WANDB_MODE": "online", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
        }  # fmt: skip

    def client(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a script that logs to this server."""
        command = [sys.executable, "-c", *arguments]
        return subprocess.run(
            command,
            env=self._environment(),
            cwd=self._cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a client that can be killed."""
        return subprocess.Popen(
            [sys.executable, *arguments], env=self._environment(), cwd=self._cwd, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def sync(self, folder: Path) -> subprocess.CompletedProcess[str]:
        """Send an offline folder with W&B's own command."""
        command = [sys.executable, "-m", "wandb", "sync", "-e", "e", "-p", "p", str(folder)]
        return subprocess.run(
            command,
            env=self._environment(),
            cwd=self._cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a stand-in for W&B's server, and end it after the test."""
    stand_in = Server(tmp_path_factory.mktemp("clients"))
    yield stand_in
    stand_in.stop()


@pytest.fixture
def wandb_offline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[None]:
    """Keep W&B offline, silent and out of the home folder and the working directory, and leave no run open.

    The next ``wandb.init`` would return it.
    """
    monkeypatch.chdir(tmp_path_factory.mktemp("working-directory"))
    for name, value in {
        "WANDB_MODE": "offline",
        "WANDB_SILENT": "true",
        "WANDB_CONSOLE": "off",
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_CONFIG_DIR": str(tmp_path / "config"),
        "WANDB_CACHE_DIR": str(tmp_path / "cache"),
        "WANDB_DATA_DIR": str(tmp_path / "data"),
    }.items():
        monkeypatch.setenv(name, value)
    yield
    run: Any = getattr(sys.modules.get("wandb"), "run", None)
    if run is not None:
        run.finish()


@pytest.fixture
def wandb_rows() -> Callable[[Path], list[dict[str, Any]]]:
    """Return a function that gives the rows of all offline runs below a folder, without what W&B adds."""

    def rows(folder: Path) -> list[dict[str, Any]]:
        whole = [
            {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in history.item}
            for history in _logged(folder, "history")
        ]
        return [{key: value for key, value in row.items() if not key.startswith("_")} for row in whole]

    return rows


@pytest.fixture
def wandb_artifacts() -> Callable[[Path], list[Any]]:
    """Return a function that gives the artifacts of all offline runs below a folder."""
    return lambda folder: _logged(folder, "artifact")


@pytest.fixture
def wandb_exits() -> Callable[[Path], list[int]]:
    """Return a function that gives the exit codes of all offline runs below a folder."""
    return lambda folder: [record.exit_code for record in _logged(folder, "exit")]
