"""A file that several processes append to, and a disk that fills up in the middle of a row."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rlx_logging import JournalLogger, read_metrics
from rlx_logging._files.append import AppendFile

MINE, OTHERS = b"mine,1,2,3\n", b"others,4,5,6\n"


class Disk:
    """Takes a part of the next piece only, lets another process write, and then takes the rest or nothing."""

    def __init__(self, between: Callable[[], None], *, full: bool) -> None:
        self.calls = 0
        self._between = between
        self._full = full
        self._write = os.write

    def write(self, fd: int, data: bytes) -> int:
        """Stand for the system's call; the other process has its own way to the disk."""
        self.calls += 1
        if self.calls == 1:
            count = self._write(fd, data[:4])
            self._between()
            return count
        if self._full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._write(fd, data)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file with one row in it."""
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a,b,c,d\n")
    return path


def append_other(path: Path) -> None:
    """Write a row as another process does."""
    with path.open("ab") as file:
        file.write(OTHERS)


@pytest.mark.parametrize("still_open", [False, True], ids=["closed again", "still open"])
def test_a_part_before_anothers_row_is_blanked_and_the_row_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch, still_open: bool
) -> None:
    """Cutting the file would cut off the other's row."""
    mine, other = AppendFile(path), AppendFile(path)
    disk = Disk(lambda: append_other(path), full=True)
    if not still_open:
        other.close()
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", disk.write)
        with pytest.raises(OSError, match="No space left"):
            mine.append(MINE)
    mine.close()
    other.close()
    assert path.read_bytes() == b"a,b,c,d\n" + b"\n" * 4 + OTHERS


@pytest.mark.skipif(sys.platform == "win32", reason="needs flock")
def test_a_part_at_the_end_is_cut_off_where_nobody_else_writes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if nothing had been written; the next row stands on its own line."""
    mine = AppendFile(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", Disk(lambda: None, full=True).write)
        with pytest.raises(OSError, match="No space left"):
            mine.append(MINE)
    mine.append(MINE)
    mine.close()
    assert path.read_bytes() == b"a,b,c,d\n" + MINE


def test_a_part_at_the_end_is_blanked_where_others_may_write(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They could write between a look at the length and the cut."""
    mine, other = AppendFile(path), AppendFile(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", Disk(lambda: None, full=True).write)
        with pytest.raises(OSError, match="No space left"):
            mine.append(MINE)
    other.append(OTHERS)
    mine.close()
    other.close()
    assert path.read_bytes() == b"a,b,c,d\n" + b"\n" * 4 + OTHERS


def test_a_row_that_was_written_in_two_parts_round_anothers_is_written_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both rows are whole."""
    mine, other = AppendFile(path), AppendFile(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", Disk(lambda: append_other(path), full=False).write)
        mine.append(MINE)
    mine.close()
    other.close()
    assert [line for line in path.read_bytes().splitlines(keepends=True) if line.strip()] == [
        b"a,b,c,d\n", OTHERS, MINE,
    ]  # fmt: skip


def test_a_part_at_the_end_is_completed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short write is no failure where there is room for the rest."""
    mine = AppendFile(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", Disk(lambda: None, full=False).write)
        mine.append(MINE)
    mine.close()
    assert path.read_bytes() == b"a,b,c,d\n" + MINE


def test_a_journal_with_a_blanked_part_is_read_past_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows before and after it are there."""
    mine, other = JournalLogger(tmp_path, on_failure="raise"), JournalLogger(tmp_path)
    mine.write("info/epoch", 0, {"x": 0.0})
    other.write("info/epoch", 1, {"x": 1.0})
    disk = Disk(lambda: other.write("info/epoch", 2, {"x": 2.0}), full=True)
    with monkeypatch.context() as patch:
        real = os.write

        def write(fd: int, data: bytes) -> int:
            patch.setattr(os, "write", real if disk.calls == 0 else write)
            try:
                return disk.write(fd, data)
            finally:
                patch.setattr(os, "write", write)

        patch.setattr(os, "write", write)
        with pytest.raises(OSError, match="No space left"):
            mine.write("info/epoch", 9, {"x": 9.0})
    mine.write("info/epoch", 3, {"x": 3.0})
    mine.finalize()
    other.finalize()
    assert read_metrics(tmp_path)["info/x"].steps.tolist() == [0, 1, 2, 3]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_a_file_that_is_replaced_while_it_is_opened_is_opened_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waited for the lock of the old one writes into the new one."""
    import fcntl

    lock = fcntl.flock

    def replace_first(fd: int, how: int) -> None:
        if path.read_bytes() != b"new\n":
            path.with_name("new").write_bytes(b"new\n")
            path.with_name("new").replace(path)
        lock(fd, how)

    monkeypatch.setattr(fcntl, "flock", replace_first)
    file = AppendFile(path)
    file.append(MINE)
    file.close()
    assert path.read_bytes() == b"new\n" + MINE


def test_a_file_is_replaced_at_once_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is appended after it stands in the file of the path."""
    file = AppendFile(path)
    file.replace(b"e,f\n")
    file.append(MINE)

    def refuse(_fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        file.replace(b"g,h\n")
    monkeypatch.undo()
    file.append(MINE)
    file.close()
    assert path.read_bytes() == b"e,f\n" + 2 * MINE
    assert [other.name for other in path.parent.iterdir()] == [path.name]
