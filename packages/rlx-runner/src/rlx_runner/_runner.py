"""The user's side of a runner: set up, train, save, restore, resume."""

import copy
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypedDict, Unpack

from rlx_protocols import Logger, NullLogger, SnapshotConfigLike, SnapshotStore
from rlx_runner._budget import Budget
from rlx_runner._checks import check_kind, check_object, check_path
from rlx_runner._commit import rewind_logs
from rlx_runner._environments import copy_of
from rlx_runner._errors import NotSetupError, TrainingStopped
from rlx_runner._evaluation import Evaluation
from rlx_runner._exactness import match_process
from rlx_runner._learners.frame import Frame
from rlx_runner._loop import EpochLoop
from rlx_runner._offers import policy_of
from rlx_runner._plan import plan_sampling
from rlx_runner._progress import Progress
from rlx_runner._random import MAX_SEED, get_seed
from rlx_runner._records import TrainArgs, changes_of
from rlx_runner._restore import judge, parent_of, progress_of, rewind
from rlx_runner._session import session
from rlx_runner._setup import SamplerChoice, set_up
from rlx_runner._snapshots import BEGINS_ANEW
from rlx_runner._state import RunState
from rlx_runner._stop import stop_message


class Changes(TypedDict, total=False):
    """What of a saved run `LocalRunner.try_restore` changes; see `LocalRunner.restore`."""

    sampler_cls: Any
    sampler_args: dict[str, Any] | None
    n_workers: int | None
    worker_class: Any
    worker_args: dict[str, Any] | None
    allow_statistical: bool


