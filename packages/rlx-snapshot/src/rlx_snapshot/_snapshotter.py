"""Snapshotter: decides which iterations of a run are kept, and finds them again."""

import functools
import operator
import os
import pickle
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from rlx_snapshot._atomic import replace_file
from rlx_snapshot._errors import DamagedSnapshotError
from rlx_snapshot._files import numbered_iterations, open_regular, path_of
from rlx_snapshot._modes import FILES_FOR_MODE, numbered
from rlx_snapshot._pickler import exact_dumps
from rlx_snapshot._temporary import sweep_abandoned, write_all
from rlx_snapshot._writer import BackgroundWriter

Incremental = Literal["auto", "never"]
Durability = Literal["fsync", "rename"]
Verification = Literal["full", "index"]


class Snapshotter:
    """Saves the state of a training run by iteration, and loads it.

    A save replaces its file as a whole: whenever the process or the machine
    stops, the last snapshot that was reported as saved loads.

    Args:
        snapshot_dir: Directory of the snapshots, made if missing. Defaults to
            ``data/local/experiment`` below the working directory at the call.
        snapshot_mode: 'all' (every iteration has a file), 'last' (one file, the
            newest iteration), 'gap' (a file for every `snapshot_gap`-th),
            'gap_and_last' (both), 'gap_overwrite' (one file, replaced every
            `snapshot_gap` iterations) or 'none'.
        snapshot_gap: Iterations from one kept snapshot to the next, at least 1.
        background: Whether `save_itr_params` returns once it holds a copy of the
            state, and a thread writes it. Errors are raised by the next call.
        incremental: 'auto' writes only what changed of large arrays where the
            system can tell; 'never' writes all of them each time.
        durability: 'fsync' survives a power cut; 'rename' only the end of the process.
        keep: How many numbered files stay; older ones are removed once a newer
            one is safe. All of them by default.
        signing_key: Secret with which snapshots are signed and checked.

    Raises:
        ValueError: If the mode is unknown, or the gap or `keep` is below 1.
    """

    def __init__(
        self,
        snapshot_dir: str | os.PathLike[str] | None = None,
        snapshot_mode: str = "last",
        snapshot_gap: int = 1,
        *,
        background: bool = False,
        incremental: Incremental = "auto",
        durability: Durability = "fsync",
        keep: int | None = None,
        signing_key: bytes | None = None,
    ) -> None:
        _refuse_bad_settings(snapshot_mode, snapshot_gap, incremental, durability, keep)
        self._directory = Path.cwd() / "data/local/experiment" if snapshot_dir is None else Path(snapshot_dir)
        self._mode = snapshot_mode
        self._gap = operator.index(snapshot_gap)
        self._background = background
        self._incremental: Incremental = incremental
        self._durability: Durability = durability
        self._keep = keep
        self._signing_key = signing_key
        self._writer = BackgroundWriter()
        self._last_committed: int | None = None
        self._directory.mkdir(parents=True, exist_ok=True)
        self._swept = False

    @property
    def snapshot_dir(self) -> str:
        """The directory of the snapshots."""
        return str(self._directory)

    @property
    def snapshot_mode(self) -> str:
        """Which iterations are kept: 'all', 'last', 'gap', 'gap_and_last', 'gap_overwrite' or 'none'."""
        return self._mode

    @property
    def snapshot_gap(self) -> int:
        """Iterations from one kept snapshot to the next."""
        return self._gap

    @property
    def last_committed(self) -> int | None:
        """The newest iteration that this object has saved for good, None before the first."""
        return self._last_committed

    def save_itr_params(self, itr: int, params: object) -> None:
        """Save `params` as iteration `itr`, if the mode keeps that iteration.

        With ``background=True`` this returns when a copy of `params` is taken;
        changes made afterwards never reach the file. `last_committed` says when
        it is safe, `wait` waits for that.

        Raises:
            ValueError: If `itr` is negative.
            OSError: If the file cannot be written, now or (in the background)
                for the iteration before. What was saved earlier stays.
        """
        itr = operator.index(itr)
        if itr < 0:
            raise ValueError(f"itr is {itr}: iterations count from 0")
        names = FILES_FOR_MODE[self._mode](itr, self._gap)
        if not names:
            return
        self._writer.wait()
        commit = functools.partial(self._commit, itr, names, exact_dumps(params))
        if self._background:
            self._writer.submit(commit)
        else:
            commit()

    def load(
        self, load_dir: str | os.PathLike[str], itr: int | str = "last", *, verify: Verification = "full"
    ) -> Any:
        """Load one snapshot.

        Args:
            load_dir: Directory of the snapshots; need not be this object's own.
            itr: A number (or its digits), 'first' or 'last', by number.
            verify: 'full' checks every byte before anything is unpickled.

        Raises:
            ValueError: If `itr` is neither a number nor 'first' nor 'last'.
            FileNotFoundError: If there is no such snapshot.
            NotAFileError: If its name belongs to something that is not a regular file.
            DamagedSnapshotError: If the file is not what was saved.
        """
        if verify not in {"full", "index"}:
            raise ValueError(f"verify is {verify!r}: it must be 'full' or 'index'")
        self.wait()
        path = path_of(Path(load_dir), itr)
        with open_regular(path) as file:
            try:
                return pickle.load(file)
            except (pickle.UnpicklingError, EOFError) as error:
                raise DamagedSnapshotError(path, str(error)) from error

    def wait(self) -> None:
        """Return when every save is done; raises the error of one that failed."""
        self._writer.wait()

    def close(self) -> None:
        """Finish every save and end the writing thread. The object can still be used."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _commit(self, itr: int, names: tuple[str, ...], data: bytes) -> None:
        if not self._swept:
            sweep_abandoned(self._directory)
            self._swept = True
        for name in names:
            path = self._directory / name
            replace_file(path, lambda file: write_all(file, data), durable=self._durability == "fsync")
        self._last_committed = itr
        if self._keep is not None:
            self._remove_all_but(self._keep, itr)

    def _remove_all_but(self, keep: int, itr: int) -> None:
        older = [held for held in numbered_iterations(self._directory) if held != itr]
        for held in older[: max(0, len(older) + 1 - keep)]:
            (self._directory / numbered(held)).unlink(missing_ok=True)


def _refuse_bad_settings(mode: str, gap: int, incremental: str, durability: str, keep: int | None) -> None:
    if mode not in FILES_FOR_MODE:
        raise ValueError(f"snapshot_mode is {mode!r}: it must be one of {', '.join(FILES_FOR_MODE)}")
    if operator.index(gap) < 1:
        raise ValueError(f"snapshot_gap is {gap}: it must be at least 1")
    if incremental not in {"auto", "never"}:
        raise ValueError(f"incremental is {incremental!r}: it must be 'auto' or 'never'")
    if durability not in {"fsync", "rename"}:
        raise ValueError(f"durability is {durability!r}: it must be 'fsync' or 'rename'")
    if keep is not None and keep < 1:
        raise ValueError(f"keep is {keep}: it must be at least 1, or None to keep every snapshot")
