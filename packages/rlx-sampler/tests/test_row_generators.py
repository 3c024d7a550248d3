"""Noise of all rows at once, which is a function of its name alone."""

from typing import Any

import numpy as np
import pytest
from sampler_worlds import Array

from rlx_sampler import EpisodeKey
from rlx_sampler._keys import CallKey
from rlx_sampler._policies.row_generators import EPISODES, KINDS, STEPS, TABLES_AT_LEAST, EpisodeNoise, Kind

CALL = CallKey(5, 0, 3)


def rows_of(*episodes: int, call: CallKey = CALL) -> EpisodeNoise:
    """Return rows at the beginning of these episodes."""
    rows = EpisodeNoise(len(episodes))
    rows.begin_many(np.arange(len(episodes)), call, np.array(episodes))
    return rows


def drawn(rows: EpisodeNoise, n_steps: int, shape: tuple[int, ...] = (), kind: Kind = "uniform") -> Array:
    """Return the first draw of each of the next steps, (n_steps, n_rows, ...)."""
    noise: list[Array] = []
    for _ in range(n_steps):
        noise.append(rows.part(slice(0, len(rows.steps))).draw(shape, kind))
        rows.advance()
    return np.array(noise)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_that_of_the_documented_table(kind: Kind) -> None:
    """Episode 70, step 40 is place (6, 8) of the table that its name seeds."""
    noise = drawn(rows_of(70), 41, (2,), kind)[40, 0]
    spawn_key = (CALL.stream, CALL.call, 8, 3, 0, KINDS.index(kind), 2, 40 // STEPS, 0)
    words = np.random.SeedSequence(CALL.root, spawn_key=spawn_key).generate_state(64 * 4, np.uint64).tolist()
    a, b, c, d = words[4 * (70 // EPISODES) : 4 * (70 // EPISODES) + 4]
    bits = np.random.PCG64(0)
    state: Any = {"state": a << 64 | b, "inc": c << 64 | d | 1}
    bits.state = {"bit_generator": "PCG64", "state": state, "has_uint32": 0, "uinteger": 0}
    rng, shape = np.random.Generator(bits), (EPISODES * STEPS, 2)
    if kind == "gumbel":
        table = -np.log(rng.standard_exponential(shape))
    else:
        table = rng.random(shape) if kind == "uniform" else rng.standard_normal(shape)
    assert np.array_equal(noise, table[6 * STEPS + 8])


def test_a_row_does_not_see_its_neighbours() -> None:
    """An episode gets the same noise alone and beside others that begin, end and rest at odd times."""
    wanted = {episode: drawn(rows_of(episode), 90) for episode in range(40)}
    rows, ages, at = EpisodeNoise(4), [0] * 4, [0, 1, 2, 3]
    rows.begin_many(np.arange(4), CALL, np.arange(4))
    following, rng = 4, np.random.default_rng(0)
    while following < 40:
        noise = rows.part(slice(0, 4)).draw((), "uniform")
        for row in range(4):
            assert noise[row] == wanted[at[row]][ages[row], 0]
            ages[row] += 1
        rows.advance()
        for row in np.flatnonzero(rng.random(4) < 0.05).tolist() + [
            row for row in range(4) if ages[row] == 90
        ]:
            rows.begin(row, CALL.episode(following % 40))
            at[row], ages[row], following = following % 40, 0, following + 1


def test_a_row_that_pauses_finds_its_own_noise_again() -> None:
    """What the others draw meanwhile, however much it is, overwrites nothing that a row still reads."""
    rows, wanted = rows_of(0, 1, EPISODES), drawn(rows_of(0), 5)
    rows.part(np.array([0])).draw((), "uniform")
    for episode in range(0, 3 * TABLES_AT_LEAST * EPISODES, EPISODES):
        rows.begin(2, CALL.episode(episode + EPISODES))
        rows.part(np.array([1, 2])).draw((), "uniform")
    assert rows.part(np.array([0])).draw((), "uniform")[0] == wanted[0, 0]
    rows.rest(0)
    for episode in range(0, 3 * TABLES_AT_LEAST * EPISODES, EPISODES):
        rows.begin(2, CALL.episode(episode + EPISODES))
        rows.part(np.array([1, 2])).draw((), "uniform")
    rows.begin(0, CALL.episode(0))
    assert np.array_equal(drawn(rows, 5)[:, 0], wanted[:, 0])


def test_draws_of_one_step_differ() -> None:
    """Two draws of a step, two kinds, two calls and two seeds share no number."""
    rows = rows_of(0, 1)
    part = rows.part(slice(0, 2))
    draws = [part.draw((), "uniform"), part.draw((), "uniform"), rows.part(slice(0, 2)).draw((3,), "uniform")]
    others = [rows_of(0, 1, call=call) for call in (CallKey(5, 0, 4), CallKey(6, 0, 3), CallKey(5, 1, 3))]
    draws += [other.part(slice(0, 2)).draw((), "uniform") for other in others]
    numbers = np.concatenate([np.ravel(each) for each in draws])
    assert len(set(numbers.tolist())) == len(numbers)


def test_large_noise_is_made_for_fewer_steps() -> None:
    """A row that needs many numbers gets them from small tables, again by its name alone."""
    together = drawn(rows_of(3, 4, 900), 3, (5000,), "standard_normal")
    assert np.array_equal(drawn(rows_of(900), 3, (5000,), "standard_normal")[:, 0], together[:, 2])


def test_noise_is_spread_as_its_kind_says() -> None:
    """Mean and variance of uniform, normal and Gumbel numbers over episodes and steps."""
    moments = {"uniform": (0.5, 1 / 12), "standard_normal": (0, 1), "gumbel": (0.5772, 1.6449)}
    for kind in KINDS:
        noise = drawn(rows_of(*range(300)), 100, (2,), kind)
        assert np.allclose((noise.mean(), noise.var()), moments[kind], atol=0.03)
        assert abs(np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]) < 0.02


def test_rows_can_be_drawn_from_directly() -> None:
    """A policy of one's own finds a generator a row, of the row's episode, which continues from step to step."""
    rows = rows_of(1, 2)
    alone = [EpisodeKey(5, 0, 3, episode).streams().rng for episode in (1, 2)]
    for _ in range(3):
        part = rows.part(slice(0, 2))
        assert [rng.random() for rng in part] == [rng.random() for rng in alone]
        assert len(part) == len(part[:]) == 2
        rows.advance()
    assert rows.part(np.array([1, 0]))[0] is rows.part(slice(0, 2))[1]


def test_calls_may_be_mixed() -> None:
    """Rows in episodes of two calls get the noise of each."""
    other = CallKey(5, 0, 4)
    rows = rows_of(0, 1)
    rows.begin(1, other.episode(1))
    assert np.array_equal(drawn(rows, 40)[:, 1], drawn(rows_of(1, call=other), 40)[:, 0])
