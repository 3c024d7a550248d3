"""Sampling in one process: what a batch is, whatever runs it."""

import pickle
import random
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampler_worlds import (
    Gaussian,
    GlobalGaussian,
    NestedWalk,
    Raising,
    SingleGaussian,
    Uncopied,
    Walk,
    make_factory,
    make_local,
    run_reference,
)

from rlx_sampler import (
    EVALUATION,
    ClosedSamplerError,
    DefaultWorker,
    EpisodeBatch,
    EpisodeError,
    EpisodeKey,
    FragmentWorker,
    LocalSampler,
    NewEnvUpdate,
    PerWorker,
    StepType,
    VecWorker,
    Worker,
)


def assert_is_reference(episode: EpisodeBatch, wanted: dict[str, Any]) -> None:
    """Compare every recorded number with the plain loop's."""
    assert np.array_equal(episode.observations, wanted["seen"][:-1])
    assert np.array_equal(episode.last_observations[0], wanted["seen"][-1])
    assert np.array_equal(episode.actions, wanted["actions"])
    assert np.array_equal(episode.rewards, wanted["rewards"])
    assert list(episode.step_types) == wanted["types"]
    assert np.array_equal(episode.env_infos["position"], wanted["positions"])


class TestEpisodes:
    @settings(max_examples=25)
    @given(
        seed=st.integers(0, 2**40),
        longest=st.integers(1, 20),
        n_envs=st.integers(1, 5),
        policy=st.sampled_from([Gaussian, SingleGaussian]),
    )
    def test_equal_the_reference_loop(self, seed: int, longest: int, n_envs: int, policy: Any) -> None:
        """Every episode is what twenty plain lines give: labels, last observation, no views, all seeded."""
        choices = {"worker_class": VecWorker, "worker_args": {"n_envs": n_envs}}
        sampler = make_local(policy(), seed=seed, longest=longest, **choices)
        batch = sampler.obtain_samples(0, 30, None)
        for index, episode in enumerate(batch.split()):
            assert_is_reference(
                episode, run_reference(Walk(), policy(), EpisodeKey(seed, 0, 0, index), longest)
            )

    def test_nested_observations_are_recorded_leaf_by_leaf(self) -> None:
        """Dict and Tuple observations come back as dicts and tuples of arrays."""
        flat = make_local(SingleGaussian()).obtain_exact_episodes(3, None)
        nested = make_local(env=NestedWalk()).obtain_exact_episodes(3, None)
        assert nested.observations["count"].shape == (nested.n_steps,)
        assert nested.observations["parts"][1].shape == (nested.n_steps, 2)
        assert np.array_equal(nested.observations["parts"][0][0], flat.observations[0][:1])

    def test_infos_that_come_and_go(self) -> None:
        """A name missing at some steps is NaN there; reset infos are one row an episode."""
        batch = make_local().obtain_exact_episodes(5, None)
        odd = batch.env_infos["left"] % 2 == 1
        assert np.array_equal(~np.isnan(batch.env_infos["odd"]), odd)
        assert batch.episode_infos["level"].shape == (5,)
        assert batch.agent_infos["mean"].shape == (batch.n_steps, 3)

    @pytest.mark.parametrize("worker_class", [VecWorker, FragmentWorker])
    def test_infos_may_be_dicts_at_some_steps_only(self, worker_class: Any) -> None:
        """What is no dict at other steps stands under the empty name; names need not be strings."""
        batch = make_local(env=Fickle(), worker_class=worker_class).obtain_samples(0, 400, None)
        infos: dict[Any, Any] = dict(batch.env_infos)
        goal, is_odd = infos["goal"], infos[1] % 2 == 1
        assert np.array_equal(goal["left"][is_odd], infos[1][is_odd])
        assert set(goal[""][~is_odd]) == {"none"}
        assert set(goal[""][is_odd]) == {None}

    def test_terminal_beats_timeout(self) -> None:
        """An episode that terminates at its last allowed step is TERMINAL."""
        batch = make_local(env=Walk(longest=1), longest=1, seed=1).obtain_exact_episodes(20, None)
        assert set(batch.step_types) == {StepType.TERMINAL, StepType.TIMEOUT}
        assert list(batch.lengths) == [1] * 20


