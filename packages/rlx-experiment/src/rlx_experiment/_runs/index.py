"""All runs below a folder, read fast: what has ended is read once and remembered."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from rlx_experiment._arguments.encoder import write_json
from rlx_experiment._arguments.fields import flatten
from rlx_experiment._lock import LOCK_FILE, is_held
from rlx_experiment._runs.files import DamagedRunError
from rlx_experiment._runs.record import ARGUMENTS_FILE, METADATA_FILE, VARIANT_FILE, read_arguments
from rlx_experiment._runs.status import STATUS_FILE, RunState, RunStatus, read_status

INDEX_FILE: Final = ".rlx-index.json"
_VERSION: Final = 3
_RACY_NS: Final = 2 * 10**9
"""A folder that changed just now may change again at what its file system counts as the same time."""
_SETTLED: Final = ("finished", "failed", "stopped", "crashed")


class RunSummary(NamedTuple):
    """What a list of runs shows of one."""

    folder: str
    experiment: str
    status: RunStatus
    arguments: Mapping[str, Any]
    changed_ns: int
    """When the folder or a file of its last changed; as long as they do not, this summary is good."""

    @property
    def path(self) -> Path:
        """The run folder."""
        return Path(self.folder)

    @property
    def fields(self) -> dict[str, Any]:
        """The arguments, those that are objects or dictionaries field by field."""
        return flatten(self.arguments)

    @property
    def state(self) -> RunState:
        """The state of the run."""
        return self.status.state


def find_runs(root: str | Path, *, remember: bool = True) -> list[RunSummary]:
    """Return the runs below `root`, by start.

    Args:
        root: A folder with runs at any depth, or a run folder itself.
        remember: Whether to use and keep an index of ended runs in `root`, which makes the next call fast.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    top = Path(root).absolute()
    if not top.is_dir():
        raise FileNotFoundError(f"there is no folder {top}")
    index = _read_index(top) if remember else {}
    settled_before = time.time_ns() - _RACY_NS
    kept: dict[str, RunSummary] = {}
    runs: list[RunSummary] = []
    for folder, changed_ns in _run_folders(str(top), top.stat().st_mtime_ns, index):
        known = index.get(folder)
        if known is None or known.changed_ns != changed_ns:
            known = _read_run(folder, changed_ns)
        if known.status.state == "damaged" and not Path(folder).is_dir():
            continue  # it was removed meanwhile
        if known.status.state in _SETTLED and changed_ns < settled_before:
            kept[folder] = known
        runs.append(known)
    if remember and kept != index:
        _write_index(top, kept)
    return sorted(runs, key=lambda run: (run.status.started, run.folder))


def _run_folders(top: str, changed_ns: int, index: Mapping[str, RunSummary]) -> Iterator[tuple[str, int]]:
    """Yield run folders and their times of change; nothing inside a run is looked at."""
    waiting = [(top, changed_ns)]
    while waiting:
        folder, changed = waiting.pop()
        files = [_changed_ns(f"{folder}/{name}") for name in (ARGUMENTS_FILE, STATUS_FILE)]
        if files[0] or (folder in index and files[1]):
            yield folder, max(changed, *files)
            continue
        below, is_run = _look_into(folder)
        if is_run:  # the file that makes it one is gone
            yield folder, max(changed, *files)
        else:
            waiting += below


def _changed_ns(file: str) -> int:
    """Return when `file` last changed; 0 if there is none."""
    try:
        return os.stat(file).st_mtime_ns  # noqa: PTH116 - a Path for each takes longer
    except OSError:
        return 0


def _look_into(folder: str) -> tuple[list[tuple[str, int]], bool]:
    """Return the folders in `folder` with their times of change, but for those that vanish or are closed to us.

    Also return whether it holds the lock of a run.
    """
    below: list[tuple[str, int]] = []
    is_run = False
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError), os.scandir(folder) as entries:
        for entry in entries:
            is_run = is_run or entry.name == LOCK_FILE
            with suppress(FileNotFoundError):
                if entry.name[0] != "." and entry.is_dir(follow_symlinks=False):
                    below.append((entry.path, entry.stat().st_mtime_ns))
    return below, is_run


def _read_run(folder: str, changed_ns: int) -> RunSummary:
    path = Path(folder)
    try:
        recorded = read_arguments(path)
        if recorded is None:
            if is_held(path):  # its files are just being written
                return RunSummary(folder, "", read_status(path), {}, changed_ns)
            raise DamagedRunError(path / ARGUMENTS_FILE, _what_is_wrong(path))
        if not any((path / name).exists() for name in (STATUS_FILE, LOCK_FILE)):
            raise DamagedRunError(path / STATUS_FILE, "it is missing")
        status = read_status(path)
        for name in (VARIANT_FILE, METADATA_FILE):
            _check_ends(path / name)
    except (OSError, ValueError) as error:
        return RunSummary(folder, "", RunStatus("damaged", error=str(error)), {}, changed_ns)
    return RunSummary(folder, str(recorded[1].get("experiment", "")), status, recorded[0], changed_ns)


def _what_is_wrong(folder: Path) -> str:
    return "not written by rlx" if (folder / ARGUMENTS_FILE).exists() else "it is missing"


def _check_ends(file: Path) -> None:
    """Raise DamagedRunError if `file` is there and does not begin and end as a JSON object does; reading it takes longer."""
    try:
        with file.open("rb") as opened:
            first = opened.read(1)
            opened.seek(-min(2, opened.seek(0, os.SEEK_END)), os.SEEK_END)
            last = opened.read().strip()
    except FileNotFoundError:
        return
    if first != b"{" or not last.endswith(b"}"):
        raise DamagedRunError(file, "no JSON object")


def _read_index(top: Path) -> dict[str, RunSummary]:
    try:
        record = json.loads((top / INDEX_FILE).read_bytes())
        if record["version"] != _VERSION:
            return {}
        return {
            folder: RunSummary(folder, experiment, RunStatus(*status), arguments, changed_ns)
            for folder, experiment, status, arguments, changed_ns in record["runs"]
        }
    except (OSError, ValueError, KeyError, TypeError):  # none, or not ours: it is only a memory
        return {}


def _write_index(top: Path, kept: Mapping[str, RunSummary]) -> None:
    try:
        write_json(top / INDEX_FILE, {"version": _VERSION, "runs": list(kept.values())})
    except OSError:  # a folder that cannot be written can still be listed
        return
