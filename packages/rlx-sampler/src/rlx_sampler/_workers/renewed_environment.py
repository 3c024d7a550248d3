"""Environments of Box2D whose world outlives an episode: each episode gets a new one."""

from typing import Any

from rlx_sampler._copies import packed, unpacked
from rlx_sampler._exactness import layers
from rlx_sampler._offers import is_shown, world_of


class RenewedEnvironment:
    """An environment whose innermost layer is built again for an episode where its world is that of the one before.

    A world of Box2D keeps the order and the ids of what was in it before, so that the same seed gives other numbers.
    Wrappers stay as they are.

    Args:
        environment: The environment, in which nothing has happened yet.
    """

    def __init__(self, environment: Any) -> None:
        self.env = environment
        self._blank = packed(self._innermost(), "environment")
        self._is_worn = False
        """Whether an episode has begun in the present world."""

    def _innermost(self) -> Any:
        *_, innermost = layers(self.env)
        return innermost

    def reset(self, *, seed: int | None = None) -> Any:
        """Begin an episode."""
        if self._is_worn:
            self._renew()
        world = world_of(self._innermost())
        result = self.env.reset(seed=seed)
        self._is_worn = world_of(self._innermost()) is world
        return result

    def step(self, action: Any) -> Any:
        """Take a step."""
        return self.env.step(action)

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def _renew(self) -> None:
        old, new = self._innermost(), unpacked(self._blank)
        new.action_space, new.observation_space = old.action_space, old.observation_space  # they are seeded
        *_, holder, _ = layers(self)
        old.close()
        holder.env = new


def renewed(environment: Any) -> Any:
    """Return `environment`, in a form that renews its world if that is one of Box2D and can be built again.

    One that is shown on the screen stays as it is: its window would close and open for each episode.
    """
    *_, innermost = layers(environment)
    if isinstance(environment, RenewedEnvironment) or world_of(innermost) is None or is_shown(innermost):
        return environment
    try:
        return RenewedEnvironment(environment)
    except TypeError:  # it says nowhere how it is built
        return environment
