"""``run_experiment``: garage's older way to launch, each call in a process of its own."""

import os
import shlex
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, cast

from rlx_experiment._checks import check_mapping, check_text
from rlx_experiment._context import check_snapshot_options
from rlx_experiment._pickling import dump
from rlx_experiment._runs.metadata import main_script
from rlx_experiment._runs.rundir import local_path

WRAPPER: Final = "rlx_experiment.experiment_wrapper"
_TASK_KEYS: Final = ("method_call", "exp_name", "log_dir", "env", "variant", "pre_commands")
_PARAMETERS: Final = ("snapshot_mode", "snapshot_gap", "resume_from_dir", "resume_from_epoch", "seed")

MethodCall = Callable[..., object]
Commands = str | Sequence[str]


def run_experiment(
    method_call: MethodCall | None = None,
    batch_tasks: Sequence[MethodCall | Mapping[str, Any]] | None = None,
    exp_prefix: str = "experiment",
    exp_name: str | None = None,
    log_dir: str | None = None,
    script: str = WRAPPER,
    python_command: str | None = None,
    dry: bool = False,
    env: Mapping[str, str] | None = None,
    variant: Mapping[str, Any] | None = None,
    force_cpu: bool = False,
    pre_commands: Commands | None = None,
    **kwargs: Any,
) -> None:
    """Run `method_call`, or each of `batch_tasks`, one after another, each in a new process and folder.

    Deprecated: use `wrap_experiment`. The call is made as ``method_call(ctxt, variant, from_dir, from_epoch)``.

    Args:
        method_call: What to run; any callable that cloudpickle takes.
        batch_tasks: Several calls, or dictionaries with ``method_call`` and any of ``exp_name``, ``log_dir``, ``env``,
            ``variant``, ``pre_commands``, which win over the arguments given here.
        exp_prefix: Folder under ``data/local``, and start of the default name.
        exp_name: Name of the run; prefix, time and number by default.
        log_dir: Folder of the run; if it exists, a number is appended.
        script: Module that the new process runs.
        python_command: Command of the interpreter; the running one by default.
        dry: Print the commands of all tasks and run none.
        env: Environment variables added for the new process.
        variant: Parameters, recorded as variant.json and passed to the call.
        force_cpu: Hide all GPUs from the new process.
        pre_commands: Commands to run before, in order, without a shell.
        kwargs: ``snapshot_mode``, ``snapshot_gap``, ``resume_from_dir``, ``resume_from_epoch`` and ``seed``.

    Raises:
        ValueError: Nothing to run, a task that is not callable, or a pre-command that needs a shell.
        TypeError: An unknown keyword argument or task key, or a `variant` or `env` that is no dictionary.
        subprocess.CalledProcessError: A command failed; later tasks are not run.
    """
    warnings.warn("run_experiment is deprecated; use wrap_experiment", DeprecationWarning, stacklevel=2)
    shared = {
        "method_call": method_call,
        "exp_name": exp_name,
        "log_dir": log_dir,
        "env": env,
        "variant": variant,
        "pre_commands": pre_commands,
    }
    _refuse_unknown("run_experiment() argument", kwargs, _PARAMETERS)
    check_snapshot_options(kwargs.get("snapshot_mode", "last"), kwargs.get("snapshot_gap", 1))
    tasks = [_complete_task(task, shared) for task in _task_list(method_call, batch_tasks)]
    stamp = datetime.now().astimezone().strftime("%Y_%m_%d_%H_%M_%S")
    for number, task in enumerate(tasks, start=1):
        name = task["exp_name"] or f"{exp_prefix}_{stamp}_{number:04d}"
        folder = str(local_path(task["log_dir"] or Path("data", "local", exp_prefix, name)))
        params = {"exp_name": name, "log_dir": folder, **kwargs}
        _run_task(task, params, python_command=python_command, script=script, dry=dry, force_cpu=force_cpu)


