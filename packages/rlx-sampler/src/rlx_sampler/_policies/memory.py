"""Whether a policy remembers: whether acting changes anything in it."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from rlx_sampler._batches.trees import Array, ArrayTree, map_leaves
from rlx_sampler._copies import copy_of, packed
from rlx_sampler._global_generators import generators_kept
from rlx_sampler._keys import CallKey
from rlx_sampler._offers import offered, takes_argument
from rlx_sampler._parameter_trees import copy_of_parameters
from rlx_sampler._policies.acting import build_actor

STEPS: Final = 3


class MemoryProbe:
    """Finds, once for each class of policies, whether one remembers."""

    def __init__(self) -> None:
        self._found: dict[type, bool] = {}

    def __call__(self, policy: Any, observe: Callable[[], ArrayTree], block: int) -> bool:
        """Say whether `policy` remembers; `observe` gives an observation that it accepts."""
        kind: type = type(policy)  # pyright: ignore[reportUnknownVariableType]  # a policy is anything
        if kind not in self._found:
            self._found[kind] = _changes(policy, observe(), block)
        return self._found[kind]

    def most_lanes(self, policy: Any, n_lanes: int, observe: Callable[[], ArrayTree], block: int) -> int:
        """Return how many episodes `policy` may act for: one where it can forget them only all at once."""
        is_alone = n_lanes == 1 or not forgets_all_at_once(policy)
        return n_lanes if is_alone or not self(policy, observe, block) else 1


def _changes(policy: Any, observation: ArrayTree, block: int) -> bool:
    """Whether a copy of `policy` is another one after a few steps.

    Hidden states, frame histories, counters and generators of its own are all found in this way.
    """

    def repeated(leaf: Any) -> Array:
        return np.repeat(np.asarray(leaf)[None], actor.n_rows, axis=0)

    twin = copy_of(policy, "policy")
    actor = build_actor(twin, block, block, _may_not_merge)
    stack = map_leaves(repeated, observation)
    with generators_kept():
        actor.use(0, CallKey(0, 0, 0).episode(0))
        try:
            actor.forget(0)
            actor.act(stack, 1)  # the first may prepare something that stays the same
            before = packed(twin, "policy")
            for _ in range(STEPS):
                actor.act(stack, 1)
            return packed(twin, "policy") != before
        except Exception:  # noqa: BLE001 - an episode raises it again, and says where
            return False


def _may_not_merge(policy: Any, observations: ArrayTree, block: int) -> bool:
    del policy, observations, block
    return False


def forgets(policy: Any) -> bool:
    """Whether `policy` can be told that an episode begins."""
    return offered(policy, "reset") is not None


def forgets_all_at_once(policy: Any) -> bool:
    """Whether `policy` can only be told that all episodes begin that it acts for."""
    reset = offered(policy, "reset")
    return reset is not None and not takes_argument(reset)


def copy_with_parameters(policy: Any, giver: Any) -> Any:
    """Return a copy of `policy` that remembers what it does, with the parameters of `giver`."""
    twin = copy_of(policy, "policy")
    get, put = offered(giver, "get_param_values"), offered(twin, "set_param_values")
    if get is not None and put is not None:
        put(copy_of_parameters(get()))
    return twin
