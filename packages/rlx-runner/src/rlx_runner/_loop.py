"""The algorithm's side of a runner: epochs, batches, numbers."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from rlx_protocols import Logger
from rlx_runner._budget import Budget
from rlx_runner._checks import check_count, check_kind, check_mapping, check_offers, check_whole
from rlx_runner._errors import NotSetupError
from rlx_runner._exactness import Exactness, Grade
from rlx_runner._learners.frame import Frame
from rlx_runner._metrics import EpochMetrics
from rlx_runner._offers import log_epoch, max_episode_length_of
from rlx_runner._plot.plotter import EpisodePlotter
from rlx_runner._progress import Progress
from rlx_runner._records import TrainArgs
from rlx_runner._setup import Setup

PLOT_STEPS = 1000


class EpochLoop:
    """Orders the beats of an epoch (sample, update, log, snapshot) and owns how far the run has come.

    Args:
        logger: Gets one row an epoch.
        frame: Gets the whole run after each epoch, says when to end early, shows progress.
        budget: Says when enough is done.
    """

    def __init__(self, *, logger: Logger, frame: Frame, budget: Budget) -> None:
        check_kind("budget", budget, Budget, "Budget(env_steps=1_000_000)")
        check_offers("logger", logger, ("write", "finalize"), "a logger, such as ctxt.logger(), or None")
        self._logger = logger
        self._snapshots, self._stop, self._display = frame.snapshots, frame.stop, frame.display
        self._budget = budget
        self._plotter = EpisodePlotter(self._snapshots.directory, logger)
        self._parts: Setup | None = None
        self._args: TrainArgs | None = None
        self._progress = Progress()
        self._metrics = EpochMetrics()
        self._epoch_began = time.perf_counter()
        self.step_episode: Any = None
        self._exactness = Exactness()

    @property
    def exactness(self) -> Exactness:
        """How exactly the restored run continues: its grade and the reasons."""
        return self._exactness

    @property
    def step_itr(self) -> int:
        """Iterations done so far; the algorithm counts them."""
        return self._progress.itr

    @step_itr.setter
    def step_itr(self, itr: int) -> None:
        self._progress = replace(self._progress, itr=check_whole("step_itr", itr))

    @property
    def total_env_steps(self) -> int:
        """Environment steps collected since the run began."""
        return self._progress.env_steps

    @property
    def stop_requested(self) -> bool:
        """Whether the run should end at the next point where it can be resumed."""
        return self._stop.requested

    def step_epochs(self) -> Iterator[int]:
        """Yield each epoch that is still to be done; logs, evaluation, snapshot and display follow each one.

        Ends early, at an epoch's boundary, when a stop is asked for or the budget is used up.

        Yields:
            The number of the epoch, counted from 0 over the whole run.
        """
        while not self._ends_here():
            self._metrics, self._epoch_began = EpochMetrics(), time.perf_counter()
            self.step_episode = None
            yield self._progress.epoch
            self._end_epoch(self._progress.epoch)

    def _ends_here(self) -> bool:
        """Return whether no further epoch follows; say so where it is the budget that ends training."""
        if self._progress.epoch >= self._training.n_epochs:
            return True
        enough = self._budget.reached(self._progress)
        ends = self._stop.agree(enough is not None)
        if enough is not None and not self.stop_requested:
            self._display.say(f"Training ends after epoch {self._progress.epoch - 1}: {enough}.")
        return ends

    def obtain_episodes(
        self, itr: int, batch_size: int | None = None, agent_update: Any = None, env_update: Any = None
    ) -> Any:
        """Collect one batch of whole episodes.

        Args:
            itr: Iteration the batch is for; only recorded.
            batch_size: Environment steps, not episodes. A hint: whole episodes are kept, so
                the batch may be longer. Defaults to the value given to ``train``.
            agent_update: What the workers' policies are updated with; defaults to the policy's
                newest parameters. A list is spread over the workers.
            env_update: What the workers' environments are updated with; None keeps them.

        Returns:
            The sampler's batch; of rlx-sampler an EpisodeBatch with N >= `batch_size` steps.

        Raises:
            ValueError: If there is no sampler, or no batch size here or in ``train``; names both.
        """
        parts = self._ready
        size = self._args.batch_size if batch_size is None and self._args is not None else batch_size
        missing: list[str] = []
        if parts.choice.sampler_cls is None:
            missing.append("a sampler (pass sampler_cls to setup)")
        if size is None:
            missing.append("batch_size (pass it to train or to obtain_episodes)")
        if size is None or missing:
            raise ValueError(f"nothing can be sampled without {' and '.join(missing)}.")
        check_count("batch_size", size, least=1)
        batch = parts.sampling.obtain(itr, size, agent_update, env_update)
        self._progress = replace(self._progress, env_steps=self._progress.env_steps + batch.n_steps)
        self._metrics.add_batch(batch)
        return batch

    def obtain_samples(
        self, itr: int, batch_size: int | None = None, agent_update: Any = None, env_update: Any = None
    ) -> list[dict[str, Any]]:
        """Collect as `obtain_episodes` does, as a list of one dict an episode.

        Args:
            itr: Iteration the batch is for; only recorded.
            batch_size: Environment steps; defaults to the value given to ``train``.
            agent_update: As for `obtain_episodes`.
            env_update: As for `obtain_episodes`.

        Raises:
            ValueError: If there is no sampler, or no batch size here or in ``train``.
        """
        episodes: list[dict[str, Any]] = self.obtain_episodes(
            itr, batch_size, agent_update, env_update
        ).to_list()
        return episodes

    def log(self, metrics: Mapping[str, Any], /) -> None:
        """Add `metrics` to the row of this epoch; a name given again replaces its value.

        Raises:
            TypeError: If they do not map names to values.
        """
        check_mapping("what is logged", metrics, "a dict of numbers by name")
        self._metrics.log(metrics)

    def log_diagnostics(self, pause_for_plot: bool = False) -> None:
        """Add training time (s), this epoch's time (s) and environment steps to the row; plot if asked for.

        Args:
            pause_for_plot: Wait for Enter after the plot, at a terminal.
        """
        seconds = time.perf_counter() - self._epoch_began
        self.log(
            {
                "TotalEnvSteps": self._progress.env_steps,
                "EpochTime": seconds,
                "TotalTime": self._progress.elapsed + seconds,
            }
        )
        if self._args is not None and self._args.plot:
            parts = self._ready
            steps = max_episode_length_of(parts.algo) or PLOT_STEPS
            self._plotter.plot(parts.algo, parts.first_env, self._progress.epoch, max_steps=steps)
            if pause_for_plot:
                self._plotter.pause()

    def save(self, epoch: int) -> None:
        """Save the whole run as it stands after `epoch`, if the snapshot mode keeps that epoch.

        Raises:
            NotSetupError: If nothing was set up.
        """
        parts = self._ready
        if not self._snapshots.wanted(epoch):
            return
        args = TrainArgs(0, None, False, False, False, 0) if self._args is None else self._args
        state = parts.state(
            epoch=epoch,
            progress=self._progress,
            train_args=args,
            logger=self._logger,
            last_episode=self.step_episode if args.store_episodes else None,
        )
        self._snapshots.save(epoch, state.to_snapshot())
        self._confirm()

    def _confirm(self) -> None:
        """Lower the grade of a resume where the sampler, once it has sampled, finds that it continues otherwise."""
        found = self._ready.sampling.found_after_restore()
        if found is not None and Grade(found[0]) > self._exactness.grade:
            self._exactness = self._exactness.lowered(Grade(found[0]), found[1])
            self._display.say(
                f"The sampler has found that this run continues less exactly: {self._exactness}."
            )

    def _end_epoch(self, epoch: int) -> None:
        args, evaluator = self._training, self._ready.evaluator
        if evaluator is not None and evaluator.due(epoch) and (judged := evaluator.run(epoch)):
            self._logger.write("evaluation/epoch", epoch, judged)
        self.log_diagnostics(args.pause_for_plot)
        average = self._metrics.average_return
        self._progress = replace(
            self._progress,
            epoch=epoch + 1,
            elapsed=self._progress.elapsed + time.perf_counter() - self._epoch_began,
            average_return=self._progress.average_return if average is None else average,
        )
        log_epoch(self._logger, epoch, self._metrics.row())
        self.save(epoch)
        self._display.update(self._progress, args.n_epochs)

    @property
    def _ready(self) -> Setup:
        if self._parts is None:
            raise NotSetupError(
                "the runner has nothing to train: call setup(algo, env) or restore(from_dir) first."
            )
        return self._parts

    @property
    def _training(self) -> TrainArgs:
        if self._args is None:
            raise NotSetupError(
                "no training was asked for: call train(n_epochs), or restore(from_dir) and resume()."
            )
        return self._args
