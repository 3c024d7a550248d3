"""One attempt at a run: from its folder and lock to its last status."""

import logging
import os
import shlex
import sys
import traceback
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from rlx_experiment._arguments.encoder import write_json
from rlx_experiment._context import ExperimentContext
from rlx_experiment._lock import RunLiveError, RunLock
from rlx_experiment._runs import metadata, record
from rlx_experiment._runs.debug_log import debug_log
from rlx_experiment._runs.heartbeat import Heartbeat
from rlx_experiment._runs.identity import Origin, check_same_experiment, holds_run_of
from rlx_experiment._runs.ranks import Ranks
from rlx_experiment._runs.run import Run
from rlx_experiment._runs.rundir import make_folder, make_run_dir, remove_folder
from rlx_experiment._runs.signals import StopRequest
from rlx_experiment._runs.status import lives_on_another_host, now, read_record, where, write_status
from rlx_experiment._source import git
from rlx_experiment._source.capture import capture_source, share_source
from rlx_experiment._terminal import notify

EXIT_STOPPED: Final = 75
"""Exit status of a run that stopped and can continue (EX_TEMPFAIL of sysexits.h: launchers that requeue look for it)."""


class LaunchError(RuntimeError):
    """A run that a command line asked for could not be recorded, so it was not started."""


class RunFinishedError(RuntimeError):
    """The run that a job of a sweep was started for has finished already."""

    def __init__(self, path: Path) -> None:
        """Say which run it is."""
        super().__init__(f"the run in {path} has finished already; it is left as it is")
        self.path = path


class RunPlan(NamedTuple):
    """All that is decided about a run before anything is written."""

    origin: Origin
    """Where the experiment was written, by which a folder's run is recognised as the same."""
    folder: Path
    reuse: bool
    """Whether to use `folder` even if it exists, rather than the next free number."""
    passed: Mapping[str, object]
    arguments: Mapping[str, object]
    snapshot_mode: str
    snapshot_gap: int
    archive: bool
    source_store: Path
    """Folder that keeps one archive per code state."""
    again: Sequence[str] = ()
    """Command that, with the run's folder appended, continues the run; empty unless a command line asked for the run.

    A command line refuses a folder with a run that is not of this experiment, and says where the run goes.
    """

    launcher: Path | None = None
    """Main script of the program that asks for the run; None for that of this process."""

    source_from: Path | None = None
    """Run folder whose source this run shares, instead of capturing its own."""

    in_sweep: bool = False
    """Whether this is a job of a sweep: what it prints goes to ``console.log``, and a finished run stays as it is."""

    @property
    def identity(self) -> dict[str, object]:
        """What ``arguments.json`` says about the run besides its arguments."""
        definition = {"definition": self.origin.definition} if self.origin.definition else {}
        return {
            "experiment": self.origin.experiment,
            **self.origin.place,
            **definition,
            "snapshot_mode": self.snapshot_mode,
            "snapshot_gap": self.snapshot_gap,
        }


class Outcome(NamedTuple):
    """What came of an attempt that did not raise."""

    value: Any
    state: Literal["finished", "stopped"]
    path: Path


def run_attempt(plan: RunPlan, body: Callable[[ExperimentContext], Any]) -> Outcome:
    """Record a run as `plan` says, call `body` with its context, and record how it ended.

    Of several learner processes rank 0 does so; the others call `body` with the same folder.
    """
    ranks = Ranks.of_this_process()
    if ranks is not None and ranks.rank > 0:
        return _take_part(plan, ranks, body)
    with _notifying(plan):
        attempt = _Attempt.begin(_continued(plan, ranks), ranks)
    stop = StopRequest()
    try:
        with stop, Heartbeat(attempt.folder), debug_log(attempt.folder):
            with _notifying(plan):
                attempt.start()
            return attempt.call(body, stop)
    except BaseException as error:
        state = _state_after(error, stop)
        try:
            attempt.end(state, None if state == "finished" else error)
        except OSError as problem:  # a full disk, say: it must not hide what went wrong
            error.add_note(f"How the run ended could not be recorded: {problem}")
        if plan.again and state == "failed":
            error.add_note(
                f"The run is kept as failed; to continue it: {shlex.join([*plan.again, str(attempt.folder)])}"
            )
        raise
    finally:
        attempt.lock.close()


