"""Learning: what a runner asks of an algorithm, and what an algorithm sees of the runner."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from rlx_protocols._sampling import EpisodeBatchLike

LoopBatchT_co = TypeVar("LoopBatchT_co", bound=EpisodeBatchLike, covariant=True)


class TrainingLoop(Protocol[LoopBatchT_co]):
    """The narrow door through which an algorithm sees the run.

    Typical use::

        for epoch in loop.step_epochs():
            batch = loop.obtain_episodes(epoch)
            loop.log(self.train_once(batch))
            loop.step_itr += 1
    """

    @property
    def step_itr(self) -> int:
        """Iterations done so far, counted by the algorithm; restored at a resume."""
        ...

    @step_itr.setter
    def step_itr(self, itr: int, /) -> None: ...

    @property
    def step_episode(self) -> Any:
        """Newest batch, kept in the snapshot when the run stores episodes."""
        ...

    @step_episode.setter
    def step_episode(self, batch: Any, /) -> None: ...

    def step_epochs(self) -> Iterator[int]:
        """Yield each epoch that is still to be done; logs and snapshots follow each one."""
        ...

    def obtain_episodes(
        self, itr: int, batch_size: int | None = None, agent_update: Any = None, env_update: Any = None
    ) -> LoopBatchT_co:
        """Collect whole episodes of at least `batch_size` environment steps."""
        ...

    def obtain_samples(
        self, itr: int, batch_size: int | None = None, agent_update: Any = None, env_update: Any = None
    ) -> list[dict[str, Any]]:
        """Collect as `obtain_episodes` does, as a list of one dict an episode."""
        ...

    def log(self, metrics: Mapping[str, Any], /) -> None:
        """Add `metrics` to the row of this epoch; a name given again replaces its value."""
        ...

    @property
    def total_env_steps(self) -> int:
        """Environment steps collected since the run began."""
        ...

    @property
    def stop_requested(self) -> bool:
        """Whether the run should end at the next point where it can be resumed."""
        ...


class Algorithm(Protocol):
    """Learns. Owns its weights, its optimiser and its own random streams.

    Where a sampler is used the algorithm also has `policy` (or `exploration_policy`)
    and `max_episode_length`. Implementations are checked by
    `rlx_protocols.testing.check_algorithm`.
    """

    def train(self, loop: TrainingLoop[Any], /) -> Any:
        """Train until `loop.step_epochs()` is exhausted; the value is the run's result."""
        ...


class Policy(Protocol):
    """Chooses actions."""

    def get_action(self, observation: Any, /) -> tuple[Any, Mapping[str, Any]]:
        """Return an action for one observation, and what the policy wants recorded with it."""
        ...

    def get_actions(self, observations: Any, /) -> tuple[Any, Mapping[str, Any]]:
        """Return actions for a stack of observations, first dimension B each."""
        ...


class KeyedPolicy(Protocol):
    """Chooses actions with noise from outside, so that an episode depends on its key alone.

    `rng` and the members of `rngs` are NumPy generators, one an episode.
    """

    def get_action(self, observation: Any, /, *, rng: Any) -> tuple[Any, Mapping[str, Any]]:
        """Return an action for one observation, drawing only from `rng`."""
        ...

    def get_actions(self, observations: Any, /, *, rngs: Sequence[Any]) -> tuple[Any, Mapping[str, Any]]:
        """Return actions for B observations, row i drawing only from ``rngs[i]``."""
        ...


class Parametrised(Protocol):
    """A policy whose parameters travel to the workers as one value."""

    def get_param_values(self) -> Any:
        """Return the parameters: arrays by name, or one array."""
        ...

    def set_param_values(self, values: Any, /) -> object:
        """Take over `values`, as `get_param_values` gave them."""
        ...
