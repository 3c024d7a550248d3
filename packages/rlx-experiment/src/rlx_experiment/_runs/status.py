"""What state a run is in, told truly also after kill -9."""

import os
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from rlx_experiment._arguments.encoder import write_json
from rlx_experiment._lock import LOCK_FILE, is_held
from rlx_experiment._runs.files import DamagedRunError, read_object
from rlx_experiment._runs.heartbeat import beats, goes_on_beating
from rlx_experiment._runs.machine import host

RunState = Literal["starting", "running", "finished", "stopped", "failed", "crashed", "damaged"]

STATUS_FILE: Final = "status.json"
_ENDED: Final = ("finished", "stopped", "failed")
_WRITTEN: Final = ("starting", "running", *_ENDED)
_KINDS: Final = {"attempt": int, "host": str, "pid": int, "started": str, "ended": str, "error": str}


class RunStatus(NamedTuple):
    """State of a run and the facts around it.

    `state` is one of: ``starting`` (launch under way), ``running``, ``finished`` (the function returned), ``stopped``
    (it returned early because it was asked to; resumable), ``failed`` (it raised), ``crashed`` (its process is gone
    without a word) and, in lists, ``damaged`` (a file of the run cannot be read; `error` says which). A run of another
    host, whose lock may not be seen from here, is ``running`` while its heartbeat is less than a minute old.
    """

    state: RunState
    attempt: int = 0
    host: str = ""
    pid: int = 0
    started: str = ""
    """Start of the latest attempt, ISO 8601 in UTC."""
    ended: str = ""
    error: str = ""
    """Class and first line of the error of a failed run."""

    def __str__(self) -> str:
        return self.state


def now() -> str:
    """Return the time in UTC as ISO 8601 with milliseconds."""
    seconds, milliseconds = divmod(time.time_ns() // 10**6, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{milliseconds:03d}+00:00"


def where() -> dict[str, object]:
    """Return host, process and boot: what it takes to believe a lock later."""
    return {"host": host(), "pid": os.getpid(), "boot": _boot_id()}


def write_status(folder: Path, record: Mapping[str, object], *, durable: bool = False) -> None:
    """Replace the status of the run in `folder`."""
    write_json(folder / STATUS_FILE, record, durable=durable)


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return what was last written about the run in `folder`; None where nothing was.

    Raises:
        DamagedRunError: The file holds something else.
    """
    try:
        record = read_object(folder / STATUS_FILE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    for key, kind in _KINDS.items():
        if not isinstance(record.get(key, kind()), kind):
            raise DamagedRunError(folder / STATUS_FILE, f"no status of a run: {key} is {record[key]!r}")
    if record.get("state") not in _WRITTEN:
        raise DamagedRunError(folder / STATUS_FILE, f"no status of a run: state is {record.get('state')!r}")
    for key in ("started", "ended"):
        _check_time(folder / STATUS_FILE, record.get(key) or now())
    return record


def _check_time(file: Path, text: str) -> None:
    try:
        aware = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        raise DamagedRunError(file, f"no status of a run: {text!r} is no time in UTC")


def read_status(folder: Path) -> RunStatus:
    """Return the status of the run in `folder`: what was written, corrected by the kernel's lock.

    Raises:
        FileNotFoundError: `folder` holds no run.
    """
    record = read_record(folder) or {}
    if not record and not (folder / LOCK_FILE).exists():
        raise FileNotFoundError(f"no run in {folder}")
    known = {key: record[key] for key in RunStatus._fields if key in record and key != "state"}
    return RunStatus(state=_true_state(folder, record), **known)


def _true_state(folder: Path, record: Mapping[str, Any]) -> RunState:
    written: RunState = record.get("state", "starting")
    if written in _ENDED or is_held(folder):
        return written
    return written if not _lock_is_coherent(record) and beats(folder) else "crashed"


def lives_on_another_host(folder: Path) -> bool:
    """Return whether the run in `folder`, whose lock is free here, shows life on another host; may take 25 s."""
    record = read_record(folder) or {}
    ended = record.get("state", "starting") in _ENDED
    return not ended and not _lock_is_coherent(record) and goes_on_beating(folder)


def _lock_is_coherent(record: Mapping[str, Any]) -> bool:
    """Return whether a free lock proves the process dead: it ran on this kernel, or on this host before."""
    return not record or record.get("boot") == _boot_id() or record.get("host") == host()


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return host()
