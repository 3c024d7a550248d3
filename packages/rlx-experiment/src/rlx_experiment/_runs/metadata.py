"""What is needed to run an experiment again: code, program, machine and libraries."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rlx_experiment._arguments.encoder import to_plain
from rlx_experiment._arguments.fields import flatten, seed_of
from rlx_experiment._runs.machine import host, python_version, system
from rlx_experiment._runs.record import METADATA_FILE
from rlx_experiment._runs.status import now
from rlx_experiment._secrets import public_argv, public_environment
from rlx_experiment._source import git

_THIS_PACKAGE: Final = Path(__file__).resolve().parents[1]


def get_metadata() -> tuple[str | None, dict[str, str]]:
    """Return the launcher's git repository and where the launcher was in it.

    Returns:
        The absolute path of the repository (None without one), and a dictionary with ``githash`` (the commit, with
        ``-dirty`` appended if anything differs from it; absent without repository, commit or git) and ``launcher``
        (path of the main script, relative to the repository if there is one, else absolute). The dictionary is empty
        where the program has no main script, as in an interactive session.
    """
    launcher = main_script()
    if launcher is None:
        return None, {}
    root = git.find_root(launcher.parent)
    tree = git.read_tree(root) if root else None
    return (str(tree.root) if tree else None), describe_launcher(launcher, tree)


def main_script() -> Path | None:
    """Return the absolute path of the running program's main script, if it has one that is not of this package."""
    try:
        name = sys.modules["__main__"].__file__
    except AttributeError:
        return None
    if not name or not Path(name).is_file():  # "<stdin>", for one
        return None
    script = Path(name).resolve()
    return None if script.is_relative_to(_THIS_PACKAGE) else script


def describe_launcher(launcher: Path, tree: git.WorkingTree | None) -> dict[str, str]:
    """Return ``githash`` and ``launcher`` of a run that `launcher` starts in the state `tree`."""
    if tree is None:
        return {"launcher": str(launcher)}
    described = {"launcher": os.path.relpath(launcher, tree.root)}
    if tree.commit is not None:
        described["githash"] = tree.commit + ("-dirty" if tree.dirty else "")
    return described


def describe_origin(origin: Path) -> dict[str, Any]:
    """Return what a rerun has in common with the run `origin`: the code, and where it was started."""
    recorded: dict[str, Any] = json.loads((origin / METADATA_FILE).read_bytes())
    shared: dict[str, Any] = {key: recorded[key] for key in ("githash", "launcher", "cwd") if key in recorded}
    return {**shared, "rerun_of": str(origin)}


def describe_process(arguments: Mapping[str, object]) -> dict[str, Any]:
    """Return what else may decide how a run goes, free of secrets: program, machine, libraries."""
    return {
        "argv": public_argv(sys.orig_argv),
        "cwd": str(Path.cwd()),
        "python": python_version(),
        "executable": sys.executable,
        "platform": system(),
        "host": host(),
        "user": _user(),
        "cpus": os.cpu_count(),
        "gpus": _gpus(),
        "seed": seed_of(flatten(to_plain(arguments))),
        "started": now(),
        "environment": public_environment(os.environ),
        "packages": installed_packages(),
    }


def installed_packages() -> dict[str, str]:
    """Return name and version of every distribution on the path, from folder names alone (fast)."""
    found: dict[str, str] = {}
    for folder in reversed(sys.path):
        for name in _names_in(folder or "."):
            if name.endswith((".dist-info", ".egg-info")):
                distribution, _, version = name.rpartition(".")[0].partition("-")
                found[distribution] = version.partition("-")[0]
    return dict(sorted(found.items()))


def _names_in(folder: str) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(folder)]
    except OSError:  # a zip file, or a folder that is not there
        return []


def _user() -> str:
    return (
        os.environ.get("USER")
        or os.environ.get("USERNAME")
        or (str(os.getuid()) if os.name == "posix" else "")
    )


def _gpus() -> list[str]:
    """Return the models of the NVIDIA cards that the driver shows; no library is loaded for it."""
    models: list[str] = []
    for information in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        lines = information.read_text(errors="replace").splitlines()
        models += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return models
