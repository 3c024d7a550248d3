"""A trainer of tianshou that continues where its folder's snapshot is."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from os import PathLike
from typing import Any

from rlx_protocols import SnapshotConfigLike, SnapshotStore
from rlx_runner._checkpoint.attributes import dictionary_of
from rlx_runner._checkpoint.checkpoint import Checkpoint
from rlx_runner._checkpoint.content import Content
from rlx_runner._checks import check_count
from rlx_runner._clients.evidence import Evidence, do_twice
from rlx_runner._clients.process_bound import ProcessBound
from rlx_runner._clients.workers import Workers
from rlx_runner._offers import method, offered, stateful
from rlx_runner.tianshou._epochs import Epochs, epochs_of
from rlx_runner.tianshou._logs import Logs


def run_resumable(
    trainer: Any,
    where: str | PathLike[str] | SnapshotConfigLike,
    /,
    *,
    every: int = 1,
    reset_collectors: bool = True,
    snapshotter: SnapshotStore | None = None,
    stop_requested: Callable[[], bool] | None = None,
    allow_statistical: bool = False,
    progress: bool | None = None,
    check: int = 0,
    **parts: Any,
) -> Any:
    """Do what ``trainer.run()`` does, and continue from the newest snapshot of `where`, if there is one.

    A script that was killed is started again, unchanged, and ends bit for bit like one that was not: algorithm, collectors
    with their environments and buffers, statistics, the best score, logs and random states are in a snapshot.

    Args:
        trainer: Of tianshou 1.2 or 2.0: ``algorithm.create_trainer(params)``, ``OffpolicyTrainer(...)``, or the
            ``trainer`` of the world that a high-level experiment creates.
        where: Folder of the run, or an experiment's context.
        every: Epochs from one snapshot to the next.
        reset_collectors: Whether a run that begins resets the environments first.
        snapshotter: Another place for snapshots than files in that folder.
        stop_requested: Asked between epochs whether to stop. None: the context is asked.
        allow_statistical: Continue also where only a statistically equal run is possible.
        progress: False for silence.
        check: Do so many epochs twice first, from one saved state, and compare what they come to. For a trial: the whole
            buffer is copied.
        parts: What the trainer's functions remember between their calls.

    Returns:
        What ``trainer.run()`` returns.

    Raises:
        TypeError: If `trainer` is no trainer of tianshou.
        ValueError: If the snapshot is of another run; names all that differs, and nothing was changed.
        IncompleteCheckpointError: If the check finds that something is not in the snapshot.
        TrainingStopped: If a stop was asked for before the last epoch; the run is saved.

    Example::

        run_resumable(algorithm.create_trainer(params), "run")
    """
    check_count("every", every, least=1)
    check_count("check", check, least=0)
    run = _Run(
        trainer, where, parts, snapshotter=snapshotter, stop_requested=stop_requested, progress=progress
    )
    run.restore_or_begin(reset_collectors=reset_collectors, allow_statistical=allow_statistical)
    run.check(check)
    run.train(every)
    return run.epochs.info()


@dataclass
class _Begun:
    """Whether the trainer has been reset, which tests the untrained policy."""

    value: bool = False


class _Run:
    """What belongs to a run of a trainer, handed over to a checkpoint."""

    def __init__(self, trainer: Any, where: Any, parts: dict[str, Any], **options: Any) -> None:
        self.epochs: Epochs = epochs_of(trainer)
        logger = offered(trainer, "_logger", "logger")
        self._begun, self._workers = _Begun(), Workers()
        self._roots = [trainer, *parts.values()]
        rows = logger if logger is not None and stateful(logger) is not None else None
        content: dict[str, Any] = {
            **parts,
            "trainer": trainer,
            "begun": self._begun,
            "logs": Logs(logger),
            "workers": self._workers,
        }
        self._content, self._compared = Content(content, rows), ("trainer", *parts)
        self._evidence = Evidence("epochs")
        self._checkpoint = Checkpoint(where, logger=rows, **options, **content, evidence=self._evidence)
        self._bound = ProcessBound(self._roots)
        self._attach()

    def restore_or_begin(self, *, reset_collectors: bool, allow_statistical: bool) -> None:
        """Continue from the newest snapshot; without one, save the state before the first test and begin."""
        with self._bound.set_aside():
            self._checkpoint.restore(allow_statistical=allow_statistical)
        self._share_batches()
        self._attach()
        if self._begun.value:
            return
        self._save()
        self._checkpoint.wait()
        self.epochs.begin(reset_collectors=reset_collectors)
        self._begun.value = True
        self._attach()
        self._save()

    def check(self, n: int) -> None:
        """Do `n` epochs twice, where none were yet, and note that both passes came to the same.

        Raises:
            IncompleteCheckpointError: If they did not.
        """
        n = min(n, self.epochs.total - self.epochs.done)
        if n < 1 or self._evidence.steps:
            return
        for _ in do_twice(n, self._content, self._compared, self._set_aside):
            self._share_batches()
            self.epochs.do_next()
            if self.epochs.is_stopped:
                return
        self._evidence.steps = n
        self._save()

    def train(self, every: int) -> None:
        """Do the epochs that are left."""
        epochs, checkpoint = self.epochs, self._checkpoint
        try:
            while epochs.done < epochs.total and not epochs.is_stopped:
                if checkpoint.stop_requested:
                    with self._bound.set_aside():
                        checkpoint.stop(epochs.done, epochs.total)
                epochs.do_next()
                if epochs.done % every == 0 or epochs.done >= epochs.total or epochs.is_stopped:
                    self._save()
        finally:
            checkpoint.wait()

    def _save(self) -> None:
        with self._set_aside():
            self._checkpoint.save(self.epochs.done)

    def _set_aside(self) -> AbstractContextManager[None]:
        self._attach()
        return self._bound.set_aside()

    def _share_batches(self) -> None:
        """Have the buffers of single environments look into what their manager holds."""
        for buffer in self._managers():
            batch = dictionary_of(buffer)["_meta"]
            if list(batch.get_keys()):  # also of a buffer that has been emptied, as on-policy trainers do
                method(buffer, "set_batch")(batch)  # type: ignore[misc]

    def _attach(self) -> None:
        """Look again at what the run consists of: buffers and environments may have been replaced."""
        self._bound = ProcessBound(self._roots)
        pipes = [dictionary_of(each).get("parent_remote") for each in self._bound.found]
        self._workers.attach([pipe for pipe in pipes if pipe is not None], "getattr")
        for buffer in self._managers():
            for child in buffer.buffers:
                self._bound.leave_out(child, "_meta")  # views of the manager's own

    def _managers(self) -> list[Any]:
        return [each for each in self._bound.found if offered(each, "buffers") is not None]
