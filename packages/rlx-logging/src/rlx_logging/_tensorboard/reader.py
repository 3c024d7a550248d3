"""Reads TensorBoard event files, own and foreign: every scalar, none sampled away."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlx_logging._metrics.metrics import Metrics
from rlx_logging._metrics.series import Column, join_columns
from rlx_logging._tensorboard.scan import RecordScan
from rlx_logging._tensorboard.template import Template, numbers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def read_event_files(paths: Sequence[Path]) -> Metrics:
    """Return the scalars of several files, one file after the other; damaged records are counted."""
    columns: dict[str, list[Column]] = {}
    damaged = offset = 0
    for path in paths:
        data = path.read_bytes()
        scan = RecordScan(data)
        scan.run()
        damaged += scan.damaged
        for length, starts in scan.starts.items():
            for tag, column in _columns(data, length, starts):
                columns.setdefault(tag, []).append(column._replace(starts=column.starts + offset))
        offset += len(data)
    return Metrics({tag: join_columns(parts) for tag, parts in columns.items()}, damaged=damaged)


def _columns(data: bytes, length: int, found: array[int]) -> Iterator[tuple[str, Column]]:
    """Yield the scalars of all records of one length."""
    import numpy as np

    starts = np.frombuffer(found, np.int64)
    while len(starts):
        first = int(starts[0])
        try:
            template = Template.parse(data[first : first + length])
        except ValueError:
            template = Template(None, None, ())
        if not template.points:
            starts = starts[1:]
            continue
        every_offset = np.ndarray((len(data) - length + 1,), f"V{length}", data, 0, (1,))
        rows = every_offset[starts].view(np.uint8).reshape(len(starts), length)
        alike = template.alike(rows)
        whole = bool(alike.all())
        yield from _scalars(template, starts if whole else starts[alike], rows if whole else rows[alike])
        starts = starts[~alike]


def _scalars(
    template: Template, starts: NDArray[np.int64], rows: NDArray[np.uint8]
) -> Iterator[tuple[str, Column]]:
    """Yield the scalars of records that are alike, by their tags."""
    steps, times = template.steps(rows), template.times(rows)
    for point in template.points:
        values = numbers(rows, point.value, point.dtype)
        for tag, chosen in _by_tag(rows[:, point.tag]):
            yield tag, Column(starts[chosen], steps[chosen], values[chosen], times[chosen])


def _by_tag(letters: NDArray[np.uint8]) -> Iterator[tuple[str, Any]]:
    """Yield each tag with an index of the rows, (N, letters), that have it."""
    import numpy as np

    if (letters == letters[0]).all():
        yield _text(letters[0]), slice(None)
        return
    keys = _hashes(letters)
    order = np.argsort(keys, kind="stable")
    bounds = np.flatnonzero(np.diff(keys[order])) + 1
    for group in np.split(order, bounds):
        same = (letters[group] == letters[group[0]]).all(axis=1)
        yield _text(letters[group[0]]), group[same]
        if not same.all():  # two tags with one hash
            yield from ((tag, group[~same][chosen]) for tag, chosen in _by_tag(letters[group[~same]]))


def _hashes(letters: NDArray[np.uint8]) -> NDArray[np.uint64]:
    import numpy as np

    keys = np.zeros(len(letters), np.uint64)
    for column in range(letters.shape[1]):
        keys = keys * np.uint64(0x100000001B3) + letters[:, column]
    return keys


def _text(letters: NDArray[np.uint8]) -> str:
    return letters.tobytes().decode("utf-8", "replace")
