"""What a time step is within its episode."""

from enum import IntEnum
from numbers import Integral

import numpy as np

from rlx_sampler._trees import Array


class StepType(IntEnum):
    """Place of a step in its episode; an episode of one step is TERMINAL or TIMEOUT."""

    FIRST = 0
    MID = 1
    TERMINAL = 2
    """The environment ended here; beats TIMEOUT where both hold."""
    TIMEOUT = 3
    """Cut off by a time limit, the environment's own or the sampler's."""


def as_step_types(values: Array) -> Array:
    """Return `values` as integers where they are an array of :class:`StepType` objects, as garage's are."""
    members = values.dtype == object and all(isinstance(each, Integral) for each in values.flat)
    return values.astype(np.int8) if members else values


def label_steps(length: int, end: StepType, *, is_beginning: bool = True) -> Array:
    """Return the step types of `length` steps in a row.

    Args:
        length: Number of steps, at least 1.
        end: Type of the last step; MID where the episode goes on after it.
        is_beginning: Whether the first step is the first of its episode.
    """
    step_types = np.full(length, StepType.MID, np.int8)
    if is_beginning:
        step_types[0] = StepType.FIRST
    if end is not StepType.MID:
        step_types[-1] = end
    return step_types
