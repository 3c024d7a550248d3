"""Two snapshots compared: every part that differs, and what of it is about the process only."""

import pickle
from pathlib import Path
from typing import Any

import pytest

from rlx_snapshot import Comparison, DamagedSnapshotError, compare, exact_dumps


def compared(folder: Path, old: object, new: object) -> Comparison:
    """Compare two states."""
    for name, state in (("a", old), ("b", new)):
        (folder / name).write_bytes(pickle.dumps(state))
    return compare(folder / "a", folder / "b")


def told(found: Comparison) -> list[tuple[str, str, str]]:
    """The differences, each with both contents."""
    return [(each.part, each.first, each.second) for each in found.differences]


def test_every_part_that_differs_is_named(tmp_path: Path) -> None:
    """With both contents and with what it is inside of; what only took another time is told apart."""
    old = {"w": [1.0, 2], "same": 3, "elapsed": 5.5}
    found = compared(tmp_path, old, {"w": [1.5, 2], "same": 3, "elapsed": 6.5})
    assert told(found) == [(".w[0]", "1.0", "1.5")]
    assert found.differences[0].inside == [".w", ".w[0]"]
    assert [each.part for each in found.of_the_process] == [".elapsed"]
    assert found.parts == 6


@pytest.mark.parametrize(
    "key", ["threads", "logger", "versions", "start_epoch", "elapsed_steps", "time_queue", "t"]
)
def test_no_name_alone_excuses_a_difference(tmp_path: Path, key: str) -> None:
    """A state of the user's own counts under any name that parts of the process have elsewhere."""
    assert told(compared(tmp_path, {key: {"x": 1}}, {key: {"x": 2}})) == [(f".{key}.x", "1", "2")]


@pytest.mark.parametrize(
    ("record", "other"),
    [
        ({"return_queue": [], "length_queue": [], "time_queue": [0.1]}, {"time_queue": [0.2, 0.3]}),
        ({"return_queue": [], "length_queue": [], "episode_start_time": 1.5}, {"episode_start_time": 2.5}),
        ({"episode_returns": [], "episode_lengths": [], "t_start": 1.5}, {"t_start": 2.5}),
        ({"r": 3.0, "l": 5, "t": 0.1}, {"t": 0.2}),
        ({"gates": {}, "last_save_step": -1, "files": {"a.csv": 7}}, {"files": {"a.csv": 8, "b": 1}}),
        ({"rows": 3, "sent": 2, "run_id": "abc"}, {"run_id": "xyz"}),
        ({"n_epochs": 3, "pause_for_plot": False, "start_epoch": 0}, {"start_epoch": 2}),
        ({"$PYTHONHASHSEED": "1"}, {"$PYTHONHASHSEED": "2"}),
    ],
)
def test_what_belongs_to_the_process_is_known_by_what_stands_beside_it(
    tmp_path: Path, record: dict[str, Any], other: dict[str, Any]
) -> None:
    """Clocks and positions are told apart, under whatever key their object lies, and what else differs counts."""
    found = compared(tmp_path, {"mine": [record]}, {"mine": [{**record, **other}]})
    assert told(found) == []
    (name,) = other
    assert found.of_the_process
    assert all(name in each.part for each in found.of_the_process)
    changed = {**record, **other, **{name: 9 for name in record if name not in other}, "more": 9}
    assert told(compared(tmp_path, {"mine": [record]}, {"mine": [changed]}))


def test_missing_parts_count(tmp_path: Path) -> None:
    """A key that only one has is a difference; that one object is two of the same content elsewhere is none."""
    shared = [1, 2]
    assert told(compared(tmp_path, {"a": shared, "b": shared}, {"a": [1, 2], "b": [1, 2]})) == []
    assert told(compared(tmp_path, {"a": shared, "b": shared}, {"a": [1, 2], "b": [1, 3]})) == [
        (".b[1]", "2", "3")
    ]
    found = compared(tmp_path, {"a": shared, "b": shared}, {"a": [1, 2]})
    assert (".b", "list of 2", "missing") in told(found)


def test_pickles_inside_are_compared_part_by_part(tmp_path: Path) -> None:
    """Live environments that a sampler keeps as bytes, with their clocks."""

    def state(steps: int, clock: float) -> object:
        queues: dict[str, list[float]] = {"return_queue": [], "length_queue": []}
        statistics = {**queues, "episode_start_time": clock, "steps": steps}
        return {"live": [exact_dumps(statistics)]}

    assert told(compared(tmp_path, state(3, 1.5), state(3, 2.5))) == []
    assert told(compared(tmp_path, state(3, 1.5), state(4, 1.5))) == [(".live[0] pickle.steps", "3", "4")]


def test_equal_pickles_inside_are_equal(tmp_path: Path) -> None:
    """Many of them, whatever has been freed in between."""

    def state(first: int) -> object:
        return [first, *(exact_dumps([{"n": [number, {"deep": [number]}]}]) for number in range(50))]

    assert told(compared(tmp_path, state(0), state(1))) == [("[0]", "0", "1")]


def test_what_is_no_snapshot_is_refused(tmp_path: Path) -> None:
    """By its path."""
    (tmp_path / "a").write_bytes(b"no pickle")
    with pytest.raises(DamagedSnapshotError, match="a is damaged: it is no pickle"):
        compare(tmp_path / "a", tmp_path / "a")