class TestBatches:
    @pytest.mark.parametrize("policy", [Gaussian, SingleGaussian, GlobalGaussian])
    @pytest.mark.parametrize(
        ("worker_class", "worker_args"), [(VecWorker, {"n_envs": n}) for n in (1, 3, 16, 40)]
    )
    def test_do_not_depend_on_the_worker(self, policy: Any, worker_class: Any, worker_args: Any) -> None:
        """One environment or many: every bit of three batches is the same."""
        wanted = make_local(policy(), worker_class=DefaultWorker)
        sampler = make_local(policy(), worker_class=worker_class, worker_args=worker_args)
        for itr in range(3):
            assert (
                sampler.obtain_samples(itr, 60, None).digest()
                == wanted.obtain_samples(itr, 60, None).digest()
            )

    @given(num_samples=st.integers(1, 80))
    @settings(max_examples=20)
    def test_are_the_shortest_prefix(self, num_samples: int) -> None:
        """Without its last episode the batch would be too small."""
        batch = make_local(worker_class=VecWorker).obtain_samples(0, num_samples, None)
        assert batch.n_steps >= num_samples > batch.n_steps - int(batch.lengths[-1])

    def test_are_a_prefix_of_larger_ones(self) -> None:
        """Asking for more gives the same episodes and then others."""
        small, large = make_local().obtain_samples(0, 20, None), make_local().obtain_samples(0, 90, None)
        prefix = EpisodeBatch.concatenate(*large.split()[: small.n_episodes])
        assert np.array_equal(prefix.rewards, small.rewards)

    def test_differ_from_call_to_call(self) -> None:
        """Every call, seed and stream has episodes of its own, whatever `itr` says."""
        sampler, evaluation = (
            make_local(),
            LocalSampler(make_factory(), Gaussian(), Walk(), stream=EVALUATION),
        )
        batches = [sampler.obtain_samples(0, 30, None) for _ in range(3)]
        batches += [evaluation.obtain_samples(0, 30, None), make_local(seed=8).obtain_samples(0, 30, None)]
        assert len({batch.digest() for batch in batches}) == 5

    def test_exact_episodes_are_the_first_keys(self) -> None:
        """`obtain_exact_episodes(n)` gives n times the number of workers episodes, from index 0."""
        exact = make_local(n_workers=3).obtain_exact_episodes(2, None)
        steps = make_local().obtain_samples(0, exact.n_steps, None)
        assert exact.n_episodes == 6
        assert exact.digest() == steps.digest()

    def test_steps_are_counted(self) -> None:
        """`total_env_steps` adds up the batches."""
        sampler = make_local()
        assert sum(sampler.obtain_samples(0, 20, None).n_steps for _ in range(3)) == sampler.total_env_steps

    @pytest.mark.parametrize("number", [0, -3])
    def test_need_a_positive_size(self, number: int) -> None:
        """No steps or episodes is no batch."""
        with pytest.raises(ValueError, match=f"num_samples is {number}"):
            make_local().obtain_samples(0, number, None)
        with pytest.raises(ValueError, match=f"n_eps_per_worker is {number}"):
            make_local().obtain_exact_episodes(number, None)

    def test_seedless_samplers_differ(self) -> None:
        """Without a seed the system gives one."""
        one, other = (LocalSampler(make_factory(seed=None), Gaussian(), Walk()) for _ in range(2))
        assert one.obtain_samples(0, 9, None).digest() != other.obtain_samples(0, 9, None).digest()


