"""What every snapshot of a run carries beside the run itself, in the order in which it is gathered and taken back.

The logs are flushed and their position is taken first, then the state, then the random states; the snapshot's
rename commits all of it. Going back: later snapshots are put away, logs are cut, states are set, random states last.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from rlx_runner._errors import StatisticalResumeError
from rlx_runner._exactness import Exactness, Grade, compare_machines, describe_machine
from rlx_runner._offers import method, stateful
from rlx_runner._process.switches import read_switches
from rlx_runner._random import capture_random, restore_seed
from rlx_runner._snapshots import Snapshots, same_directory

EXACT_FORMAT = 1


def gather(logger: Any, state: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Return the exact part of a snapshot: the logs' position, then what `state` returns, then the random states."""
    restorable = stateful(logger)
    position = None if restorable is None else restorable.state_dict()
    return {
        "format": EXACT_FORMAT,
        "machine": describe_machine(),
        "process": read_switches(),
        "logger": position,
        **state(),
        "random": capture_random(),
    }


def known(exact: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return `exact`.

    Raises:
        ValueError: If a newer version made it.
    """
    if exact is not None and exact["format"] > EXACT_FORMAT:
        raise ValueError(
            f"the snapshot's exact state has format {exact['format']}; this rlx-runner reads up to {EXACT_FORMAT}: "
            "update rlx-runner."
        )
    return exact


def judge_exact(exact: Mapping[str, Any], libraries: Mapping[str, tuple[str, str]]) -> Exactness:
    """Return how exactly a run with this exact part continues on this machine.

    Args:
        exact: The part.
        libraries: Versions then and now of libraries that the state comes from, where they differ.
    """
    return compare_machines(exact["machine"], describe_machine(), libraries)


def require_allowed(exactness: Exactness, *, allow_statistical: bool) -> None:
    """Refuse a resume with other numbers where nobody allowed it.

    Raises:
        StatisticalResumeError: If `exactness` is statistical only and that was not allowed.
    """
    if exactness.grade is Grade.STATISTICAL and not allow_statistical:
        raise StatisticalResumeError(
            f"the run cannot continue exactly here, {exactness}. "
            "Resume where it was saved, or pass allow_statistical=True to continue with other numbers."
        )


def rewind_to(
    exact: Mapping[str, Any],
    number: int,
    exactness: Exactness,
    logger: Any,
    snapshots: Snapshots,
    from_dir: str,
    seed: int | None,
) -> Exactness:
    """Put snapshots after `number` away, cut the logs to where they were, and take over the root seed.

    Returns:
        `exactness`, lowered where the logs are not what they were.
    """
    snapshots.go_back_to(number, from_dir)  # first: cut short, it leaves an earlier end
    position = exact["logger"] or None  # a run without a logger knows nothing of the logs that are there
    lost = rewind_logs(logger, position, from_dir=from_dir, own_dir=snapshots.directory)
    restore_seed(seed)
    for loss in lost:
        exactness = exactness.lowered(Grade.SAME_STREAMS, loss)
    return exactness


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
