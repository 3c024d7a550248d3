"""Wrap a function and get a recorded, resumable, repeatable run folder."""

TYPE_CHECKING = False  # as type checkers read it; importing typing would be most of what this import costs
if TYPE_CHECKING:  # types are never lazy
    from rlx_experiment._archive import make_launcher_archive
    from rlx_experiment._context import ExperimentContext
    from rlx_experiment._encoder import LogEncoder, dump_json
    from rlx_experiment._jobs import JobResult, grid
    from rlx_experiment._launch import run_experiment, to_local_command
    from rlx_experiment._lock import RunLiveError
    from rlx_experiment._metadata import get_metadata
    from rlx_experiment._missing import MissingExtraError
    from rlx_experiment._pool import Local
    from rlx_experiment._ray import Ray
    from rlx_experiment._record import ForeignRunError
    from rlx_experiment._run import Run
    from rlx_experiment._slurm import Slurm
    from rlx_experiment._status import RunStatus
    from rlx_experiment._template import ExperimentTemplate, wrap_experiment

__all__ = [
    "ExperimentContext",
    "ExperimentTemplate",
    "ForeignRunError",
    "JobResult",
    "Local",
    "LogEncoder",
    "MissingExtraError",
    "Ray",
    "Run",
    "RunLiveError",
    "RunStatus",
    "Slurm",
    "dump_json",
    "get_metadata",
    "grid",
    "make_launcher_archive",
    "run_experiment",
    "to_local_command",
    "wrap_experiment",
]

_HOME = {
    "ExperimentContext": "_context",
    "ExperimentTemplate": "_template",
    "ForeignRunError": "_record",
    "JobResult": "_jobs",
    "Local": "_pool",
    "LogEncoder": "_encoder",
    "MissingExtraError": "_missing",
    "Ray": "_ray",
    "Run": "_run",
    "RunLiveError": "_lock",
    "RunStatus": "_status",
    "Slurm": "_slurm",
    "dump_json": "_encoder",
    "get_metadata": "_metadata",
    "grid": "_jobs",
    "make_launcher_archive": "_archive",
    "run_experiment": "_launch",
    "to_local_command": "_launch",
    "wrap_experiment": "_template",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that each program pays only for what it needs."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
