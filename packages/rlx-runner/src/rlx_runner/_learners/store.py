"""One snapshot of several processes, committed by rank 0 when all have written their part.

``ranks/R/itr_N.pkl`` is the part of rank R; the run folder's own file is a small record that names N. Its rename commits
all parts at once: whichever process is killed, and whenever, the record names parts that are complete.
"""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

from rlx_protocols import SnapshotConfigLike
from rlx_runner._learners.group import Group
from rlx_runner._random import reseeded
from rlx_snapshot import SnapshotNotFoundError, Snapshotter

RECORD: Final = "ranks"
_REPLACING: Final = ("last", "gap_overwrite")
_COMMITTED_AND_NEXT: Final = 2


class RankStore:
    """Keeps the state of every process, and commits them together.

    Each process writes what it alone holds (its random states, its shard of the data, its environments), in the
    background and at the same time as the others.

    Args:
        config: Where and how.
        group: The processes.

    Raises:
        ValueError: If the mode keeps two files at once.
    """

    def __init__(self, config: SnapshotConfigLike, group: Group) -> None:
        if config.snapshot_mode == "gap_and_last":
            raise ValueError(
                "snapshot_mode must be 'all', 'last', 'gap', 'gap_overwrite' or 'none' where several processes train, not "
                "'gap_and_last'; use 'gap' or 'last'."
            )
        self._group = group
        self._record = Snapshotter(config.snapshot_dir, config.snapshot_mode, config.snapshot_gap)
        keep = _COMMITTED_AND_NEXT if config.snapshot_mode in _REPLACING else None
        own = part_of(config.snapshot_dir, group.rank)
        self._own = Snapshotter(own, "all", background=True, keep=keep)
        self._commit: _Commit | None = None
        self._committed: int | None = None

    @property
    def last_committed(self) -> int | None:
        """The iteration that all processes have last saved for good."""
        return self._committed

    @property
    def changed_libraries(self) -> Mapping[str, tuple[str, str]]:
        """Versions then and now of libraries that the state loaded last comes from, where they differ."""
        return self._own.changed_libraries

    def keeps(self, itr: int) -> bool:
        """Whether the mode keeps iteration `itr`."""
        return self._record.keeps(itr)

    def save_itr_params(self, itr: int, params: Any) -> None:
        """Write this process's part in the background; the whole is committed when all have done so."""
        self.wait()  # what is committed may take the place of what was committed before it, and only then
        self._own.save_itr_params(itr, params)
        self._commit = _Commit(lambda: self._commit_together(itr))

    def wait(self) -> None:
        """Return when the last snapshot is committed; raises what went wrong."""
        commit, self._commit = self._commit, None
        if commit is not None:
            commit.result()

    def discard_after(self, itr: int) -> bool:
        """Put later snapshots away; return whether there were any. Parts that were never committed are removed."""
        self.wait()
        (discarded,) = self._group.any(self._group.rank == 0 and self._record.discard_after(itr))
        if discarded or "://" in self._own.snapshot_dir:
            self._own.discard_after(itr)
        else:
            _remove_after(Path(self._own.snapshot_dir), itr)
        return discarded

    def load(self, load_dir: str, itr: int | str = "last") -> Any:
        """Return this process's part of the snapshot that rank 0 names.

        Raises:
            FileNotFoundError: If there is no snapshot.
            RuntimeError: If one of the processes cannot read it; all of them say so.
        """
        self.wait()
        found, failure = self._group.everyone(self._look_up(load_dir, itr))[0]
        if failure is not None:
            raise failure
        state: Any = None
        try:
            state = self._load_own(load_dir, itr, found)
        except Exception as error:  # noqa: BLE001 - raised below, by all
            failure = error
        told = self._group.everyone(None if failure is None else f"rank {self._group.rank}: {failure}")
        failures = [text for text in told if text is not None]
        if failures:
            raise RuntimeError(f"the snapshot cannot be loaded; {'; '.join(failures)}") from failure
        return state

    def _load_own(self, load_dir: str, itr: int | str, found: Mapping[str, Any] | None) -> Any:
        if found is None:  # what one process saved
            return self._own.load(load_dir, itr)
        number = self._group.rank % int(found["size"])
        state = load_part(self._own, load_dir, number, found)
        if number != self._group.rank:  # or two processes would draw the same
            state["exact"]["random"] = reseeded(state["exact"]["random"], self._group.rank)
        return state

    def _look_up(self, load_dir: str, itr: int | str) -> tuple[Any, Exception | None]:
        if self._group.rank != 0:
            return None, None
        try:
            state = self._record.load(load_dir, itr)
        except SnapshotNotFoundError as absent:
            return None, absent
        except Exception as error:  # noqa: BLE001 - the others must hear of it, or they would wait for ever
            return None, RuntimeError(f"rank 0 cannot load the snapshot in {load_dir}: {error}")
        return record_in(state), None

    def _commit_together(self, itr: int) -> None:
        self._own.wait()
        self._group.wait()
        if self._group.rank == 0:
            self._record.save_itr_params(itr, {RECORD: {"size": self._group.size, "itr": itr}})
        self._group.wait()
        self._committed = itr


def record_in(state: Any) -> Mapping[str, Any] | None:
    """Return what `state` says of the parts of several processes; None for the state of one."""
    if not isinstance(state, Mapping) or RECORD not in state:
        return None
    return cast("Mapping[str, Any]", state[RECORD])


def part_of(directory: str, rank: int) -> str:
    """Return the folder, or URL, of one process's parts."""
    return f"{directory}/{RECORD}/{rank}"


def _remove_after(folder: Path, itr: int) -> None:
    for file in folder.glob("itr_*.pkl"):
        number = file.stem.removeprefix("itr_")
        if number.isdecimal() and int(number) > itr:
            file.unlink(missing_ok=True)


def load_part(store: Any, load_dir: str, rank: int, record: Mapping[str, Any]) -> Any:
    """Return the part of `rank` that a record names.

    Raises:
        ValueError: If it is not there.
    """
    where, itr = part_of(load_dir, rank), record["itr"]
    try:
        return store.load(where, itr)
    except SnapshotNotFoundError as absent:
        raise ValueError(
            f"the snapshot in {load_dir} was saved by {record['size']} processes, and the part of rank {rank} is not in "
            f"{where} (iteration {itr}); start each process where it can read that folder."
        ) from absent


class _Commit:
    """A thread that commits one snapshot; a program that fails meanwhile does not wait for it."""

    def __init__(self, commit: Callable[[], None]) -> None:
        self._commit = commit
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="rlx-runner commit", daemon=True)
        self._thread.start()

    def result(self) -> None:
        """Wait for the end; raise what went wrong."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._commit()
        except BaseException as error:  # noqa: BLE001 - raised by `result`
            self._error = error
