"""The numbers of one epoch: what the algorithm logs, and what the batches say."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from rlx_protocols import EpisodeBatchLike
from rlx_runner._offers import offered

SUCCESS_KEYS = ("success", "is_success")


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

        An episode that began in an earlier batch is counted whole where the sampler tells
        `episode_return` and `episode_length` in `episode_infos`.
        """
        lengths = np.asarray(batch.lengths, dtype=np.int64)
        if lengths.size == 0:
            return
        starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        mask = offered(batch, "complete")
        complete = np.ones(lengths.size, dtype=np.bool_) if mask is None else np.asarray(mask, dtype=np.bool_)
        rewards = np.asarray(batch.rewards, dtype=np.float64)
        totals = cast("Mapping[str, Any]", offered(batch, "episode_infos") or {})
        returns = totals.get("episode_return", np.add.reduceat(rewards, starts))
        self._returns.append(np.asarray(returns, dtype=np.float64)[complete])
        self._lengths.append(np.asarray(totals.get("episode_length", lengths), dtype=np.int64)[complete])
        success = next((batch.env_infos[key] for key in SUCCESS_KEYS if key in batch.env_infos), None)
        if success is not None:
            steps = np.asarray(success).astype(np.bool_).reshape(rewards.size, -1)[:, 0]
            self._successes.append(np.logical_or.reduceat(steps, starts)[complete])

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


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0)
