"""One generator a row, as policies get them, with noise drawn ahead for those that want it for all rows."""

import copy
from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias, overload

import numpy as np

from rlx_sampler._batches.trees import Array

AHEAD: Final = 32
"""Steps that noise is drawn ahead: one call of a generator serves so many."""


Kind: TypeAlias = Literal["uniform", "standard_normal", "gumbel"]


def draw(rng: np.random.Generator, shape: tuple[int, ...], kind: Kind) -> Any:
    """Return noise of `shape`: uniform in [0, 1), standard normal, or standard Gumbel."""
    if kind == "gumbel":
        return rng.gumbel(size=shape)
    return rng.random(shape) if kind == "uniform" else rng.standard_normal(shape)


class RowGenerators(Sequence[np.random.Generator]):
    """The generators of all rows.

    What a row gets follows from its own generator and what is asked of it since
    :meth:`put`, whatever the other rows do.

    Args:
        generators: One a row.
    """

    def __init__(self, generators: Sequence[np.random.Generator]) -> None:
        self._generators = list(generators)
        self._rows = slice(0, len(self._generators))
        self._ahead: dict[tuple[Kind, tuple[int, ...]], _Ahead] = {}

    def put(self, row: int, rng: np.random.Generator) -> None:
        """Let `row` draw from `rng` from now on."""
        self._generators[row] = rng
        for ahead in self._ahead.values():
            ahead.forget(row)

    def part(self, rows: slice) -> "RowGenerators":
        """Return some of the rows; what is drawn for them there is used up here too."""
        part = copy.copy(self)
        part._rows = rows  # noqa: SLF001 - of this class
        return part

    def draw(self, shape: tuple[int, ...], kind: Kind) -> Array:
        """Return noise for every row, (n_rows, ...): the next of each row's own."""
        ahead = self._ahead.get((kind, shape))
        if ahead is None:
            ahead = self._ahead[kind, shape] = _Ahead(len(self._generators), shape, kind)
        return ahead.next_of(self._rows, self._generators)

    @overload
    def __getitem__(self, index: int) -> np.random.Generator: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[np.random.Generator]: ...
    def __getitem__(self, index: int | slice) -> np.random.Generator | Sequence[np.random.Generator]:
        """Return the generator of one row, or those of several."""
        return self._generators[self._rows][index]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._generators[self._rows])


class _Ahead:
    """Noise of one kind for all rows; each row is as far in its own as it has steps."""

    def __init__(self, n_rows: int, shape: tuple[int, ...], kind: Kind) -> None:
        self._kind: Kind = kind
        self._noise = np.empty((n_rows, AHEAD, *shape))
        self._numbers = np.arange(n_rows)
        self._used = np.full(n_rows, AHEAD)
        self._steps_left = 0
        """Steps for which every row has noise."""

    def forget(self, row: int) -> None:
        """Draw anew for `row`, whose generator is another now."""
        self._used[row] = AHEAD
        self._steps_left = 0

    def next_of(self, rows: slice, generators: Sequence[np.random.Generator]) -> Array:
        """Return the next noise of each of the rows."""
        if not self._steps_left:
            self._refill(generators)
        self._steps_left -= 1
        noise: Array = self._noise[self._numbers[rows], self._used[rows]]
        self._used[rows] += 1
        return noise

    def _refill(self, generators: Sequence[np.random.Generator]) -> None:
        shape = self._noise.shape[1:]
        for row in np.flatnonzero(self._used == AHEAD).tolist():
            self._noise[row] = draw(generators[row], shape, self._kind)
            self._used[row] = 0
        self._steps_left = AHEAD - int(self._used.max())
