"""A program that saves one iteration after the other, to be killed or lied to by the kernel meanwhile.

``fault_writer.py DIRECTORY WRITER MODE SIZE IN_PEACE SAVES``: the state has a buffer of SIZE bytes. After the
saves that happen in
peace the program stops itself, for the injector to attach; then it continues. A directory
``DIRECTORY.acked-N`` says that iteration N was reported as saved, ``DIRECTORY.failed-N``
that it raised.
"""

import os
import pickle
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rlx_snapshot import Snapshotter, exact_dumps
from rlx_snapshot._format.stream import Part
from rlx_snapshot._saving import store
from rlx_snapshot._saving.arena import Copied
from rlx_snapshot._saving.slot import Slot
from rlx_snapshot._saving.slots import Slots
from rlx_snapshot._storage.atomic import sync_directory

MIB = 1 << 20

Save = Callable[[int, bytearray], None]


def state_of(itr: int, memory: bytearray) -> dict[str, object]:
    """What iteration `itr` saves: small parts and one large buffer, all saying the iteration."""
    return {"itr": itr, "text": str(itr) * 2000, "buffer": pickle.PickleBuffer(memory)}


def advance(memory: bytearray, itr: int) -> None:
    """Write `itr` to both ends of the buffer, and to one page in every MiB that no other iteration writes to."""
    for start in (0, len(memory) - 100, *range(8192 * itr, len(memory) - 4096, MIB)):
        memory[start : start + 100] = bytes([itr]) * 100


def expected_state(itr: int, size: int) -> dict[str, object]:
    """What is to be loaded of iteration `itr`, with a buffer of `size` bytes."""
    memory = bytearray(size)
    for earlier in range(1, itr + 1):
        advance(memory, earlier)
    return {**state_of(itr, memory), "buffer": memory}


def proper(directory: Path, mode: str) -> Save:
    """The snapshotter itself."""
    snapshotter = Snapshotter(directory, mode, 1)

    def save(itr: int, memory: bytearray) -> None:
        snapshotter.save_itr_params(itr, state_of(itr, memory))

    return save


def background(directory: Path, mode: str) -> Save:
    """The snapshotter with its thread, waited for."""
    snapshotter = Snapshotter(directory, mode, 1, background=True)

    def save(itr: int, memory: bytearray) -> None:
        snapshotter.save_itr_params(itr, state_of(itr, memory))
        snapshotter.wait()

    return save


def in_place(directory: Path, _: str) -> Save:
    """Wrong: overwrites the only copy."""

    def save(itr: int, memory: bytearray) -> None:
        _write(directory / "params.pkl", state_of(itr, memory))

    return save


def without_fsync(directory: Path, _: str) -> Save:
    """Wrong: renames a file whose contents may still be in memory only."""

    def save(itr: int, memory: bytearray) -> None:
        _write(directory / "new", state_of(itr, memory), sync=False)
        (directory / "new").replace(directory / "params.pkl")
        _sync(directory)

    return save


def without_directory_fsync(directory: Path, _: str) -> Save:
    """Wrong: reports success while the new name may still be in memory only."""

    def save(itr: int, memory: bytearray) -> None:
        _write(directory / "new", state_of(itr, memory))
        (directory / "new").replace(directory / "params.pkl")

    return save


def unlink_first(directory: Path, _: str) -> Save:
    """Wrong: there is a moment without any snapshot."""

    def save(itr: int, memory: bytearray) -> None:
        _write(directory / "new", state_of(itr, memory))
        (directory / "params.pkl").unlink(missing_ok=True)
        (directory / "new").replace(directory / "params.pkl")
        _sync(directory)

    return save


def swallowed_error(directory: Path, mode: str) -> Save:
    """Wrong: reports success whatever happened."""
    save = proper(directory, mode)

    def careless(itr: int, memory: bytearray) -> None:
        try:
            save(itr, memory)
        except OSError:
            return

    return careless


def fixed_name(directory: Path, _: str) -> Save:
    """Wrong: publishes the file before it is complete."""

    def save(itr: int, memory: bytearray) -> None:
        data = exact_dumps(state_of(itr, memory))
        path = directory / "new"
        path.write_bytes(data[:100])
        path.replace(directory / "params.pkl")
        _write(directory / "params.pkl", state_of(itr, memory))
        _sync(directory)

    return save


def patches_the_newest(directory: Path, mode: str) -> Save:
    """Wrong: brings the newest file itself up to date."""

    class PatchingTheNewest(Slots):
        def _up_to_date_spare(self, copied: Copied, parts: Sequence[Part]) -> Slot | None:
            if not self._published:
                return None
            slot = self._published.pop()
            slot.patch(copied, parts)
            return slot

    setattr(store, "Slots", PatchingTheNewest)  # noqa: B010 - a wrong one in place of the real one
    return background(directory, mode)


def publishes_first(directory: Path, mode: str) -> Save:
    """Wrong: gives the other file the newest one's name before it is up to date."""

    class PublishingFirst(Slots):
        def _up_to_date_spare(self, copied: Copied, parts: Sequence[Part]) -> Slot | None:
            for slot in self._spare:
                slot.path = slot.path.replace(self._target)
            return super()._up_to_date_spare(copied, parts)

    setattr(store, "Slots", PublishingFirst)  # noqa: B010 - a wrong one in place of the real one
    return background(directory, mode)


def patches_without_fsync(directory: Path, mode: str) -> Save:
    """Wrong: publishes a patched file whose contents may still be in memory only."""

    class NotSyncing(Slots):
        def write(self, copied: Copied, parts: Sequence[Part]) -> int:
            self._durable = not self._spare
            written = super().write(copied, parts)
            sync_directory(self._target.parent)
            return written

    setattr(store, "Slots", NotSyncing)  # noqa: B010 - a wrong one in place of the real one
    return background(directory, mode)


def _write(path: Path, state: object, *, sync: bool = True) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        rest = memoryview(exact_dumps(state))
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


WRITERS = {
    writer.__name__: writer
    for writer in (
        proper,
        background,
        in_place,
        without_fsync,
        without_directory_fsync,
        unlink_first,
        swallowed_error,
        fixed_name,
        patches_the_newest,
        publishes_first,
        patches_without_fsync,
    )
}


def main(directory: str, writer: str, mode: str, size: str, in_peace: str, saves: str) -> None:
    """Save iterations 1 to `saves`; stop after those that happen in peace, until continued."""
    Path(directory).mkdir()
    save = WRITERS[writer](Path(directory), mode)
    memory = bytearray(int(size))
    for itr in range(1, int(saves) + 1):
        if itr == int(in_peace) + 1:
            os.kill(os.getpid(), signal.SIGSTOP)
        advance(memory, itr)
        try:
            save(itr, memory)
        except Exception:  # noqa: BLE001 - any error is a report to the caller
            os.mkdir(f"{directory}.failed-{itr}")  # noqa: PTH102 - one plain system call
        else:
            os.mkdir(f"{directory}.acked-{itr}")  # noqa: PTH102


if __name__ == "__main__":
    main(*sys.argv[1:])
