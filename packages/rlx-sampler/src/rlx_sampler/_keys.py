"""Which episode this is, and every random stream that follows from it.

An episode is known by four numbers: the root seed of the run, the stream (training or
evaluation), the sampling call, and its index within the call. Everything random in it
comes from ``SeedSequence(root, spawn_key=(stream, call, episode))``, so it does not
matter which worker runs it, when, or beside which others.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

TRAINING: Final = 0
EVALUATION: Final = 1


class EpisodeStreams(NamedTuple):
    """The random streams of one episode."""

    env_seed: int
    """For ``env.reset(seed=...)``: below 2**31, which every environment takes."""
    rng: np.random.Generator
    """For the policy's noise."""
    global_seed: int
    """For global generators, where a policy draws from them: below 2**32."""


@dataclass(frozen=True, slots=True, order=True)
class EpisodeKey:
    """Names one episode; two episodes with the same key and policy are equal bit for bit."""

    root: int
    stream: int
    call: int
    episode: int

    def streams(self) -> EpisodeStreams:
        """Return the random streams of this episode, each at its beginning."""
        sequence = np.random.SeedSequence(self.root, spawn_key=(self.stream, self.call, self.episode))
        words = sequence.generate_state(2)
        rng = np.random.Generator(np.random.PCG64(sequence))
        return EpisodeStreams(int(words[0]) >> 1, rng, int(words[1]))


@dataclass(frozen=True, slots=True)
class CallKey:
    """Names one sampling call."""

    root: int
    stream: int
    call: int

    def episode(self, index: int) -> EpisodeKey:
        """Return the key of episode `index` of this call."""
        return EpisodeKey(self.root, self.stream, self.call, index)


def draw_root() -> int:
    """Return a root seed from the system's entropy."""
    return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
