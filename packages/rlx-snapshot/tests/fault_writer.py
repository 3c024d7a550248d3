"""A program that saves three iterations, to be killed or lied to by the kernel meanwhile.

``fault_writer.py DIRECTORY WRITER MODE``: the first save happens in peace; then the
program stops itself, for the injector to attach. A directory ``DIRECTORY.acked-N``
says that iteration N was reported as saved, ``DIRECTORY.failed-N`` that it raised.
"""

import os
import pickle
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from rlx_snapshot import Snapshotter, exact_dumps

Save = Callable[[int, object], None]


def state_of(itr: int) -> dict[str, object]:
    """What iteration `itr` saves: small parts and one large buffer, all saying the iteration."""
    return {"itr": itr, "text": str(itr) * 2000, "buffer": pickle.PickleBuffer(bytearray([itr]) * 70_000)}


def proper(directory: Path, mode: str) -> Save:
    """The snapshotter itself."""
    return Snapshotter(directory, mode, 1).save_itr_params


def background(directory: Path, mode: str) -> Save:
    """The snapshotter with its thread, waited for."""
    snapshotter = Snapshotter(directory, mode, 1, background=True)

    def save(itr: int, state: object) -> None:
        snapshotter.save_itr_params(itr, state)
        snapshotter.wait()

    return save


def in_place(directory: Path, _: str) -> Save:
    """Wrong: overwrites the only copy."""

    def save(_: int, state: object) -> None:
        _write(directory / "params.pkl", state)

    return save


def without_fsync(directory: Path, _: str) -> Save:
    """Wrong: renames a file whose contents may still be in memory only."""

    def save(_: int, state: object) -> None:
        _write(directory / "new", state, sync=False)
        (directory / "new").replace(directory / "params.pkl")
        _sync(directory)

    return save


def without_directory_fsync(directory: Path, _: str) -> Save:
    """Wrong: reports success while the new name may still be in memory only."""

    def save(_: int, state: object) -> None:
        _write(directory / "new", state)
        (directory / "new").replace(directory / "params.pkl")

    return save


def unlink_first(directory: Path, _: str) -> Save:
    """Wrong: there is a moment without any snapshot."""

    def save(_: int, state: object) -> None:
        _write(directory / "new", state)
        (directory / "params.pkl").unlink(missing_ok=True)
        (directory / "new").replace(directory / "params.pkl")
        _sync(directory)

    return save


def swallowed_error(directory: Path, mode: str) -> Save:
    """Wrong: reports success whatever happened."""
    save = proper(directory, mode)

    def careless(itr: int, state: object) -> None:
        try:
            save(itr, state)
        except OSError:
            return

    return careless


def fixed_name(directory: Path, _: str) -> Save:
    """Wrong: publishes the file before it is complete."""

    def save(_: int, state: object) -> None:
        data = exact_dumps(state)
        path = directory / "new"
        path.write_bytes(data[:100])
        path.replace(directory / "params.pkl")
        _write(directory / "params.pkl", state)
        _sync(directory)

    return save


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
    )
}


def main(directory: str, writer: str, mode: str) -> None:
    """Save iteration 1, stop until continued, save 2 and 3."""
    Path(directory).mkdir()
    save = WRITERS[writer](Path(directory), mode)
    for itr in (1, 2, 3):
        if itr == 2:
            os.kill(os.getpid(), signal.SIGSTOP)
        try:
            save(itr, state_of(itr))
        except Exception:  # noqa: BLE001 - any error is a report to the caller
            os.mkdir(f"{directory}.failed-{itr}")  # noqa: PTH102 - one plain system call
        else:
            os.mkdir(f"{directory}.acked-{itr}")  # noqa: PTH102


if __name__ == "__main__":
    main(*sys.argv[1:])
