"""Wrap a function and get a recorded, resumable, repeatable run folder."""

TYPE_CHECKING = False  # as type checkers read it; importing typing would be most of what this import costs
if TYPE_CHECKING:  # types are never lazy
    from rlx_experiment._arguments.encoder import LogEncoder, dump_json
    from rlx_experiment._context import ExperimentContext
    from rlx_experiment._lock import RunLiveError
    from rlx_experiment._missing import MissingExtraError
    from rlx_experiment._run_experiment import run_experiment, to_local_command
    from rlx_experiment._runs.metadata import get_metadata
    from rlx_experiment._runs.record import ForeignRunError
    from rlx_experiment._runs.run import Run
    from rlx_experiment._runs.status import RunStatus
    from rlx_experiment._source.archive import make_launcher_archive
    from rlx_experiment._sweeps.jobs import JobResult, grid
    from rlx_experiment._sweeps.pool import Local
    from rlx_experiment._sweeps.ray import Ray
    from rlx_experiment._sweeps.slurm import Slurm
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
    "ForeignRunError": "_runs.record",
    "JobResult": "_sweeps.jobs",
    "Local": "_sweeps.pool",
    "LogEncoder": "_arguments.encoder",
    "MissingExtraError": "_missing",
    "Ray": "_sweeps.ray",
    "Run": "_runs.run",
    "RunLiveError": "_lock",
    "RunStatus": "_runs.status",
    "Slurm": "_sweeps.slurm",
    "dump_json": "_arguments.encoder",
    "get_metadata": "_runs.metadata",
    "grid": "_sweeps.jobs",
    "make_launcher_archive": "_source.archive",
    "run_experiment": "_run_experiment",
    "to_local_command": "_run_experiment",
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
