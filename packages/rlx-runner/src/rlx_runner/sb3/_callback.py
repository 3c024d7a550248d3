"""The callback that saves and resumes, and a function that only restores."""

import sys
from collections.abc import Callable, Generator, Iterator
from os import PathLike

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList

from rlx_protocols import SnapshotConfigLike, SnapshotStore
from rlx_runner._checks import check_count
from rlx_runner._clients.frames import read_local, running, write_local
from rlx_runner._exactness import Exactness
from rlx_runner.sb3._calls import LearnCalls
from rlx_runner.sb3._run import Run

Where = str | PathLike[str] | SnapshotConfigLike


class ResumableCallback(BaseCallback):
    """Makes ``model.learn`` resumable: a script that was killed is started again, unchanged, and ends bit for bit alike.

    Build the model as ever and give ``learn`` the total of timesteps. Where the folder holds a snapshot, learning
    continues from it: model, optimizers, replay buffer, environments (in workers too), the other callbacks, logs and
    random states. Snapshots are made where a rollout begins.

    Args:
        where: Folder of the run, or an experiment's context.
        every: Environment steps from one snapshot to the next, at least.
        snapshotter: Another place for snapshots than files in that folder.
        stop_requested: Asked where a rollout begins whether to stop. None: the context is asked.
        allow_statistical: Continue also where only a statistically equal run is possible.
        progress: False for silence.
        check: Do so many rollouts twice first, from one saved state, and compare what they come to. For a trial: the whole
            replay buffer is copied, and rows of a logger without positions are doubled.

    Raises:
        TypeError: If `every` or `check` is no whole number.
        ValueError: If `every` is below 1, or `check` below 0.
        IncompleteCheckpointError: If the check finds that something is not in the snapshot.

    Example::

        model = SAC("MlpPolicy", "Pendulum-v1")
        model.learn(1_000_000, callback=ResumableCallback("run", every=10_000))
    """

    def __init__(
        self,
        where: Where,
        /,
        *,
        every: int = 10_000,
        snapshotter: SnapshotStore | None = None,
        stop_requested: Callable[[], bool] | None = None,
        allow_statistical: bool = False,
        progress: bool | None = None,
        check: int = 0,
    ) -> None:
        super().__init__()
        check_count("every", every, least=1)
        check_count("check", check, least=0)
        self._check = check
        self._checking: Generator[None] | None = None
        self._where = where
        self._every = every
        self._allow_statistical = allow_statistical
        self._options = {"snapshotter": snapshotter, "stop_requested": stop_requested, "progress": progress}
        self._run: Run | None = None
        self._call = 0
        self._saved_at: int | None = None
        self._restores_at_rollout = self._is_done_before = False

    @property
    def exactness(self) -> Exactness:
        """How exactly the run continues: its grade and the reasons."""
        return Exactness() if self._run is None else self._run.checkpoint.exactness

    def _on_training_start(self) -> None:
        if self.parent is not None:
            raise ValueError(
                f"ResumableCallback must be given to learn() itself, alone or in a list, not to "
                f"{type(self.parent).__name__}, which does not say where rollouts begin."
            )
        self._call += 1
        others = [each for each in _leaves(self.locals["callback"]) if each is not self]
        if self._run is None:
            self._run = Run(self._where, self.model, others, **self._options)
        else:
            self._run.attach(others)
        saved = self._run.saved_calls()
        if saved is None:
            self._run.restore()  # cuts logs that an earlier attempt has left
        if saved is None or saved.newest < self._call:
            self._run.calls.begin(self.model.num_timesteps)
        else:
            self._resume(self._run, saved)

    def _resume(self, run: Run, saved: LearnCalls) -> None:
        """Choose the point of this call of ``learn`` at which the run gets its state."""
        if self._call < saved.newest or saved.is_stopped_early:
            self._is_done_before = True
            self.model.num_timesteps = sys.maxsize  # learn() has nothing to do
        elif saved.is_at_rollout:
            self._restores_at_rollout = True
            self.model.num_timesteps = saved.timesteps  # for learn() to see whether anything is left to do
        else:
            self._restore(run)
            run.calls.ends.pop()  # this call may have more timesteps than the saved one had

    def _on_rollout_start(self) -> None:
        run = self._run
        if run is None:
            return
        if self._restores_at_rollout:
            self._restore(run)
            return
        if self._checking is not None and self._is_checked_further(run, self._checking):
            return
        timesteps = self.model.num_timesteps
        is_due = self._saved_at is None or abs(timesteps - self._saved_at) >= self._every
        if is_due or run.checkpoint.stop_requested:
            self._save(run, timesteps)
        if run.checkpoint.stop_requested:
            run.checkpoint.stop(run.calls.steps, run.calls.steps_before + self._total_timesteps)
        if self._check and not run.evidence.steps:
            self._checking = run.check(self._check)
            self._is_checked_further(run, self._checking)

    def _is_checked_further(self, run: Run, checking: Generator[None]) -> bool:
        """Begin the next rollout of the check, which may be back where the check began; return whether there is one."""
        self._note_place(run)
        is_going_on = next(checking, checking) is None
        write_local(running("learn", self=self.model), "iteration", run.calls.iteration)
        if not is_going_on:
            self._checking = None
        return is_going_on

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        run = self._run
        if run is None:
            return
        self._checking = None  # what is done before the rollouts to check remains unchecked
        timesteps = self.model.num_timesteps
        if self._is_done_before:
            self._restore(run)
            self.model.num_timesteps = run.calls.ends[self._call - 1]
            self._is_done_before = False
        elif self._restores_at_rollout:
            self._restore(run)
        else:
            run.calls.end(timesteps, is_stopped_early=timesteps < self._total_timesteps)
            run.save()
            run.checkpoint.wait()

    @property
    def _total_timesteps(self) -> int:
        total: int = self.locals["total_timesteps"]
        return total

    def _save(self, run: Run, timesteps: int) -> None:
        self._note_place(run)
        run.save()
        if self._saved_at is None:
            run.checkpoint.wait()  # from here on there is always something to continue from
        self._saved_at = timesteps

    def _note_place(self, run: Run) -> None:
        iteration = read_local(running("learn", self=self.model), "iteration", 0)
        run.calls.note(self.model.num_timesteps, iteration)

    def _restore(self, run: Run) -> None:
        run.restore(allow_statistical=self._allow_statistical)
        write_local(running("learn", self=self.model), "iteration", run.calls.iteration)
        self._saved_at = run.calls.timesteps
        self._restores_at_rollout = False