class TestUpdates:
    def test_parameters_reach_the_policy(self) -> None:
        """Parameters act at the call that brings them and stay."""
        sampler, wanted = make_local(), make_local(Gaussian(0.7))
        changed = sampler.obtain_samples(0, 30, {"gain": np.float32(0.7)})
        assert changed.digest() == wanted.obtain_samples(0, 30, None).digest()
        assert sampler.obtain_samples(0, 30, None).digest() == wanted.obtain_samples(0, 30, None).digest()

    def test_a_policy_can_be_replaced(self) -> None:
        """A whole policy as update takes the place of the old one."""
        batch = make_local().obtain_samples(0, 30, Gaussian(0.7))
        assert batch.digest() == make_local(Gaussian(0.7)).obtain_samples(0, 30, None).digest()

    def test_the_callers_policy_is_copied(self) -> None:
        """What the caller does to its own policy afterwards changes nothing."""
        policy = Gaussian()
        sampler = make_local(policy)
        policy.gain = np.float32(9.0)
        assert (
            sampler.obtain_samples(0, 30, None).digest() == make_local().obtain_samples(0, 30, None).digest()
        )

    def test_the_callers_environment_is_left_alone(self) -> None:
        """The sampler steps and closes environments of its own."""
        env = Walk()
        sampler = make_local(env=env)
        sampler.obtain_samples(0, 30, None)
        sampler.shutdown_worker()
        assert not env.closed

    @pytest.mark.parametrize("update", [Walk(longest=3), NewEnvUpdate(lambda: Walk(longest=3))])
    def test_environments_can_be_changed(self, update: Any) -> None:
        """A new environment, or a function of the old one, acts from that call on."""
        sampler = make_local(worker_class=VecWorker)
        batch = sampler.obtain_samples(0, 30, None, update)
        assert batch.lengths.max() <= 3
        assert batch.digest() == make_local(env=lambda: Walk(longest=3)).obtain_samples(0, 30, None).digest()

    def test_lists_give_each_worker_its_own(self) -> None:
        """Those of the first worker's policy come first, then those of the second's, as garage has them."""
        gains = [0.0, 1.0, 2.0]
        sampler = make_local([Gaussian(gain) for gain in gains], n_workers=3)
        batch = sampler.obtain_exact_episodes(2, None)
        wanted = [make_local(Gaussian(gain)).obtain_exact_episodes(6, None).split() for gain in gains]
        for index, episode in enumerate(batch.split()):
            worker, own_index = divmod(index, 2)
            assert episode.digest() == wanted[worker][own_index * 3 + worker].digest()

    def test_lists_of_updates(self) -> None:
        """Updates may be lists too, and steps are then counted over all workers."""
        sampler = make_local(n_workers=2)
        updates = PerWorker([{"gain": 0.0}, {"gain": 1.0}])
        batch = sampler.obtain_samples(0, 40, updates, [Walk(3), Walk(5)])
        assert batch.n_steps >= 40
        assert batch.lengths[0::2].max() <= 3

    @pytest.mark.parametrize("where", ["agents", "envs", "agent_update", "env_update"])
    def test_lists_of_another_length_are_refused(self, where: str) -> None:
        """A list has one value a worker."""
        three = [Walk() if "env" in where else Gaussian() for _ in range(3)]
        calls: dict[str, Callable[[], object]] = {
            "agents": lambda: make_local(three, n_workers=2),
            "envs": lambda: make_local(env=three, n_workers=2),
            "agent_update": lambda: make_local(n_workers=2).obtain_samples(0, 9, three),
            "env_update": lambda: make_local(n_workers=2).obtain_samples(0, 9, None, three),
        }
        with pytest.raises(ValueError, match=f"{where} must be one value.*exactly 2.*not a list of 3"):
            calls[where]()

    def test_what_cannot_be_copied_is_named(self) -> None:
        """An environment that does not pickle is refused with the way out."""
        with pytest.raises(TypeError, match=r"environment Uncopied cannot be copied.*pass a function"):
            make_local(env=Uncopied())

    def test_nonsense_is_no_policy(self) -> None:
        """Parameters without a policy, and objects that cannot act, are refused."""
        with pytest.raises(TypeError, match="is no policy: it has neither"):
            make_local({"gain": 1.0})


class TestGlobalGenerators:
    def test_are_put_back(self) -> None:
        """A policy that draws from global generators leaves them as they were."""
        random.seed(3)
        np.random.seed(3)
        wanted = (random.random(), np.random.random())
        random.seed(3)
        np.random.seed(3)
        make_local(GlobalGaussian()).obtain_samples(0, 30, None)
        assert (random.random(), np.random.random()) == wanted

    def test_do_not_reach_the_batch(self) -> None:
        """The batch is the same whatever was drawn before."""
        first = make_local(GlobalGaussian()).obtain_samples(0, 30, None).digest()
        np.random.random(5)
        assert make_local(GlobalGaussian()).obtain_samples(0, 30, None).digest() == first


