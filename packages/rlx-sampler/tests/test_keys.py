"""What follows from the name of an episode."""

from typing import Any

import numpy as np

from rlx_sampler import EpisodeKey


def test_streams_follow_the_documented_recipe() -> None:
    """Episode i takes row i % 64 of the state of the sequence of its block."""
    streams = EpisodeKey(5, 0, 3, 130).streams()
    sequence = np.random.SeedSequence(5, spawn_key=(0, 3, 2))
    words = np.asarray(sequence.generate_state(64 * 5, np.uint64)).reshape(64, 5)[2]
    assert streams.env_seed == int(words[0]) >> 33
    assert streams.global_seed == int(words[0]) & 0xFFFFFFFF
    rng: Any = streams.rng.bit_generator
    assert rng.seed_seq.generate_state(4).tolist() == words[1:].tolist()


def test_streams_of_all_episodes_differ() -> None:
    """No two episodes of several calls and streams begin with the same numbers."""
    keys = [EpisodeKey(5, s, c, e) for s in range(2) for c in range(3) for e in range(200)]
    drawn = [(key.streams().env_seed, float(key.streams().rng.random())) for key in keys]
    assert len({seed for seed, _ in drawn}) == len({number for _, number in drawn}) == len(keys)
