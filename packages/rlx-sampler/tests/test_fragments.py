"""Fragments: environments that live on from batch to batch."""

import itertools
import os
import pickle
import signal
from typing import Any

import numpy as np
import pytest
from sampler_worlds import (
    Gaussian,
    GlobalGaussian,
    Raising,
    SingleGaussian,
    Walk,
    make_factory,
    make_local,
)

from rlx_sampler import EpisodeBatch, EpisodeError, FragmentWorker, MultiprocessingSampler, StepType
from rlx_sampler._batches.infos import join_columns, to_columns


def choices(n_envs: int, *, steps: int = 5, n_workers: int = 1) -> dict[str, Any]:
    """Return the arguments of samplers of fragments."""
    args = {"n_envs": n_envs, "timesteps_per_call": steps}
    return {"worker_class": FragmentWorker, "worker_args": args, "n_workers": n_workers}


def in_processes(n_envs: int, n_workers: int, policy: Any = None) -> MultiprocessingSampler:
    """Return a sampler of fragments with worker processes."""
    return MultiprocessingSampler(
        make_factory(**choices(n_envs, n_workers=n_workers)), policy or Gaussian(), Walk()
    )


def lanes_of(batches: list[EpisodeBatch], n_lanes: int, steps: int) -> list[dict[str, Any]]:
    """Return what each environment did over several batches, step by step."""
    lanes: list[dict[str, Any]] = [
        {"types": [], "rewards": [], "seen": [], "after": []} for _ in range(n_lanes)
    ]
    for batch in batches:
        for at in range(0, batch.n_steps, steps):
            lane, part = lanes[at // steps % n_lanes], slice(at, at + steps)
            lane["types"].extend(batch.step_types[part].tolist())
            lane["rewards"].extend(batch.rewards[part].tolist())
            lane["seen"].extend(batch.observations[part])
            lane["after"].extend(batch.next_observations[part])
    return lanes


class TestBatches:
    def test_follow_on_from_each_other(self) -> None:
        """An environment's stretches join without a gap: types, observations and the time limit."""
        sampler = make_local(**choices(3))
        batches = [sampler.obtain_samples(0, 30, None) for _ in range(6)]
        for lane in lanes_of(batches, 3, 5):
            ends = [kind in (StepType.TERMINAL, StepType.TIMEOUT) for kind in lane["types"]]
            age = 0
            for step in range(1, len(ends)):
                age = 0 if ends[step - 1] else age + 1
                assert age < 12
                if ends[step - 1]:
                    assert lane["types"][step] in (StepType.FIRST, StepType.TERMINAL, StepType.TIMEOUT)
                else:
                    assert lane["types"][step] != StepType.FIRST
                    assert np.array_equal(lane["seen"][step], lane["after"][step - 1])

    def test_advance_all_environments_equally(self) -> None:
        """A batch holds a whole number of stretches in every environment, and at least what was asked."""
        sampler = make_local(**choices(4))
        assert [sampler.obtain_samples(0, n, None).n_steps for n in (1, 20, 21, 60)] == [20, 20, 40, 60]
        assert sampler.total_env_steps == 140

    def test_mark_what_is_cut(self) -> None:
        """The end of a recording is MID and not complete; the end of an episode is complete."""
        batch = make_local(**choices(3)).obtain_samples(0, 60, None)
        ends = batch.step_types[np.cumsum(batch.lengths) - 1]
        assert np.array_equal(batch.complete, np.isin(ends, [StepType.TERMINAL, StepType.TIMEOUT]))
        assert 0 < batch.complete.sum() < batch.n_episodes

    @pytest.mark.parametrize("policy", [Gaussian, SingleGaussian, GlobalGaussian])
    def test_depend_on_the_total_of_environments_only(self, policy: Any) -> None:
        """Four environments give the same bits in one, two or four workers, here or in processes."""
        wanted = make_local(policy(), **choices(4))
        others = [
            make_local(policy(), **choices(2, n_workers=2)),
            in_processes(1, 4, policy()),
            in_processes(2, 2, policy()),
        ]
        digests = [wanted.obtain_samples(0, 40, None).digest() for _ in range(3)]
        for other in others:
            assert [other.obtain_samples(0, 40, None).digest() for _ in range(3)] == digests
            other.shutdown_worker()

    def test_take_updates(self) -> None:
        """New parameters act in the middle of an episode, without ending it."""
        sampler = make_local(**choices(4))
        sampler.obtain_samples(0, 20, None)
        batch = sampler.obtain_samples(0, 20, {"gain": np.float32(0.0)})
        assert not batch.agent_infos["mean"].any()
        begins = np.cumsum(batch.lengths) - batch.lengths
        assert (batch.step_types[begins] == StepType.MID).any()

    @pytest.mark.parametrize("policy", [Gaussian, SingleGaussian])
    def test_go_on_under_another_policy(self, policy: Any) -> None:
        """A whole policy as update acts in the middle of an episode, as parameters do."""
        wanted, sampler = make_local(policy(), **choices(4)), make_local(policy(), **choices(4))
        for _ in range(3):
            digest = sampler.obtain_samples(0, 20, policy()).digest()
            assert digest == wanted.obtain_samples(0, 20, None).digest()


class TestState:
    @pytest.mark.parametrize(("n_envs", "n_workers"), [(4, 1), (2, 2), (1, 4)])
    def test_goes_on_exactly_with_other_workers(self, n_envs: int, n_workers: int) -> None:
        """Environments go on in mid-episode, dealt to any workers with the same total."""
        sampler = in_processes(2, 2)
        for _ in range(2):
            sampler.obtain_samples(0, 40, None)
        state = pickle.loads(pickle.dumps(sampler.state_dict()))
        resumed = make_local(**choices(n_envs, n_workers=n_workers))
        resumed.load_state_dict(state)
        processes = in_processes(n_envs, n_workers)
        processes.load_state_dict(state)
        for _ in range(2):
            wanted = sampler.obtain_samples(0, 40, None).digest()
            assert resumed.obtain_samples(0, 40, None).digest() == wanted
            assert processes.obtain_samples(0, 40, None).digest() == wanted
        sampler.shutdown_worker()
        processes.shutdown_worker()

    def test_needs_the_same_total(self) -> None:
        """Another number of environments cannot go on, and changes nothing."""
        sampler, other = make_local(**choices(4)), make_local(**choices(3))
        sampler.obtain_samples(0, 20, None)
        with pytest.raises(ValueError, match="holds 4 live environments; 1 workers of 3"):
            other.load_state_dict(sampler.state_dict())
        assert other.state_dict()["call"] == 0

    @pytest.mark.parametrize("build", [lambda: make_local(**choices(4)), lambda: in_processes(2, 2)])
    def test_can_be_saved_again_before_the_next_call(self, build: Any) -> None:
        """Environments that were restored and have not gone on yet are in the state."""
        sampler, between, last = make_local(**choices(4)), build(), make_local(**choices(4))
        sampler.obtain_samples(0, 20, None)
        between.load_state_dict(sampler.state_dict())
        last.load_state_dict(between.state_dict())
        between.shutdown_worker()
        assert last.obtain_samples(0, 20, None).digest() == sampler.obtain_samples(0, 20, None).digest()

    @pytest.mark.parametrize("build", [lambda: make_local(**choices(4)), lambda: in_processes(2, 2)])
    def test_from_before_the_first_call_begins_anew(self, build: Any) -> None:
        """A sampler that has run goes back to its beginning, where no environment lived."""
        sampler = build()
        start = make_local(**choices(4)).state_dict()
        first = sampler.obtain_samples(0, 20, None).digest()
        sampler.load_state_dict(start)
        assert sampler.obtain_samples(0, 20, None).digest() == first
        sampler.shutdown_worker()

    def test_before_the_first_call_is_empty(self) -> None:
        """A state from before the first call leads to the same first batch."""
        sampler, resumed = make_local(**choices(2)), make_local(**choices(2))
        resumed.load_state_dict(sampler.state_dict())
        assert resumed.obtain_samples(0, 10, None).digest() == sampler.obtain_samples(0, 10, None).digest()


class TestLimits:
    def test_whole_episodes_are_refused(self) -> None:
        """Fragments are no episodes to be counted or replayed."""
        sampler = make_local(**choices(2))
        with pytest.raises(ValueError, match="use obtain_samples"):
            sampler.obtain_exact_episodes(1, None)
        with pytest.raises(ValueError, match="cannot be run again"):
            sampler.replay(0, 0)

    def test_arguments_are_checked(self) -> None:
        """A stretch has at least one step."""
        with pytest.raises(ValueError, match="timesteps_per_call is 0"):
            make_local(**choices(2, steps=0))

    def test_errors_begin_anew(self) -> None:
        """After an error the environments start new episodes."""
        sampler = make_local(env=Raising(), **choices(2))
        with pytest.raises(RuntimeError, match="hole"):
            sampler.obtain_samples(0, 500, None)
        batch = sampler.obtain_samples(0, 10, None, Walk())
        assert batch.step_types[0] in (StepType.FIRST, StepType.TERMINAL, StepType.TIMEOUT)

    @pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="killing by signal is for Linux")
    def test_an_error_beside_the_first_environment_ends_the_call(self) -> None:
        """No environment advances without the others, and so nothing is waited for that cannot come."""
        kinds = itertools.cycle((Walk, Raising, Walk))

        def build() -> Any:
            return next(kinds)()

        sampler = make_local(env=build, **choices(3, steps=50))
        with pytest.raises(EpisodeError, match="hole") as caught:
            sampler.obtain_samples(0, 150, None)
        assert caught.value.keys[0].episode == 1
        assert sampler.obtain_samples(0, 150, None, Walk()).n_steps == 150

    def test_a_killed_worker_lowers_the_grade(self) -> None:
        """Live environments die with their worker; the sampler goes on and says so."""
        sampler = in_processes(2, 2)
        sampler.obtain_samples(0, 40, None)
        assert sampler.exactness().grade == "A"
        os.kill(sampler.pids[0], signal.SIGKILL)
        assert sampler.obtain_samples(0, 40, None).n_steps == 40
        assert sampler.exactness().grade == "C"
        assert "died" in str(sampler.exactness())
        sampler.shutdown_worker()


