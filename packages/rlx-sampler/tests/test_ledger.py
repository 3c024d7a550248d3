"""How many episodes are started for a batch; which are kept is tested with the samplers."""

import numpy as np

from rlx_sampler import EpisodeBatch
from rlx_sampler._batches.recorded import EpisodeChunk, as_recorded
from rlx_sampler._ledger import EPISODES_AT_FIRST, Ledger


def chunk(indices: range, length: int, under_way: int) -> EpisodeChunk:
    """Return episodes of `length` steps each, from a worker that has `under_way` steps of others."""
    n_steps = len(indices) * length
    batch = EpisodeBatch(
        observations=np.zeros((n_steps, 1)),
        last_observations=np.zeros((len(indices), 1)),
        actions=np.zeros(n_steps),
        rewards=np.zeros(n_steps),
        step_types=np.tile([0] + [1] * (length - 2) + [2], len(indices)),
        lengths=np.full(len(indices), length),
    )
    return EpisodeChunk(list(indices), [1] * len(indices), as_recorded(batch), under_way)


def test_as_many_start_as_hold_the_steps() -> None:
    """With a mean length of 10, ten episodes are out for 100 steps, and no more."""
    ledger = Ledger(n_steps=100, mean_length=10)
    assert ledger.lease_many(0, 64) == list(range(10))
    assert ledger.lease() is None


def test_what_still_runs_counts_by_its_steps() -> None:
    """After five short episodes others start, unless those that run are known to be long."""
    for under_way, wanted in ((0, 10), (60, None)):
        ledger = Ledger(n_steps=100, mean_length=10)
        ledger.lease_many(0, 64)
        ledger.add_all(chunk(range(5), 5, under_way))
        assert ledger.lease() == wanted


def test_what_a_lost_worker_had_counts_no_more() -> None:
    """Steps of episodes that come back to be run again are forgotten."""
    ledger = Ledger(n_steps=100, mean_length=10)
    ledger.lease_many(0, 64)
    ledger.add_all(chunk(range(5), 5, under_way=60), worker=1)
    ledger.give_back()
    assert ledger.lease_many(0, 64) == [5, 6, 7, 8, 9, 10, 11]


def test_few_start_while_nothing_is_known_of_their_length() -> None:
    """A first call starts a few episodes a worker, and more once some of them were short."""
    ledger = Ledger(n_steps=400, n_sharing=2)
    leased = [ledger.lease_many(worker, 64) for worker in (0, 1, 0, 1, 0, 1)]
    assert sum(map(len, leased)) == 2 * EPISODES_AT_FIRST
    ledger.add_all(chunk(range(2), 5, under_way=0))
    assert len(ledger.lease_many(0, 64)) > 2 * EPISODES_AT_FIRST
