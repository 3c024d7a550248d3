"""The numbers of one epoch: what the algorithm logs, and what the batches say."""

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from rlx_protocols import EpisodeBatchLike
from rlx_runner._offers import offered

SUCCESS_KEYS = ("success", "is_success")
FIRST = 0  # the step type of the first step of an episode


class EpochMetrics:
    """Collects the row of one epoch."""

    def __init__(self) -> None:
        self._logged: dict[str, Any] = {}
        self._returns: list[NDArray[np.float64]] = []
        self._lengths: list[NDArray[np.int64]] = []
        self._successes: list[NDArray[np.bool_]] = []

    def log(self, metrics: Mapping[str, Any]) -> None:
        """Add values; a name given again replaces its value."""
        self._logged.update(metrics)

    def add_batch(self, batch: EpisodeBatchLike) -> None:
        """Take returns, lengths and successes of the episodes that end in `batch`.

        An episode that began in an earlier batch is counted whole where the sampler gives
        `episode_return`, `episode_length` and `episode_success` in `episode_infos`.
        """
        lengths = np.asarray(batch.lengths, dtype=np.int64)
        if lengths.size == 0:
            return
        starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        mask = offered(batch, "complete")
        complete = np.ones(lengths.size, dtype=np.bool_) if mask is None else np.asarray(mask, dtype=np.bool_)
        rewards = np.asarray(batch.rewards, dtype=np.float64)
        totals = _Totals(batch, starts)
        self._returns.append(totals.replace("episode_return", np.add.reduceat(rewards, starts))[complete])
        self._lengths.append(totals.replace("episode_length", lengths).astype(np.int64)[complete])
        steps = [each for key in SUCCESS_KEYS if (each := successes(batch.env_infos, key)) is not None]
        ended = [np.logical_or.reduceat(each, starts) for each in steps if each.size == rewards.size]
        whole = successes(totals.infos, "episode_success")
        ended += [] if whole is None or whole.size != lengths.size else [whole]
        if ended:
            self._successes.append(np.logical_or.reduce(ended)[complete])

    @property
    def average_return(self) -> float | None:
        """Mean undiscounted return of the finished episodes; None where there is none."""
        returns = _joined(self._returns)
        return float(returns.mean()) if returns.size else None

    def row(self) -> dict[str, Any]:
        """Return the row: the runner's own numbers first, the algorithm's values winning over them."""
        row: dict[str, Any] = {}
        average = self.average_return
        if average is not None:
            lengths = _joined(self._lengths)
            row["AverageReturn"] = average
            row["EpisodeLength/mean"] = float(lengths.mean())
            row["EpisodeLength/min"] = int(lengths.min())
            row["EpisodeLength/max"] = int(lengths.max())
        successes = _joined(self._successes)
        if successes.size:
            row["SuccessRate"] = float(successes.mean())
        return row | self._logged


class _Totals:
    """What a sampler says about whole episodes, for those that began before their batch."""

    def __init__(self, batch: EpisodeBatchLike, starts: NDArray[np.int64]) -> None:
        self.infos = cast("Mapping[str, Any]", offered(batch, "episode_infos") or {})
        step_types = offered(batch, "step_types")
        self._began_earlier = (
            np.ones(starts.size, dtype=np.bool_)
            if step_types is None
            else np.asarray(step_types)[starts] != FIRST
        )

    def replace(self, name: str, sums: NDArray[Any]) -> NDArray[np.float64]:
        """Return `sums`, taken over the batch, with the totals `name` of the episodes that began earlier."""
        given = self.infos.get(name)
        if given is None:
            return sums.astype(np.float64)
        totals = np.array([math.nan if value is None else value for value in given], dtype=np.float64)
        return np.where(self._began_earlier & ~np.isnan(totals), totals, sums)


def successes(infos: Mapping[str, Any], key: str) -> NDArray[np.bool_] | None:
    """Return which values of the info `key` say success; None where there is none that is a number.

    Steps without the info hold NaN or None, which is no success.
    """
    values = infos.get(key)
    if values is None or isinstance(values, Mapping):
        return None
    array = np.asarray(values)
    if array.dtype.kind in "biuf":
        flat = array.reshape(len(array), -1)
        return (flat != 0)[:, 0] & ~np.isnan(flat[:, 0]) if flat.shape[1] == 1 else None
    known = (
        [np.asarray(value) for value in array.tolist() if value is not None]
        if array.dtype.kind == "O"
        else []
    )
    if not known or any(value.dtype.kind not in "biuf" or value.size != 1 for value in known):
        return None
    return np.array([value is not None and bool(value == value) and bool(value) for value in array.tolist()])


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0)
