"""Asking a policy for the actions of several episodes at once, or of one."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from rlx_sampler._batches.tensors import to_array
from rlx_sampler._batches.trees import (
    Array,
    ArrayTree,
    concatenate,
    flat,
    is_tuple,
    leaves,
    map_leaves,
    rows,
    words_as_objects,
)
from rlx_sampler._keys import CallKey, EpisodeKey
from rlx_sampler._offers import Acting, how_to_act, offered, reset_policy, takes_argument
from rlx_sampler._policies.row_generators import EpisodeNoise

Merging: TypeAlias = Callable[[Any, ArrayTree, int], bool]
"""Says whether a policy may get several blocks of observations in one call."""


class Answer(NamedTuple):
    """What a policy gave for a stack of observations, one row each."""

    actions: ArrayTree
    infos: ArrayTree


class Actor(Protocol):
    """A policy as the lanes see it."""

    @property
    def n_lanes(self) -> int:
        """Episodes that may run side by side."""
        ...

    @property
    def n_rows(self) -> int:
        """Rows of the stack of observations; those from `n_lanes` on are padding."""
        ...

    def use(self, lane: int, key: EpisodeKey) -> None:
        """Draw the noise of `lane` for `key` from now on, from its first step."""
        ...

    def rest(self, lane: int) -> None:
        """Draw no noise for `lane` until it is used again: nothing is under way there."""
        ...

    def forget(self, lane: int) -> None:
        """Let the policy forget what it remembers of `lane`: an episode begins there."""
        ...

    def use_many(self, lanes: Array, call: CallKey, episodes: Array) -> None:
        """Draw the noise of `lanes` for episodes of `call` from now on, from their first steps."""
        ...

    def rest_many(self, lanes: Array) -> None:
        """Draw no noise for `lanes` until they are used again."""
        ...

    def forget_many(self, lanes: Array) -> None:
        """Let the policy forget what it remembers of `lanes`."""
        ...

    def act(self, observations: ArrayTree, n_lanes: int) -> Answer:
        """Choose actions for a stack of observations, (n_rows, ...): for the first `n_lanes` at least."""
        ...

    def act_for(self, observations: ArrayTree, lanes: Array) -> tuple[Answer, Array | None]:
        """Choose actions for some lanes; see `BatchedActor.act_for`."""
        ...


class BatchedActor:
    """Runs a keyed policy on blocks of a fixed number of rows, so that a row's result is its own.

    Args:
        policy: What is asked.
        n_lanes: Episodes to run side by side.
        block: Rows that make a row's result independent of the others.
        may_merge: Says whether several blocks may go into one call.
    """

    def __init__(self, policy: Any, n_lanes: int, block: int, may_merge: Merging) -> None:
        self._policy = policy
        self._block = block
        self._may_merge = may_merge
        self._reset = offered(policy, "reset")
        self._remembers = self._reset is not None and takes_argument(self._reset)
        if self._remembers:
            n_lanes = min(n_lanes, block)  # one call a step, so that a lane keeps its row
        self.n_lanes = n_lanes
        self.n_rows = -(-n_lanes // block) * block
        self._noise = EpisodeNoise(self.n_rows)
        self._blocks = [slice(at, at + block) for at in range(0, self.n_rows, block)]
        self._all = slice(0, self.n_rows)
        self._merges: bool | None = None
        """Whether all rows may go into one call; None while that is not known."""

    def use(self, lane: int, key: EpisodeKey) -> None:
        """Let the row of `lane` draw the noise of `key`."""
        self._noise.begin(lane, key)

    def rest(self, lane: int) -> None:
        """Draw no noise for the row of `lane`."""
        self._noise.rest(lane)

    def forget(self, lane: int) -> None:
        """Let a policy with memory forget that row; reset one without."""
        if self._reset is None:
            return
        if self._remembers:
            self._reset(np.arange(self.n_rows) == lane)
        else:
            self._reset()

    def use_many(self, lanes: Array, call: CallKey, episodes: Array) -> None:
        """Let the row of each lane draw the noise of its episode of `call`."""
        self._noise.begin_many(lanes, call, episodes)

    def forget_many(self, lanes: Array) -> None:
        """Let a policy with memory forget the rows of these lanes; reset one without."""
        if self._reset is None:
            return
        if self._remembers:
            begins = np.zeros(self.n_rows, bool)
            begins[lanes] = True
            self._reset(begins)
        else:
            self._reset()

    def rest_many(self, lanes: Array) -> None:
        """Draw no noise for the rows of these lanes."""
        self._noise.rest(lanes)

    def act_for(self, observations: ArrayTree, lanes: Array) -> tuple[Answer, Array | None]:
        """Choose actions for some lanes, in as few rows as keep all bits.

        Returns:
            The answer, and the lane of each of its first rows; None where row i is lane i.
        """
        n_rows = self._block
        while n_rows < len(lanes):
            n_rows *= 2  # few sizes, since each is tried out once
        if self._remembers or n_rows >= self.n_lanes:
            return self.act(observations, self.n_lanes), None
        padded = np.full(n_rows, lanes[-1])
        padded[: len(lanes)] = lanes
        seen = rows(observations, padded)
        if n_rows == self._block or self._may_merge(self._policy, seen, self._block):
            parts = [slice(0, n_rows)]
        else:
            parts = [slice(at, at + self._block) for at in range(0, n_rows, self._block)]
        answers = [ask_many(self._policy, rows(seen, part), self._noise.part(padded[part])) for part in parts]
        self._noise.advance()
        return _joined(answers), lanes

    def act(self, observations: ArrayTree, n_lanes: int) -> Answer:
        """Run the policy on copies that it may keep or change, in as few calls as keep all bits."""
        parts = [
            ask_many(self._policy, _copied(observations, part), self._noise.part(part))
            for part in self._calls(observations, n_lanes)
        ]
        self._noise.advance()
        return _joined(parts)

    def _calls(self, observations: ArrayTree, n_lanes: int) -> list[slice]:
        """Return which rows go into each call of the policy."""
        n_blocks = -(-n_lanes // self._block)
        if n_blocks > 1 and self._merges is None:
            self._merges = self._may_merge(self._policy, observations, self._block)
        return [self._all] if n_blocks > 1 and self._merges else self._blocks[:n_blocks]


def _joined(parts: Sequence[Answer]) -> Answer:
    if len(parts) == 1:
        return parts[0]
    return Answer(concatenate([part.actions for part in parts]), concatenate([part.infos for part in parts]))


def _copied(observations: ArrayTree, part: slice) -> ArrayTree:
    def copied(leaf: Array) -> Array:
        return leaf[part].copy()

    return map_leaves(copied, observations)


class SingleActor:
    """Asks a policy for one action at a time; `rng` is passed where the policy takes it."""

    def __init__(self, policy: Any, acting: Acting) -> None:
        self.n_lanes = 1
        self.n_rows = 1
        self._policy = policy
        self._acting = acting
        self._rng = CallKey(0, 0, 0).episode(0).streams().rng

    def use(self, lane: int, key: EpisodeKey) -> None:
        """Take the generator of `key`; there is one lane."""
        del lane
        self._rng = key.streams().rng

    def use_many(self, lanes: Array, call: CallKey, episodes: Array) -> None:
        """Take the generator of the episode; there is one lane."""
        for lane, episode in zip(lanes.tolist(), episodes.tolist(), strict=True):
            self.use(lane, call.episode(episode))

    def rest(self, lane: int) -> None:
        """Do nothing: one lane needs no noise in advance."""

    def rest_many(self, lanes: Array) -> None:
        """Do nothing, as `rest`."""

    def forget_many(self, lanes: Array) -> None:
        """Reset the policy; there is one lane."""
        for lane in lanes.tolist():
            self.forget(lane)

    def act_for(self, observations: ArrayTree, lanes: Array) -> tuple[Answer, Array | None]:
        """Ask for the action of the one row."""
        return self.act(observations, len(lanes)), None

    def forget(self, lane: int) -> None:
        """Reset the policy; there is one lane."""
        del lane
        reset_policy(self._policy)

    def act(self, observations: ArrayTree, n_lanes: int) -> Answer:
        """Ask for the action of the one row."""
        del n_lanes
        if self._acting is Acting.GLOBAL_BATCHED:
            return checked(1, pair_of(self._policy.get_actions(map_leaves(np.copy, observations))))
        observation = map_leaves(np.copy, rows(observations, 0))
        if self._acting is Acting.SINGLE:
            action, infos = pair_of(self._policy.get_action(observation, rng=self._rng))
        else:
            action, infos = pair_of(self._policy.get_action(observation))
        return Answer(map_leaves(_stack_one, action), map_leaves(_stack_one, infos))


def _stack_one(leaf: Any) -> Array:
    return _as_array(leaf)[None]


def _as_array(leaf: Any) -> Array:
    return words_as_objects(to_array(leaf))


def ask_many(policy: Any, observations: ArrayTree, rngs: Sequence[np.random.Generator]) -> Answer:
    """Call a keyed policy's `get_actions` and check the number of rows that come back."""
    return checked(len(rngs), pair_of(policy.get_actions(observations, rngs=rngs)))


