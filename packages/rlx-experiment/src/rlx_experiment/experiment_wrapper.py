"""``python -m rlx_experiment.experiment_wrapper``: the process that ``run_experiment`` starts for one call."""

import argparse
import base64
import pickle
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlx_experiment._context import SNAPSHOT_MODES
from rlx_experiment._runs.attempt import RunPlan, run_attempt
from rlx_experiment._runs.identity import find_origin
from rlx_experiment._runs.rundir import local_path
from rlx_experiment._secrets import public_arguments
from rlx_experiment._source.git import default_store


def run_experiment(argv: Sequence[str]) -> None:
    """Make the call that `argv` describes, recorded as a run.

    Args:
        argv: Program name and options. The call is a file (``--spec``) or base64 (``--args_data``) of a pickle; it is
            trusted, as is any code that one runs.
    """
    args = _parser().parse_args(list(argv)[1:])
    call, variant, launcher = _read_call(args)
    if args.seed is not None:
        _seed(args.seed)
    parameters = public_arguments(variant or {})
    folder = local_path(args.log_dir or Path("data", "local", "experiment", args.exp_name))
    plan = RunPlan(
        origin=find_origin(call)._replace(
            place={"module": call.__module__, "function": call.__qualname__, "file": ""}
        ),
        folder=folder,
        reuse=False,
        passed=parameters,
        arguments=parameters,
        snapshot_mode=args.snapshot_mode,
        snapshot_gap=args.snapshot_gap,
        archive=True,
        source_store=default_store(folder),
        launcher=launcher,
    )
    run_attempt(plan, lambda ctxt: call(ctxt, variant, args.resume_from_dir, args.resume_from_epoch))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rlx_experiment.experiment_wrapper", allow_abbrev=False)
    call = parser.add_mutually_exclusive_group(required=True)
    call.add_argument("--spec", help="file with the pickled call, variant and launcher")
    call.add_argument("--args_data", help="the pickled call as base64")
    parser.add_argument("--variant_data", help="the pickled variant as base64, with --args_data")
    parser.add_argument("--exp_name", default="experiment")
    parser.add_argument("--log_dir", help="folder of the run; a number is appended if it exists")
    parser.add_argument("--snapshot_mode", default="last", choices=SNAPSHOT_MODES)
    parser.add_argument("--snapshot_gap", type=int, default=1)
    parser.add_argument("--resume_from_dir", help="passed to the call")
    parser.add_argument(
        "--resume_from_epoch", type=_epoch, help="passed to the call: 'first', 'last' or a number"
    )
    parser.add_argument("--seed", type=int, help="seed of the global random number generators")
    return parser


def _epoch(word: str) -> str | int:
    return int(word) if word.isdecimal() else word


def _read_call(args: argparse.Namespace) -> tuple[Any, Any, Path | None]:
    """Return the call, its variant, and the main script of the program that asks for it, where that is known."""
    if args.spec:
        call, variant, launcher = pickle.loads(Path(args.spec).read_bytes())
        return call, variant, launcher
    call = pickle.loads(base64.b64decode(args.args_data))
    return call, pickle.loads(base64.b64decode(args.variant_data)) if args.variant_data else None, None


def _seed(seed: int) -> None:
    """Seed Python's generator, and NumPy's and torch's where the call has brought them."""
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed % 2**32)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


if __name__ == "__main__":
    run_experiment(sys.argv)