def _continued(plan: RunPlan, ranks: Ranks | None) -> RunPlan:
    """Plan to continue the run that these ranks had, where their launcher has started them again."""
    earlier = None if ranks is None else ranks.earlier_folder(plan.folder, plan.origin.experiment)
    return plan if earlier is None else plan._replace(folder=earlier, reuse=True)


def _take_part(plan: RunPlan, ranks: Ranks, body: Callable[[ExperimentContext], Any]) -> Outcome:
    """Call `body` in the run of rank 0, which records it."""
    folder = ranks.folder_to_join(plan.folder, plan.origin.experiment, plan.arguments)
    starts = sum(event.get("event") == "start" for event in record.read_attempts(folder))
    with StopRequest() as stop, debug_log(folder, f"debug_rank_{ranks.rank}.log"):
        context = _context(plan, folder, resuming=starts > 1, stop=stop, rank=ranks.rank)
        try:
            value = body(context)
        finally:
            context.finalize()
    return Outcome(value=value, state="stopped" if context.was_stopped() else "finished", path=folder)


def _context(
    plan: RunPlan, folder: Path, *, resuming: bool, stop: StopRequest, rank: int = 0
) -> ExperimentContext:
    return ExperimentContext(
        snapshot_dir=str(folder),
        snapshot_mode=plan.snapshot_mode,
        snapshot_gap=plan.snapshot_gap,
        run=Run(folder),
        resuming=resuming,
        stop=stop,
        rank=rank,
    )


@contextmanager
def _notifying(plan: RunPlan) -> Generator[None, None, None]:
    """From a command line, name what keeps a run from being launched, instead of showing where in the code it was."""
    try:
        yield
    except OSError as error:
        if not plan.again:
            raise
        raise LaunchError(f"the run was not started in {plan.folder}: {error}") from error


def _state_after(error: BaseException, stop: StopRequest) -> str:
    if isinstance(error, SystemExit):
        if stop.requested or error.code in (EXIT_STOPPED, 130, 143):
            return "stopped"
        return "failed" if error.code else "finished"
    return "stopped" if isinstance(error, KeyboardInterrupt) else "failed"


