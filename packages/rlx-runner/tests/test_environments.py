"""Environments that cannot be saved are built again from their specs, inside the wrappers that they had."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_protocols.testing import CountingSampler
from rlx_runner import StatisticalResumeError
from rlx_runner._environments import copy_of
from rlx_snapshot import UnpicklableStateError

gymnasium: Any = pytest.importorskip("gymnasium", reason="needs gymnasium")


class Locked(gymnasium.Env):  # type: ignore[misc]
    """An environment that holds what cannot be pickled, as those of Box2D do."""

    def __init__(self, size: int = 1) -> None:
        self.size = size
        self.lock = threading.Lock()
        self.observation_space = gymnasium.spaces.Box(-1, 1, (size,))
        self.action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Begin with zeros."""
        super().reset(seed=seed)  # pyright: ignore[reportUnknownMemberType]
        return np.zeros(self.size, "f"), {}

    def step(self, action: Any) -> Any:
        """Draw the next observation."""
        return self.np_random.random(self.size).astype("f"), 1.0, False, False, {}


class Remembering(gymnasium.Wrapper):  # type: ignore[misc]
    """A wrapper of the user's own, which no spec knows how to build."""

    seen = 0


class Waiting:
    """An algorithm that samples nothing."""

    def train(self, loop: Any, /) -> None:
        """Let the epochs pass."""
        for _ in loop.step_epochs():
            pass


@pytest.fixture
def locked() -> Iterator[Any]:
    """Make an environment with a spec that cannot be pickled, in wrappers."""
    gymnasium.register("Locked-v0", entry_point=Locked, max_episode_steps=7)
    environment = Remembering(gymnasium.make("Locked-v0", size=3))
    environment.seen = 5
    yield environment
    gymnasium.registry.pop("Locked-v0")


def test_copy_is_built_with_the_same_arguments_and_wrappers(locked: Any) -> None:
    """The arguments come from the spec; the wrappers are copied as they are."""
    copy = copy_of(locked)
    assert (copy.unwrapped.size, copy.seen, copy.spec.max_episode_steps) == (3, 5, 7)
    assert copy.unwrapped is not locked.unwrapped
    assert locked.unwrapped.lock is not copy.unwrapped.lock
    assert copy.reset(seed=4)[0].tolist() == locked.reset(seed=4)[0].tolist()


def test_environment_without_a_spec_is_named(locked: Any) -> None:
    """Nothing says how to build it, so the error says where the environment is."""
    with pytest.raises(UnpicklableStateError, match=r"state\.env\.lock cannot be saved"):
        copy_of(Remembering(Locked()))


def test_run_with_such_an_environment_is_saved_and_resumed(
    make_run: Any, averaging: Any, locked: Any, tmp_path: Path
) -> None:
    """Where a sampler begins every episode with a reset, the run continues and its environment is there."""
    first = make_run().runner
    first.setup(averaging(), [locked, locked], sampler_cls=CountingSampler, n_workers=2)
    first.train(2, batch_size=10)
    resumed = make_run().runner
    resumed.restore(str(tmp_path / "run"))
    assert [(env.unwrapped.size, env.seen) for env in resumed.env] == [(3, 5), (3, 5)]
    resumed.resume(n_epochs=3)


def test_algorithm_that_steps_such_an_environment_itself_is_no_exact_resume(
    make_run: Any, locked: Any, tmp_path: Path
) -> None:
    """Its episode under way is lost, which is said and has to be allowed."""
    runner = make_run().runner
    runner.setup(Waiting(), locked)
    runner.train(1)
    with pytest.raises(StatisticalResumeError, match="Locked-v0 cannot be saved in mid-episode"):
        make_run().runner.restore(str(tmp_path / "run"))
    make_run().runner.restore(str(tmp_path / "run"), allow_statistical=True)