def test_fragments_tell_return_and_length_since_their_episode_began() -> None:
    """An episode's end stands for the whole of it, also when the sampler was restored in its middle."""
    sampler = make_local(**choices(1))
    earned, age, ends = 0.0, 0, 0
    for number in range(12):
        if number == 6:
            state = sampler.state_dict()
            sampler = make_local(**choices(1))
            sampler.load_state_dict(state)
        batch = sampler.obtain_samples(0, 5, None)
        totals = batch.episode_infos
        for index, rewards in enumerate(np.split(batch.rewards, np.cumsum(batch.lengths)[:-1])):
            earned, age = earned + float(rewards.sum()), age + len(rewards)
            assert totals["episode_return"][index] == pytest.approx(earned)
            assert totals["episode_length"][index] == age
            if batch.complete[index]:
                earned, age, ends = 0.0, 0, ends + 1
    assert ends > 0


class Goal(Walk):
    """Passes its goal at the first step, or says so when the episode ends, in the way that SB3 does."""

    def __init__(self, *, first: bool, says: object) -> None:
        super().__init__()
        self.first, self.says, self.fresh = first, says, True

    def reset(self, *, seed: int | None = None) -> Any:
        self.fresh = True
        return super().reset(seed=seed)

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, _ = super().step(action)
        due = self.fresh if self.first else terminated or truncated
        self.fresh = False
        return observation, reward, terminated, truncated, {"is_success": self.says} if due else {}


