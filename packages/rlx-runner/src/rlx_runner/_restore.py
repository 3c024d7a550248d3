"""Going back to a snapshot of an algorithm's run: what is checked before anything is changed."""

from collections.abc import Mapping
from typing import Any

from rlx_runner._commit import judge_exact, require_allowed
from rlx_runner._exactness import Exactness, Grade
from rlx_runner._progress import Progress
from rlx_runner._state import RunState

NO_EXACT_STATE = "the snapshot records no random states or log positions (it was not made by this runner)"


def judge(state: RunState, *, allow_statistical: bool) -> Exactness:
    """Return how exactly `state` goes on here.

    Raises:
        StatisticalResumeError: If it is statistical only, could be exact elsewhere, and was not allowed.
    """
    if state.exact is None:
        return Exactness().lowered(Grade.STATISTICAL, NO_EXACT_STATE)
    exactness = judge_exact(state.exact)
    if state.setup_args.sampler_cls is not None and state.exact["sampler"] is None:
        exactness = exactness.lowered(Grade.STATISTICAL, "the sampler has no state to restore")
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
