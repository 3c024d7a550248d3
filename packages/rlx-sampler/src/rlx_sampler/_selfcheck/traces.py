"""Episodes as one digest a field and step, so that two can be compared and the first difference named."""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from rlx_sampler._batches.episodes import EpisodeBatch
from rlx_sampler._batches.trees import Array, is_array, leaves

FIELDS: Final = ("observations", "agent_infos", "actions", "rewards", "env_infos")
"""In the order in which a step makes them: what differs first is the cause."""
OF_EPISODE: Final = "episode_infos"
"""Compared where an episode ends, for some of them are sums over it."""
CLOCK: Final = "['episode']['t']"
"""How the path of a wall-clock time ends: what gymnasium's RecordEpisodeStatistics adds to an info."""
COMMON: Final = ("observations", "actions", "rewards")
"""What does not depend on where an episode was cut off."""
DIGEST_SIZE: Final = 8


class Trace(NamedTuple):
    """One episode: the digests of its steps, by the path of each field.

    Attributes:
        n_steps: How many.
        fields: One digest for each step; empty where there is nothing.
        actions: The actions themselves, if they are one array of numbers; None otherwise.
    """

    n_steps: int
    fields: Mapping[str, Sequence[bytes]]
    actions: Array | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """The first bits in which two episodes differ that should be equal."""

    comparison: str
    """What was compared, in words."""
    field: str
    step: int

    @property
    def is_by_policy(self) -> bool:
        """Whether the policy answered otherwise to the same observations."""
        return self.field.startswith(("actions", "agent_infos"))

    def __str__(self) -> str:
        """Say what differs, where, and in which comparison."""
        return f"{self.field} of step {self.step} differ when {self.comparison}"


def trace_of(batch: EpisodeBatch) -> Trace:
    """Return the trace of a batch of one episode, or of what belongs to one key."""
    fields = {
        path: [_digest(leaf[step : step + 1]) for step in range(batch.n_steps)]
        for name in FIELDS
        for path, leaf in leaves(getattr(batch, name), name)
        if not path.endswith(CLOCK)
    }
    nothing = [b""] * (batch.n_steps - 1)
    of_episode = {path: [*nothing, _digest(leaf)] for path, leaf in leaves(batch.episode_infos, OF_EPISODE)}
    actions = batch.actions if is_array(batch.actions) and not batch.actions.dtype.hasobject else None
    return Trace(batch.n_steps, {**fields, **of_episode}, actions)


def first_difference(
    comparison: str,
    one: Trace,
    other: Trace,
    *,
    names: Sequence[str] = (*FIELDS, OF_EPISODE),
    is_cut: bool = False,
) -> Difference | None:
    """Return where two episodes part; None where they do not.

    Args:
        comparison: What is compared, in words.
        one: An episode.
        other: The same one again.
        names: Fields to compare.
        is_cut: Whether one may be shorter, because it was cut off earlier.
    """
    paths = [path for path in {**one.fields, **other.fields} if path.startswith(tuple(names))]
    for step in range(min(one.n_steps, other.n_steps)):
        for path in paths:
            if not _equal(one.fields.get(path), other.fields.get(path), step):
                return Difference(comparison, path, step)
    if one.n_steps != other.n_steps and not is_cut:
        return Difference(comparison, "lengths", min(one.n_steps, other.n_steps))
    return None


def _equal(one: Sequence[bytes] | None, other: Sequence[bytes] | None, step: int) -> bool:
    return one is not None and other is not None and one[step] == other[step]


def _digest(rows: Array) -> bytes:
    digest = blake2b(rows.dtype.str.encode(), digest_size=DIGEST_SIZE)
    digest.update(_plain(rows) if rows.dtype.hasobject else rows.tobytes())
    return digest.digest()


def _plain(rows: Array) -> bytes:
    values: Any = rows.tolist()
    try:
        return pickle.dumps(values, protocol=5)
    except Exception:  # noqa: BLE001 - whatever it is that no pickle holds, its name is all that can be compared
        return str(values[0].__class__).encode()
