"""What each worker works with: its policy, its environment, and how they were changed since."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, Final

from rlx_sampler._copies import copy_of, packed, unpacked
from rlx_sampler._offers import changes_environment, is_environment, is_list, is_policy, needs
from rlx_sampler._parameter_trees import copy_of_parameters
from rlx_sampler._per_worker import spread
from rlx_sampler._workers.environments import Environments
from rlx_sampler._workers.worker import EnvUpdate, Worker

UPDATES_APPLIED_LATER: Final = 32
"""Functions of an environment that are kept; beyond, all are applied to the sampler's own copy of it."""
MOST_UPDATES: Final = 10_000
"""Functions that are kept of an environment that each lane builds for itself."""


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything a new worker needs to stand where the one before it stood."""

    agent: Any
    environment: Any
    parameters: Any = None
    env_updates: tuple[Any, ...] = ()
    """Functions of the environment, each of what the one before it gave."""

    def updated(self, agent_update: Any, env_update: Any) -> "Setup":
        """Return the setup after both updates, which it keeps; None keeps what there is."""
        setup = self
        if agent_update is not None and is_policy(agent_update):
            setup = replace(setup, agent=agent_update, parameters=None)
        elif agent_update is not None:
            setup = replace(setup, parameters=agent_update)
        if is_environment(env_update) or is_list(env_update) or _builds(env_update):
            setup = replace(setup, environment=env_update, env_updates=())
        elif env_update is not None:
            setup = replace(setup, **_changed(setup, env_update))
        return setup

    def apply(self, worker: Worker) -> None:
        """Give all of it to a new worker, as copies of its own."""
        worker.update_agent(own(self.agent, "policy"))
        worker.update_agent(own(self.parameters, "policy"))
        worker.update_env(own(self.environment, "environment"))
        for env_update in self.env_updates:
            worker.update_env(env_update)


def _changed(setup: Setup, env_update: Any) -> dict[str, Any]:
    """Return the fields after one more function of the environment, without those that it makes needless.

    Raises:
        ValueError: If there are too many to repeat them all in a worker that is replaced.
    """
    kept = list(setup.env_updates)
    while kept and isinstance(env_update, EnvUpdate) and env_update.replaces(kept[-1]):
        kept.pop()
    kept.append(env_update)
    if len(kept) > UPDATES_APPLIED_LATER and is_environment(setup.environment):
        environments = Environments()
        for each in (own(setup.environment, "environment"), *kept):
            environments.update_lanes(each, 1, may_be_vector=True)
        return {"environment": environments.take(1)[0], "env_updates": ()}
    if len(kept) > MOST_UPDATES:
        raise ValueError(
            f"{MOST_UPDATES} functions have changed the environment one after another, and a worker that "
            f"is replaced would have to repeat them all: pass a whole environment now and then, or an "
            f"EnvUpdate whose replaces() says which of the earlier ones it makes needless."
        )
    return {"env_updates": tuple(kept)}


def _builds(env_update: Any) -> bool:
    """Whether it gives a new environment, whatever the old one was."""
    return callable(env_update) and (needs(env_update, "seed") or not changes_environment(env_update))


def own(value: Any, role: str) -> Any:
    """Return a copy of a policy, an environment or parameters; a function is returned as it is."""
    if is_environment(value) or is_policy(value):  # asked in this order: an old wrapper warns of the second
        return copy_of(value, role)
    if role == "environment" and is_list(value):
        return [own(each, role) for each in value]
    if value is None or role == "environment":
        return value
    return copy_of_parameters(value)


def first_setups(agents: Any, envs: Any, n_workers: int) -> list[Setup]:
    """Return the setups that a sampler begins with, which hold copies of its own."""
    each = zip(spread("agents", agents, n_workers), spread("envs", envs, n_workers), strict=True)
    return [Setup(own(agent, "policy"), own(env, "environment")) for agent, env in each]


def updated_each(
    setups: Sequence[Setup], agent_updates: Sequence[Any], env_updates: Sequence[Any]
) -> list[Setup]:
    """Return the setups after an update of both kinds each; those that get the same one share one copy."""
    agents, envs = _own_each(agent_updates, "policy"), _own_each(env_updates, "environment")
    return [setup.updated(*updates) for setup, *updates in zip(setups, agents, envs, strict=True)]


def packed_envs(setups: Sequence[Setup]) -> bytes:
    """Return what updates have made of each worker's environment; empty where that cannot be pickled."""
    try:
        return packed([(setup.environment, *setup.env_updates) for setup in setups], "environment")
    except TypeError:
        return b""


def unpacked_envs(data: bytes, n_workers: int) -> Iterator[Sequence[Any]]:
    """Yield the updates, one a worker each, that make the environments what they were; one packed is for all.

    Raises:
        ValueError: If other workers than these had environments of their own.
    """
    each: list[tuple[Any, ...]] = unpacked(data)
    if len(each) not in (1, n_workers):
        raise ValueError(
            f"{len(each)} workers had environments of their own; {n_workers} cannot take them over."
        )
    yield from zip_longest(*(each if len(each) == n_workers else each * n_workers))


def _own_each(values: Sequence[Any], role: str) -> list[Any]:
    copies = {id(value): own(value, role) for value in {id(value): value for value in values}.values()}
    return [copies[id(value)] for value in values]
