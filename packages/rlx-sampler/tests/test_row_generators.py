"""Generators of many rows, and noise drawn ahead from them."""

from typing import Literal

import numpy as np
import pytest

from rlx_sampler._policies.row_generators import AHEAD, RowGenerators, draw


def generators(*seeds: int) -> list[np.random.Generator]:
    """Return one generator a seed."""
    return [np.random.default_rng(seed) for seed in seeds]


@pytest.mark.parametrize("kind", ["uniform", "standard_normal", "gumbel"])
def test_noise_ahead_is_what_each_generator_gives(
    kind: Literal["uniform", "standard_normal", "gumbel"],
) -> None:
    """Step by step a row gets the numbers that its generator would give it step by step."""
    rows, alone = RowGenerators(generators(1, 2, 3)), generators(1, 2, 3)
    for _ in range(2 * AHEAD + 5):
        wanted = [draw(rng, (2,), kind) for rng in alone]
        assert np.array_equal(rows.draw((2,), kind), wanted)


def test_a_row_does_not_see_its_neighbours() -> None:
    """An episode that begins in one row changes nothing in the others."""
    rows, alone = RowGenerators(generators(1, 2)), RowGenerators(generators(1, 2))
    for step in range(AHEAD + 9):
        if step % 7 == 3:
            rows.put(1, np.random.default_rng(step))
        assert np.array_equal(rows.draw((), "uniform")[0], alone.draw((), "uniform")[0])


def test_a_row_begins_anew_with_its_generator() -> None:
    """What a row gets follows from the generator that was put there, whenever that was."""
    rows = RowGenerators(generators(1, 2))
    for _ in range(5):
        rows.draw((3,), "gumbel")
    rows.put(0, np.random.default_rng(9))
    assert np.array_equal(rows.draw((3,), "gumbel")[0], draw(np.random.default_rng(9), (3,), "gumbel"))


def test_rows_can_be_drawn_from_directly() -> None:
    """A policy of one's own finds a generator a row."""
    rows = RowGenerators(generators(1, 2))
    assert [rng.random() for rng in rows] == [rng.random() for rng in generators(1, 2)]
    assert len(rows) == len(rows[:]) == 2


def test_a_part_draws_what_its_rows_have_next() -> None:
    """Rows go on from where they are, whether they are asked alone or among all."""
    rows, alone = RowGenerators(generators(1, 2, 3)), generators(1, 2, 3)
    rows.draw((2,), "uniform")
    some = rows.part(slice(1, 3)).draw((2,), "uniform")
    after = rows.draw((2,), "uniform")
    wanted = [[rng.random(2) for _ in range(3)] for rng in alone]
    assert np.array_equal(some, [wanted[1][1], wanted[2][1]])
    assert np.array_equal(after, [wanted[0][1], wanted[1][2], wanted[2][2]])
    assert len(rows.part(slice(1, 3))) == len(list(rows.part(slice(1, 3)))) == 2
