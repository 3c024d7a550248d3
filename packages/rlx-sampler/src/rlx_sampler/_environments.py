"""The environments that a worker owns."""

from typing import Any

from rlx_sampler._copies import copy_of
from rlx_sampler._exactness import histories_of, load_exactly, save_exactly
from rlx_sampler._offers import is_environment, takes_argument


class Environments:
    """One environment, and as many copies of it as lanes need."""

    def __init__(self) -> None:
        self._all: list[Any] = []

    def update(self, env_update: Any) -> None:
        """Take another environment, or what a function builds or makes of the present ones.

        Raises:
            TypeError: If `env_update` is neither.
        """
        if is_environment(env_update):
            self.replace([env_update])
        elif not callable(env_update):
            raise TypeError(f"{env_update!r} is neither an environment nor a function that gives one.")
        elif takes_argument(env_update):
            self._all = [env_update(environment) for environment in self._all or [None]]
        else:
            self.replace([env_update()])

    def replace(self, environments: list[Any]) -> None:
        """Close all and go on with others."""
        self.close()
        self._all = environments

    def take(self, count: int) -> list[Any]:
        """Return `count` environments, copied from the first where there are fewer.

        Raises:
            RuntimeError: If there is none yet.
        """
        if not self._all:
            raise RuntimeError("the worker has no environment: call update_env first.")
        while len(self._all) < count:
            self._all.append(copy_of(self._all[0], "environment"))
        return self._all[:count]

    def __len__(self) -> int:
        """Return how many have been built so far."""
        return len(self._all)

    def histories(self) -> tuple[str, ...]:
        """Return the names of the layers whose history reaches beyond an episode."""
        return histories_of(self._all[0]) if self._all else ()

    def save(self) -> list[bytes]:
        """Return all of them as they are now."""
        return [save_exactly(environment) for environment in self._all]

    def load(self, states: list[bytes]) -> None:
        """Go on with what :meth:`save` returned."""
        self.replace([load_exactly(state) for state in states])

    def close(self) -> None:
        """Close all of them."""
        while self._all:
            self._all.pop().close()
