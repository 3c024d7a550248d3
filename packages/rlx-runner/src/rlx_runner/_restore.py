"""Going back to a snapshot: what is checked before anything is changed."""

import warnings
from collections.abc import Mapping
from typing import Any

from rlx_runner._errors import StatisticalResumeError
from rlx_runner._exactness import Exactness, Grade, compare_machines, describe_machine
from rlx_runner._offers import method, stateful
from rlx_runner._progress import Progress
from rlx_runner._random import restore_seed
from rlx_runner._snapshots import Snapshots, resolved, same_directory
from rlx_runner._state import RunState

NO_EXACT_STATE = "the snapshot records no random states or log positions (it was not made by this runner)"


def judge(state: RunState, *, allow_statistical: bool) -> Exactness:
    """Return how exactly `state` goes on here.

    Raises:
        StatisticalResumeError: If it is statistical only, could be exact elsewhere, and was not allowed.
    """
    if state.exact is None:
        return Exactness().lowered(Grade.STATISTICAL, NO_EXACT_STATE)
    exactness = compare_machines(state.exact["machine"], describe_machine())
    if state.setup_args.sampler_cls is not None and state.exact["sampler"] is None:
        exactness = exactness.lowered(Grade.STATISTICAL, "the sampler has no state to restore")
    said = state.exact.get("sampler_exactness")
    if said is not None and Grade(said[0]) is not Grade.BITWISE:
        exactness = exactness.lowered(Grade(said[0]), said[1])
    if exactness.grade is Grade.STATISTICAL and not allow_statistical:
        raise StatisticalResumeError(
            f"the run cannot go on exactly here, {exactness}. "
            "Resume where it was saved, or pass allow_statistical=True to go on with other numbers."
        )
    return exactness


def progress_of(state: RunState) -> Progress:
    """Return where the run stood."""
    exact: Mapping[str, Any] = state.exact or {}
    return Progress(
        epoch=state.stats.total_epoch + 1,
        itr=state.stats.total_itr,
        env_steps=state.stats.total_env_steps,
        elapsed=exact.get("elapsed", 0.0),
        average_return=exact.get("average_return"),
    )


def rewind_logs(logger: Any, position: Mapping[str, Any] | None, *, from_dir: str, own_dir: str) -> list[str]:
    """Cut the logs to `position`; a run in another folder gets a copy of that prefix first.

    Returns:
        What the logger warned of meanwhile, such as lost rows.
    """
    restorable = stateful(logger)
    if restorable is None or position is None:
        return []
    fork_from = method(logger, "fork_from")
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        if fork_from is not None and not same_directory(from_dir, own_dir):
            fork_from(from_dir, position)
        else:
            restorable.load_state_dict(position)
    lost = [each for each in raised if issubclass(each.category, RuntimeWarning)]
    for each in raised:
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    return [str(each.message) for each in lost]


def parent_of(state: RunState, from_dir: str, own_dir: str) -> Mapping[str, Any] | None:
    """Return where a run was forked from, as folder and epoch; None for one that goes on in its own folder."""
    if same_directory(from_dir, own_dir):
        return None if state.exact is None else state.exact.get("parent")
    return {"folder": resolved(from_dir), "epoch": state.stats.total_epoch}


def rewind(
    state: RunState, exactness: Exactness, logger: Any, snapshots: Snapshots, from_dir: str
) -> Exactness:
    """Cut logs, put later snapshots away and take over the root seed, as `state` has them.

    Returns:
        `exactness`, lowered where the logs are not what they were.
    """
    exact: Mapping[str, Any] = state.exact or {}
    snapshots.go_back_to(state.stats.total_epoch, from_dir)  # first: cut short, it leaves an earlier end
    position = exact["logger"] or None  # a run without a logger knows nothing of the logs that are there
    lost = rewind_logs(logger, position, from_dir=from_dir, own_dir=snapshots.directory)
    restore_seed(state.setup_args.seed)
    for loss in lost:
        exactness = exactness.lowered(Grade.SAME_STREAMS, loss)
    return exactness
