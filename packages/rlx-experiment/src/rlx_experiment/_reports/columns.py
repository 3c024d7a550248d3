"""Columns of a list of runs that are asked for by name: arguments, and last values of metrics."""

from collections.abc import Mapping, Sequence

from rlx_experiment._arguments.fields import as_text
from rlx_experiment._missing import require
from rlx_experiment._reports.selecting import find_value
from rlx_experiment._runs.files import DamagedRunError
from rlx_experiment._runs.index import RunSummary


def _is_readable(run: RunSummary) -> bool:
    from rlx_experiment._reports.curves import read_curves

    try:
        read_curves(run.path)
    except (DamagedRunError, OSError):  # it is listed all the same, without the value
        return False
    return True


def column(runs: Sequence[RunSummary], name: str) -> Mapping[str, str]:
    """Return for each run folder the argument, or else the last value of the metric, that is called `name`.

    Raises:
        ValueError: There is neither; the message lists what there is.
    """
    values = {run.folder: find_value(run, name) for run in runs}
    if any(value is not None for value in values.values()):
        return {folder: as_text(value[0]) for folder, value in values.items() if value is not None}
    require("numpy", "report", "a column of a metric")
    from rlx_experiment._reports.curves import choose_metric, read_curves

    logged = {run.folder: read_curves(run.path) for run in runs if _is_readable(run)}
    try:
        tag = choose_metric((tag for curves in logged.values() for tag in curves), name)
    except ValueError as error:
        known = ", ".join(sorted({key for run in runs for key in run.fields})) or "none"
        raise ValueError(f"no run has an argument {name!r} (there are: {known}), and {error}") from error
    return {folder: f"{curves[tag][1][-1]:.4g}" for folder, curves in logged.items() if tag in curves}
