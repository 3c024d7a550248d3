"""Reading logs back, whatever wrote them."""

from __future__ import annotations

import os
from pathlib import Path

from rlx_logging._journal.format import FILE_NAME
from rlx_logging._metrics.metrics import Metrics
from rlx_logging._metrics.tables import read_tables


def read_metrics(path: str | os.PathLike[str]) -> Metrics:
    """Return everything that was logged at `path`, every point of it.

    Args:
        path: A run folder, a journal, a TensorBoard event file, or a table: ``progress.csv`` or
            ``progress.json`` of Stable-Baselines3, or an own CSV table. In a folder the journal is read
            where there is one, else its event files, the oldest first, else its tables.

    Raises:
        FileNotFoundError: If there is nothing to read.
        ValueError: If `path` is a file of another kind.
    """
    place = Path(path)
    if place.is_file() and place.suffix in (".csv", ".json"):
        return read_tables([place])
    if place.is_file() and "tfevents" not in place.name:
        return _journal_of_any_name(place)
    if (place / FILE_NAME).is_file():
        return _journal(place / FILE_NAME)
    from rlx_logging._tensorboard.reader import read_event_files

    files = [place] if place.is_file() else sorted(place.glob("*tfevents*"))
    if not files:
        return read_tables(_tables_in(place))
    return read_event_files(files)


def _tables_in(place: Path) -> list[Path]:
    """Return the CSV tables of a folder, or else its JSON lines, which Stable-Baselines3 writes of the same rows."""
    tables = sorted(place.glob("progress*.csv")) or sorted(place.glob("progress.json"))
    if not tables:
        raise FileNotFoundError(_nothing_in(place))
    return tables


def _nothing_in(place: Path) -> str:
    if not place.exists():
        return f"there is no file or folder {place}."
    nothing = f"there is neither a journal ({FILE_NAME}) nor a TensorBoard event file in {place}"
    below = next(place.glob(f"*/{FILE_NAME}"), None) or next(place.glob("*/*tfevents*"), None)
    return f"{nothing}, but there are runs below it: name them, as '{place}/*'." if below else f"{nothing}."


def _journal_of_any_name(path: Path) -> Metrics:
    metrics = _journal(path)
    content = metrics.series or metrics.arrays or metrics.texts or metrics.hparams
    if metrics.damaged and not content and path.suffix != Path(FILE_NAME).suffix:
        raise ValueError(f"{path} is neither a journal nor a TensorBoard event file.")
    return metrics


def _journal(path: Path) -> Metrics:
    from rlx_logging._journal.reader import read_journal

    return read_journal(path)
