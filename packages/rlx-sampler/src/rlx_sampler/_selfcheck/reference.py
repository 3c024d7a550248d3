"""An episode of the process that saves, which the process that continues runs again: is it the same there?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from rlx_sampler._batches.trees import Array
from rlx_sampler._keys import EpisodeKey
from rlx_sampler._selfcheck.traces import DIGEST_SIZE, Difference, Trace, first_difference

ELSEWHERE: Final = "the process that continues runs an episode of the one that saved"
FIELDS: Final = ("observations", "rewards")
"""What the environment answers: policies learn in between, so that the recorded actions are taken."""


@dataclass(frozen=True, slots=True)
class ReferenceEpisode:
    """An episode in a new environment: its key, its actions, and the digests of what the environment said."""

    key: EpisodeKey
    longest: int
    """Steps after which it was cut off."""
    trace: Trace

    @classmethod
    def of(cls, key: EpisodeKey, longest: int, trace: Trace) -> Self | None:
        """Return what is to be kept of a trace; None where its actions cannot be taken again."""
        fields = {path: steps for path, steps in trace.fields.items() if path.startswith(FIELDS)}
        return None if trace.actions is None else cls(key, longest, trace._replace(fields=fields))

    def difference_from(self, again: Trace, longest: int) -> Difference | None:
        """Return where the episode that was run again parts from this one; None where it does not."""
        is_cut = longest != self.longest
        return first_difference(ELSEWHERE, self.trace, again, names=FIELDS, is_cut=is_cut)

    def as_state(self) -> dict[str, Any]:
        """Return this as plain values."""
        key = self.key
        return {
            "key": (key.root, key.stream, key.call, key.episode),
            "longest": self.longest,
            "n_steps": self.trace.n_steps,
            "actions": self.trace.actions,
            "fields": {path: b"".join(steps) for path, steps in self.trace.fields.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return what `as_state` was called of."""
        fields = {path: _cut(joined) for path, joined in state["fields"].items()}
        trace = Trace(int(state["n_steps"]), fields, state["actions"])
        return cls(EpisodeKey(*state["key"]), int(state["longest"]), trace)


class Replay:
    """A policy that takes recorded actions, whatever it sees.

    Args:
        actions: One action for each step, (N, ...).
    """

    def __init__(self, actions: Array) -> None:
        self._actions = actions
        self._step = 0

    def reset(self, dones: Any = None) -> None:
        """Begin again."""
        del dones
        self._step = 0

    def get_actions(self, observations: Any, *, rngs: Any) -> tuple[Array, dict[str, Any]]:
        """Return the next action, for every row."""
        del observations
        step = min(self._step, len(self._actions) - 1)
        self._step += 1
        return np.repeat(self._actions[step : step + 1], len(rngs), axis=0), {}


def _cut(joined: bytes) -> list[bytes]:
    return [joined[start : start + DIGEST_SIZE] for start in range(0, len(joined), DIGEST_SIZE)]
