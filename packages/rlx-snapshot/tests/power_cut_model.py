"""What a power cut could destroy, from the system calls of a save.

Until its file is fsynced, what was written may be lost; until the directory is fsynced, a
name may mean the old file or the new one. So: no name of a snapshot may ever mean a file
with unsynced contents, and a save may only be reported when its name is safe.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar


def power_cut_problem(trace: Iterable[tuple[str, str]], directory: Path) -> str | None:
    """What a power cut could have destroyed at some moment of a run that was traced from its start."""
    disk = _Disk(str(directory))
    for _, line in trace:
        problem = disk.after(line)
        if problem:
            return f"{problem}: {line}"
    return None


class _Disk:
    """Which files are synced, and which names are. A file is a number; the directory is file 0."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._names: dict[str, int] = {directory: 0}
        self._descriptors: dict[str, int] = {}
        self._unsynced: set[int] = set()
        self._files = 0

    def after(self, line: str) -> str | None:
        """Follow one system call; says what it made unsafe."""
        name = line.partition("(")[0]
        step = self._STEPS.get(name)
        return step(self, line) if step and " = -1" not in line else None

    def _opened(self, line: str) -> str | None:
        match = re.search(r'"([^"]+)", (\S+?)(?:, \d+)?\) = (\d+)', line)
        if match is None or not match[1].startswith(self._directory):
            return None
        path, flags, descriptor = match.groups()
        if path not in self._names:
            self._files += 1
            self._names[path] = self._files
        self._descriptors[descriptor] = self._names[path]
        return self._changed(self._names[path]) if "O_TRUNC" in flags else None

    def _copied(self, line: str) -> str | None:
        match = re.search(r"\((\d+)<.*, F_DUPFD\w*, .*\) = (\d+)", line)
        if match and match[1] in self._descriptors:
            self._descriptors[match[2]] = self._descriptors[match[1]]
        return None

    def _closed(self, line: str) -> str | None:
        self._descriptors.pop(_descriptor(line), None)
        return None

    def _written(self, line: str) -> str | None:
        file = self._descriptors.get(_descriptor(line))
        return None if file is None else self._changed(file)

    def _changed(self, file: int) -> str | None:
        self._unsynced.add(file)
        changed = [name for name, held in self._names.items() if held == file and _is_snapshot(name)]
        return "a snapshot is changed in place" if changed else None

    def _synced(self, line: str) -> str | None:
        self._unsynced.discard(self._descriptors.get(_descriptor(line), -1))
        return None

    def _renamed(self, line: str) -> str | None:
        old, new = re.findall(r'"([^"]+)"', line)
        if not new.startswith(self._directory):
            return None
        file = self._names[new] = self._names.pop(old)
        self._unsynced.add(0)
        return "a snapshot gets contents that may be lost" if file in self._unsynced else None

    def _linked(self, line: str) -> str | None:
        old, new = re.findall(r'"([^"]+)"', line)
        self._names[new] = self._names[old]
        return None

    def _unlinked(self, line: str) -> str | None:
        (path,) = re.findall(r'"([^"]+)"', line)
        self._names.pop(path, None)
        return "the newest snapshot is removed" if path.endswith("params.pkl") else None

    def _made(self, line: str) -> str | None:
        if ".acked-" in line and 0 in self._unsynced:
            return "success is reported while the name may be lost"
        return None

    _STEPS: ClassVar["dict[str, Callable[[_Disk, str], str | None]]"] = {
        "openat": _opened,
        "fcntl": _copied,
        "close": _closed,
        "write": _written,
        "writev": _written,
        "pwrite64": _written,
        "pwritev": _written,
        "pwritev2": _written,
        "ftruncate": _written,
        "fsync": _synced,
        "fdatasync": _synced,
        "rename": _renamed,
        "link": _linked,
        "linkat": _linked,
        "unlink": _unlinked,
        "mkdir": _made,
    }


def _is_snapshot(path: str) -> bool:
    return re.search(r"/(params|itr_\d+)\.pkl$", path) is not None


def _descriptor(line: str) -> str:
    match = re.search(r"\((\d+)<", line)
    return match[1] if match else ""
