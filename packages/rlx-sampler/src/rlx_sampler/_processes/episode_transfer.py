"""Where a worker lays its finished episodes, and the sampler reads them."""

import time
from dataclasses import dataclass, field
from typing import Any, Final

from rlx_sampler._batches.layouts import Layout, LayoutKey, dismantle, fill, layout_key, layout_of, reassemble
from rlx_sampler._batches.recorded import EpisodeChunk
from rlx_sampler._batches.trees import Array, flat
from rlx_sampler._copies import packed, unpacked
from rlx_sampler._processes.messages import Kind, NewLayout, PickledChunk, Pipe, send_numbers, send_object
from rlx_sampler._processes.shared_memory import ALIGNMENT, SharedMemory, aligned

SECONDS_BETWEEN_SIGNS: Final = 1.0
HEADER: Final = ALIGNMENT
"""Bytes before the episodes: the number of steps the worker has taken, as a sign of life."""


class EpisodeWriter:
    """The worker's side: hands over episodes, through shared memory where there is some.

    An episode with anything in it that is not numeric is pickled.
    """

    def __init__(self, connection: Pipe, memory: SharedMemory | None) -> None:
        self._connection = connection
        self._memory = memory
        self._layouts: dict[LayoutKey, int] = {}
        self._free = HEADER
        self._shown = 0.0
        self._steps = None if memory is None else memory.array(0, (1,), "i8")

    def rewind(self) -> None:
        """Begin at the front again: the episodes of the call before have been read."""
        self._free = HEADER

    def show_life(self) -> None:
        """Let the sampler see that the worker is not stuck."""
        if self._steps is not None:
            self._steps[0] += 1
        elif time.monotonic() > self._shown + SECONDS_BETWEEN_SIGNS:
            self._shown = time.monotonic()
            send_numbers(self._connection, Kind.ALIVE)

    def publish(self, round_number: int, chunk: EpisodeChunk) -> None:
        """Hand over episodes of the round."""
        tree = dismantle(chunk.recorded)
        arrays = flat(tree)
        if self._memory is None or any(array.dtype.hasobject for array in arrays):
            send_object(self._connection, PickledChunk(round_number, packed(chunk, "episode")))
            return
        layout = self._number_of(tree)
        offset = self._place(self._memory, arrays)
        rows = [len(array) for array in arrays]
        place = [round_number, layout, offset, chunk.under_way, len(chunk.indices)]
        send_numbers(self._connection, Kind.CHUNK, [*place, *chunk.indices, *chunk.n_segments, *rows])

    def _number_of(self, tree: Any) -> int:
        key = layout_key(tree)
        if key not in self._layouts:
            self._layouts[key] = len(self._layouts)
            send_object(self._connection, NewLayout(self._layouts[key], layout_of(tree)))
        return self._layouts[key]

    def _place(self, memory: SharedMemory, arrays: list[Array]) -> int:
        begin = self._free
        memory.reserve(begin + sum(aligned(array.nbytes) for array in arrays))
        for array in arrays:
            memory.array(self._free, array.shape, array.dtype)[...] = array
            self._free = aligned(self._free + array.nbytes)
        return begin


@dataclass(slots=True)
class EpisodeReader:
    """The sampler's side: reads what one worker has laid down."""

    memory: SharedMemory | None
    layouts: dict[int, Layout] = field(default_factory=dict[int, Layout])

    def steps_taken(self) -> int:
        """Return the number of steps the worker has taken."""
        return 0 if self.memory is None else int(self.memory.array(0, (1,), "i8")[0])

    def read(self, numbers: list[int]) -> EpisodeChunk:
        """Return episodes whose arrays lie in shared memory until the next call begins.

        Args:
            numbers: What the worker sent, from the layout on.
        """
        if self.memory is None:
            raise RuntimeError("a worker without shared memory named a place in it.")
        layout_number, offset, under_way, n_keys, *rest = numbers
        indices, n_segments, rows = rest[:n_keys], rest[n_keys : 2 * n_keys], rest[2 * n_keys :]
        layout = self.layouts[layout_number]
        arrays: list[Array] = []
        for (dtype, row_shape), count in zip(layout.specs, rows, strict=True):
            array = self.memory.array(offset, (count, *row_shape), dtype)
            offset = aligned(offset + array.nbytes)
            arrays.append(array)
        return EpisodeChunk(indices, n_segments, reassemble(fill(layout, arrays)), under_way)


def read_pickled(message: PickledChunk) -> EpisodeChunk:
    """Return episodes that came pickled."""
    chunk: EpisodeChunk = unpacked(message.chunk)
    return chunk
