"""The command line of an experiment, made from its function's signature."""

import argparse
import inspect
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, NamedTuple

from rlx_experiment._experiment import Experiment
from rlx_experiment._flags import BUILT_IN, collector, experiment_flags, given_arguments
from rlx_experiment._lock import RunLiveError
from rlx_experiment._missing import require
from rlx_experiment._notebook import shell
from rlx_experiment._runs import record
from rlx_experiment._runs.attempt import EXIT_STOPPED, LaunchError
from rlx_experiment._runs.identity import check_same_experiment, holds_run_of, main_package
from rlx_experiment._runs.rundir import numbered_dirs
from rlx_experiment._terminal import notify

SnapshotMode = Literal["all", "last", "gap", "gap_and_last", "gap_overwrite", "none"]


class _Recorded(NamedTuple):
    """What an earlier attempt in the folder left as defaults."""

    folder: Path | None = None
    arguments: Mapping[str, Any] = {}
    identity: Mapping[str, Any] = {}


def main_and_exit(template: Experiment, argv: Sequence[str]) -> None:
    """Run `template` as `argv` says and exit; an error shows where in the experiment it was, not how that was reached.

    In a notebook or a shell of Python nothing exits: it returns, or raises a RuntimeError after a failure.
    """
    try:
        code = main(template, argv)
    except Exception as error:
        error.__traceback__ = _from_outside(error.__traceback__)
        raise
    except SystemExit as end:  # the parser's: usage or help
        if shell() is None:
            raise
        code = end.code if isinstance(end.code, int) else 1
    if shell() is None:
        sys.exit(code)
    if code not in (0, EXIT_STOPPED):
        raise RuntimeError(
            f"main({shlex.join(argv)}) was refused, with exit code {code}; the message above says why"
        )


def main(template: Experiment, argv: Sequence[str]) -> int:
    """Run `template` as `argv` says and return the exit code; usage errors raise SystemExit(2) after a message."""
    try:
        recorded = _find_recorded(template, argv)
        options, given = _parse(template, argv, recorded)
    except ValueError as error:  # a ForeignRunError is one
        return _complain(error, 2)
    if options.pop("resume"):
        options |= {"use_existing_dir": True, "log_dir": str(recorded.folder)}
    elif options["log_dir"] is None:
        del options["log_dir"]
    else:
        options["log_dir"] = str(options["log_dir"])
    again = [*_program(), "--resume", "--log-dir"]
    return launch_for_exit_code(template, options, given, again=again)


def launch_for_exit_code(
    template: Experiment,
    options: Mapping[str, Any],
    kwargs: Mapping[str, Any],
    *,
    again: Sequence[str],
    launcher: Path | None = None,
    source_from: Path | None = None,
) -> int:
    """Launch a run for a command line: 0 finished, 75 stopped, 1 or 2 and a message for what is refused.

    Args:
        template: The experiment.
        options: Changes to the template's options.
        kwargs: Arguments of the experiment.
        again: Command that, with the run's folder appended, continues a stopped run.
        launcher: Main script of the program that first asked for the run, where that is not this one.
        source_from: Run folder whose source this run shares, instead of capturing its own.
    """
    try:
        updated = template.options.updated(options)
        template.bind(kwargs)
    except (TypeError, ValueError) as error:
        return _complain(error, 2)
    try:
        outcome = template.launch(updated, kwargs, again=again, launcher=launcher, source_from=source_from)
    except (LaunchError, RunLiveError) as error:
        return _complain(error, 1)
    except record.ForeignRunError as error:
        return _complain(error, 2)
    if outcome.state == "finished":
        return 0
    hint = (
        shlex.join([*again, str(outcome.path)])
        if shell() is None
        else f"Run.open({str(outcome.path)!r}).resume()"
    )
    notify(f"stopped; to continue: {hint}")
    return EXIT_STOPPED


def _from_outside(traceback: TracebackType | None) -> TracebackType | None:
    """Return `traceback` from its first frame on that is not of this package, or whole where there is none."""
    here, frame = str(Path(__file__).parent), traceback
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(here):
        frame = frame.tb_next
    return frame or traceback


def _program() -> list[str]:
    """Return the command by which this program was started, without its arguments."""
    if package := main_package():
        return [sys.executable, "-m", f"{package}.{Path(sys.argv[0]).stem}"]
    return [sys.executable, sys.argv[0]]


def _complain(error: Exception, code: int) -> int:
    notify(f"error: {error}")
    return code


def _find_recorded(template: Experiment, argv: Sequence[str]) -> _Recorded:
    """Look for ``--resume`` and its folder before the parser is built, whose defaults depend on it."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--log-dir", "--log_dir")
    early.add_argument("--resume", action="store_true")
    try:
        found = early.parse_known_args(list(argv))[0]
    except argparse.ArgumentError:
        return _Recorded()  # the real parser will say what is wrong
    if not found.resume:
        return _Recorded()
    folder = Path(found.log_dir).absolute() if found.log_dir else _latest(template)
    if not check_same_experiment(folder, template.identity):
        return _Recorded(folder)
    arguments, identity = record.read_arguments(folder) or ({}, {})
    return _Recorded(folder, arguments, identity)


def _latest(template: Experiment) -> Path:
    """Return the newest run folder of `template`, or where its first run would go."""
    options = template.options
    if options.name_parameters is not None:
        raise record.ForeignRunError(
            f"--resume needs --log-dir here: run names hold parameters (name_parameters={options.name_parameters!r})"
        )
    wanted = template.folder(options, {}, {})
    for folder in numbered_dirs(wanted):
        if holds_run_of(folder, template.identity):
            return folder
    return wanted


def _parse(
    template: Experiment, argv: Sequence[str], recorded: _Recorded
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what `argv` chooses: built-in options, and the experiment's arguments that are not simply defaults."""
    tyro = require("tyro", "cli", "the command line of an experiment")
    flags = experiment_flags(tyro, template, recorded.arguments)
    parameters = [
        *(flag.parameter for flag in flags),
        *_built_in_parameters(tyro, template, recorded.identity),
    ]
    chosen: dict[str, Any] = tyro.cli(collector(parameters, template.wrapped.__doc__), args=list(argv))
    options = {key: chosen.pop(key) for key in BUILT_IN}
    return options, given_arguments(template, flags, chosen, argv)


def _built_in_parameters(
    tyro: Any, template: Experiment, identity: Mapping[str, Any]
) -> list[inspect.Parameter]:
    options = template.options

    def option(name: str, kind: object, default: object, text: str, **settings: object) -> inspect.Parameter:
        annotation = tyro.conf.FlagCreatePairsOff[Annotated[kind, tyro.conf.arg(help=text, **settings)]]
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

    return [
        option(
            "log_dir",
            Path | None,
            None,
            "Folder of the run. If it exists, a number is appended, but see --resume.",
            metavar="DIR",
        ),
        option(
            "snapshot_mode",
            SnapshotMode,
            identity.get("snapshot_mode", options.snapshot_mode),
            "Which snapshots to keep.",
        ),
        option(
            "snapshot_gap",
            int,
            identity.get("snapshot_gap", options.snapshot_gap),
            "Iterations from one numbered snapshot to the next.",
        ),
        option(
            "resume",
            bool,
            False,
            "Continue the run in --log-dir (by default the newest one), with its recorded arguments where they are "
            "not given again. Where there is no run yet, start one.",
        ),
    ]
