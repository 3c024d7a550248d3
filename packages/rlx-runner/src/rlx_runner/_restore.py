"""Going back to a snapshot of an algorithm's run: what is checked before anything is changed."""

from collections.abc import Mapping
from typing import Any

from rlx_runner._commit import judge_exact, require_allowed, rewind_to
from rlx_runner._exactness import Exactness, Grade
from rlx_runner._progress import Progress
from rlx_runner._snapshots import Snapshots, resolved, same_directory
from rlx_runner._state import RunState

NO_EXACT_STATE = "the snapshot records no random states or log positions (it was not made by this runner)"

BUILT_AGAIN = "cannot be saved in mid-episode and is built again from its spec"


def judge(state: RunState, libraries: Mapping[str, tuple[str, str]], *, allow_statistical: bool) -> Exactness:
    """Return how exactly `state` continues here.

    Args:
        state: The saved run.
        libraries: Versions then and now of the libraries it comes from, where they differ.
        allow_statistical: Whether other numbers will do.

    Raises:
        StatisticalResumeError: If it is statistical only, could be exact elsewhere, and was not allowed.
    """
    if state.exact is None:
        return Exactness().lowered(Grade.STATISTICAL, NO_EXACT_STATE)
    exactness = judge_exact(state.exact, libraries)
    if state.setup_args.sampler_cls is not None and state.exact["sampler"] is None:
        exactness = exactness.lowered(Grade.STATISTICAL, "the sampler has no state to restore")
    rebuilt = state.exact.get("rebuilt_env")
    if state.setup_args.sampler_cls is None and rebuilt is not None:
        exactness = exactness.lowered(Grade.STATISTICAL, f"{rebuilt} {BUILT_AGAIN}")
    said = state.exact.get("sampler_exactness")
    if said is not None and Grade(said[0]) is not Grade.BITWISE:
        exactness = exactness.lowered(Grade(said[0]), said[1])
    require_allowed(exactness, allow_statistical=allow_statistical)
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


def parent_of(state: RunState, from_dir: str, own_dir: str) -> Mapping[str, Any] | None:
    """Return where a run was forked from, as folder and epoch; None for one that continues in its own folder."""
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
    epoch, seed = state.stats.total_epoch, state.setup_args.seed
    return rewind_to(exact, epoch, exactness, logger, snapshots, from_dir, seed)
