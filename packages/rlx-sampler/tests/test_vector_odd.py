"""What engines and policies do wrong in vector environments: right data, or an error that names it."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from sampler_worlds import make_local
from vector_worlds import N_ENVS, OneGenerator, Zero

from rlx_sampler import EpisodeError, FragmentWorker, StepType, VecWorker

vector: Any = gymnasium.vector
WORKERS = [VecWorker, FragmentWorker]


def sample(env: Any, policy: Any = None, worker_class: Any = VecWorker, **choices: Any) -> Any:
    """Return a sampler in this process."""
    return make_local(policy or Zero(), env, worker_class=worker_class, **choices)


class AtOnce(OneGenerator):
    """All lanes end together, after as many steps as it says."""

    length = 4

    def _begin(self, lanes: Any) -> None:
        self.age[lanes], self.end[lanes] = 0, self.length


class OneStep(AtOnce):
    """Every episode has one step, and the next begins with it."""

    length = 1
    metadata = {"autoreset_mode": "SameStep"}  # noqa: RUF012  # as gymnasium has it

    def step(self, actions: Any) -> Any:
        over = np.ones(N_ENVS, bool)
        infos = {"final_obs": np.ones((N_ENVS, 1), np.float32), "_final_obs": over}
        return np.zeros((N_ENVS, 1), np.float32), np.ones(N_ENVS), over, ~over, infos


class Deaf(OneGenerator):
    """Says that its lanes are reset by mask, and resets all of them."""

    metadata = {"autoreset_mode": "Disabled"}  # noqa: RUF012  # as gymnasium has it
    deaf = True

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        given: dict[str, Any] = options or {}
        mask = given.get("reset_mask")
        if mask is None or self.deaf:
            return super().reset(seed=seed)
        self._begin(mask)
        return self.age[:, None].astype(np.float32), {"end": self.end.copy()}

    def step(self, actions: Any) -> Any:
        self.over = np.zeros(N_ENVS, bool)
        return super().step(actions)


class Hearing(Deaf):
    """Keeps to the mask."""

    deaf = False


@pytest.mark.parametrize("worker_class", WORKERS)
def test_all_lanes_may_end_at_once(worker_class: Any) -> None:
    """Nothing is lost or mixed when no lane is left."""
    sampler = sample(AtOnce, worker_class=worker_class)
    for _ in range(3):
        batch = sampler.obtain_samples(0, 50, None)
        assert batch.n_steps >= 50
        assert set(batch.lengths[batch.complete]) <= {1, 2, 3, 4}
        assert (batch.observations[batch.step_types == StepType.FIRST] == 0).all()
        assert np.array_equal(batch.rewards, batch.observations[:, 0] + 1)


@pytest.mark.parametrize("worker_class", WORKERS)
def test_infos_may_come_with_the_first_reset_only(worker_class: Any) -> None:
    """What the first episodes were told is told of no other, in as many calls as there may be."""

    class Silent(OneGenerator):
        def step(self, actions: Any) -> Any:
            return *super().step(actions)[:4], {}

    sampler = sample(Silent, worker_class=worker_class)
    first, *later = [sampler.obtain_samples(0, 30, None).episode_infos for _ in range(3)]
    assert "end" in first
    assert all(infos.keys() <= {"end", "episode_return", "episode_length"} for infos in later)


def test_thousands_of_episodes_may_have_one_step() -> None:
    """Each has its own observations and its own end."""
    batch = sample(OneStep).obtain_samples(0, 6000, None)
    assert batch.n_episodes == batch.n_steps == 6000
    assert (batch.step_types == StepType.TERMINAL).all()
    assert (batch.observations == 0).all()
    assert (batch.last_observations == 1).all()


class TestResetMasks:
    @pytest.mark.parametrize("worker_class", WORKERS)
    def test_that_are_ignored_are_found(self, worker_class: Any) -> None:
        """An engine that resets every lane is named, with the way out."""
        with pytest.raises(
            EpisodeError, match=r"Deaf ignores options\['reset_mask'\].*NEXT_STEP or SAME_STEP"
        ):
            sample(Deaf, worker_class=worker_class).obtain_samples(0, 200, None)

    @pytest.mark.parametrize("worker_class", WORKERS)
    def test_that_are_kept_give_whole_episodes(self, worker_class: Any) -> None:
        """Lanes that have ended are reset, and no other."""
        batch = sample(Hearing, worker_class=worker_class).obtain_samples(0, 200, None)
        assert np.array_equal(batch.rewards, batch.observations[:, 0] + 1)

    def test_travel_in_options_of_their_own(self) -> None:
        """An engine may take what it used out of the options: each call has new ones."""

        class Popping(Hearing):
            def reset(self, *, seed: Any = None, options: Any = None) -> Any:
                given: dict[str, Any] = options or {}
                mask = given.pop("reset_mask", None)
                return super().reset(seed=seed, options=None if mask is None else {"reset_mask": mask})

        batch = sample(Popping).obtain_samples(0, 200, None)
        assert np.array_equal(batch.rewards, batch.observations[:, 0] + 1)


def test_what_an_environment_says_of_its_resets_is_its_own() -> None:
    """Metadata that all environments share may be changed by the next one: an attribute comes first."""

    class Shared(OneStep):
        metadata = {"autoreset_mode": "NextStep"}  # noqa: RUF012  # as gymnasium has it

        def __init__(self) -> None:
            super().__init__()
            self.autoreset_mode = "SameStep"

    assert sample(Shared).obtain_samples(0, 30, None).n_episodes == 30


class Wrong(OneGenerator):
    """Gives observations or rewards of another shape in its second step."""

    rewards: Any = np.ones(N_ENVS)
    observations: Any = np.zeros((N_ENVS, 1), np.float32)
    steps = 0

    def step(self, actions: Any) -> Any:
        right = super().step(actions)
        self.steps += 1
        return right if self.steps == 1 else (self.observations, self.rewards, *right[2:])


class TestShapes:
    @pytest.mark.parametrize("worker_class", WORKERS)
    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"observations": np.zeros((N_ENVS, 2))}, r"step 1 .*shape \(3, 2\); it must be \(3, 1\)"),
            ({"observations": np.zeros((N_ENVS - 1, 1))}, r"step 1 .*shape \(2, 1\); it must be \(3, 1\)"),
            ({"rewards": np.ones((N_ENVS, 1))}, r"step 1 .*rewards of shape \(3, 1\); it must be \(3,\)"),
        ],
    )
    def test_that_are_unlike_are_named(self, worker_class: Any, given: Any, message: str) -> None:
        """The error names step, shapes and keys, and the next call works."""
        kind = type(
            "Unlike", (Wrong,), {"closed": True, **given}
        )  # Gymnasium 0.28 looks whether there is something to close
        sampler = sample(kind, worker_class=worker_class)
        with pytest.raises(EpisodeError, match=message) as caught:
            sampler.obtain_samples(0, 100, None)
        assert caught.value.keys[0].call == 0
        assert sampler.obtain_samples(0, 30, None, OneGenerator).n_steps >= 30


class TestPolicies:
    @pytest.mark.parametrize("worker_class", WORKERS)
    def test_that_give_too_few_rows_are_named(self, worker_class: Any) -> None:
        """The error says how many rows there were, and names all keys that they were for."""

        class Few(Zero):
            def get_actions(self, observations: Any, *, rngs: Any) -> Any:
                actions, infos = super().get_actions(observations, rngs=rngs)
                return actions[1:], infos

        sampler = sample(OneGenerator, Few(), worker_class=worker_class, worker_args={"inference_rows": 16})
        with pytest.raises(EpisodeError, match="16 observations and gave actions of shape") as caught:
            sampler.obtain_samples(0, 30, None)
        assert [key.episode for key in caught.value.keys] == [0, 1, 2]
        assert sampler.obtain_samples(0, 30, Zero()).n_steps >= 30

    @pytest.mark.parametrize("worker_class", WORKERS)
    def test_that_give_nan_are_recorded(self, worker_class: Any) -> None:
        """What the policy said is in the batch, bit for bit."""

        class Nan(Zero):
            def get_actions(self, observations: Any, *, rngs: Any) -> Any:
                return np.full(len(rngs), np.nan), {}

        assert np.isnan(
            sample(OneGenerator, Nan(), worker_class=worker_class).obtain_samples(0, 30, None).actions
        ).all()

    @pytest.mark.parametrize("worker_class", WORKERS)
    @pytest.mark.parametrize("first", [{}, {"value": np.zeros(16)}])
    def test_that_say_something_new_later_are_named(self, worker_class: Any, first: Any) -> None:
        """Infos that come at some steps only are an error that shows both kinds; nothing is dropped silently."""

        class Later(Zero):
            n_calls = 0

            def get_actions(self, observations: Any, *, rngs: Any) -> Any:
                self.n_calls += 1
                later = {"value": np.zeros(len(rngs)), "logits": np.zeros(len(rngs))}
                return np.zeros(len(rngs), int), first if self.n_calls == 1 else later

        rows = {"inference_rows": 16}
        sampler = sample(OneGenerator, Later(), worker_class=worker_class, worker_args=rows)
        with pytest.raises(EpisodeError, match=r"agent infos have other parts .*logits"):
            sampler.obtain_samples(0, 30, None)
