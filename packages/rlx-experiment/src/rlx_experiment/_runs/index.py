"""All runs below a folder, read fast: what has ended is read once and remembered."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from rlx_experiment._arguments.encoder import write_json
from rlx_experiment._runs.record import ARGUMENTS_FILE, read_arguments
from rlx_experiment._runs.status import RunState, RunStatus, read_status

INDEX_FILE: Final = ".rlx-index.json"
_VERSION: Final = 2
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
    """When the folder last changed; as long as it does not, this summary is good."""

    @property
    def path(self) -> Path:
        """The run folder."""
        return Path(self.folder)

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
        known = index.get(folder)
        unchanged = known is not None and known.changed_ns == changed
        if unchanged or os.path.exists(f"{folder}/{ARGUMENTS_FILE}"):  # noqa: PTH110 - a Path for each takes longer
            yield folder, changed
            continue
        waiting += _subfolders(folder)


def _subfolders(folder: str) -> Iterator[tuple[str, int]]:
    """Yield the folders in `folder` and their times of change, but for those that vanish or are closed to us."""
    with suppress(FileNotFoundError, PermissionError), os.scandir(folder) as entries:
        for entry in entries:
            try:
                if entry.name[0] != "." and entry.is_dir(follow_symlinks=False):
                    yield entry.path, entry.stat().st_mtime_ns
            except FileNotFoundError:
                continue


def _read_run(folder: str, changed_ns: int) -> RunSummary:
    path = Path(folder)
    try:
        arguments, identity = read_arguments(path) or ({}, {})
        status = read_status(path)
    except (OSError, ValueError) as error:
        return RunSummary(folder, "", RunStatus("unknown", error=str(error)), {}, changed_ns)
    return RunSummary(folder, str(identity.get("experiment", "")), status, arguments, changed_ns)


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