class LocalRunner(EpochLoop):
    """Trains an algorithm, and continues after a kill as if nothing had happened.

    Args:
        snapshot_config: Where snapshots go and which are kept; an experiment's context fits.
            None: the newest epoch, in ``data/local/experiment`` below the working directory.
        logger: Gets one row an epoch, or one every `info_interval` epochs where it has such; None drops
            them. Its other intervals hold for what the algorithm itself logs through its intervals.
        snapshotter: Another place for snapshots than files in the configured directory.
        stop_requested: Asked between epochs whether to stop; whoever passes it owns the signals.
            None: the context of an experiment's run is asked, whose signals they are then;
            without one, the runner itself listens to SIGINT and SIGTERM while it trains.
        evaluation: Judges the policy every few epochs.
        budget: Ends training before the last epoch.
        on_durable: Called with each epoch that is saved, once it is durable and before training continues.
        progress: False for silence; True or None for a progress display on standard error.

    Example::

        runner = LocalRunner(ctxt, logger=ctxt.logger())
        runner.setup(algo, env, sampler_cls=LocalSampler)
        runner.train(n_epochs=100, batch_size=4000)
    """

    def __init__(
        self,
        snapshot_config: SnapshotConfigLike | None = None,
        *,
        logger: Logger | None = None,
        snapshotter: SnapshotStore | None = None,
        stop_requested: Callable[[], bool] | None = None,
        evaluation: Evaluation | None = None,
        budget: Budget | None = None,
        on_durable: Callable[[int], object] | None = None,
        progress: bool | None = None,
    ) -> None:
        check_kind("evaluation", evaluation, Evaluation, "Evaluation(every=10)")
        logger = NullLogger() if logger is None else logger
        options: dict[str, Any] = {"on_durable": on_durable, "progress": progress}
        frame = Frame.around(snapshot_config, snapshotter, logger, stop_requested=stop_requested, **options)
        super().__init__(logger=logger, frame=frame, budget=Budget() if budget is None else budget)
        self._evaluation = evaluation
        self._restored = False
        self._pending_random: Mapping[str, Any] | None = None

    @property
    def algo(self) -> Any:
        """The algorithm, as it was set up or restored."""
        return self._ready.algo

    @property
    def env(self) -> Any:
        """The environment, as it was set up or restored."""
        return self._ready.env

    def setup(
        self,
        algo: Any,
        env: Any,
        sampler_cls: Any = None,
        sampler_args: dict[str, Any] | None = None,
        n_workers: int | None = None,
        worker_class: Any = None,
        worker_args: dict[str, Any] | None = None,
    ) -> None:
        """Put algorithm and environment together.

        Args:
            algo: Has ``train(loop)``; with a sampler also `policy` and `max_episode_length`.
            env: Environment, or a list of one a worker.
            sampler_cls: Sampler class; None for an algorithm that samples nothing.
            sampler_args: Further keyword arguments for the sampler.
            n_workers: Defaults to the number of physical cores.
            worker_class: Defaults to the sampler's own.
            worker_args: Further keyword arguments for each worker.

        Raises:
            TypeError: If an argument is of the wrong kind, or `algo` a class.
            ValueError: If a sampler is asked for and the algorithm lacks what it needs.
        """
        check_object("algo", algo)
        choice = SamplerChoice(sampler_cls, sampler_args, n_workers, worker_class, worker_args)
        seed = get_seed()
        seed = secrets.randbelow(MAX_SEED) if seed is None else seed
        self._parts = set_up(algo, env, choice, seed=seed, evaluation=self._evaluation)
        self._restored, self._pending_random = False, None

    def make_sampler(
        self,
        sampler_cls: Any,
        *,
        seed: int | None = None,
        n_workers: int | None = None,
        max_episode_length: int | None = None,
        worker_class: Any = None,
        sampler_args: dict[str, Any] | None = None,
        worker_args: dict[str, Any] | None = None,
    ) -> Any:
        """Build a sampler for the algorithm that was set up; the caller shuts it down.

        Args:
            sampler_cls: Sampler class.
            seed: Root of its random streams; defaults to the run's.
            n_workers: Defaults to the number of physical cores.
            max_episode_length: Defaults to the algorithm's.
            worker_class: Defaults to the sampler's own.
            sampler_args: Further keyword arguments for the sampler.
            worker_args: Further keyword arguments for each worker.

        Raises:
            NotSetupError: If nothing was set up.
            ValueError: If the policy or the episode length is missing; names both.
        """
        parts = self._ready
        plan = plan_sampling(
            parts.algo,
            sampler_cls,
            seed=parts.seed if seed is None else seed,
            n_workers=n_workers,
            max_episode_length=max_episode_length,
            worker_class=worker_class,
            sampler_args=sampler_args,
            worker_args=worker_args,
        )
        return plan.build(policy_of(parts.algo), parts.env)

    def train(
        self,
        n_epochs: int,
        batch_size: int | None = None,
        plot: bool = False,
        store_episodes: bool = False,
        pause_for_plot: bool = False,
    ) -> Any:
        """Train from the first epoch on.

        Args:
            n_epochs: Number of epochs.
            batch_size: Environment steps of a batch.
            plot: Render an episode after each epoch, to ``plots/`` in the run folder.
            store_episodes: Keep the newest batch in the snapshot.
            pause_for_plot: Wait for Enter after each plot, at a terminal.

        Returns:
            The algorithm's value, or the average return of the last epoch where that is None.

        Raises:
            NotSetupError: If nothing was set up.
            TrainingStopped: If a stop was asked for before the last epoch was done.
        """
        _ = self._ready
        args = TrainArgs(n_epochs, batch_size, plot, store_episodes, pause_for_plot, 0)
        self._progress = Progress()
        if self._snapshots.begin():
            self._display.say(BEGINS_ANEW)
        return self._run(args)

    def restore(
        self,
        from_dir: str,
        from_epoch: int | str = "last",
        *,
        sampler_cls: Any = None,
        sampler_args: dict[str, Any] | None = None,
        n_workers: int | None = None,
        worker_class: Any = None,
        worker_args: dict[str, Any] | None = None,
        allow_statistical: bool = False,
    ) -> TrainArgs:
        """Take over the run that was saved in `from_dir`: everything is as it was after that epoch.

        In the run's own folder, logs and snapshots of later epochs are put away under
        ``discarded/``. From another folder, the logs up to that epoch are copied and the
        source stays as it is.

        Args:
            from_dir: Folder of the snapshots.
            from_epoch: "last", "first" or the number of an epoch.
            sampler_cls: Another sampler than the saved run's.
            sampler_args: Other arguments for the sampler.
            n_workers: Another number of workers.
            worker_class: Another worker class.
            worker_args: Other arguments for the workers.
            allow_statistical: Continue also where only a statistically equal run is possible.

        Returns:
            The saved arguments of ``train``, `start_epoch` being the next epoch.

        Raises:
            FileNotFoundError: If there is no such snapshot.
            TypeError: If `from_dir` is no path.
            ValueError: If the snapshot is not one of a run.
            StatisticalResumeError: If the run cannot continue exactly here.
        """
        changes = SamplerChoice(sampler_cls, sampler_args, n_workers, worker_class, worker_args)
        from_dir = check_path("from_dir", from_dir)
        saved = self._snapshots.load(from_dir, from_epoch)
        return self._take_over(RunState.from_snapshot(saved), from_dir, changes, allow_statistical)

    def try_restore(self, from_dir: str, **changes: Unpack[Changes]) -> bool:
        """Take over the newest snapshot of `from_dir`, if the run got as far as to save one.

        Otherwise the logs of the attempt that died before its first snapshot are put away,
        so that the run can begin again.

        Args:
            from_dir: Folder of the snapshots.
            **changes: As for `restore`.

        Returns:
            Whether there was a snapshot.

        Raises:
            ValueError: If the newest snapshot is not one of a run.
            StatisticalResumeError: If the run cannot continue exactly here.
        """
        try:
            self.restore(from_dir, **changes)
        except self._snapshots.absent:
            rewind_logs(self._logger, {}, from_dir=from_dir, own_dir=from_dir)
            self._display.say(f"No snapshot in {from_dir} yet: the run begins at its first epoch.")
            return False
        return True

    def resume(
        self,
        n_epochs: int | None = None,
        batch_size: int | None = None,
        plot: bool | None = None,
        store_episodes: bool | None = None,
        pause_for_plot: bool | None = None,
    ) -> Any:
        """Train on from where `restore` left the run; None keeps what the saved run was asked for.

        Args:
            n_epochs: Number of epochs in all, those before included.
            batch_size: Environment steps of a batch.
            plot: Render an episode after each epoch.
            store_episodes: Keep the newest batch in the snapshot.
            pause_for_plot: Wait for Enter after each plot, at a terminal.

        Returns:
            The algorithm's value, or the average return of the last epoch where that is None.

        Raises:
            NotSetupError: If nothing was restored.
            TrainingStopped: If a stop was asked for before the last epoch was done.
        """
        if not self._restored:
            raise NotSetupError("there is no run to continue with: call restore(from_dir) before resume().")
        changed = changes_of(n_epochs, batch_size, plot, store_episodes, pause_for_plot)
        return self._run(replace(self._training, start_epoch=self._progress.epoch, **changed))

    def get_env_copy(self) -> Any:
        """Return a copy of the environment in exactly its present state, in mid-episode too.

        One that cannot be copied, such as those of Box2D, is built again from its spec.

        Raises:
            NotSetupError: If nothing was set up.
        """
        return copy_of(self._ready.first_env)

    def _take_over(
        self, state: RunState, from_dir: str, changes: SamplerChoice, allow_statistical: bool
    ) -> TrainArgs:
        exactness = judge(state, self._snapshots.changed_libraries, allow_statistical=allow_statistical)
        exactness, changed = match_process(exactness, state.exact)
        choice, seed = changes.over(state), state.setup_args.seed
        parts = set_up(state.algo, state.env, choice, seed=seed, evaluation=self._evaluation)
        parts = replace(parts, parent=parent_of(state, from_dir, self._snapshots.directory))
        if state.exact is not None:
            parts.load(state.exact, allow_statistical=allow_statistical)
            exactness = rewind(state, exactness, self._logger, self._snapshots, from_dir)
        self._pending_random = None if state.exact is None else state.exact["random"]
        self._parts, self._progress, self._restored = parts, progress_of(state), True
        self._exactness = exactness
        self._args = replace(state.train_args, start_epoch=self._progress.epoch)
        said = f"Continuing with epoch {self._progress.epoch} in {from_dir}, {exactness}."
        self._display.say("\n".join((said, *changed)))
        return copy.copy(self._args)

    def _run(self, args: TrainArgs) -> Any:
        parts, self._args = self._ready, args
        if self._progress.epoch >= args.n_epochs:
            self._display.say(f"All of {args.n_epochs} epochs are done; nothing is left to train.")
            return self._progress.average_return
        random, self._pending_random = self._pending_random, None
        with session(parts, self._logger, self._snapshots, self._stop, self._display, random):
            self._display.start(self._progress, args.n_epochs)
            value = None if self._ends_here() else parts.train(self)  # which may count on an epoch
        if self._progress.epoch < args.n_epochs and self.stop_requested:
            message = stop_message(self._progress, self._snapshots)
            self._display.say(message)
            raise TrainingStopped(message)
        return self._progress.average_return if value is None else value
