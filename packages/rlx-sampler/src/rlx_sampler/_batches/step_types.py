"""What a time step is within its episode."""

from enum import IntEnum
from numbers import Integral

import numpy as np

from rlx_sampler._batches.trees import Array


class StepType(IntEnum):
    """Place of a step in its episode; an episode of one step is TERMINAL or TIMEOUT."""

    __module__ = "rlx_sampler"  # what pickles name: inside, classes may move

    FIRST = 0
    MID = 1
    TERMINAL = 2
    """The environment ended here; beats TIMEOUT where both hold."""
    TIMEOUT = 3
    """Cut off by a time limit, the environment's own or the sampler's."""

    @classmethod
    def get_step_type(cls, step_cnt: int, max_episode_length: int | None, done: bool) -> "StepType":
        """Return the type of a step as garage's environments label it: at the time limit always TIMEOUT.

        Args:
            step_cnt: Number of the step in its episode, from 1.
            max_episode_length: Time limit; None where there is none.
            done: Whether the environment ended here.

        Raises:
            ValueError: If `step_cnt` is below 1.
        """
        if step_cnt < 1:
            raise ValueError(f"step_cnt is {step_cnt}; it must be at least 1: call reset() first.")
        if max_episode_length is not None and step_cnt >= max_episode_length:
            return cls.TIMEOUT
        if done:
            return cls.TERMINAL
        return cls.FIRST if step_cnt == 1 else cls.MID


def as_step_types(values: Array) -> Array:
    """Return `values` as integers where they are an array of `StepType` objects, as garage's are."""
    members = values.dtype == object and all(isinstance(each, Integral) for each in values.flat)
    return values.astype(np.int8) if members else values


def label_steps(length: int, end: StepType) -> Array:
    """Return the step types of an episode of `length` steps, at least 1, that ended with `end`."""
    return label_segments(np.array([length]), np.array([end]), np.array([True]))


def label_segments(lengths: Array, ends: Array, beginnings: Array) -> Array:
    """Return the step types of segments of episodes in a row.

    Args:
        lengths: Number of steps of each, at least 1.
        ends: Type of the last step of each; MID where the episode continues after it.
        beginnings: Whether the first step of each is the first of its episode.
    """
    stops = np.cumsum(lengths)
    step_types = np.full(int(stops[-1]), StepType.MID, np.int8)
    step_types[(stops - lengths)[beginnings]] = StepType.FIRST
    cut = ends == StepType.MID
    step_types[stops[~cut] - 1] = ends[~cut]
    return step_types
