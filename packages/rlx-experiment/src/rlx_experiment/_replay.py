"""``python -m rlx_experiment._replay``: the process that resumes or reruns a recorded run.

It finds the experiment by what the run recorded (launcher, module, function) and launches it with the recorded
arguments. The launcher is loaded without running its ``if __name__ == "__main__"`` part.
"""

import argparse
import functools
import importlib
import importlib.util
import pickle
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from rlx_experiment._arguments.decode import from_json
from rlx_experiment._arguments.signature import declared_types
from rlx_experiment._main import launch_for_exit_code
from rlx_experiment._runs import record
from rlx_experiment._runs.run import Run
from rlx_experiment._secrets import SECRET_MARKER
from rlx_experiment._template import ExperimentTemplate

_LOADING: Final = "__rlx_launcher__"


def main(argv: Sequence[str]) -> int:
    """Resume or rerun the run that `argv` names; return the exit code."""
    parser = argparse.ArgumentParser(prog="rlx_experiment._replay", allow_abbrev=False)
    parser.add_argument("action", choices=("resume", "rerun"))
    parser.add_argument("run", type=Path)
    parser.add_argument("--tree", type=Path, help="the rebuilt launch tree")
    parser.add_argument("--root", type=Path, help="the repository that the tree was taken from")
    parser.add_argument("--log-dir", help="folder of the rerun")
    args = parser.parse_args(argv)
    recorded = record.read_arguments(args.run)
    if recorded is None:
        print(f"error: no run in {args.run}", file=sys.stderr)
        return 2
    arguments, identity = recorded
    if args.tree:
        _map_search_path(args.root, args.tree)
    try:
        template = load_template(identity, args.root, args.tree)
        kwargs = recorded_arguments(args.run, arguments, template)
    except (LookupError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    options: dict[str, Any] = {key: identity[key] for key in ("snapshot_mode", "snapshot_gap")}
    if args.action == "resume":
        options |= {"log_dir": str(args.run), "use_existing_dir": True}
    else:
        options |= {"log_dir": args.log_dir, "use_existing_dir": False}
    if args.action == "rerun":
        passed = record.read_variant(args.run)
        kwargs = {key: value for key, value in kwargs.items() if key in passed}
    source = args.run if args.action == "rerun" else None
    return launch_for_exit_code(
        template,
        options,
        kwargs,
        again=["rlx-experiment", "resume"],
        launcher=_launcher(Run(args.run), Path(identity["file"])),
        source_from=source,
    )


def _launcher(run: Run, experiment: Path) -> Path | None:
    """Return the script that launched `run`, or where that is gone the file of its experiment."""
    recorded = Path(run.source.get("root", ""), run.metadata.get("launcher", ""))
    found = [path for path in (recorded, experiment) if path.is_absolute() and path.is_file()]
    return found[0] if found else None


def load_template(
    identity: Mapping[str, Any], root: Path | None = None, tree: Path | None = None
) -> ExperimentTemplate:
    """Return the experiment that a run recorded, from the rebuilt `tree` of the repository `root` if given.

    Raises:
        LookupError: The launcher is gone, or has no such experiment any more.
    """
    file = Path(identity["file"])
    if root and tree and file.is_relative_to(root):
        file = tree / file.relative_to(root)
    name = str(identity["module"])
    if name == "__main__" and not file.is_file():
        raise LookupError(
            f"{file}, where the run's experiment was, is no file now; put it back, or rerun the run with the code it kept"
        )
    package = str(identity.get("package", ""))
    sys.path.insert(0, str(_import_root(file, f"{package}.{file.stem}" if package else name)))
    module = _load_main(file, package) if name == "__main__" else _load_module(file, name)
    try:
        found: object = functools.reduce(getattr, str(identity["function"]).split("."), module)
    except AttributeError:
        found = None
    if not isinstance(found, ExperimentTemplate):
        raise LookupError(f"{file} has no experiment {identity['function']!r} at its top level")
    return found


def _import_root(file: Path, module: str) -> Path:
    """Return the folder from which `module`, which lies in `file`, can be imported."""
    parts = [] if module == "__main__" else module.split(".")
    if file.name == "__init__.py":
        file = file.parent
    if parts and list(file.with_suffix("").parts[-len(parts) :]) == parts:
        return file.parents[len(parts) - 1]
    return file.parent


def _load_module(file: Path, name: str) -> ModuleType:
    """Import a module by its name, or, where that is known only to the program that launched the run, from its file."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        spec = importlib.util.spec_from_file_location(name, file)
        if not name.startswith(str(error.name)) or spec is None or spec.loader is None:
            raise
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def recorded_arguments(
    folder: Path, arguments: Mapping[str, Any], template: ExperimentTemplate
) -> dict[str, Any]:
    """Return the recorded arguments as the values they were: from their pickle, or from JSON by declared type.

    Raises:
        ValueError: One cannot be built from its record, as a credential, which is not recorded.
    """
    secret = [name for name, value in arguments.items() if isinstance(value, dict) and SECRET_MARKER in value]
    if secret:
        raise ValueError(
            f"argument {secret[0]!r} looked like a credential and was not recorded; start the script itself, with "
            f"--resume --log-dir {folder}, and give it again"
        )
    pickled = folder / record.PICKLED_ARGUMENTS_FILE
    if pickled.exists():
        values: dict[str, Any] = pickle.loads(pickled.read_bytes())
        return values
    hints = declared_types(template.wrapped)
    return {key: from_json(value, hints.get(key, Any)) for key, value in arguments.items()}


def _map_search_path(root: Path, tree: Path) -> None:
    """Put the tree's own folders in front of those of the repository that it was taken from."""
    inside = [Path(entry) for entry in sys.path if entry and Path(entry).is_relative_to(root)]
    sys.path[:0] = [str(tree / path.relative_to(root)) for path in inside]


def _load_main(file: Path, package: str) -> ModuleType:
    """Load a launcher as ``__main__``, so that pickles of its classes load, but without its main part running."""
    name = f"{package}.{_LOADING}" if package else _LOADING  # one in a package imports its neighbours by it
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise LookupError(f"{file} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules["__main__"] = sys.modules[name] = module
    sys.argv = [str(file)]
    spec.loader.exec_module(module)
    module.__name__ = "__main__"
    for value in [*vars(module).values()]:
        _claim(value)
    return module


def _claim(value: object) -> None:
    """Let a class or function that was defined while loading belong to ``__main__``."""
    try:
        if not value.__module__.endswith(_LOADING):
            return
        value.__module__ = "__main__"
    except AttributeError:
        return
    if isinstance(value, type):
        for inner in [*vars(value).values()]:
            _claim(inner)
    if isinstance(value, ExperimentTemplate):
        _claim(value.wrapped)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
