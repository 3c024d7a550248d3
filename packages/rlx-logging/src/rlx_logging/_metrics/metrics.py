"""What was logged, read back: a series of values for every tag."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rlx_logging._scopes import RestoredData


@dataclass(frozen=True)
class Series:
    """All values of one tag, in the order they were logged.

    Attributes:
        steps: (N,) int64.
        values: (N,) float64; from TensorBoard's files with the precision of float32.
        wall_times: (N,) float64, seconds since the epoch.
    """

    steps: NDArray[np.int64]
    values: NDArray[Any]
    wall_times: NDArray[np.float64]

    def __len__(self) -> int:
        """Return how many values there are."""
        return len(self.steps)


@dataclass(frozen=True)
class Metrics(Mapping[str, Series]):
    """Series by tag, with what else a log holds.

    Attributes:
        series: The numbers.
        arrays: Arrays by tag, as (step, array).
        texts: Texts by tag, as (step, text).
        hparams: The arguments of the run.
        damaged: Records that could not be read.
    """

    series: Mapping[str, Series]
    arrays: Mapping[str, list[tuple[int, NDArray[Any]]]] = field(default_factory=dict[str, Any])
    texts: Mapping[str, list[tuple[int, str]]] = field(default_factory=dict[str, Any])
    hparams: Mapping[str, Any] = field(default_factory=dict[str, Any])
    damaged: int = 0

    def __getitem__(self, tag: str) -> Series:
        """Return the series of `tag`; a KeyError lists the tags that there are."""
        try:
            return self.series[tag]
        except KeyError:
            raise KeyError(f"no tag {tag!r}; there are: {', '.join(self.series)}") from None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the tags."""
        return iter(self.series)

    def __len__(self) -> int:
        """Return how many tags there are."""
        return len(self.series)

    def nested(self) -> RestoredData:
        """Return the values in a dict nested by ``/``; where ``a`` and ``a/b`` are both there, ``a`` is under ``a``, ``""``."""
        tree: dict[str, Any] = {}
        for tag, series in self.series.items():
            *names, leaf = tag.split("/")
            node = tree
            for name in names:
                node = _below(node, name)
            _put(node, leaf, series.values)
        return tree

    def to_pandas(self) -> Any:
        """Return a long pandas DataFrame: tag, step, value, wall_time.

        Raises:
            MissingBackendError: If pandas is not installed.
        """
        import numpy as np

        from rlx_logging._missing import require

        pandas = require("pandas", extra="export", used_by="Metrics.to_pandas")
        series = list(self.series.values())
        return pandas.DataFrame(
            {
                "tag": np.repeat(np.array(list(self.series), dtype=object), [len(one) for one in series]),
                "step": _joined([one.steps for one in series]),
                "value": _joined([one.values for one in series]),
                "wall_time": _joined([one.wall_times for one in series]),
            }
        )


def _below(node: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the dict under `name`; values that stood there move into it under the empty key."""
    there = node.get(name)
    if not isinstance(there, dict):
        node[name] = {} if there is None else {"": there}
    below: dict[str, Any] = node[name]
    return below


def _put(node: dict[str, Any], leaf: str, values: NDArray[Any]) -> None:
    if isinstance(node.get(leaf), dict):
        node[leaf][""] = values
    else:
        node[leaf] = values


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    import numpy as np

    return np.concatenate(parts) if parts else np.empty(0)
