"""The environments that a worker owns."""

from collections.abc import Callable, Iterator
from typing import Any

from rlx_sampler._batches.trees import is_tuple, rows
from rlx_sampler._copies import copy_of, packed, unpacked
from rlx_sampler._exactness import (
    can_save_environments,
    histories_of,
    load_exactly,
    obstacle_to_check,
    save_exactly,
)
from rlx_sampler._offers import changes_environment, is_environment, is_list, needs
from rlx_sampler._vector.environments import BuiltWithSeed, VectorEnvironment, number_of_lanes
from rlx_sampler._workers.renewed_environment import RenewedEnvironment, renewed


class Environments:
    """The environments of a worker's lanes: built one a lane by a function, or copies of one that was given."""

    def __init__(self) -> None:
        self._all: list[Any] = []
        self._vector: tuple[Any, VectorEnvironment] | None = None
        self._functions: list[Callable[..., Any]] = []
        """What gives one more: the first builds it, the others change it; empty where one is copied."""

    def update_lanes(self, env_update: Any, n_envs: int, *, may_be_vector: bool) -> int:
        """Take another environment, or what a function builds or makes of the old ones, or a list of `n_envs`.

        Returns:
            How many episodes run side by side: `n_envs`, or the lanes of a vector environment.

        Raises:
            TypeError: If `env_update` is none of them.
            ValueError: If a list has another length.
        """
        if is_list(env_update) and len(env_update) != n_envs:
            raise ValueError(f"a worker got a list of {len(env_update)} environments; n_envs is {n_envs}.")
        self._update(env_update)
        self._copy_repeated()
        vector = self.vector()
        if vector is not None and not may_be_vector:
            raise TypeError(f"{vector.name} is a vector environment, which needs worker_class=VecWorker.")
        return n_envs if vector is None else vector.n_lanes

    def _update(self, env_update: Any) -> None:
        if is_environment(env_update):
            self.replace([env_update])
        elif is_list(env_update):
            self._update_each(list(env_update))
        elif not callable(env_update):
            raise TypeError(f"{env_update!r} is neither an environment nor a function that gives one.")
        elif needs(env_update, "seed"):
            self._build(lambda: BuiltWithSeed(env_update))
        elif changes_environment(env_update):
            self._change(env_update)
        else:
            self._build(lambda: checked(env_update(), env_update))

    def _build(self, function: Callable[[], Any]) -> None:
        self.replace([function()])
        self._functions = [function]

    def _change(self, env_update: Callable[..., Any]) -> None:
        def change(environment: Any) -> Any:
            given = environment.env if isinstance(environment, RenewedEnvironment) else environment
            return checked(env_update(given), env_update)

        if not self._all:
            self._build(lambda: change(None))
            return
        self._all = [change(environment) for environment in self._all]
        if self._functions:
            self._functions.append(change)

    def _more(self, count: int) -> Iterator[Any]:
        """Yield `count` environments more than there are.

        Raises:
            RuntimeError: If there is none yet.
        """
        if not self._all:
            raise RuntimeError("the worker has no environment: call update_env first.")
        if not self._functions:
            first = self._all[0]
            data = packed(first.env if isinstance(first, RenewedEnvironment) else first, "environment")
            yield from (unpacked(data) for _ in range(count))
            return
        build, *changes = self._functions
        for _ in range(count):
            environment = build()
            for change in changes:
                environment = change(environment)
            yield environment

    def _copy_repeated(self) -> None:
        """Give each lane an environment of its own, where a function gave the same one for several."""
        for position, environment in enumerate(self._all):
            if any(environment is other for other in self._all[:position]):
                self._all[position] = copy_of(environment, "environment")

    def _update_each(self, updates: list[Any]) -> None:
        """Take one update for each environment; those without one are closed."""
        updated: list[Any] = []
        for position, update in enumerate(updates):
            single = Environments()
            single._all = self._all[position : position + 1]
            single._update(update)
            updated.extend(single._all)
        for environment in self._all[len(updates) :]:
            environment.close()
        self._all, self._functions = updated, []

    def vector(self) -> VectorEnvironment | None:
        """Return the environment that steps all its lanes at once, if it is one.

        Raises:
            TypeError: If it stands beside others, or takes no seed.
        """
        if not self._all:
            return None
        first = self._all[0]
        n_lanes = number_of_lanes(first.built if isinstance(first, BuiltWithSeed) else first)
        if n_lanes is not None and len(self._all) > 1:
            raise TypeError(f"a vector environment of {n_lanes} lanes is the only environment of its worker.")
        if n_lanes is None:
            return None
        if self._vector is None or self._vector[0] is not first:  # what it says of itself is read only once
            self._vector = (first, VectorEnvironment(first))
        return self._vector[1]

    def unsaved(self) -> str:
        """Return the name of a vector environment that cannot be saved as it is now; empty if there is none."""
        vector = self.vector()
        if vector is None or not can_save_environments():
            return ""
        try:
            save_exactly(self._all[0])
        except Exception:  # noqa: BLE001 - whatever it is, it cannot be saved
            return vector.name
        return ""

    def unseeded(self) -> str:
        """Return the name of a vector environment whose lanes cannot be seeded one by one; empty if there is none."""
        vector = self.vector()
        return "" if vector is None or vector.has_seeded_lanes else vector.name

    def first_observation(self, seed: int) -> Any:
        """Return an observation to try a policy with.

        Raises:
            TypeError: If the environment has another interface than gymnasium's.
        """
        vector = self.vector()
        if vector is not None:
            return rows(vector.reset_all(seed)[0], 0)
        result = self.take(1)[0].reset(seed=seed)
        if not is_tuple(result) or len(result) != 2:
            raise TypeError(
                f"reset() of {type(self._all[0]).__name__} gave {result!r:.100} and not an observation and a "
                f"dict: environments speak gymnasium's API, step() with five results too."
            )
        return result[0]

    def replace(self, environments: list[Any]) -> None:
        """Close all and continue with others."""
        self.close()
        self._all, self._functions = environments, []

    def take(self, count: int) -> list[Any]:
        """Return `count` environments: those there are, and as many more as it takes.

        Raises:
            RuntimeError: If there is none yet.
        """
        if len(self._all) < max(1, count):
            self._all.extend(self._more(count - len(self._all)))
            self._copy_repeated()
        self._all = [renewed(environment) for environment in self._all]
        return self._all[:count]

    def all(self) -> list[Any]:
        """Return those that have been built so far."""
        return list(self._all)

    def __len__(self) -> int:
        """Return how many have been built so far."""
        return len(self._all)

    def histories(self) -> tuple[str, ...]:
        """Return the names of the layers whose history reaches beyond an episode."""
        return histories_of(self._all[0]) if self._all else ()

    def obstacle_to_check(self) -> str:
        """Return why an environment must not be built once more for a check; empty where it may."""
        return obstacle_to_check(self._all[0]) if self._all else ""

    def save(self) -> list[bytes]:
        """Return all of them as they are now."""
        return [save_exactly(environment) for environment in self._all]

    def load(self, states: list[bytes]) -> None:
        """Continue with what `save` returned."""
        self.replace([load_exactly(state) for state in states])

    def close(self) -> None:
        """Close all of them."""
        while self._all:
            self._all.pop().close()


def checked(built: Any, function: Any) -> Any:
    """Return what `function` has built.

    Raises:
        TypeError: If it is no environment.
    """
    if not is_environment(built):
        raise TypeError(f"{function!r} gave {built!r:.100}, which has no reset() and step(): no environment.")
    return built
