"""A sampler that is built when first needed and put away when training ends."""

from collections.abc import Callable, Mapping
from typing import Any

from rlx_protocols import Sampler
from rlx_runner._errors import StatisticalResumeError
from rlx_runner._exactness import Grade
from rlx_runner._offers import graded, method, offered, parameters_of, policy_of, stateful
from rlx_runner._plan import SamplingPlan
from rlx_snapshot import exact_copy

_STALE = "the policy's {} changed, which get_param_values does not give: the saved run sampled with the first value"


class Sampling:
    """Holds a sampler and, while there is none, its state.

    Args:
        plan: How to sample; None for an algorithm that samples nothing.
        algo: Where the policy comes from.
        env: Environment, or a list of one a worker.
        choose_policy: Which of the algorithm's policies is sampled with.
    """

    def __init__(
        self, plan: SamplingPlan | None, algo: Any, env: Any, choose_policy: Callable[[Any], Any] = policy_of
    ) -> None:
        self._plan = plan
        self._algo = algo
        self._env = env
        self._choose_policy = choose_policy
        self._sampler: Sampler[Any] | None = None
        self._state: Mapping[str, Any] | None = None
        self._allow_statistical = False
        self._is_confirmed = True
        self._exactness: tuple[str, str] | None = None
        self._built_with: Mapping[str, Any] = {}

    def open(self) -> None:
        """Build the sampler, where there is one to build and it is not built yet.

        Raises:
            StatisticalResumeError: If the sampler cannot take over the saved state, and that was not allowed.
        """
        if self._plan is None or self._sampler is not None or self._lacking:
            return
        sampler = self._plan.build(self.policy, self._env)
        self._built_with = plain_attributes(self.policy)
        restorable = stateful(sampler)
        if self._state is not None and restorable is not None:
            try:
                restorable.load_state_dict(self._state)
            except ValueError as error:
                if not self._allow_statistical:
                    sampler.shutdown_worker()
                    raise StatisticalResumeError(
                        f"the sampler cannot continue exactly where the saved one was: {error} "
                        "Pass allow_statistical=True to restore() to continue with other numbers."
                    ) from error
        self._sampler = sampler

    def close(self) -> None:
        """Release the workers; their state stays, for the next time."""
        if self._sampler is None:
            return
        sampler = self._sampler
        try:
            self.exactness()
            self._state = self.state_dict()
        finally:  # workers of which one has died may have no state to give
            self._sampler = None
            sampler.shutdown_worker()

    def obtain(self, itr: int, batch_size: int, agent_update: Any = None, env_update: Any = None) -> Any:
        """Collect a batch with the newest parameters.

        Raises:
            ValueError: If the run has no sampler.
        """
        return self._opened().obtain_samples(itr, batch_size, self._update(agent_update), env_update)

    def obtain_exact(self, itr: int, n_per_worker: int) -> Any:
        """Collect so many whole episodes a worker; from a sampler that cannot count them, as many steps."""
        exact = method(self._opened(), "obtain_exact_episodes")
        return self.obtain(itr, n_per_worker) if exact is None else exact(n_per_worker, self._update(None))

    @property
    def policy(self) -> Any:
        """The policy that is sampled with; None where the algorithm has none."""
        return self._choose_policy(self._algo)

    def _opened(self) -> Sampler[Any]:
        self.open()
        if self._sampler is None:
            lacking = self._lacking or "a sampler: pass sampler_cls to setup()"
            raise ValueError(f"nothing can be sampled without {lacking}.")
        return self._sampler

    def _update(self, agent_update: Any) -> Any:
        return parameters_of(self.policy) if agent_update is None else agent_update

    @property
    def _lacking(self) -> str | None:
        """What a sampler cannot be built without, in words; None where it is there."""
        return "a policy: the algorithm's is None" if self.policy is None else None

    def state_dict(self) -> Mapping[str, Any] | None:
        """Return the sampler's state; None where it has none to give."""
        if self._sampler is None:
            return self._state
        restorable = stateful(self._sampler)
        return None if restorable is None else restorable.state_dict()

    def load_state_dict(self, state: Mapping[str, Any] | None, *, allow_statistical: bool) -> None:
        """Give the next sampler that is built this state."""
        self._state, self._allow_statistical = state, allow_statistical
        self._is_confirmed = state is None

    def found_after_restore(self) -> tuple[str, str] | None:
        """Return grade and reason that the sampler has for itself, the first time after a restore; None later."""
        says, self._is_confirmed = None if self._is_confirmed else graded(self._sampler), True
        found = None if says is None else says.exactness()
        return None if found is None else (found.grade, found.reason)

    def exactness(self) -> tuple[str, str] | None:
        """Return grade and reason of the state as it is now; None where the sampler says nothing."""
        says = graded(self._sampler)
        if says is not None:
            found = says.exactness()
            self._exactness = (found.grade, found.reason)
            stale = left_behind(self.policy, self._built_with)
            if stale and Grade(found.grade) is Grade.BITWISE:
                self._exactness = (Grade.SAME_STREAMS.value, _STALE.format(", ".join(stale)))
        return self._exactness


def plain_attributes(policy: Any) -> dict[str, Any]:
    """Return the attributes of `policy` that are plain values, where its parameters travel instead of itself."""
    if offered(policy, "get_param_values") is None:
        return {}
    try:
        attributes: dict[str, Any] = policy.__dict__
    except AttributeError:  # it has slots
        return {}
    return {name: value for name, value in attributes.items() if type(value) in (bool, int, float, str)}


def left_behind(policy: Any, before: Mapping[str, Any]) -> list[str]:
    """Return the plain attributes that have changed since `before` and that do not travel with the parameters."""
    now = plain_attributes(policy)
    changed = [name for name in now if name not in before or before[name] != now[name]]
    if not changed:
        return []
    replica = exact_copy(policy)
    fields: dict[str, Any] = replica.__dict__
    for name in changed:
        del fields[name]
    fields.update({name: before[name] for name in changed if name in before})
    replica.set_param_values(parameters_of(policy))
    return [name for name in changed if fields.get(name) != now[name]]
