"""One object that makes any training loop resumable."""

import inspect
from collections.abc import Callable, Generator, Iterator, Mapping
from os import PathLike
from types import FrameType
from typing import Any, TypeVar

from rlx_protocols import Logger, SnapshotConfigLike, SnapshotStore
from rlx_runner._checkpoint.parts import Parts
from rlx_runner._checkpoint.selfcheck import Witness, checked_message, compare
from rlx_runner._checkpoint.variables import Variables
from rlx_runner._checks import check_count, check_offers
from rlx_runner._commit import gather, judge_exact, known, require_allowed, rewind, rewind_logs
from rlx_runner._display import choose_display
from rlx_runner._errors import TrainingStopped
from rlx_runner._exactness import Exactness, Grade, match_threads
from rlx_runner._offers import stateful, stop_asked_of
from rlx_runner._random import get_seed, restore_random, restore_seed
from rlx_runner._snapshots import Snapshots
from rlx_runner._stop import StopSwitch
from rlx_snapshot import SnapshotConfig, exact_copy

T = TypeVar("T")

NO_POSITION = "the logger has no position to go back to: rows after the snapshot are written twice"


class Checkpoint:
    """Makes a training loop of your own resumable, bit for bit, without moving it into a framework.

    Build everything first, then hand it over by name; the newest snapshot of `where`, if there is one, is then given
    back to the same objects: an optimizer keeps pointing at the net's parameters.

    Args:
        where: Folder of the run, or an experiment's context.
        logger: Its rows after the snapshot are cut at a resume.
        snapshotter: Another place for snapshots than files in that folder.
        stop_requested: Asked between steps whether to stop; whoever passes it owns the signals. None: the context
            is asked; without one, :meth:`steps` itself listens to SIGINT and SIGTERM.
        progress: False for silence.
        parts: Everything that changes while the loop runs: nets, optimizers, environments, buffers, generators.
            Each can be pickled, or has ``state_dict`` and ``load_state_dict``.

    Raises:
        TypeError: If a part can neither change in place nor load a state.

    Example::

        run = Checkpoint("run", model=model, optimizer=optimizer, env=env, logger=logger)
        observation, total = run.carry(lambda: (observation, total))
        for step in run.steps(1_000_000, every=10_000):
            ...
    """

    def __init__(
        self,
        where: str | PathLike[str] | SnapshotConfigLike,
        /,
        *,
        logger: Logger | None = None,
        snapshotter: SnapshotStore | None = None,
        stop_requested: Callable[[], bool] | None = None,
        progress: bool | None = None,
        **parts: Any,
    ) -> None:
        if logger is not None:
            check_offers("logger", logger, ("write", "finalize"), "a logger, such as ctxt.logger(), or None")
        config = SnapshotConfig(str(where), "last", 1) if isinstance(where, str | PathLike) else where
        self._snapshots = Snapshots(config, snapshotter, logger)
        self._logger = logger
        self._stop = StopSwitch(stop_asked_of(config) if stop_requested is None else stop_requested)
        self._display = choose_display(progress)
        self._parts = Parts(parts)
        self._variables: Variables[Any] | None = None
        self._restored: Mapping[str, Any] | None = None
        self._carried: Any = None
        self._looked = False
        self._steps_done = 0
        self._random: Mapping[str, Any] | None = None
        self._exactness = Exactness()

    @property
    def exactness(self) -> Exactness:
        """How exactly the run continues: its grade and the reasons."""
        return self._exactness

    @property
    def stop_requested(self) -> bool:
        """Whether the run should end at the next point where it can be resumed."""
        return self._stop.requested

    def carry(self, get: Callable[[], T]) -> T:
        """Keep variables that the loop sets again and again.

        Args:
            get: Returns them: ``lambda: (observation, done)``. Called at every save.

        Returns:
            What it returned when the newest snapshot was made; of a new run, what it returns now.
        """
        self._variables = Variables(get)
        self._look()
        if self._restored is None:
            return get()
        values: T = self._carried
        return values

    def restore(self, step: int | str = "last", *, allow_statistical: bool = False) -> int | None:
        """Give all parts their state in a snapshot; :meth:`steps` and :meth:`carry` do so by themselves.

        Args:
            step: "last", "first" or how many steps were done.
            allow_statistical: Continue also where only a statistically equal run is possible.

        Returns:
            How many steps are done, or None where there is no snapshot yet.

        Raises:
            ValueError: If the snapshot is of other parts; names all of them, and nothing was changed.
            StatisticalResumeError: If the run cannot continue exactly here.
        """
        self._looked = True
        directory = self._snapshots.directory
        try:
            saved = self._snapshots.load(directory, step)
        except self._snapshots.absent:
            if step not in ("last", "first"):
                raise
            rewind_logs(self._logger, {}, from_dir=directory, own_dir=directory)
            return None
        self._take_over(saved, directory, allow_statistical=allow_statistical)
        return self._steps_done

    def steps(self, n: int, *, every: int = 1, check: int = 0, ignore: tuple[str, ...] = ()) -> Iterator[int]:
        """Yield the number of each step that is still to be done, and save after every `every`-th and the last.

        The state before the first step is saved too, so that what cannot be saved is said before training.

        Args:
            n: Steps in all, those before a resume included.
            every: Steps from one snapshot to the next.
            check: Do the first so many steps twice, from one saved state, and compare what they come to. For a trial: rows
                of a logger without positions are doubled.
            ignore: Variables of the loop that may change without being in the snapshot.

        Yields:
            The number of the step, counted from 0 over the whole run.

        Raises:
            IncompleteCheckpointError: If the check finds that something was not handed over; names it.
            TrainingStopped: If a stop was asked for before the last step; the run is saved.
        """
        check_count("n", n, least=0)
        check_count("every", every, least=1)
        check_count("check", check, least=0)
        return self._steps(n, every, check, ignore)

    def save(self, steps_done: int) -> None:
        """Save the run as it stands after `steps_done` steps, if the snapshot mode keeps that number."""
        self._look()
        self._steps_done = steps_done
        if self._snapshots.wanted(steps_done):
            self._snapshots.save(steps_done, self._state())

    def wait(self) -> None:
        """Return when everything saved is durable."""
        self._snapshots.finish()

    def _steps(self, n: int, every: int, check: int, ignore: tuple[str, ...]) -> Generator[int]:
        loop = inspect.currentframe()
        self._begin(n)
        stop, first = self._stop, self._steps_done
        try:
            with stop.listening():
                self._set_random()  # last: nothing may draw from here on
                if check and loop is not None and loop.f_back is not None:
                    twice = range(first, min(first + check, n))
                    yield from self._twice(twice, loop.f_back, ignore)
                    first = twice.stop
                for step in range(first, n):
                    if stop.requested:
                        self._end_early(step, n)
                    yield step
                    if (step + 1) % every == 0:
                        self.save(step + 1)
                self._save_once(max(first, n))
        finally:
            self.wait()
            self._display.close()

    def _begin(self, n: int) -> None:
        self._look()
        if self._restored is None:
            self._save_once(self._steps_done)
        if self._steps_done >= n:
            self._display.say(f"All of {n} steps are done; nothing is left to do.")

    def _save_once(self, steps_done: int) -> None:
        if self._snapshots.newest != steps_done:
            self.save(steps_done)

    def _end_early(self, step: int, n: int) -> None:
        self._save_once(step)
        message = f"Stopped after {step} of {n} steps. " + (
            f"It resumes there from {self._snapshots.directory}."
            if self._snapshots.newest == step
            else f"It resumes after step {self._snapshots.newest}."
        )
        self._display.say(message)
        raise TrainingStopped(message)

    def _twice(self, steps: range, frame: FrameType, ignore: tuple[str, ...]) -> Generator[int]:
        if self._variables is not None and not self._variables.names:
            raise ValueError(
                "carry must be given a list of names, as lambda: (observation, done), for steps to be checked."
            )
        before = exact_copy(self._state())
        names = () if self._variables is None else self._variables.names
        whole = [saved["object"] for saved in self._parts.state().values() if "object" in saved]
        witness = Witness(frame, whole, [*self._parts, self._logger, self], {*names, *ignore})
        yield from steps
        once = exact_copy(self._compared())
        self._return_to(before)
        yield from steps
        outside = compare(once, exact_copy(self._compared()), witness)
        self._display.say(checked_message(len(steps), outside))

    def _compared(self) -> dict[str, Any]:
        state = self._state()
        parts = {name: part.get("object", part.get("state_dict")) for name, part in state["parts"].items()}
        return {**parts, "variables": state["variables"], "random states": state["exact"]["random"]}

    def _return_to(self, state: Mapping[str, Any]) -> None:
        values = self._parts.give_back(state["parts"], state["variables"], strict=False)
        if self._variables is not None:
            self._variables.assign(values)
        rewind_logs(self._logger, state["exact"]["logger"] or None, from_dir="", own_dir="")
        restore_random(state["exact"]["random"])

    def _look(self) -> None:
        if not self._looked:
            self.restore()

    def _take_over(self, saved: Any, directory: str, *, allow_statistical: bool) -> None:
        if not isinstance(saved, Mapping) or "parts" not in saved:
            raise ValueError(
                f"the snapshot in {directory} was not made by a Checkpoint; LocalRunner.restore() and "
                "Snapshotter.load() read others."
            )
        exact: Any = known(saved["exact"])  # pyright: ignore[reportUnknownArgumentType]
        exactness = judge_exact(exact)
        for reason in exact["reasons"]:
            exactness = exactness.lowered(Grade(reason[0]), reason[1])
        require_allowed(exactness, allow_statistical=allow_statistical)
        carried = self._parts.give_back(saved["parts"], saved["variables"], strict=True)  # pyright: ignore[reportUnknownArgumentType]
        done = int(saved["steps_done"])  # pyright: ignore[reportUnknownArgumentType]
        self._exactness = rewind(exact, done, exactness, self._logger, self._snapshots, directory)
        self._restored, self._carried, self._steps_done, self._random = exact, carried, done, exact["random"]
        restore_seed(exact["seed"])
        self._display.say(f"Continuing after {done} steps in {directory}, {self._exactness}.")
        if (changed := match_threads(exact)) is not None:
            self._display.say(changed)
        self._set_random()

    def _set_random(self) -> None:
        if self._random is not None:
            restore_random(self._random)

    def _state(self) -> dict[str, Any]:
        parts: dict[str, Any] = {}
        variables: list[Any] = []

        def gathered() -> dict[str, Any]:
            parts.update(self._parts.state())
            variables.append(None if self._variables is None else self._variables.read())
            return {"seed": get_seed(), "reasons": self._reasons()}

        exact = gather(self._logger, gathered)
        return {"steps_done": self._steps_done, "parts": parts, "variables": variables[0], "exact": exact}

    def _reasons(self) -> list[tuple[str, str]]:
        if self._logger is None or stateful(self._logger) is not None:
            return []
        return [(Grade.SAME_STREAMS.value, NO_POSITION)]
