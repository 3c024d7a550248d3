"""``python -m rlx_experiment._replay``: the process that resumes or reruns a recorded run.

It finds the experiment by what the run recorded (launcher, module, function) and launches it with the recorded
arguments. The launcher is loaded without running its ``if __name__ == "__main__"`` part.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlx_experiment._command_line import launch_for_exit_code
from rlx_experiment._loading import load_experiment
from rlx_experiment._runs import record
from rlx_experiment._runs.resuming import recorded_arguments
from rlx_experiment._runs.run import Run


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
        template = load_experiment(identity, args.root, args.tree)
        kwargs = recorded_arguments(args.run, arguments, template.wrapped)
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


def _map_search_path(root: Path, tree: Path) -> None:
    """Put the tree's own folders in front of those of the repository that it was taken from."""
    inside = [Path(entry) for entry in sys.path if entry and Path(entry).is_relative_to(root)]
    sys.path[:0] = [str(tree / path.relative_to(root)) for path in inside]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
