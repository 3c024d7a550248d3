"""Memory that two processes see: an anonymous file that grows and is gone with its last user.

Linux only (memfd). No name exists that could be left behind, whatever kills whom.
"""

import math
import mmap
import os
import sys
import weakref
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from multiprocessing import reduction
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rlx_sampler._batches.trees import Array

ALIGNMENT: Final = 64
FIRST_SIZE: Final = 1 << 16


def has_shared_memory() -> bool:
    """Whether this platform has anonymous shared files."""
    return sys.platform == "linux"


class SharedMemory:
    """A growing block of bytes; arrays placed in it are seen by all processes that hold it.

    Pickling hands it to a process that is being started, and to nobody else.
    """

    def __init__(self, fd: int | None = None) -> None:
        with _memory_of(FIRST_SIZE):
            self._fd = os.memfd_create("rlx-sampler") if fd is None else fd
            self._close = weakref.finalize(self, os.close, self._fd)
            if fd is None:
                os.posix_fallocate(self._fd, 0, FIRST_SIZE)
            self._size = os.fstat(self._fd).st_size
            self._map = mmap.mmap(self._fd, self._size)

    def reserve(self, n_bytes: int) -> None:
        """Make the block at least `n_bytes` long.

        Raises:
            MemoryError: If there is not so much; the block stays as it was.
        """
        size = self._size
        while size < n_bytes:
            size *= 2
        if size > self._size:
            with _memory_of(size):
                os.posix_fallocate(
                    self._fd, self._size, size - self._size
                )  # an error now, not a bus error later
            self._remap()

    def _remap(self) -> None:
        """See what the file has become; arrays in the old mapping stay valid."""
        size = os.fstat(self._fd).st_size
        with _memory_of(size):
            self._map = mmap.mmap(self._fd, size)
        self._size = size

    def array(self, offset: int, shape: Sequence[int], dtype: npt.DTypeLike) -> Array:
        """Return the array that lies at `offset`; another process may have made the block longer."""
        array_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        if offset + array_bytes > self._size:
            self._remap()
        return np.ndarray(tuple(shape), dtype, self._map, offset)

    def __reduce__(self) -> tuple[Any, ...]:
        """Duplicate the descriptor into the process that is being started."""
        return _attach, (reduction.DupFd(self._fd),)


@contextmanager
def _memory_of(n_bytes: int) -> Generator[None]:
    """Say what was wanted, and the way out, where there is not so much memory."""
    try:
        yield
    except OSError as error:
        raise MemoryError(
            f"a block of {n_bytes:,} bytes of shared memory is not to be had: {error}. Free some memory, lower "
            f"n_workers, or pass shared_memory=False."
        ) from error


def _attach(duplicate: Any) -> SharedMemory:
    return SharedMemory(duplicate.detach())


def aligned(offset: int) -> int:
    """Return the next offset at which an array may begin."""
    return -(-offset // ALIGNMENT) * ALIGNMENT
