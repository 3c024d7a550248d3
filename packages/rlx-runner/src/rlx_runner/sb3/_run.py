"""A model with everything that changes while it learns, as one checkpoint has it."""

import time
from collections.abc import Generator, Iterable
from os import PathLike
from typing import Any

from rlx_protocols import SnapshotConfigLike
from rlx_runner._checkpoint.attributes import dictionary_of
from rlx_runner._checkpoint.checkpoint import Checkpoint
from rlx_runner._checkpoint.content import Content
from rlx_runner._clients.evidence import Evidence, do_twice
from rlx_runner._clients.process_bound import ProcessBound
from rlx_runner._clients.workers import Workers
from rlx_runner._offers import offered, stateful
from rlx_runner._random import undisturbed_random
from rlx_runner.sb3._arguments import check_arguments
from rlx_runner.sb3._calls import LearnCalls
from rlx_runner.sb3._logs import Logs


class Run:
    """What belongs to a run of SB3, passed to a checkpoint.

    Args:
        where: Folder of the run, or an experiment's context.
        model: SB3's model.
        callbacks: What the model learns with; None: whatever callbacks the snapshot has are left alone.
        options: Of the checkpoint.
    """

    def __init__(
        self,
        where: str | PathLike[str] | SnapshotConfigLike,
        model: Any,
        callbacks: list[Any] | None,
        **options: Any,
    ) -> None:
        self.calls = LearnCalls()
        self._model = model
        self._are_callbacks_known = callbacks is not None
        self._callbacks: dict[str, Any] = {}
        self._logs, self._workers = Logs(), Workers()
        self._bound = ProcessBound([])
        self.attach(callbacks or [])
        logger: Any = offered(model, "_logger")
        outputs: list[Any] = [] if logger is None else logger.output_formats
        rows = next(filter(stateful, outputs), None)
        parts: dict[str, Any] = {
            "model": model,
            "callbacks": self._callbacks,
            "calls": self.calls,
            "logs": self._logs,
            "workers": self._workers,
        }
        self._content = Content(parts, rows)
        self.evidence = Evidence("rollouts")
        self.checkpoint = Checkpoint(where, logger=rows, **options, **parts, evidence=self.evidence)

    def attach(self, callbacks: list[Any]) -> None:
        """Take these callbacks, and what the model now logs to and steps, for the run's."""
        self._callbacks.clear()
        self._callbacks.update(_by_name(callbacks))
        self._bound = ProcessBound([self._model, *callbacks])
        self._logs.attach(offered(self._model, "_logger"), self._bound.writers)
        pipes = [pipe for found in self._bound.found for pipe in dictionary_of(found).get("remotes", ())]
        self._workers.attach(pipes, "get_attr")

    def saved_calls(self) -> LearnCalls | None:
        """Return where the newest snapshot stands; None without one. Nothing is changed."""
        calls: LearnCalls | None = self.checkpoint.peek("calls")
        return calls

    def save(self) -> None:
        """Save the run as it stands."""
        with self._bound.set_aside():
            self.checkpoint.save(self.calls.steps)

    def check(self, n: int) -> Generator[None]:
        """Yield where each of `n` rollouts begins, twice from here on, and note that both passes came to the same.

        Raises:
            IncompleteCheckpointError: If they did not.
        """
        yield from do_twice(n, self._content, ("model", "callbacks"), self._bound.set_aside)
        self.evidence.steps = n

    def restore(self, step: int | str = "last", *, allow_statistical: bool = False) -> int | None:
        """Give everything its state in a snapshot.

        Returns:
            How many environment steps are done, or None where there is no snapshot yet.

        Raises:
            ValueError: If the snapshot is of another run; nothing was changed.
        """
        self._check_callbacks(step)
        check_arguments(self._model, self.checkpoint.peek("model", step))
        fields = dictionary_of(self._model)
        if fields.get("use_sde") and self.saved_calls() is not None:
            with undisturbed_random():  # as a rollout does: until then the noise is that of one environment
                self._model.policy.reset_noise(self._model.n_envs)
        total = fields["_total_timesteps"]  # of this call of learn, which may be longer than the saved one
        with self._bound.set_aside():
            done = self.checkpoint.restore(step, allow_statistical=allow_statistical)
        if done is not None:
            fields["start_time"] += time.time_ns() - self.calls.clock  # since then nothing was learned
            fields["_total_timesteps"] = total or fields["_total_timesteps"]
        return done

    def _check_callbacks(self, step: int | str) -> None:
        saved = self.checkpoint.peek("callbacks", step) if self._are_callbacks_known else None
        if saved is not None and list(saved) != list(self._callbacks):
            raise ValueError(
                f"the snapshot is of another run: callbacks are {', '.join(self._callbacks) or 'none'} here, "
                f"{', '.join(saved) or 'none'} in the snapshot. Learn with the same ones. Nothing was changed."
            )


def _by_name(callbacks: Iterable[Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for callback in callbacks:
        name, number = type(callback).__name__, 1
        while name in named:
            number += 1
            name = f"{type(callback).__name__} {number}"
        named[name] = callback
    return named
