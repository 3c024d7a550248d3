"""Which episode this is, and every random stream that follows from it.

An episode is known by four numbers: the root seed of the run, the stream (training or
evaluation), the sampling call, and its index within the call. Everything random in it
follows from these, so it does not matter which worker runs it, when, or beside which
others. `BLOCK` episodes share one
``SeedSequence(root, spawn_key=(stream, call, episode // BLOCK))``, whose state has one
row of words for each: deriving them together costs a tenth of a sequence each.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

TRAINING: Final = 0
EVALUATION: Final = 1
BLOCK: Final = 64
"""Episodes whose words are derived together."""
WORDS: Final = 5
"""64-bit words an episode: one for its seeds, four for its generator."""


class EpisodeStreams:
    """The random streams of one episode."""

    def __init__(self, words: npt.NDArray[np.uint64]) -> None:
        seeds = int(words[0])
        self.env_seed = seeds >> 33
        """For ``env.reset(seed=...)``: below 2**31, which every environment takes."""
        self.global_seed = seeds & 0xFFFFFFFF
        """For global generators, where a policy draws from them: below 2**32."""
        self._words = words[1:]

    @cached_property
    def rng(self) -> np.random.Generator:
        """For a policy that draws its noise from a generator of the episode."""
        return generator(self._words)


@dataclass(frozen=True, slots=True, order=True)
class EpisodeKey:
    """Names one episode; two episodes with the same key and policy are equal bit for bit."""

    root: int
    stream: int
    call: int
    episode: int

    def streams(self) -> EpisodeStreams:
        """Return the random streams of this episode, each at its beginning."""
        block, row = divmod(self.episode, BLOCK)
        return EpisodeStreams(_words(self.root, self.stream, self.call, block)[row])


@lru_cache(maxsize=8)
def _words(root: int, stream: int, call: int, block: int) -> npt.NDArray[np.uint64]:
    """Return one row of words for each episode of a block."""
    sequence = np.random.SeedSequence(root, spawn_key=(stream, call, block))
    return np.asarray(sequence.generate_state(BLOCK * WORDS, np.uint64), np.uint64).reshape(BLOCK, WORDS)


class _Words(np.random.bit_generator.ISeedSequence):
    """Words that are a generator's state already, where NumPy expects something to derive it from."""

    def __init__(self, words: npt.NDArray[np.uint64]) -> None:
        self._words = words

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:
        """Return the words."""
        del n_words, dtype
        return self._words


def generator(words: npt.NDArray[np.uint64]) -> np.random.Generator:
    """Return a generator that begins at four words."""
    state: Any = _Words(words)  # NumPy's types know no sequence but its own
    return np.random.Generator(np.random.PCG64(state))


@dataclass(frozen=True, slots=True)
class CallKey:
    """Names one sampling call."""

    root: int
    stream: int
    call: int

    def episode(self, index: int) -> EpisodeKey:
        """Return the key of episode `index` of this call."""
        return EpisodeKey(self.root, self.stream, self.call, index)

    def env_seeds(self, episodes: npt.NDArray[np.int64]) -> list[int]:
        """Return the seeds for the environments of several episodes of this call."""
        words = {
            block: _words(self.root, self.stream, self.call, block)
            for block in set((episodes // BLOCK).tolist())
        }
        return [int(words[episode // BLOCK][episode % BLOCK, 0]) >> 33 for episode in episodes.tolist()]


def draw_root() -> int:
    """Return a root seed from the system's entropy."""
    return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
