"""Names of runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_experiment._arguments.naming import run_name, safe_name

DECLARED = ("seed", "lr")
ARGUMENTS = {"lr": 0.5, "seed": 1}


@pytest.mark.parametrize(
    ("name_parameters", "expected"), [(None, "exp"), ("passed", "exp_lr=0.5"), ("all", "exp_seed=1_lr=0.5")]
)
def test_names_parameters_in_declared_order(name_parameters: str | None, expected: str) -> None:
    """'passed' names what the caller gave, 'all' every parameter, as the function declares them."""
    name = run_name("exp", name_parameters, declared=DECLARED, passed={"lr": 0.5}, arguments=ARGUMENTS)
    assert name == expected


def test_refuses_another_way_of_naming() -> None:
    """A name_parameters that is no choice is an error that shows it."""
    with pytest.raises(ValueError, match="is 'some'; it must be None"):
        run_name("exp", "some", declared=DECLARED, passed={}, arguments=ARGUMENTS)


@given(st.text(min_size=1, max_size=400))
def test_any_name_is_one_path_component(name: str) -> None:
    """Separators and long values make no folders in folders and no names that a file system refuses."""
    safe = safe_name(name)
    assert safe not in ("", ".", "..")
    assert not {"/", "\\", "\0"} & set(safe)
    assert len(safe.encode()) <= 200


def test_long_names_stay_distinct() -> None:
    """Names that differ beyond the cut get different folders."""
    assert safe_name("a" * 300) != safe_name("a" * 301)


def test_plain_names_stay_as_they_are() -> None:
    """A harmless name is its own folder name."""
    assert safe_name("ppo_seed=1_lr=0.001") == "ppo_seed=1_lr=0.001"