def to_local_command(
    params: Mapping[str, Any], python_command: str | None = None, script: str = WRAPPER
) -> str:
    """Return the command line that runs `script` with `params`, quoted for a POSIX shell.

    ``{"a": 1}`` becomes ``--a 1``, a list several words, ``{"a": {"_name": 1, "b": 2}}`` becomes ``--a 1 --a_b 2``; None
    and the keys ``pre_commands`` and ``post_commands`` are left out.

    Args:
        params: Names and values of the options.
        python_command: Command of the interpreter; the running one by default.
        script: Module to run.
    """
    check_mapping("params", params)
    check_text("python_command", python_command)
    return shlex.join(_words(params, python_command, script))


def _words(params: Mapping[str, Any], python_command: str | None, script: str) -> list[str]:
    python = (
        [sys.executable] if python_command is None else shlex.split(python_command, posix=os.name != "nt")
    )
    words = [*python, "-m", script]
    for key, value in params.items():
        if key in ("pre_commands", "post_commands"):
            continue
        if isinstance(value, Mapping):
            for inner, item in cast("Mapping[str, object]", value).items():
                words += _option(key if inner == "_name" else f"{key}_{inner}", item)
        else:
            words += _option(key, value)
    return words


def _option(key: str, value: object) -> list[str]:
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        return [f"--{key}", *map(str, cast("Sequence[object]", value))]
    return [f"--{key}", str(value)]


def _task_list(
    method_call: MethodCall | None, batch_tasks: Sequence[MethodCall | Mapping[str, Any]] | None
) -> Sequence[MethodCall | Mapping[str, Any]]:
    if method_call is None and batch_tasks is None:
        raise ValueError("run_experiment needs method_call or batch_tasks; both are None")
    if batch_tasks is None:
        return [{}]
    for task in batch_tasks:
        _check_task(task)
    return batch_tasks


def _check_task(task: object) -> None:
    if not isinstance(task, Mapping) and not callable(task):
        raise ValueError(f"a task is {task!r}; it must be callable or a dictionary")


def _complete_task(task: MethodCall | Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {"method_call": task} if callable(task) else {**task}
    _refuse_unknown("task key", given, _TASK_KEYS)
    complete: dict[str, Any] = {**shared, **given}
    if not callable(complete["method_call"]):
        raise ValueError(f"method_call is {complete['method_call']!r}; it must be callable")
    check_mapping("variant", complete["variant"])
    check_mapping("env", complete["env"])
    complete["pre_commands"] = [_split_command(command) for command in _as_list(complete["pre_commands"])]
    return complete


def _refuse_unknown(what: str, given: Iterable[str], known: Sequence[str]) -> None:
    unknown = [key for key in given if key not in known]
    if unknown:
        raise TypeError(f"unknown {what} {unknown[0]!r}; known are {', '.join(known)}")


def _as_list(commands: Commands | None) -> list[str]:
    if commands is None:
        return []
    return [commands] if isinstance(commands, str) else list(commands)


def _split_command(command: str) -> list[str]:
    """Return the words of `command`; ValueError if it means something only to a shell."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    if any(set(word) <= set("();<>|&") for word in words if word) or "$" in command or "`" in command:
        raise ValueError(
            f"pre-command {command!r} needs a shell, and none is involved; put it into a script, or several "
            "commands into a list"
        )
    if not words:
        raise ValueError("a pre-command is empty")
    return shlex.split(command, posix=os.name != "nt")


def _run_task(
    task: Mapping[str, Any],
    params: Mapping[str, Any],
    *,
    python_command: str | None,
    script: str,
    dry: bool,
    force_cpu: bool,
) -> None:
    """Run one task's commands; the call itself travels in a file, for a command line is limited in length."""
    environment: dict[str, str] = {**os.environ, **(task["env"] or {})}
    if force_cpu:
        environment["CUDA_VISIBLE_DEVICES"] = "-1"
    variant: dict[str, Any] = {"exp_name": params["exp_name"], **(task["variant"] or {})}
    with tempfile.TemporaryDirectory(prefix="rlx-") as folder:
        spec = Path(folder, "call.pkl")
        words = _words({**params, "spec": str(spec)}, python_command, script)
        for command in (*task["pre_commands"], words):
            print(shlex.join(command))
            if not dry:
                if command is words:
                    spec.write_bytes(dump((task["method_call"], variant, main_script())))
                subprocess.run(command, env=environment, check=True)
