"""Snapshotter: decides which iterations of a run are kept, and finds them again."""

import functools
import os
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from rlx_snapshot._format.container import Container, check_buffers, libraries_of
from rlx_snapshot._format.libraries import changed_since
from rlx_snapshot._format.stream import capture
from rlx_snapshot._loading import load_snapshot
from rlx_snapshot._modes import FILES_FOR_MODE
from rlx_snapshot._saving.background import Background
from rlx_snapshot._saving.copier import Copier
from rlx_snapshot._saving.loading_back import LoadedBack
from rlx_snapshot._saving.store import Store
from rlx_snapshot._settings import (
    Durability,
    Incremental,
    Settings,
    SigningKey,
    Verification,
    check_verification,
    key_from,
    whole_number,
)
from rlx_snapshot._storage.discard import discard_after
from rlx_snapshot._storage.storage import storage_for

_HEAD_START: Final = 0.02
"""Seconds in which a program that has just loaded a state comes to use it before the check asks for the same memory."""


class Snapshotter:
    """Saves the state of a training run by iteration, and loads it.

    A save replaces its file as a whole: whenever the process or the machine
    stops, the last snapshot that was reported as saved loads.

    Args:
        snapshot_dir: Directory of the snapshots, made if missing. Defaults to
            ``data/local/experiment`` below the working directory at the call. A
            URL such as ``s3://bucket/run`` needs the extra ``[fsspec]``.
        snapshot_mode: 'all' (every iteration has a file), 'last' (one file, the
            newest iteration), 'gap' (a file for every `snapshot_gap`-th),
            'gap_and_last' (both), 'gap_overwrite' (one file, replaced every
            `snapshot_gap` iterations) or 'none'.
        snapshot_gap: Iterations from one kept snapshot to the next, at least 1.
        background: Whether `save_itr_params` returns once it holds a copy of the
            state, and a thread writes it. Costs memory for one copy of the large
            arrays; where there is not enough, the save is done at once. Errors
            are raised by the next call.
        incremental: 'auto' writes only what changed of large arrays where the
            system can tell; 'never' writes all of them each time.
        durability: 'fsync' survives a power cut; 'rename' only the end of the process.
        keep: How many numbered files stay; older ones are removed once a newer
            one is safe. All of them by default.
        signing_key: Secret bytes, or the path of a file that holds them, with
            which snapshots are signed and checked. Defaults to the file that the
            environment variable RLX_SNAPSHOT_KEY_FILE names, if any.

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
        signing_key: SigningKey | None = None,
    ) -> None:
        key = key_from(signing_key)
        self._settings = Settings(snapshot_mode, snapshot_gap, incremental, durability, keep, key).checked()
        self._storage = storage_for(snapshot_dir)
        self._store = Store(self._storage, self._settings)
        self._copier = Copier(incremental) if background else None
        self._loaded_back = LoadedBack()
        self._loaded_libraries: Mapping[str, str] = {}
        self._saving = Background("saving a snapshot")
        self._checking = Background("checking a loaded snapshot")

    @property
    def snapshot_dir(self) -> str:
        """The directory, or the URL, of the snapshots."""
        return self._storage.name

    @property
    def snapshot_mode(self) -> str:
        """Which iterations are kept: 'all', 'last', 'gap', 'gap_and_last', 'gap_overwrite' or 'none'."""
        return self._settings.mode

    @property
    def snapshot_gap(self) -> int:
        """Iterations from one kept snapshot to the next."""
        return self._settings.gap

    @property
    def last_committed(self) -> int | None:
        """The iteration that this object has last saved for good, None before the first and after going back."""
        return self._store.last_committed

    @property
    def changed_libraries(self) -> Mapping[str, tuple[str, str]]:
        """Versions then and now of the libraries that the state loaded last came from, where they differ."""
        return changed_since(self._loaded_libraries)

    def keeps(self, itr: int) -> bool:
        """Whether the mode keeps iteration `itr`: the state of one that it does not need not be gathered."""
        return bool(FILES_FOR_MODE[self._settings.mode](itr, self._settings.gap))

    def discard_after(self, itr: int) -> bool:
        """Put the snapshots of later iterations away under ``discarded/``, to continue from `itr`.

        Returns:
            Whether there were any. -1 puts all of them away.

        Raises:
            OSError: If a file cannot be moved; those that are left are of earlier iterations.
        """
        self.wait()
        self._store.forget_after(itr)
        return discard_after(self._storage, itr)

    def save_itr_params(self, itr: int, params: object) -> None:
        """Save `params` as iteration `itr`, if the mode keeps that iteration.

        With ``background=True`` this returns when a copy of `params` is taken;
        changes made afterwards never reach the file. `last_committed` says when
        it is safe, `wait` waits for that.

        Raises:
            ValueError: If `itr` is negative.
            UnpicklableStateError: If something in `params` cannot be saved, or does not
                load again: a state with classes or functions that none before it had
                is loaded once to see (without its large arrays, and not onto a GPU).
            OSError: If the file cannot be written, now or (in the background)
                for the iteration before. What was saved earlier stays.
            DamagedSnapshotError: If the snapshot loaded with ``verify='index'``
                turned out to be damaged.
        """
        itr = whole_number("itr", itr)
        if itr < 0:
            raise ValueError(f"itr is {itr}; it must be at least 0, as iterations count from 0")
        self._checking.raise_failure()
        names = FILES_FOR_MODE[self._settings.mode](itr, self._settings.gap)
        if names:
            self._save(itr, names, params)

    def load(
        self, load_dir: str | os.PathLike[str], itr: int | str = "last", *, verify: Verification = "full"
    ) -> Any:
        """Load one snapshot.

        Args:
            load_dir: Directory of the snapshots; need not be this object's own.
            itr: A number (or its digits), 'first' or 'last', by number. For
                'last' a damaged file is passed over with a SnapshotFallbackWarning.
            verify: 'full' checks every byte before anything is unpickled. 'index'
                checks all but the contents of large arrays, which a thread checks
                while training continues; `wait` or the next save raises what it finds.
                Files that are not mapped (below 1 MiB, or on Windows) are checked at once.

        Raises:
            ValueError: If `itr` is neither a number nor 'first' nor 'last'.
            FileNotFoundError: If there is no such snapshot.
            NotAFileError: If its name belongs to something that is not a regular file.
            DamagedSnapshotError: If the file is not what was saved.
            UntrustedSnapshotError: If there is a signing key and the file is not signed with it.
        """
        check_verification(verify)
        self.wait()
        state, container = load_snapshot(load_dir, itr, self._settings.key, full=verify == "full")
        self._loaded_libraries = libraries_of(container)
        if verify == "index" and container.may_be_checked_later:
            self._checking.submit(functools.partial(_check_soon, container))
        return state

    def wait(self) -> None:
        """Return when every save and check is done; raises the error of one that failed."""
        self._saving.wait()
        self._checking.wait()

    def close(self) -> None:
        """Finish every save, end the threads and free their memory. The object can still be used."""
        try:
            self._saving.close()
            self._checking.close()
        finally:
            self._store.close()
            if self._copier is not None:
                self._copier.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _save(self, itr: int, names: tuple[str, ...], params: object) -> None:
        self._saving.wait()
        if self._copier is None or not self._saves_copy(self._copier, itr, names, params):
            captured = capture(params)
            self._loaded_back.check(captured, params)
            self._store.commit(itr, names, captured)

    def _saves_copy(self, copier: Copier, itr: int, names: tuple[str, ...], params: object) -> bool:
        """Hand a copy of `params` to the thread that writes it; False where there is no room for one."""
        try:
            copy = copier.copy_if_room(params)
            if copy is not None:
                self._loaded_back.check(copy.captured, params)
                self._saving.submit(functools.partial(self._store.commit_changes, itr, names, copy))
        except BaseException:
            copier.release()  # a copy that nobody took note of: the next one is to count as changed whole
            raise
        return copy is not None


def _check_soon(container: Container) -> None:
    time.sleep(_HEAD_START)
    check_buffers(container)
