"""Where a trainer stood at its last checkpoint, from event files that another logger wrote."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from rlx_logging._scopes import INFO_STEP, TEST_STEP, TRAIN_STEP, TRAINING_STEP, UPDATE_STEP

if TYPE_CHECKING:
    from rlx_logging._files.folder import LogFolder
    from rlx_logging._metrics.metrics import Metrics

_UPDATE_STEP_OF_TIANSHOU_2: Final = "update/update_step"


def read_foreign_record(folder: LogFolder) -> dict[str, Any] | None:
    """Return what tianshou's loggers say of the last checkpoint, None where they say nothing.

    Only event files that are not the folder's own are read, as those of own loggers have a record beside
    them. Each gate is the step of the last row that is not beyond the checkpoint.
    """
    own = set(folder.own_files())
    foreign = sorted(
        path for path in folder.path.glob("*tfevents*") if path.is_file() and path.name not in own
    )
    if not foreign:
        return None
    from rlx_logging._tensorboard.reader import read_event_files

    try:
        metrics = read_event_files(foreign)
    except OSError:
        return None
    return _record(metrics)


def _record(metrics: Metrics) -> dict[str, Any] | None:
    counts = {name: _last(metrics, f"save/{name}") for name in ("epoch", "env_step", "gradient_step")}
    if "save/epoch" not in metrics:
        return None
    steps = {
        "train": _last_until(metrics, (TRAIN_STEP, TRAINING_STEP), counts["env_step"]),
        "test": _last_until(metrics, (TEST_STEP,), counts["env_step"]),
        "update": _last_until(metrics, (UPDATE_STEP, _UPDATE_STEP_OF_TIANSHOU_2), counts["gradient_step"]),
        "info": _last_until(metrics, (INFO_STEP,), counts["epoch"]),
    }
    return {**counts, "gates": steps, "last_save_step": counts["epoch"]}


def _last(metrics: Metrics, tag: str) -> int:
    """Return the step of the newest value; 0 if there is none, as an offline trainer has no env_step."""
    return int(metrics[tag].steps[-1]) if tag in metrics else 0


def _last_until(metrics: Metrics, tags: Iterable[str], end: int) -> int:
    steps = [step for tag in tags if tag in metrics for step in metrics[tag].steps.tolist() if step <= end]
    return max(steps, default=-1)