class _Attempt:
    def __init__(
        self,
        plan: RunPlan,
        folder: Path,
        lock: RunLock,
        *,
        resuming: bool,
        created: bool,
        ranks: Ranks | None,
    ) -> None:
        self.plan = plan
        self.folder = folder
        self.lock = lock
        self.resuming = resuming
        self._created = created
        self._changed = record.changed_arguments(folder, plan.arguments) if resuming else ""
        before = record.recorded_definition(folder) if resuming else ""
        self._redefined = before not in ("", plan.origin.definition)
        self._number = 1 + sum(event.get("event") == "start" for event in record.read_attempts(folder))
        self._status: dict[str, object] = {
            "state": "starting",
            "attempt": self._number,
            "started": now(),
            **where(),
            **(ranks.as_record() if ranks else {}),
        }

    @classmethod
    def begin(cls, plan: RunPlan, ranks: Ranks | None) -> "_Attempt":
        """Make or take the folder, lock it, and make it a run by writing its arguments."""
        if not plan.reuse:
            folder, lock = make_run_dir(
                plan.folder, lambda path: record.write_arguments(path, plan.arguments, plan.identity)
            )
            return cls(plan, folder, lock, resuming=False, created=True, ranks=ranks)
        created = not plan.folder.exists()
        make_folder(plan.folder)
        lock = RunLock(plan.folder)
        try:
            if lives_on_another_host(plan.folder):
                raise RunLiveError(plan.folder)
            attempt = cls(plan, plan.folder, lock, resuming=_is_same_run(plan), created=created, ranks=ranks)
            if plan.in_sweep and attempt.resuming and _has_finished(plan.folder):
                raise RunFinishedError(plan.folder)
            if attempt.resuming:
                write_status(attempt.folder, attempt._status)
            record.write_arguments(plan.folder, plan.arguments, plan.identity)
        except BaseException:
            lock.close()
            if created:
                remove_folder(plan.folder)
            raise
        return attempt

    def start(self) -> None:
        """Record source, metadata and status; where that fails, a folder of our own making is removed again."""
        try:
            write_json(self.folder / record.VARIANT_FILE, self.plan.passed)
            write_json(self.folder / record.METADATA_FILE, self._capture())
            if self.plan.origin.cells:
                record.write_cells(self.folder, self.plan.origin.cells, self._number)
            record.append_attempt(self.folder, self._start_event())
            self._write_status("running")
            if self.plan.in_sweep:
                _print_to(self.folder / "console.log")
            logging.getLogger("rlx_experiment").info("attempt %d at %s", self._number, self.folder)
            if self.plan.again:
                notify(f"run folder: {self.folder}")
            self._notify_changes()
        except BaseException:
            if self._created:
                remove_folder(self.folder)
            raise

    def _start_event(self) -> dict[str, object]:
        event: dict[str, object] = {"event": "start", **self._status, "arguments": self.plan.arguments}
        if self.plan.origin.definition:
            event["definition"] = self.plan.origin.definition
        return event | ({"redefined": True} if self._redefined else {})

    def _notify_changes(self) -> None:
        """Say in which way this attempt is not the call that the run began with."""
        changes: list[str] = []
        if self._changed:
            changes.append(
                f"changed arguments: {self._changed}; they hold for what is made again, not for what comes back from "
                "the snapshot"
            )
        if self._redefined:
            changes.append(
                f"{self.plan.origin.experiment} was defined otherwise in the last attempt; "
                f"{record.CELLS_FILE} has the cells of this one"
            )
        for change in changes:
            logging.getLogger("rlx_experiment").info(change)
            if self.plan.again or self._redefined:
                notify(change)

    def _capture(self) -> dict[str, Any]:
        if self.plan.source_from:
            share_source(self.plan.source_from, self.folder)
            inherited = metadata.describe_origin(self.plan.source_from)
            return {**metadata.describe_process(self.plan.arguments), **inherited}
        launcher = self.plan.launcher or metadata.main_script()
        root = git.find_root(launcher.parent) if launcher else None
        tree = git.read_tree(root) if root else None
        if root and tree is None and self.plan.archive:
            warnings.warn(
                f"the code in {root} is not kept with the run: {git.complaint(root)}; archive_launch_repo=False in "
                "wrap_experiment says that it need not be",
                stacklevel=2,
            )
        if tree and self.plan.archive:
            capture_source(tree, self.folder, self.plan.source_store)
        described = metadata.describe_launcher(launcher, tree) if launcher else {}
        return {**described, **metadata.describe_process(self.plan.arguments)}

    def call(self, body: Callable[[ExperimentContext], Any], stop: StopRequest) -> Outcome:
        """Run the experiment itself."""
        context = _context(self.plan, self.folder, resuming=self.resuming, stop=stop)
        value, stopped = None, True
        try:
            value = body(context)
            stopped = context.was_stopped()
        except SystemExit as error:  # the function itself says that it stopped
            if error.code != EXIT_STOPPED or not self.plan.again:
                raise
        finally:
            context.finalize()
        state: Literal["finished", "stopped"] = "stopped" if stopped else "finished"
        self.end(state)
        return Outcome(value=value, state=state, path=self.folder)

    def end(self, state: str, error: BaseException | None = None) -> None:
        """Record how the attempt ended; nothing if its folder was removed again, or in a child that was forked off."""
        if os.getpid() != self._status["pid"] or not self.folder.exists():
            return
        if error is not None:
            self._status["error"] = _first_line(error)
        self._status["ended"] = now()
        record.append_attempt(self.folder, {"event": "end", "attempt": self._number, "state": state})
        self._write_status(state, durable=True)

    def _write_status(self, state: str, *, durable: bool = False) -> None:
        self._status["state"] = state
        write_status(self.folder, self._status, durable=durable)


def _first_line(error: BaseException) -> str:
    """Return class and first line of what an error says."""
    if isinstance(error, SyntaxError):  # its traceback begins with the place
        return f"{type(error).__name__}: {error.msg}"
    lines = traceback.format_exception_only(error)
    said = [line.strip() for line in lines[0].splitlines() if line.strip()]
    return " ".join(said[: 2 if said[0].endswith(":") else 1])


def _print_to(path: Path) -> None:
    """Send standard output and error of this process to the end of `path`, from here on."""
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _has_finished(folder: Path) -> bool:
    return (read_record(folder) or {}).get("state") == "finished"


def _is_same_run(plan: RunPlan) -> bool:
    holds = check_same_experiment if plan.again else holds_run_of
    return holds(plan.folder, plan.origin.experiment)