def resume(
    model: BaseAlgorithm,
    where: Where,
    callback: BaseCallback | list[BaseCallback] | None = None,
    *,
    step: int | str = "last",
    snapshotter: SnapshotStore | None = None,
    allow_statistical: bool = False,
    progress: bool | None = None,
) -> int | None:
    """Give a model, its environments and its callbacks their state in a snapshot, without learning.

    `ResumableCallback` does so by itself; this is for looking at a run, or for ``model.save``.

    Args:
        model: Built as the saved one was.
        where: Folder of the run, or an experiment's context.
        callback: The other callbacks of the run, which get their state too.
        step: "last", "first" or how many environment steps were done.
        snapshotter: Another place for snapshots than files in that folder.
        allow_statistical: Restore also where only a statistically equal run is possible.
        progress: False for silence.

    Returns:
        How many environment steps are done, or None where there is no snapshot yet.

    Raises:
        ValueError: If the snapshot is of another model; names all that differs, and nothing was changed.
        StatisticalResumeError: If the run cannot continue exactly here.
    """
    given = callback if isinstance(callback, list) else [callback]
    leaves = [each for one in given if one is not None for each in _leaves(one)]
    others = [each for each in leaves if not isinstance(each, ResumableCallback)]
    run = Run(where, model, None if callback is None else others, snapshotter=snapshotter, progress=progress)
    return run.restore(step, allow_statistical=allow_statistical)


def _leaves(callback: BaseCallback) -> Iterator[BaseCallback]:
    if isinstance(callback, CallbackList):
        for each in callback.callbacks:
            yield from _leaves(each)
    else:
        yield callback
