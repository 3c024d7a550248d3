"""Normalising observations on the policy's side, where it does not spoil the keys.

A wrapper that normalises in the environment has a history of its own: what an episode
looks like then depends on the episodes before it, and on which worker ran those. Kept
with the policy and updated from whole batches, the same statistics are parameters like
any other: a batch depends on them, not on the order in which it was made.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlx_sampler._checks import positive_number

Array = NDArray[np.float64]


class ObservationNormalizer:
    """Running mean and variance of observations, to be held by a policy.

    Call `update` with a batch's observations after training on it, and
    `normalize` in the policy before its network; send `get_param_values` along
    with the policy's parameters. Until the first update, observations pass unchanged.

    Args:
        shape: Shape of one observation.
        clip: Bound of a normalised value, in standard deviations.
        epsilon: Added to the variance, for observations that never change.

    Raises:
        TypeError: If `clip` or `epsilon` is no number.
        ValueError: If `clip` or `epsilon` is not positive.
    """

    __module__ = "rlx_sampler"  # what pickles name: inside, classes may move

    def __init__(self, shape: tuple[int, ...], *, clip: float = 10.0, epsilon: float = 1e-8) -> None:
        self.clip = positive_number("clip", clip)
        self.epsilon = positive_number("epsilon", epsilon)
        self.count = 0
        self.mean: Array = np.zeros(shape)
        self.squares: Array = np.zeros(shape)

    @property
    def variance(self) -> Array:
        """Variance of all observations so far, of the shape of one; ones before the first."""
        return self.squares / self.count if self.count else np.ones_like(self.mean)

    def update(self, observations: ArrayLike) -> None:
        """Take in a batch of observations, (N, *shape).

        Source: Chan, Golub and LeVeque (1979), "Updating formulae and a pairwise algorithm for
        computing sample variances", eq. 2.1.

        Raises:
            ValueError: If the observations have another shape.
        """
        batch = np.asarray(observations, dtype=np.float64)
        if batch.shape[1:] != self.mean.shape or batch.ndim != self.mean.ndim + 1:
            raise ValueError(f"observations have shape {batch.shape}; they must have (N, {self.mean.shape}).")
        if not len(batch):
            return
        mean = batch.mean(axis=0)
        squares = np.square(batch - mean).sum(axis=0)
        total = self.count + len(batch)
        shift = mean - self.mean
        self.squares = self.squares + squares + np.square(shift) * (self.count * len(batch) / total)
        self.mean = self.mean + shift * (len(batch) / total)
        self.count = total

    def normalize(self, observations: ArrayLike) -> Array:
        """Return observations of mean 0 and variance 1, clipped; the shape stays."""
        values = np.asarray(observations, dtype=np.float64)
        if not self.count:
            return values
        scaled = (values - self.mean) / np.sqrt(self.variance + self.epsilon)
        return np.clip(scaled, -self.clip, self.clip)

    def get_param_values(self) -> dict[str, Any]:
        """Return the statistics as arrays by name."""
        return {"count": np.array(self.count), "mean": self.mean, "squares": self.squares}

    def set_param_values(self, values: Mapping[str, Any], /) -> None:
        """Take over statistics, as `get_param_values` gave them."""
        self.count = int(values["count"])
        self.mean = np.array(values["mean"], dtype=np.float64)
        self.squares = np.array(values["squares"], dtype=np.float64)
