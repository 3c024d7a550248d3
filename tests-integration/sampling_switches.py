"""Runs a script with another sampler than it asks for.

Usage: sampling_switches.py SCRIPT [ARGUMENT...] [--sampler NAME] [--n-workers N] [--fragments]

An example shows one way to sample. Here its runs are sampled in other ways, which have to give the same bits.
"""

import argparse
import runpy
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, Final

from rlx_runner import LocalRunner
from rlx_sampler import (
    FragmentWorker,
    KeyedSampler,
    LocalSampler,
    MultiprocessingSampler,
    RaySampler,
)

SAMPLERS: Final[Mapping[str, type[KeyedSampler]]] = {
    "local": LocalSampler,
    "multiprocessing": MultiprocessingSampler,
    "ray": RaySampler,
}
N_ENVIRONMENTS: Final = 4
"""Environments that live on from epoch to epoch where fragments are sampled, shared by all workers."""


def switches_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of `LocalRunner.setup` that take the place of the script's."""
    switched: dict[str, Any] = {"sampler_cls": SAMPLERS[arguments.sampler], "n_workers": arguments.n_workers}
    if arguments.fragments:
        lanes = {"n_envs": N_ENVIRONMENTS // arguments.n_workers, "timesteps_per_call": 10}
        switched |= {"worker_class": FragmentWorker, "worker_args": lanes}
    return switched


def with_arguments(name: str, switched: Mapping[str, Any]) -> None:
    """Have a method of the runner called with `switched` in addition."""
    method: Callable[..., Any] = vars(LocalRunner)[name]

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        return method(*args, **{**kwargs, **switched})

    setattr(LocalRunner, name, call)


def parse() -> tuple[argparse.Namespace, list[str]]:
    """Return the switches, and what else is on the command line."""
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    parser.add_argument("--sampler", choices=SAMPLERS, default="local")
    parser.add_argument("--n-workers", type=int, default=1)
    parser.add_argument("--fragments", action="store_true")
    return parser.parse_known_args()


if __name__ == "__main__":
    arguments, (script, *others) = parse()
    for name in ("setup", "try_restore"):
        with_arguments(name, switches_of(arguments))
    sys.argv = [script, *others]
    sys.path[0] = str(Path(script).parent)
    runpy.run_path(script, run_name="__main__")