def pair_of(answer: Any) -> tuple[Any, dict[str, Any]]:
    """Return the actions and infos that a policy gave; None for infos means that there are none.

    Raises:
        TypeError: If it gave something else.
    """
    if not is_tuple(answer) or len(answer) != 2:
        raise TypeError(
            f"a policy must return actions and a dict, as in `return actions, {{}}`, not {answer!r:.100}."
        )
    actions, infos = answer
    return actions, {} if infos is None else dict(infos)


def checked(n_rows: int, answered: tuple[Any, dict[str, Any]]) -> Answer:
    """Return both as arrays.

    Raises:
        ValueError: If one has another first dimension than `n_rows`.
    """
    actions, infos = answered
    answer = Answer(map_leaves(_as_array, actions), map_leaves(_as_array, infos) if infos else {})
    for leaf in (*flat(answer.actions), *flat(answer.infos)):
        if leaf.shape[:1] != (n_rows,):
            raise _wrong_rows(n_rows, answer)
    return answer


def _wrong_rows(n_rows: int, answer: Answer) -> ValueError:
    named = [pair for name, tree in zip(Answer._fields, answer, strict=True) for pair in leaves(tree, name)]
    path, shape = next((path, leaf.shape) for path, leaf in named if leaf.shape[:1] != (n_rows,))
    return ValueError(
        f"get_actions got {n_rows} observations and gave {path} of shape {shape}; "
        f"the first dimension must be {n_rows}, one row an observation."
    )


def build_actor(policy: Any, n_lanes: int, block: int, may_merge: Merging) -> Actor:
    """Return the actor that suits what `policy` offers; see `BatchedActor`."""
    acting = how_to_act(policy)
    if acting is Acting.BATCHED:
        return BatchedActor(policy, n_lanes, block, may_merge)
    return SingleActor(policy, acting)
