"""What a sampler asks of a worker, in garage's words, and how environments are changed."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from rlx_sampler._batches.episodes import EpisodeBatch
from rlx_sampler._batches.recorded import EpisodeChunk, as_recorded
from rlx_sampler._checks import function
from rlx_sampler._exactness import WorkerProfile
from rlx_sampler._global_generators import seeded_globally
from rlx_sampler._keys import TRAINING, CallKey, EpisodeKey, draw_root


@dataclass(frozen=True, slots=True)
class Wanted:
    """A whole call: the fewest of its episodes 0, 1, 2, ... that are enough."""

    call: CallKey
    n_steps: int | None
    """Steps that are enough; None where episodes are counted."""
    n_episodes: int | None
    mean_length: float
    """Guess at the length of an episode, or 0 where there is none."""


class Lease(Protocol):
    """Says which episodes a worker is to run."""

    def take_all(self) -> Wanted | None:
        """Take the whole call, where no other worker has a part in it; None where others do."""
        ...

    def next_range(self, count: int) -> tuple[CallKey, range] | None:
        """Take the next `count` episodes of a call at once; None where they do not follow on each other."""
        ...

    def next_key(self) -> EpisodeKey | None:
        """Return the key of the next episode to run, or None while there is none."""
        ...

    def is_over(self) -> bool:
        """Whether nothing that is under way is wanted any more; asked at every step."""
        ...


class Worker(ABC):
    """Runs episodes of one policy. Owns its environments and its copy of the policy.

    A worker of one's own implements the abstract methods and takes everything random
    from ``next_key().streams()``; then its episodes depend on their keys alone.

    Args:
        seed: Root of the random streams when the worker is used by itself; a sampler
            gives every episode its own key. None draws one from the system.
        max_episode_length: Steps after which an episode is cut off.
        worker_number: Number of the worker, from 0.
    """

    def __init__(self, *, seed: int | None, max_episode_length: int, worker_number: int) -> None:
        self.max_episode_length = max_episode_length
        self.worker_number = worker_number
        self.root = draw_root() if seed is None else seed
        self._own_episodes = 0
        self._key: EpisodeKey | None = None
        self.inference_rows: int | None = None
        """Rows of every call of the policy; None while that is not known, or no matter."""

    def begin(self, key: EpisodeKey) -> None:
        """Make `key` the key of the episode that starts next."""
        self._key = key

    def next_key(self) -> EpisodeKey:
        """Return the key of the episode that starts now; each is given once."""
        key, self._key = self._key, None
        if key is None:
            key = EpisodeKey(self.root, TRAINING, self.worker_number, self._own_episodes)
            self._own_episodes += 1
        return key

    def use_inference_rows(self, inference_rows: int | None) -> None:
        """Call the policy with so many rows from now on; None changes nothing."""
        if inference_rows is not None:
            self.inference_rows = inference_rows

    def profile(self) -> WorkerProfile:
        """Return what the sampler has to know of this worker."""
        return WorkerProfile(inference_rows=self.inference_rows)

    def live_state(self) -> list[bytes]:
        """Return what continues beyond an episode, one part an environment; empty if nothing does."""
        return []

    def load_live_state(self, states: list[bytes]) -> None:
        """Continue from what `live_state` returned.

        Raises:
            ValueError: If this worker has nothing that continues.
        """
        if states:
            raise ValueError(f"{type(self).__name__} cannot continue with {len(states)} live environments.")

    def prepare(self, key: EpisodeKey) -> None:
        """Do what can be done before the first episode; `key` names one to try things with."""

    @abstractmethod
    def update_agent(self, agent_update: Any) -> None:
        """Take a new policy, or new parameters for the present one; None keeps both."""

    @abstractmethod
    def update_env(self, env_update: Any) -> None:
        """Take a new environment, or apply an `EnvUpdate`; None keeps it."""

    @abstractmethod
    def start_episode(self) -> None:
        """Begin a new episode."""

    @abstractmethod
    def step_episode(self) -> bool:
        """Take one step; return whether an episode has ended."""

    @abstractmethod
    def collect_episode(self) -> EpisodeBatch:
        """Return the episodes that have ended since the last call."""

    @abstractmethod
    def shutdown(self) -> None:
        """Close the environments. Calling it twice is allowed."""

    def rollout(self) -> EpisodeBatch:
        """Run one episode from beginning to end."""
        self.start_episode()
        while not self.step_episode():
            pass
        return self.collect_episode()

    def run(self, lease: Lease) -> Iterator[EpisodeChunk]:
        """Run the episodes that `lease` names until it names none; yield them as they end.

        The global generators of Python, NumPy and torch are seeded for each of them.
        """
        while (key := lease.next_key()) is not None:
            with seeded_globally(key.streams().global_seed):
                self.begin(key)
                batch = self.rollout()
            yield EpisodeChunk([key.episode], [batch.n_episodes], as_recorded(batch))

    def __getstate__(self) -> NoReturn:
        """Refuse to be pickled.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            f"{type(self).__name__} cannot be pickled, because it holds live environments; "
            f"pickle the sampler or its WorkerFactory, which build their workers again."
        )


def built_alike(worker: Worker) -> AbstractContextManager[None]:
    """Seed the global generators meanwhile, so that every worker builds the same environments."""
    return seeded_globally(worker.root & 0xFFFFFFFF)


class EnvUpdate(ABC):
    """A change of the environment that travels to the workers, such as another task.

    A worker that is built again gets all of them in their order, since the last environment
    that came whole, but those that a later one replaces.
    """

    def replaces(self, earlier: Any) -> bool:
        """Whether the environment is the same after this update without `earlier`, the one just before it."""
        del earlier
        return False

    @abstractmethod
    def __call__(self, old_env: Any = None) -> Any:
        """Return the environment to use from now on, `old_env` itself or another.

        `old_env` is None in a worker that has none yet.
        """


class NewEnvUpdate(EnvUpdate):
    """Builds a new environment in the worker, and closes the old one.

    Args:
        build: Called without arguments; returns an environment.

    Raises:
        TypeError: If `build` is no function.
    """

    def __init__(self, build: Callable[[], Any]) -> None:
        self._build: Callable[[], Any] = function("build", build, "a function that returns an environment")

    def replaces(self, earlier: Any) -> bool:
        """Whether nothing of the old environment is left: always, unless a subclass does otherwise."""
        del earlier
        return type(self).__call__ is NewEnvUpdate.__call__

    def __call__(self, old_env: Any = None) -> Any:
        """Return a new environment."""
        if old_env is not None:
            old_env.close()
        return self._build()


class SetTaskUpdate(EnvUpdate):
    """Gives the environment another task through its `set_task`.

    Args:
        build: Called without arguments where there is no environment yet.
        task: Passed to ``env.unwrapped.set_task``.

    Raises:
        TypeError: If `build` is no function.
    """

    def __init__(self, build: Callable[[], Any], task: Any) -> None:
        self._build: Callable[[], Any] = function("build", build, "a function that returns an environment")
        self._task = task

    def replaces(self, earlier: Any) -> bool:
        """Whether `earlier` only set another task."""
        return type(self) is type(earlier) is SetTaskUpdate

    def __call__(self, old_env: Any = None) -> Any:
        """Return the environment with its task set."""
        env = self._build() if old_env is None else old_env
        env.unwrapped.set_task(self._task)
        return env
