"""What runs logged, as curves: through rlx-logging where it is installed, else from progress.csv."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rlx_experiment._missing import MissingExtraError, require
from rlx_experiment._runs.files import DamagedRunError

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Steps and values, both (N,)."""

PREFERRED: Final = ("AverageReturn", "EpisodeReturn", "return", "reward", "returns", "loss")
_STEP_COLUMNS: Final = ("step", "epoch", "Epoch", "Iteration", "itr", "TotalEnvSteps", "time/total_timesteps")


def read_curves(folder: Path) -> Mapping[str, Curve]:
    """Return every curve that the run in `folder` logged, by tag; empty if it logged none.

    Values that are not finite were logged so.

    Raises:
        DamagedRunError: A file that holds them is damaged.
    """
    if not _logs(folder) and (folder / "progress.csv").exists():
        return _read_csv(folder / "progress.csv")
    try:
        metrics: Any = require("rlx_logging", "logging", "reading metrics").read_metrics(folder)
    except (MissingExtraError, FileNotFoundError):
        return {}
    except ValueError as error:
        raise DamagedRunError(folder, str(error)) from error
    if metrics.damaged:
        raise DamagedRunError(
            next(iter(_logs(folder)), folder), f"{metrics.damaged} of its records cannot be read"
        )
    return {
        tag: (np.asarray(series.steps, dtype=float), np.asarray(series.values, dtype=float))
        for tag, series in metrics.items()
    }


def _logs(folder: Path) -> list[Path]:
    """Return the journal and the event files in a run folder."""
    return sorted(folder.glob("*.rlxj")) + sorted(folder.glob("*tfevents*"))


def _read_csv(path: Path) -> Mapping[str, Curve]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        return {}
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise DamagedRunError(path, str(error)) from error
    names = [name for name in rows[0] if name] if rows else []
    columns = {name: _numbers(row.get(name) for row in rows) for name in names}
    found = next((name for name in _STEP_COLUMNS if name in columns), None)
    steps = columns[found] if found else np.arange(len(rows), dtype=float)
    curves: dict[str, Curve] = {}
    for name, values in columns.items():
        logged = np.array([bool(row.get(name)) for row in rows]) & np.isfinite(steps)
        if np.isfinite(values[logged]).any() or all(_is_nan(row.get(name)) for row in rows if row.get(name)):
            curves[name] = (steps[logged], values[logged])
    return {name: curve for name, curve in curves.items() if len(curve[0])}


def _is_nan(cell: str | None) -> bool:
    return (cell or "").strip().lower() == "nan"


def finite(curve: Curve) -> Curve:
    """Return the points of `curve` whose values are numbers."""
    steps, values = curve
    known = np.isfinite(values)
    return steps[known], values[known]


def _numbers(cells: Iterable[str | None]) -> NDArray[np.float64]:
    numbers: list[float] = []
    for cell in cells:
        try:
            numbers.append(float(cell or "nan"))
        except ValueError:
            numbers.append(float("nan"))
    return np.array(numbers)


def choose_metric(tags: Iterable[str], wanted: str | None) -> str:
    """Return the tag that `wanted` means (itself, or the end of a tag), or a usual measure of performance.

    Raises:
        ValueError: There is no such tag; the message lists those there are.
    """
    known = sorted(set(tags))
    for name in [wanted] if wanted else PREFERRED:
        matching = [tag for tag in known if tag == name or tag.endswith(f"/{name}")]
        if matching:
            return matching[0]
    raise ValueError(
        f"no run logged {wanted or 'a usual metric'!r}; there are: {', '.join(known) or 'no metrics'}"
    )


def align(curves: Sequence[Curve], *, points: int = 200) -> Curve:
    """Return curves on common steps: steps (P,) and values (runs, P), where all of them have data.

    Between its own steps a curve is interpolated; beyond its last one it does not go, so the shortest curve ends all:
    give those of finished runs.
    """
    first = max(steps[0] for steps, _ in curves)
    last = min(steps[-1] for steps, _ in curves)
    own = sorted({step for steps, _ in curves for step in steps.tolist() if first <= step <= last})
    if not 0 < len(own) <= points:
        own = [first + (max(first, last) - first) * i / (points - 1) for i in range(points)]
    grid: NDArray[np.float64] = np.array(own, dtype=np.float64)
    return grid, np.stack([np.interp(grid, *curve) for curve in curves])