@pytest.mark.parametrize(
    ("first", "says", "expected"),
    [
        (True, True, [True]),
        (True, np.float64(1.0), [True]),
        (False, True, [True]),
        (False, False, [False]),
        (True, float("nan"), []),
        (True, "yes", []),
    ],
)
def test_fragments_remember_the_success_of_their_episode(
    first: bool, says: object, expected: list[bool]
) -> None:
    """The end of an episode says whether any step of it succeeded, also after a restore in its middle."""
    sampler = make_local(env=Goal(first=first, says=says), **choices(1))
    reported: list[Any] = []
    for number in range(12):
        if number == 6:
            state = sampler.state_dict()
            sampler = make_local(env=Goal(first=first, says=says), **choices(1))
            sampler.load_state_dict(state)
        batch = sampler.obtain_samples(0, 5, None)
        if "episode_success" in batch.episode_infos:
            reported += batch.episode_infos["episode_success"][batch.complete].tolist()
        else:
            assert not (expected and batch.complete.any())
    assert list(dict.fromkeys(reported)) == expected


def test_long_integers_that_are_missing_at_some_steps_keep_their_digits() -> None:
    """Identifiers beyond 2**53 would be rounded in an array of floats with NaN."""
    identifier = 2**60 + 1
    columns = to_columns([{"id": identifier}, {}])
    assert join_columns([columns], [2])["id"].tolist() == [identifier, None]
