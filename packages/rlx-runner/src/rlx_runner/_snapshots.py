"""The snapshots of a run: written when their mode says so, told to the logger when durable."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rlx_protocols import SnapshotConfigLike, SnapshotStore
from rlx_runner._checks import check_function, check_offers
from rlx_runner._learners.group import Group
from rlx_runner._learners.store import RankStore, load_part, record_in
from rlx_runner._offers import background, commit_aware, method, offered
from rlx_snapshot import SnapshotConfig, SnapshotNotFoundError, Snapshotter

BEGINS_ANEW = (
    "Earlier snapshots in this folder are put away under discarded/: training begins again. "
    "Rows are appended to logs that are already there; try_restore() continues instead."
)


class Snapshots:
    """Joins a store of states with the rule of what is kept and with the logger that waits for commits.

    Args:
        config: Where and how; None: the newest epoch, in ``data/local/experiment``.
        store: Where states go; None: files in the configured directory, written in the background.
        logger: Told which epochs are durable, where it wants to know.
        group: The processes that train together.
        on_durable: Called with each epoch that is durable, before training continues.

    Raises:
        ValueError: If several processes train and a store is given: one store cannot tell their states apart.
    """

    def __init__(
        self,
        config: SnapshotConfigLike | None,
        store: SnapshotStore | None,
        logger: Any,
        *,
        group: Group,
        on_durable: Callable[[int], object] | None = None,
    ) -> None:
        if config is None:
            config = SnapshotConfig(str(Path.cwd() / "data/local/experiment"), "last", 1)
        settings = ("snapshot_dir", "snapshot_mode", "snapshot_gap")
        check_offers("snapshot_config", config, settings, "a SnapshotConfig or an experiment's context")
        self.directory = resolved(str(config.snapshot_dir))
        self.mode = config.snapshot_mode
        self._store: SnapshotStore = _default_store(config, group) if store is None else store
        check_offers("snapshotter", self._store, ("save_itr_params", "load"), "a snapshot store or None")
        if store is not None and group.size > 1:
            raise ValueError(
                f"snapshotter is {store!r}; it must be None where several processes train ({group.size} here): each writes "
                "its own part, and rank 0 commits them together."
            )
        check_function("on_durable", on_durable, "a function of the epoch that is saved")
        self._on_durable = on_durable
        self._logger = commit_aware(logger)
        self._told: int | None = None
        self.newest: int | None = None

    def wanted(self, epoch: int) -> bool:
        """Whether the store would keep `epoch`: a state nobody keeps need not be gathered."""
        keeps = method(self._store, "keeps")
        return True if keeps is None else bool(keeps(epoch))

    def save(self, epoch: int, state: dict[str, Any]) -> None:
        """Keep the state of `epoch`, which the store wants."""
        self.newest = epoch
        self._store.save_itr_params(epoch, state)
        self._notify_commits(epoch)
        if self._on_durable is not None:
            self.finish()
            self._on_durable(epoch)

    def load(self, from_dir: str, epoch: int | str) -> Any:
        """Return the state of `epoch`."""
        state = self._store.load(from_dir, epoch)
        record = record_in(state)
        return state if record is None else load_part(self._store, from_dir, 0, record)

    @property
    def changed_libraries(self) -> Mapping[str, tuple[str, str]]:
        """Versions then and now of libraries that the state loaded last comes from, where they differ."""
        changed: Mapping[str, tuple[str, str]] | None = offered(self._store, "changed_libraries")
        return changed or {}

    @property
    def absent(self) -> type[FileNotFoundError]:
        """What `load` raises where there is no snapshot; of files also only then, not for what one needs."""
        own = isinstance(self._store, Snapshotter | RankStore)
        return SnapshotNotFoundError if own else FileNotFoundError

    def begin(self) -> bool:
        """Put what an earlier attempt left in this folder away; return whether there was something.

        Its later epochs would otherwise stand beside those of the run that now begins.
        """
        discard = method(self._store, "discard_after")
        return False if discard is None else bool(discard(-1))

    def go_back_to(self, epoch: int, from_dir: str) -> None:
        """Put snapshots after `epoch` away, where this run continues from it in its own folder."""
        self.newest = epoch
        discard = method(self._store, "discard_after")
        if discard is not None and same_directory(from_dir, self.directory):
            discard(epoch)

    def finish(self) -> None:
        """Wait until everything saved is durable."""
        writing = background(self._store)
        if writing is not None:
            writing.wait()
            self._notify_commits(None)

    def _notify_commits(self, saved: int | None) -> None:
        if self._logger is None:
            return
        writing = background(self._store)
        durable = saved if writing is None else writing.last_committed
        if durable is not None and durable != self._told:
            self._told = durable
            self._logger.committed(durable)


def _default_store(config: SnapshotConfigLike, group: Group) -> SnapshotStore:
    if group.size > 1:
        return RankStore(config, group)
    return Snapshotter(config.snapshot_dir, config.snapshot_mode, config.snapshot_gap, background=True)


def same_directory(left: str, right: str) -> bool:
    """Whether two names lead to one folder."""
    return resolved(left) == resolved(right)


def resolved(directory: str) -> str:
    """Return the one name of a folder; that of an object store is a URL, and no path."""
    return directory if "://" in directory else str(Path(directory).resolve())