def make_shorter(old: Walk) -> Walk:
    """Return a walk of one step less."""
    return Walk(old.longest - 1)


class TestState:
    def test_goes_on_exactly(self) -> None:
        """A sampler with the state of another gives its next batches."""
        sampler, resumed = make_local(), make_local(seed=99)
        sampler.obtain_samples(0, 30, None)
        resumed.load_state_dict(pickle.loads(pickle.dumps(sampler.state_dict())))
        assert resumed.total_env_steps == sampler.total_env_steps
        for itr in range(2):
            assert (
                resumed.obtain_samples(itr, 30, None).digest()
                == sampler.obtain_samples(itr, 30, None).digest()
            )

    @pytest.mark.parametrize(
        "env_updates", [[Walk(4)], [Walk(9), make_shorter, make_shorter], [[Walk(3), Walk(5)]], [Walk, None]]
    )
    def test_brings_updated_environments_back(self, env_updates: list[Any]) -> None:
        """What was changed once stays changed after a resume, in a sampler built as at the beginning."""
        sampler, resumed = make_local(n_workers=2), make_local(n_workers=2)
        for env_update in env_updates:
            sampler.obtain_samples(0, 30, None, env_update)
        resumed.load_state_dict(pickle.loads(pickle.dumps(sampler.state_dict())))
        again = make_local(n_workers=2)
        again.load_state_dict(resumed.state_dict())
        wanted = sampler.obtain_samples(1, 30, None).digest()
        assert resumed.obtain_samples(1, 30, None).digest() == wanted
        assert again.obtain_samples(1, 30, None).digest() == wanted

    def test_environments_of_one_worker_each_need_as_many_workers(self) -> None:
        """Their episodes depend on the number."""
        sampler = make_local(n_workers=2)
        sampler.obtain_samples(0, 30, None, [Walk(3), Walk(5)])
        with pytest.raises(ValueError, match="2 workers had environments of their own; 3 cannot"):
            make_local(n_workers=3).load_state_dict(sampler.state_dict())

    def test_an_update_that_no_state_can_hold_lowers_the_grade(self) -> None:
        """A function that cannot be pickled works, and a resume will not be exact."""
        lock = threading.Lock()

        def locked(old: Walk) -> Walk:
            with lock:
                return Walk(4)

        sampler = make_local()
        sampler.obtain_samples(0, 30, None, locked)
        assert sampler.state_dict()["envs"] is None
        assert str(sampler.exactness()) == "C: the env_update of the environments cannot be pickled"

    def test_pickled_samplers_rebuild_their_workers(self) -> None:
        """A sampler travels with its policy, parameters and place."""
        sampler = make_local()
        sampler.obtain_samples(0, 30, {"gain": np.float32(0.3)})
        twin: LocalSampler = pickle.loads(pickle.dumps(sampler))
        assert twin.obtain_samples(1, 30, None).digest() == sampler.obtain_samples(1, 30, None).digest()

    def test_states_of_other_noise_are_refused(self) -> None:
        """A state from before noise came by tables cannot be continued exactly, and says so."""
        state = {**make_local().state_dict(), "version": 1}
        with pytest.raises(ValueError, match="version 1, whose policies drew other noise"):
            make_local().load_state_dict(state)

    @pytest.mark.parametrize("state", [{}, {"version": 2, "root": 3}, {"version": 99}])
    def test_foreign_states_change_nothing(self, state: dict[str, Any]) -> None:
        """A state that is not one is refused before anything changes."""
        sampler = make_local()
        with pytest.raises(ValueError, match="no state of a sampler"):
            sampler.load_state_dict(state)
        assert sampler.obtain_samples(0, 9, None).digest() == make_local().obtain_samples(0, 9, None).digest()

    def test_workers_are_not_pickled(self) -> None:
        """A worker refuses to be pickled, and says what to pickle."""
        worker: Worker = make_factory(worker_class=DefaultWorker)(0)
        with pytest.raises(ValueError, match="DefaultWorker cannot be pickled"):
            pickle.dumps(worker)


