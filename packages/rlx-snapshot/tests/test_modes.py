"""Which files an iteration is saved to, as a table."""

import pytest

from rlx_snapshot._modes import FILES_FOR_MODE, iteration_of


@pytest.mark.parametrize(
    ("mode", "itr", "names"),
    [
        ("all", 3, ("itr_3.pkl",)),
        ("last", 3, ("params.pkl",)),
        ("gap", 5, ("itr_5.pkl",)),
        ("gap", 6, ()),
        ("gap", 0, ("itr_0.pkl",)),
        ("gap_and_last", 5, ("itr_5.pkl", "params.pkl")),
        ("gap_and_last", 6, ("params.pkl",)),
        ("gap_overwrite", 5, ("params.pkl",)),
        ("gap_overwrite", 6, ()),
        ("none", 0, ()),
    ],
)
def test_mode_names_the_files_of_an_iteration(mode: str, itr: int, names: tuple[str, ...]) -> None:
    """Every mode with a gap of 5 keeps exactly the files it promises."""
    assert FILES_FOR_MODE[mode](itr, 5) == names


@pytest.mark.parametrize(
    "name", ["params.pkl", "itr_.pkl", "itr_-1.pkl", "itr_01.pkl", "itr_1.pkl.tmp", "xitr_1.pkl"]
)
def test_other_names_stand_for_no_iteration(name: str) -> None:
    """Only the exact names that a save writes are read back as numbers."""
    assert iteration_of(name) is None
