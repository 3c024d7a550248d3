"""Whether the snapshot has everything is found out by doing steps twice."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rlx_protocols.testing import MemoryLogger
from rlx_runner import Checkpoint, IncompleteCheckpointError

COUNTS = {"calls": 0}


class Noise:
    """Remembers its last value, as Ornstein-Uhlenbeck noise does."""

    def __init__(self) -> None:
        self.value = 1.0

    def __call__(self) -> float:
        self.value *= 0.9
        return self.value


def count() -> int:
    """Count calls in the module."""
    COUNTS["calls"] += 1
    return COUNTS["calls"]


def train(folder: Path, missing: str = "", logger: Any = None, check: int = 3, **options: Any) -> list[float]:
    """Train with everything passed but what is `missing`."""
    weights: Any = np.zeros(2)
    rng, noise = np.random.default_rng(2), Noise()
    parts: dict[str, Any] = {"weights": weights, "rng": rng, "noise": noise}
    run = Checkpoint(
        folder,
        progress=options.pop("progress", False),
        logger=logger,
        **{name: part for name, part in parts.items() if name != missing},
    )
    rate: Any = 1.0
    momentum: Any = np.zeros(2)
    seen: Any = 0
    if missing == "rate":
        momentum, seen = run.carry(lambda: (momentum, seen))
    elif missing == "momentum":
        rate, seen = run.carry(lambda: (rate, seen))
    else:
        rate, momentum, seen = run.carry(lambda: (rate, momentum, seen))
    for step in run.steps(6, every=2, check=check, **options):
        gradient: Any = rng.standard_normal(2) + noise()
        if missing == "count":
            gradient *= count()
        momentum = 0.9 * momentum + gradient
        weights += rate * momentum
        rate *= 0.5
        seen += 1
        if logger is not None:
            logger.write("info/step", step, {"weight": float(weights[0])})
    return [*weights.tolist(), rate, float(seen)]


def test_a_checked_run_is_the_unchecked_one(tmp_path: Path) -> None:
    """The check leaves no trace: values and rows are those of a run without it."""
    plain, checked = MemoryLogger(), MemoryLogger()
    assert train(tmp_path / "a", logger=checked) == train(tmp_path / "b", logger=plain, check=0)
    assert checked.rows == plain.rows


@pytest.mark.parametrize("missing", ["rng", "noise", "rate", "momentum"])
def test_what_was_not_handed_over_is_named(tmp_path: Path, missing: str) -> None:
    """An object or a variable that changes the run: the error has its name and the values that differ."""
    with pytest.raises(
        IncompleteCheckpointError, match=rf"ended differently: weights.*: {missing};"
    ) as found:
        train(tmp_path, missing)
    assert found.value.names == [missing]


def test_state_in_a_module_is_named(tmp_path: Path) -> None:
    """A global that a function of the loop's module changes counts as a variable of the loop."""
    with pytest.raises(IncompleteCheckpointError, match="COUNTS"):
        train(tmp_path, "count")


def test_what_changes_without_an_effect_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A counter that nothing depends on is no error, but it will begin again after a kill."""
    weights = np.zeros(2)
    episodes = 0
    for _ in Checkpoint(tmp_path, weights=weights).steps(4, check=2):
        weights += 1
        episodes += 2
    assert "Not in the snapshot, though they change: episodes;" in capsys.readouterr().err


def test_what_may_change_is_ignored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names that the user knows to be harmless are not said."""
    weights = np.zeros(2)
    episodes = 0
    for _ in Checkpoint(tmp_path, weights=weights).steps(4, check=2, ignore=("episodes",)):
        weights += 1
        episodes += 2
    assert capsys.readouterr().err.strip().endswith("came to the same.")


def test_readings_of_clocks_are_no_difference(tmp_path: Path) -> None:
    """What a part says of its running time differs in every run."""
    part = SimpleNamespace(n=0, start_time=0.0)
    for _ in Checkpoint(tmp_path, progress=False, part=part).steps(4, check=2):
        part.n += 1
        part.start_time += np.random.default_rng().random()
    assert part.n == 4


def test_variables_must_be_named_to_be_checked(tmp_path: Path) -> None:
    """A function that computes cannot be turned round to set the variables."""
    total = 1
    run = Checkpoint(tmp_path, progress=False, part=np.zeros(1))
    run.carry(lambda: total + 1)
    with pytest.raises(ValueError, match="list of names"):
        list(run.steps(3, check=1))
