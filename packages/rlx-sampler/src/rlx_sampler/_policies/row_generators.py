"""One generator a row, as policies get them, and noise for all rows at once.

Noise is a function of its name alone: root seed, stream, sampling call, episode, step, and the
how-manieth draw of the step it is. It is made in tables: `EPISODES` consecutive episodes
times `STEPS` steps share one PCG64 stream, whose state follows from the name of the table,
and a row reads its own place in it. So it does not matter which rows are asked, in what order,
or beside which others, and a draw for a thousand rows costs a handful of calls of NumPy.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from rlx_sampler._batches.trees import Array
from rlx_sampler._keys import CallKey, EpisodeKey

EPISODE_BITS: Final = 5
STEP_BITS: Final = 5
EPISODES: Final = 1 << EPISODE_BITS
STEPS: Final = 1 << STEP_BITS
LARGEST_BITS: Final = 15
"""A table has at most so many numbers, as a power of two: where a row needs many, it covers fewer steps."""
TABLES_AT_LEAST: Final = 64
"""Tables that are kept before any is dropped, so that a lone lane does not make one again for every episode."""
TABLES_A_SEQUENCE: Final = 64
WORDS_A_TABLE: Final = 4
NOISE: Final = 8
"""Tells the streams of tables from those of episodes, whose names are shorter."""

BLOCK_BITS: Final = 18
CHUNK_BITS: Final = 22
NEVER: Final = 1 << 62
BLOCKS: Final = (1 << BLOCK_BITS) - 1
CHUNKS: Final = (1 << CHUNK_BITS) - 1

Kind: TypeAlias = Literal["uniform", "standard_normal", "gumbel"]
KINDS: Final[tuple[Kind, ...]] = ("uniform", "standard_normal", "gumbel")
Rows: TypeAlias = slice | npt.NDArray[np.int64]


def draw(rng: np.random.Generator, shape: tuple[int, ...], kind: Kind) -> Any:
    """Return noise of `shape`: uniform in [0, 1), standard normal, or standard Gumbel."""
    if kind == "uniform":
        return rng.random(shape)
    return (
        rng.standard_normal(shape) if kind == "standard_normal" else -np.log(rng.standard_exponential(shape))
    )


class EpisodeNoise:
    """Which episode each row is in, and how far; gives the noise that follows.

    Args:
        n_rows: Number of rows.
    """

    def __init__(self, n_rows: int) -> None:
        self.steps = np.zeros(n_rows, np.int64)
        self.episodes = np.zeros(n_rows, np.int64)
        self.call_numbers = np.full(n_rows, -1, np.int64)
        self.is_active = np.zeros(n_rows, bool)
        """Rows that noise is made for."""
        self._calls: dict[int, CallKey] = {}
        """Calls by a number of their own."""
        self._newest = 0
        self._generators: dict[int, np.random.Generator] = {}
        """Those that were asked for, by row."""
        self._tables: dict[tuple[int, ...], _Tables] = {}

    def begin(self, row: int, key: EpisodeKey) -> None:
        """Let `row` draw the noise of the episode `key` from now on, from its first step."""
        call = CallKey(key.root, key.stream, key.call)
        self.begin_many(row, call, key.episode)

    def begin_many(self, rows: Array | int, call: CallKey, episodes: Array | int) -> None:
        """Let each of `rows` draw the noise of its episode of `call` from now on."""
        if self._calls.get(self._newest) != call:
            self._newest += 1
            in_use = {*self.call_numbers[self.is_active].tolist()}
            self._calls = {number: each for number, each in self._calls.items() if number in in_use}
            self._calls[self._newest] = call
        self.call_numbers[rows] = self._newest
        self.episodes[rows] = episodes
        self.steps[rows] = 0
        self.is_active[rows] = True
        for row in np.atleast_1d(rows).tolist() if self._generators else ():
            self._generators.pop(row, None)
        for tables in self._tables.values():
            tables.begin(rows)

    def rest(self, rows: Array | int) -> None:
        """Make no noise for `rows` until they begin again; what they get meanwhile means nothing."""
        self.is_active[rows] = False
        self.steps[rows] = 0
        for tables in self._tables.values():
            tables.rest(rows)

    def advance(self) -> None:
        """Move every row on by one step."""
        self.steps += self.is_active

    def part(self, rows: Rows) -> "RowGenerators":
        """Return what one call of the policy for `rows` draws from, at their present step."""
        return RowGenerators(self, rows)

    def call(self, number: int) -> CallKey:
        """Return the call of that number."""
        return self._calls[number]

    def generator(self, row: int) -> np.random.Generator:
        """Return the generator of the episode of `row`; one that means nothing where there is none."""
        rng = self._generators.get(row)
        if rng is None:
            call = self._calls.get(int(self.call_numbers[row]), CallKey(0, 0, 0))
            rng = self._generators[row] = call.episode(int(self.episodes[row])).streams().rng
        return rng

    def draw(self, rows: Rows, name: tuple[int, ...]) -> Array:
        """Return the noise that `name` tells, its number within the step, kind and shape, for `rows`."""
        tables = self._tables.get(name)
        if tables is None:
            tables = self._tables[name] = _Tables(name, self)
        return tables.at(rows)


class RowGenerators(Sequence[np.random.Generator]):
    """The generators of the rows of one call of a policy, each of the episode that the row is in.

    ``rngs[i]`` is a generator of row i's episode, made where it is asked for; `draw` gives
    noise for all rows, independent of what those generators give.

    Args:
        noise: Knows the episodes.
        rows: Which of its rows these are.
    """

    def __init__(self, noise: EpisodeNoise, rows: Rows) -> None:
        self._noise = noise
        self._rows = rows
        self._n_draws = 0

    def draw(self, shape: tuple[int, ...], kind: Kind) -> Array:
        """Return noise for every row, (n_rows, *shape): the next draw of this step."""
        name = (self._n_draws, KINDS.index(kind), *shape)
        self._n_draws += 1
        return self._noise.draw(self._rows, name)

    @overload
    def __getitem__(self, index: int) -> np.random.Generator: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[np.random.Generator]: ...
    def __getitem__(self, index: int | slice) -> np.random.Generator | Sequence[np.random.Generator]:
        """Return the generator of one row, or those of several."""
        if isinstance(index, slice):
            return [self._noise.generator(int(row)) for row in self._numbers()[index]]
        return self._noise.generator(int(self._numbers()[index]))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._numbers())

    def _numbers(self) -> range | npt.NDArray[np.int64]:
        rows = self._rows
        return range(len(self._noise.steps))[rows] if isinstance(rows, slice) else rows


class _Tables:
    """The tables of one draw of a step: its number, kind and shape. Each has a name of call, episodes and steps."""

    def __init__(self, name: tuple[int, ...], noise: EpisodeNoise) -> None:
        self._name = name
        self._noise = noise
        self._kind: Kind = KINDS[name[1]]
        self._shape = name[2:]
        bits = max(0, LARGEST_BITS - math.ceil(math.log2(max(1, math.prod(self._shape)))))
        self._step_bits = min(STEP_BITS, max(0, bits - EPISODE_BITS))
        self._episode_bits = min(EPISODE_BITS, bits)
        self._table_bits = self._step_bits + self._episode_bits
        self._numbers = np.empty((1, 1 << self._table_bits, *self._shape))
        self._flat = self._numbers.reshape(-1, *self._shape)
        self._free = [0]
        self._places: dict[int, int] = {}
        """Where in `numbers` each table is, by name."""
        self._read = np.full(len(noise.steps), -1, np.int64)
        """The table that each row reads; one that an active row reads is never overwritten."""
        self._begins = np.zeros(len(noise.steps), np.int64)
        """Where the noise of each row's step 0 is, or would be."""
        self._ends = np.where(noise.is_active, 0, NEVER)
        """The step for which each row needs another table."""
        self._words: dict[tuple[CallKey, int, int], list[int]] = {}
        self._bits = np.random.PCG64(0)
        self._rng = np.random.Generator(self._bits)

    def begin(self, rows: Array | int) -> None:
        """Let `rows`, which are at another episode now, read another table."""
        self._ends[rows] = 0

    def rest(self, rows: Array | int) -> None:
        """Let `rows`, whose step is 0 now, read whatever is there."""
        self._ends[rows], self._begins[rows] = NEVER, 0

    def at(self, rows: Rows) -> Array:
        """Return the noise of `rows` at their present steps."""
        steps = self._noise.steps[rows]
        is_over = steps >= self._ends[rows]
        if np.count_nonzero(is_over):
            self._turn(np.arange(len(self._ends))[rows][is_over])
        return np.asarray(self._flat.take(steps + self._begins[rows], axis=0))

    def _turn(self, rows: Array) -> None:
        """Let `rows` read the tables of their episodes and steps, which are made where there are none."""
        noise = self._noise
        episodes, chunks = noise.episodes.take(rows), noise.steps.take(rows) >> self._step_bits
        names = noise.call_numbers.take(rows) << BLOCK_BITS
        names |= episodes >> self._episode_bits
        names <<= CHUNK_BITS
        names |= chunks
        listed = names.tolist()
        missing = [name for name in dict.fromkeys(listed) if name not in self._places]
        if missing:
            self._make(missing, listed)
        begins = np.array([self._places[name] for name in listed], np.int64)
        begins <<= self._episode_bits
        begins |= episodes & ((1 << self._episode_bits) - 1)
        begins -= chunks
        begins <<= self._step_bits
        self._begins[rows] = begins
        self._ends[rows] = (chunks + 1) << self._step_bits
        self._read[rows] = names

    def _make(self, names: list[int], read: list[int]) -> None:
        """Make tables, and room for them that is none of those that are `read`."""
        if len(names) > len(self._free):
            self._make_room(len(names), read)
        for name in names:
            table = self._made(name)
            place = self._free.pop()
            self._numbers[place] = table
            self._places[name] = place

    def _make_room(self, wanted: int, names: list[int]) -> None:
        if len(self._numbers) >= TABLES_AT_LEAST:
            self._drop_unread(names)
        n_tables = len(self._numbers)
        while len(self._free) < max(wanted, n_tables // 4):
            self._free.extend(range(len(self._numbers), 2 * len(self._numbers)))
            self._numbers = np.concatenate([self._numbers, np.empty_like(self._numbers)])
        self._flat = self._numbers.reshape(-1, *self._shape)

    def _drop_unread(self, names: list[int]) -> None:
        """Drop the tables that no row reads or is about to, but for the newest, whose later episodes have not begun."""
        newest = max((name for name in self._places if not name & CHUNKS), default=-1)
        kept = {newest, *names, *self._read[self._noise.is_active].tolist()}
        for name in [name for name in self._places if name not in kept]:
            self._free.append(self._places.pop(name))

    def _made(self, name: int) -> Array:
        block, chunk = name >> CHUNK_BITS & BLOCKS, name & CHUNKS
        call = self._noise.call(name >> (CHUNK_BITS + BLOCK_BITS))
        group, position = divmod(block, TABLES_A_SEQUENCE)
        words = self._words_of(call, chunk, group)[WORDS_A_TABLE * position :]
        state: Any = {"state": words[0] << 64 | words[1], "inc": words[2] << 64 | words[3] | 1}
        self._bits.state = {"bit_generator": "PCG64", "state": state, "has_uint32": 0, "uinteger": 0}
        return np.asarray(draw(self._rng, self._numbers.shape[1:], self._kind))

    def _words_of(self, call: CallKey, chunk: int, group: int) -> list[int]:
        """Return the states of the generators of a group of tables, four words each."""
        name = (call, chunk, group)
        if name not in self._words:
            if len(self._words) >= TABLES_A_SEQUENCE:
                self._words.clear()
            spawn_key = (call.stream, call.call, NOISE, len(self._name), *self._name, chunk, group)
            sequence = np.random.SeedSequence(call.root, spawn_key=spawn_key)
            self._words[name] = sequence.generate_state(TABLES_A_SEQUENCE * WORDS_A_TABLE, np.uint64).tolist()
        return self._words[name]
