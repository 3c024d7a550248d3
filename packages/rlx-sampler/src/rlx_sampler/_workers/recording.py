"""What the lanes have seen, done and earned, from one step to the next."""

from collections.abc import Callable, Sequence

import numpy as np

from rlx_sampler._batches.layouts import Layout, layout_of
from rlx_sampler._batches.recorded import EpisodeChunk
from rlx_sampler._batches.trees import Array, flat, flat_as
from rlx_sampler._policies.acting import Answer
from rlx_sampler._workers.segments import Segment, chunks_of
from rlx_sampler._workers.stack import ObservationStack
from rlx_sampler._workers.step_buffer import StepBuffer


class Recording:
    """A step buffer whose form follows from the first step that is written.

    Args:
        n_lanes: Lanes that are recorded.
    """

    def __init__(self, n_lanes: int) -> None:
        self._n_lanes = n_lanes
        self._step_buffer: StepBuffer | None = None
        self._template: Answer | None = None
        self._layout: Layout | None = None

    @property
    def now(self) -> int:
        """Number of steps written so far."""
        return 0 if self._step_buffer is None else self._step_buffer.now

    def write(self, stack: ObservationStack, answer: Answer, oldest: Callable[[], int]) -> Array:
        """Write the step that is about to be taken; return where its rewards go.

        Args:
            stack: What the policy saw.
            answer: What it gave.
            oldest: Returns the first step that is still needed.

        Raises:
            ValueError: If the policy gave infos of other names than in the first step.
        """
        if self._template is None or self._step_buffer is None:
            self._template = answer
            self._layout = layout_of((stack.tree, *answer))
            self._step_buffer = StepBuffer(self._n_lanes, [*stack.arrays(), *flat(tuple(answer))])
        return self._step_buffer.write([*stack.arrays(), *_in_order(self._template, answer)], oldest)

    def earned(self, lane: int, begin: int) -> float:
        """Return the sum of the rewards of `lane` since the step `begin`."""
        if self._step_buffer is None:
            return 0.0
        return float(sum(self._step_buffer.rewards(np.arange(begin, self._step_buffer.now), lane).tolist()))

    def take_ended(self, segments: Sequence[Segment]) -> list[EpisodeChunk]:
        """Take segments off the step buffer."""
        if self._step_buffer is None or self._layout is None:
            return []
        return list(chunks_of(segments, self._step_buffer, self._layout))


def _in_order(template: Answer, answer: Answer) -> list[Array]:
    """Return the arrays of `answer` in the order in which `template` has them."""
    if answer.infos.keys() != template.infos.keys():
        raise ValueError(
            f"the policy's infos were {sorted(template.infos)} and are now {sorted(answer.infos)}; "
            f"a policy must give the same names every time."
        )
    return flat_as(template, answer)
