"""Whether a backend keeps what it is given, once, through kills and resumes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from rlx_logging.testing._rules import ConformanceError, Points, check_points
from rlx_logging.testing._training import EVERY, Attempt, Make, make_run_logger, train, train_and_be_killed

Read = Callable[[Path], Points]
_ODD_VALUES: Final[Mapping[str, float]] = {
    "nan": math.nan,
    "infinite": math.inf,
    "minus infinite": -math.inf,
    "flag": True,
    "long": 2**62,
    "longest": 2**64 - 1,
    "small": 5e-324,
    "large": 1e300,
    "minus zero": -0.0,
}
_ODD_KEYS: Final = (
    "a b",
    "a(b",
    "a[b",
    "a%b",
    "ä",
    "a//b",
    "a/../b",
    "b/",
    "..",
    "a,b",
    'a"b',
    "x" * 900,
    "x" * 901,
)


def check_backend(
    make: Make,
    read: Read,
    folder: Path,
    *,
    stored: Callable[[float], float] = float,
    named: Callable[[str], str] = str,
) -> None:
    """Check that a backend holds every row of the journal once, whatever happened.

    The runs are small: a kill after a row was written, with a snapshot before it; a kill before the first
    snapshot; two attempts that end as they should, the second with other values from an older snapshot on; values
    and keys that are hard to store.

    Args:
        make: Makes the backend; a class or function at the top of a module, as it is called in other processes too.
        read: Returns what the backend holds of the run in a folder: points (step, value) by tag.
        folder: An empty folder for the runs.
        stored: What a backend makes of a number, where it does not keep all 64 bits of it.
        named: What a backend makes of a tag, where it does not take every text.

    Raises:
        ConformanceError: If a rule is broken.
    """
    checks: dict[str, Callable[[Path], Points]] = {
        "an odd value or key": lambda run: _odd(make, run),
        "a row that was written before a kill": lambda run: _killed(make, run, 2 * EVERY),
        "a row that no snapshot covers": lambda run: _killed(make, run, 0),
        "a second attempt": lambda run: _twice(make, run),
        "a row that was taken back": lambda run: _taken_back(make, run),
    }
    for number, (rule, check) in enumerate(checks.items()):
        run = folder / f"run{number}"
        run.mkdir(parents=True)
        expected = check(run)
        check_points(rule, read(run), expected, stored=stored, named=named)


def _killed(make: Make, run: Path, after: int) -> Points:
    """Kill an attempt after the rows of an epoch, and let another one finish the run."""
    if not train_and_be_killed(make, run, Attempt(10, kill_after=after)):
        raise ConformanceError(
            "an attempt must log until it is killed; its process has said what it died of."
        )
    train(make, run, Attempt(10))
    return _expected(range(10))


def _twice(make: Make, run: Path) -> Points:
    """Let one attempt end behind its last snapshot, and another one continue from that."""
    train(make, run, Attempt(EVERY + 2))
    train(make, run, Attempt(8))
    return _expected(range(8))


def _taken_back(make: Make, run: Path) -> Points:
    """Let the second attempt log other values than those that the first had logged after its last snapshot."""
    train(make, run, Attempt(EVERY + 2))
    train(make, run, Attempt(8, offset=100.0))
    first, second = _expected(range(EVERY)), _expected(range(EVERY, 8), 100.0)
    return {tag: [*first[tag], *second[tag]] for tag in first}


def _expected(epochs: range, offset: float = 0.0) -> dict[str, list[tuple[int, float]]]:
    steps = [step for epoch in epochs for step in (2 * epoch, 2 * epoch + 1)]
    return {
        "update/gradient_step": [(step, step) for step in steps],
        "update/loss": [(step, step / 4 + offset) for step in steps],
        "info/epoch": [(epoch, epoch) for epoch in epochs],
        "info/r": [(epoch, epoch / 2 + offset) for epoch in epochs],
        "info/n": [(epoch, epoch) for epoch in epochs],
    }


def _odd(make: Make, run: Path) -> Points:
    """Log every odd value and key beside a plain one, in rows of their own and all in one."""
    logger = make_run_logger(make, run)
    values: dict[str, Any] = {**_ODD_VALUES, **{key: float(number) for number, key in enumerate(_ODD_KEYS)}}
    expected: dict[str, list[tuple[int, float]]] = {"odd/step": [], "odd/plain": []}
    for step, row in enumerate([*({key: value} for key, value in values.items()), values]):
        logger.write("odd/step", step, {"plain": 1.5, **row})
        expected["odd/step"].append((step, step))
        expected["odd/plain"].append((step, 1.5))
        for key, value in row.items():
            expected.setdefault(f"odd/{key}", []).append((step, value))
    logger.finalize()
    return expected