class TestErrors:
    def test_name_the_episode_and_can_be_replayed(self) -> None:
        """The error says which episode broke; `replay` breaks in the same place."""
        sampler = make_local(env=Raising())
        with pytest.raises(EpisodeError, match=r"ZeroDivisionError.*sampling call 0") as caught:
            sampler.obtain_samples(0, 500, None)
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        (key,) = caught.value.keys
        with pytest.raises(EpisodeError, match=f"episode {key.episode} of sampling call {key.call}"):
            sampler.replay(key.call, key.episode)

    def test_a_failed_call_can_be_repeated(self) -> None:
        """After an error the same call gives the batch it would have given."""
        sampler = make_local(env=Raising())
        with pytest.raises(EpisodeError, match="hole"):
            sampler.obtain_samples(0, 500, None)
        assert (
            sampler.obtain_samples(0, 30, None, Walk()).digest()
            == make_local().obtain_samples(0, 30, None).digest()
        )

    def test_replay_gives_the_recorded_episode(self) -> None:
        """Any episode of any call can be had again."""
        sampler = make_local()
        batches = [sampler.obtain_samples(0, 40, None) for _ in range(2)]
        assert sampler.replay(1, 2).digest() == batches[1].split()[2].digest()

    def test_closed_samplers_say_so(self) -> None:
        """Shutting down twice is allowed, sampling afterwards is not."""
        sampler = make_local()
        sampler.shutdown_worker()
        sampler.shutdown_worker()
        with pytest.raises(ClosedSamplerError, match="was shut down"):
            sampler.obtain_samples(0, 9, None)


class TestWorkers:
    @pytest.mark.parametrize("worker_class", [DefaultWorker, VecWorker])
    def test_can_be_used_by_hand(self, worker_class: Any) -> None:
        """A worker rolls out by itself, seeded, and step by step."""
        digests = list[str]()
        for _ in range(2):
            worker: Worker = make_factory(worker_class=worker_class)(0)
            worker.update_agent(Gaussian())
            worker.update_env(Walk())
            batch = worker.rollout()
            digests.append(batch.digest())
            worker.start_episode()
            while not worker.step_episode():
                pass
            assert worker.collect_episode().n_episodes == 1
            worker.shutdown()
            worker.shutdown()
        assert digests[0] == digests[1]

    def test_workers_of_ones_own_are_keyed_too(self) -> None:
        """A worker that implements garage's methods gives the same batch when it uses its keys."""
        sampler = make_local(SingleGaussian(), worker_class=PlainWorker)
        batch = sampler.obtain_samples(0, 30, None)
        wanted = make_local(SingleGaussian()).obtain_samples(0, 30, None)
        assert np.array_equal(batch.observations, wanted.observations)
        assert np.array_equal(batch.step_types, wanted.step_types)


class Fickle(Walk):
    """A walk with infos of changing form."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[Any, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
        goal = {"left": self._left} if self._left % 2 else "none"
        return observation, reward, terminated, truncated, {1: info["left"], "goal": goal}


class PlainWorker(Worker):
    """The smallest worker: runs the reference loop."""

    def update_agent(self, agent_update: Any) -> None:
        if agent_update is not None:
            self.policy = agent_update

    def update_env(self, env_update: Any) -> None:
        if env_update is not None:
            self.env = env_update

    def start_episode(self) -> None:
        self.episode = run_reference(self.env, self.policy, self.next_key(), self.max_episode_length)

    def step_episode(self) -> bool:
        return True

    def collect_episode(self) -> EpisodeBatch:
        ran = self.episode
        return EpisodeBatch(
            observations=np.array(ran["seen"][:-1]),
            last_observations=np.array(ran["seen"][-1:]),
            actions=np.array(ran["actions"]),
            rewards=np.array(ran["rewards"]),
            step_types=np.array(ran["types"]),
            lengths=np.array([len(ran["rewards"])]),
        )

    def shutdown(self) -> None:
        self.env.close()


class TestConstruction:
    @pytest.mark.parametrize(("name", "value"), [("n_envs", 0), ("inference_rows", -1)])
    def test_worker_arguments_are_checked(self, name: str, value: int) -> None:
        """Arguments of the workers are checked when the sampler is built."""
        with pytest.raises(ValueError, match=f"{name} is {value}"):
            make_local(worker_class=VecWorker, worker_args={name: value})
