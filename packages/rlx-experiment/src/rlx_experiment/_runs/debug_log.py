"""``debug.log``: what the program says through `logging` during a run."""

import logging
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path


class _RunHandler(logging.FileHandler):
    """Appends to one run's debug.log, also what no encoding has (names of files in another one)."""

    over = False

    def close(self) -> None:
        """Close the file for good."""
        self.over = True
        super().close()


@contextmanager
def debug_log(folder: Path, name: str = "debug.log") -> Generator[None]:
    """Send the root logger's records to the file `name` in `folder`, appended.

    A run inside a run takes over: its records are its own. Where logging was not configured, records from INFO up are
    kept, and warnings still reach standard error; otherwise the levels stay as they are.
    """
    root = logging.getLogger()
    outer = [handler for handler in root.handlers if isinstance(handler, _RunHandler)]
    unconfigured = not root.handlers
    level = root.level
    handler = _RunHandler(folder / name, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    added: list[logging.Handler] = [handler]
    if unconfigured:
        root.setLevel(logging.INFO)
        added += [logging.lastResort] if logging.lastResort else []
    _swap(root, remove=outer, add=added)
    try:
        yield
    finally:
        _swap(root, remove=added, add=[handler for handler in outer if not handler.over])
        handler.close()
        if unconfigured:
            root.setLevel(level)


def _swap(root: logging.Logger, *, remove: Sequence[logging.Handler], add: Sequence[logging.Handler]) -> None:
    for handler in remove:
        root.removeHandler(handler)
    for handler in add:
        root.addHandler(handler)
