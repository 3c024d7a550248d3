"""One object that makes any training loop resumable."""

import inspect
from collections.abc import Callable, Generator, Iterator, Mapping
from os import PathLike
from typing import Any, NoReturn, TypeVar

from rlx_protocols import Logger, SnapshotConfigLike, SnapshotStore
from rlx_runner._checkpoint.content import Content
from rlx_runner._checkpoint.selfcheck import Witness, do_twice
from rlx_runner._checks import check_count, check_offers
from rlx_runner._commit import judge_exact, known, require_allowed, rewind_logs, rewind_to
from rlx_runner._errors import TrainingStopped
from rlx_runner._exactness import Exactness, Grade, match_process
from rlx_runner._learners.frame import Frame
from rlx_runner._random import restore_random
from rlx_snapshot import SnapshotConfig

T = TypeVar("T")


class Checkpoint:
    """Makes a training loop of your own resumable, bit for bit, without moving it into a framework.

    Build everything first, then pass it by name; the newest snapshot of `where`, if there is one, is then given
    back to the same objects: an optimizer keeps pointing at the net's parameters.

    Args:
        where: Folder of the run, or an experiment's context.
        logger: Its rows after the snapshot are cut at a resume.
        snapshotter: Another place for snapshots than files in that folder.
        stop_requested: Asked between steps whether to stop; whoever passes it owns the signals. None: the context
            is asked; without one, `steps` itself listens to SIGINT and SIGTERM.
        on_durable: Called with the number of steps that a snapshot holds, once it is durable and before training
            continues: nothing is written meanwhile, so that the folder can be copied.
        progress: False for silence.
        parts: Everything that changes while the loop runs: nets, optimizers, environments, buffers, generators.
            Each can be pickled, or has ``state_dict`` and ``load_state_dict``.

    Where torch.distributed is initialized, every rank makes a checkpoint with its own parts. Each then saves what it
    alone holds, rank 0 commits all of it as one snapshot, and all continue from it and stop together.

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
        on_durable: Callable[[int], object] | None = None,
        progress: bool | None = None,
        **parts: Any,
    ) -> None:
        if logger is not None:
            check_offers("logger", logger, ("write", "finalize"), "a logger, such as ctxt.logger(), or None")
        config = SnapshotConfig(str(where), "last", 1) if isinstance(where, str | PathLike) else where
        options: dict[str, Any] = {"on_durable": on_durable, "progress": progress}
        frame = Frame.around(config, snapshotter, logger, stop_requested=stop_requested, **options)
        self._snapshots, self._stop, self._display = frame.snapshots, frame.stop, frame.display
        self._logger = logger
        self._content = Content(parts, logger)
        self._restored: Mapping[str, Any] | None = None
        self._carried: Any = None
        self._looked, self._steps_done = False, 0
        self._loaded: tuple[int | str, Any] | None = None
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
        self._content.carry(get)
        self._look()
        if self._restored is None:
            return get()
        values: T = self._carried
        return values

    def restore(self, step: int | str = "last", *, allow_statistical: bool = False) -> int | None:
        """Give all parts their state in a snapshot; `steps` and `carry` do so by themselves.

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
        saved, self._loaded = self._load(step), None
        if saved is None:
            rewind_logs(self._logger, {}, from_dir=directory, own_dir=directory)
            return None
        self._take_over(saved, directory, allow_statistical=allow_statistical)
        return self._steps_done

    def peek(self, part: str, step: int | str = "last") -> Any:
        """Return one part as a snapshot has it, and change nothing; None where there is no snapshot yet.

        Args:
            part: Its name.
            step: "last", "first" or how many steps were done.
        """
        saved = self._load(step)
        if saved is None or part not in saved["parts"]:
            return None
        held = saved["parts"][part]
        return held.get("object", held.get("state_dict"))

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
            IncompleteCheckpointError: If the check finds that something was not passed; names it.
            TrainingStopped: If a stop was asked for before the last step; the run is saved.
        """
        check_count("n", n, least=0)
        check_count("every", every, least=1)
        check_count("check", check, least=0)
        return self._steps(n, every, check, ignore)

    def save(self, steps_done: int) -> None:
        """Save the run as it stands after `steps_done` steps, if the snapshot mode keeps that number."""
        self._look()
        self._loaded = None
        self._steps_done = steps_done
        if self._snapshots.wanted(steps_done):
            self._snapshots.save(steps_done, self._content.state(steps_done))

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
                    witness = Witness(loop.f_back, *self._content.held(), (*ignore, *self._content.names))
                    said = yield from do_twice(twice, self._content, witness)
                    self._display.say(said)
                    first = twice.stop
                for step in range(first, n):
                    if stop.agree():
                        self.stop(step, n)
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

    def stop(self, step: int, n: int) -> NoReturn:
        """End the run before step `step` of `n`, as it was asked to: save it, and say where it continues.

        Raises:
            TrainingStopped: Always.
        """
        self._save_once(step)
        self.wait()
        message = f"Stopped after {step} of {n} steps. " + (
            f"It resumes there from {self._snapshots.directory}."
            if self._snapshots.newest == step
            else f"It resumes after step {self._snapshots.newest}."
        )
        self._display.say(message)
        raise TrainingStopped(message)

    def _look(self) -> None:
        if not self._looked:
            self.restore()

    def _load(self, step: int | str) -> Any:
        """Return the content of a snapshot, None where there is none; what was only looked at is kept for a restore."""
        if self._loaded is not None and self._loaded[0] == step:
            return self._loaded[1]
        directory = self._snapshots.directory
        try:
            saved = self._snapshots.load(directory, step)
        except self._snapshots.absent:
            if step not in ("last", "first"):
                raise
            return None
        if not isinstance(saved, Mapping) or "parts" not in saved:
            raise ValueError(
                f"the snapshot in {directory} was not made by a Checkpoint; LocalRunner.restore() and "
                "Snapshotter.load() read others."
            )
        self._loaded = step, saved  # pyright: ignore[reportUnknownMemberType]
        return saved  # pyright: ignore[reportUnknownVariableType]

    def _take_over(self, saved: Any, directory: str, *, allow_statistical: bool) -> None:
        exact: Any = known(saved["exact"])
        exactness = judge_exact(exact, self._snapshots.changed_libraries)
        for reason in exact["reasons"]:
            exactness = exactness.lowered(Grade(reason[0]), reason[1])
        require_allowed(exactness, allow_statistical=allow_statistical)
        exactness, changed = match_process(exactness, exact)
        carried = self._content.parts.give_back(saved["parts"], saved["variables"], strict=True)
        done = int(saved["steps_done"])
        self._exactness = rewind_to(
            exact, done, exactness, self._logger, self._snapshots, directory, exact["seed"]
        )
        self._restored, self._carried, self._steps_done, self._random = exact, carried, done, exact["random"]
        self._display.say(f"Continuing after {done} steps in {directory}, {self._exactness}.")
        for sentence in changed:
            self._display.say(sentence)
        self._set_random()

    def _set_random(self) -> None:
        if self._random is not None:
            restore_random(self._random)
