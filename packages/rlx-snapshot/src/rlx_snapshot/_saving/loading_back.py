"""Loading a state back before it is reported as saved: pickling alone does not prove that it loads."""

import io
import mmap
import pickle
import threading
import warnings
from collections.abc import Iterable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final

from rlx_snapshot._format.stream import Capture, capture, skeleton_of
from rlx_snapshot._pickling.unpicklable import unloadable
from rlx_snapshot._saving.generators import generators_kept

if TYPE_CHECKING:
    from multiprocessing.shared_memory import SharedMemory

_COPIED: Final = 64 << 20
"""Bytes of large arrays that are handed to the loading as they are; for more there are zeros."""


class LoadedBack:
    """Knows the classes and functions that have been loaded back; a state that needs others is loaded itself."""

    def __init__(self) -> None:
        self._names = set(capture(None).names)  # what every file names

    def check(self, captured: Capture, state: object) -> None:
        """Load `captured` once if anything in it is new.

        The program is left as it was: global generators are put back, and nothing is
        loaded onto a GPU.

        Raises:
            UnpicklableStateError: If it does not load; it says which part of `state` is to blame.
        """
        if captured.names <= self._names:
            return
        failure = _failure_of(captured)
        if failure is not None:
            raise unloadable(state, failure, _raise_what_loading_raises) from failure
        self._names |= captured.names


def _failure_of(captured: Capture) -> Exception | None:
    """What loading raises, None where it raises nothing or there is no room to tell."""
    failure: Exception | None = None
    for copied in (_COPIED, captured.length):  # zeros that something refuses are no evidence
        try:
            buffers = list(_contents(captured, copied))
        except (MemoryError, OSError):
            return None
        failure = _load(skeleton_of(captured), buffers)
        if failure is None or all(isinstance(buffer, bytearray) for buffer in buffers):
            break
    return None if isinstance(failure, MemoryError) else failure


def _contents(captured: Capture, most: int) -> Iterable[bytearray | mmap.mmap]:
    """Memory of its own for every large array, with its contents up to `most` bytes in all."""
    for position in captured.positions:
        payload = memoryview(captured.parts[position])
        most -= payload.nbytes
        yield bytearray(payload) if most >= 0 else mmap.mmap(-1, payload.nbytes)


def _load(pickled: bytes, buffers: Iterable[bytearray | mmap.mmap]) -> Exception | None:
    loading = _Loading(pickled, buffers)
    # Beside the thread that trains, putting generators back would take back what it has drawn meanwhile.
    is_alone = threading.current_thread() is threading.main_thread()
    with generators_kept() if is_alone else nullcontext(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            loading.load()
        except Exception as error:  # noqa: BLE001 - whatever a class raises when it is loaded
            return error
        finally:
            loading.remove_blocks()
    return None


class _Loading(pickle.Unpickler):
    """An unpickler that takes no GPU, and no block of shared memory for longer than it loads."""

    def __init__(self, pickled: bytes, buffers: Iterable[bytearray | mmap.mmap]) -> None:
        super().__init__(io.BytesIO(pickled), buffers=buffers)
        self._blocks: list[SharedMemory] = []

    def find_class(self, module: str, name: str, /) -> Any:
        """The class or function of that name, but for the few that take what others may need."""
        if (module, name) == ("torch.cuda", "device_count"):
            return int
        if (module, name) == ("multiprocessing.shared_memory", "SharedMemory"):
            return self._block
        return super().find_class(module, name)

    def remove_blocks(self) -> None:
        """Remove the blocks of shared memory that were made."""
        for block in self._blocks:
            block.close()
            block.unlink()

    def _block(self, *arguments: Any) -> "SharedMemory":
        from multiprocessing.shared_memory import SharedMemory

        block = SharedMemory(*arguments)
        self._blocks.append(block)
        return block


def _raise_what_loading_raises(part: object) -> None:
    failure = _failure_of(capture(part))
    if failure is not None:
        raise failure
