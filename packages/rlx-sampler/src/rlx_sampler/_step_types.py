"""What a time step is within its episode."""

from enum import IntEnum

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
