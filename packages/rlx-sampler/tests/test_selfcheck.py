"""The evidence behind the grade: what a check finds, what it leaves alone, and what it says."""

import pickle
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from sampler_worlds import Gaussian, Raising, Walk, make_factory, make_local
from unrepeatable_worlds import (
    ClassCounting,
    Counting,
    Entropy,
    FirstLayout,
    LastActions,
    Names,
    Offset,
    OwnGenerator,
    Recurrent,
    RecurrentForAll,
    Schedule,
    SingleRecurrent,
    Slow,
    UnseededStart,
)

from rlx_sampler import (
    TRAINING,
    DefaultWorker,
    EpisodeError,
    Exactness,
    FragmentWorker,
    LocalSampler,
    MultiprocessingSampler,
    VecWorker,
)
from rlx_sampler._keys import CallKey
from rlx_sampler._selfcheck import evidence
from rlx_sampler._selfcheck.check import AGAIN, FRESH, UNSEEDED, check
from rlx_sampler._selfcheck.evidence import OF_RUN, Evidence
from rlx_sampler._selfcheck.findings import Findings
from rlx_sampler._selfcheck.subject import Subject
from rlx_sampler._workers.setups import Setup


def findings_of(policy: Any, env: Any) -> Findings:
    """Return what a check of a sampler in this process finds."""
    factory = make_factory(worker_class=DefaultWorker)
    keys = [CallKey(7, TRAINING, 0).episode(index) for index in range(4)]
    return check(Subject(factory, Setup(policy, env), None, keys, has_lanes=False), 60.0)


def in_processes(policy: Any, env: Any, **choices: Any) -> Exactness:
    """Return what a sampler with worker processes says after its first call."""
    sampler = MultiprocessingSampler(make_factory(n_workers=2, **choices), policy, env)
    sampler.obtain_samples(0, 60, None)
    exactness = sampler.exactness()
    sampler.shutdown_worker()
    return exactness


def continues_exactly(build: Callable[[], LocalSampler]) -> bool:
    """Whether a sampler that takes over the state of another gives the same batches."""
    sampler, resumed = build(), build()
    for _ in range(3):
        sampler.obtain_samples(0, 60, {"gain": np.float32(-0.2)})
    resumed.load_state_dict(sampler.state_dict())
    pairs = [
        [each.obtain_samples(0, 60, {"gain": np.float32(-0.3)}) for each in (sampler, resumed)]
        for _ in range(2)
    ]
    return all(one.digest() == other.digest() for one, other in pairs)


def _never(evidence: Evidence) -> bool:
    """Make no check."""
    del evidence
    return False


class TestHonestWorlds:
    def test_keep_their_grade_and_say_what_was_checked(self) -> None:
        """Grade A rests on episodes that ran again."""
        sampler = make_local(worker_class=VecWorker, worker_args={"n_envs": 5})
        sampler.obtain_samples(0, 60, None)
        exactness = sampler.exactness()
        assert (exactness.grade, exactness.reason) == ("A", "episodes are keyed")
        assert exactness.checked[0].endswith("steps ran again")
        assert OF_RUN in exactness.checked[-1]

    def test_in_processes_are_compared_with_a_process_that_hashes_otherwise(self) -> None:
        """Worker processes serve for that without being asked."""
        exactness = in_processes(Gaussian(), Walk())
        assert exactness.grade == "A"
        assert "PYTHONHASHSEED" in exactness.checked[-1]

    @pytest.mark.parametrize("policy", [Recurrent(), RecurrentForAll(), SingleRecurrent()])
    def test_may_have_policies_that_forget_at_the_beginning(self, policy: Any) -> None:
        """Memory within an episode is no history."""
        sampler = make_local(policy, worker_class=VecWorker, worker_args={"n_envs": 5})
        batch = sampler.obtain_samples(0, 60, None)
        assert sampler.exactness().grade == "A"
        assert batch.digest() == make_local(policy).obtain_samples(0, 60, None).digest()

    @pytest.mark.parametrize("worker_class", [DefaultWorker, FragmentWorker])
    def test_may_tell_the_time(self, worker_class: Any) -> None:
        """The seconds that gymnasium's statistics add to an info are no difference."""
        gymnasium: Any = pytest.importorskip("gymnasium", reason="needs gymnasium")
        env = gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.make("CartPole-v1", max_episode_steps=8))
        sampler = make_local(Pushing(), env, worker_class=worker_class)
        batch = sampler.obtain_samples(0, 60, None)
        assert "t" in batch.env_infos["episode"]
        assert sampler.exactness().grade == "A"


class Pushing:
    """A policy that pushes a cart to either side."""

    def get_actions(self, observations: Any, *, rngs: Any) -> tuple[Any, dict[str, Any]]:
        return np.array([rng.integers(2) for rng in rngs]), {}


class TestResets:
    def test_that_tell_what_no_seed_decides_are_named(self) -> None:
        """What a reset tells is compared too, in two environments that are both new."""
        findings = findings_of(Gaussian(), UnseededStart())
        assert any(
            each.field == "episode_infos['advice']" and each.comparison == UNSEEDED
            for each in findings.differences
        )
        assert make_local(Gaussian(), UnseededStart()).exactness().grade == "C"


class TestHistories:
    @pytest.mark.parametrize(
        ("env", "comparison", "field"),
        [
            (Counting(), AGAIN, "rewards"),
            (FirstLayout(), FRESH, "rewards"),
            (OwnGenerator(), AGAIN, "rewards"),
        ],
    )
    def test_of_environments_are_found_and_named(self, env: Any, comparison: str, field: str) -> None:
        """The first bits that differ are named, with the comparison that shows them."""
        findings = findings_of(Gaussian(), env)
        assert findings.keeper == type(env).__name__
        assert findings.history is not None
        assert (findings.history.comparison, findings.history.field) == (comparison, field)
        assert findings.history.step == 0

    def test_of_policies_are_found_and_named(self) -> None:
        """A counter in a policy makes an episode depend on those before it."""
        findings = findings_of(Schedule(), Walk())
        assert findings.keeper == "Schedule"
        assert findings.history is not None
        assert findings.history.field == "actions"

    @pytest.mark.parametrize(
        ("policy", "env"),
        [
            (Gaussian(), Counting()),
            (Gaussian(), FirstLayout()),
            (Gaussian(), OwnGenerator()),
            (Schedule(), Walk()),
        ],
        ids=["counting", "layout", "generator", "policy"],
    )
    @pytest.mark.parametrize("worker_class", [DefaultWorker, VecWorker])
    def test_are_saved_in_one_process(self, policy: Any, env: Any, worker_class: Any) -> None:
        """What was found goes into the state: grade A, and the batches that follow are the same."""
        assert continues_exactly(lambda: make_local(policy, env, worker_class=worker_class))
        sampler = make_local(policy, env, worker_class=worker_class)
        assert sampler.exactness().grade == "A"
        assert "is saved with the sampler" in sampler.exactness().reason

    @pytest.mark.parametrize(("policy", "env"), [(Gaussian(), Counting()), (Schedule(), Walk())])
    def test_lower_the_grade_across_processes(self, policy: Any, env: Any) -> None:
        """Which worker ran what before decides the batch."""
        exactness = in_processes(policy, env)
        assert exactness.grade == "C"
        assert "depends on the episodes before" in exactness.reason

    @pytest.mark.parametrize("env", [ClassCounting(), Entropy()])
    def test_that_no_state_holds_lower_the_grade(self, env: Any) -> None:
        """A class, or the system, is in no state: the round trip shows that."""
        exactness = make_local(Gaussian(), env).exactness()
        assert exactness.grade == "C"
        assert "continues from a saved state" in exactness.reason

    def test_survive_a_resume_without_sampling(self) -> None:
        """A state that was taken over is given back whole before any call."""
        sampler, between, last = (make_local(Gaussian(), Counting()) for _ in range(3))
        sampler.obtain_samples(0, 60, None)
        between.load_state_dict(sampler.state_dict())
        last.load_state_dict(between.state_dict())
        assert last.obtain_samples(0, 60, None).digest() == sampler.obtain_samples(0, 60, None).digest()


class TestAnotherProcess:
    def test_shows_what_follows_hashes(self) -> None:
        """The order of a set of strings is that of one process; a sampler in this one says so when asked."""
        sampler = make_local(Gaussian(), Names())
        sampler.obtain_samples(0, 60, None)
        exactness = sampler.exactness(other_process=True)
        assert exactness.grade == "C"
        assert "PYTHONHASHSEED" in exactness.reason

    def test_is_asked_by_samplers_with_processes(self) -> None:
        """Worker processes hash in one way and the check in another."""
        assert in_processes(Gaussian(), Names()).grade == "C"


RAN_AGAIN = "an episode of the process that saved ran again"


class TestAResume:
    """The process that continues runs an episode of the one that saved."""

    @staticmethod
    def resumed(saving: Any, continuing: Any, env_update: Any = None, **choices: Any) -> Exactness:
        """Return what a sampler says that continues, after two calls between which the policy has learned."""
        sampler = make_local(Gaussian(), saving, **choices)
        for gain in (-0.2, -0.3):
            sampler.obtain_samples(0, 60, {"gain": np.float32(gain)})
        state = pickle.loads(pickle.dumps(sampler.state_dict()))
        later = make_local(Gaussian(), continuing, **choices)
        later.load_state_dict(state)
        later.obtain_samples(2, 60, {"gain": np.float32(-0.4)}, env_update)
        return later.exactness()

    @pytest.mark.parametrize("worker_class", [DefaultWorker, VecWorker, FragmentWorker])
    def test_in_another_world_is_told(self, worker_class: Any) -> None:
        """Which field differs, and where."""
        exactness = self.resumed(Offset(0.0), Offset(1.0), worker_class=worker_class)
        assert exactness.grade == "C"
        assert "rewards of step 0 differ when the process that continues" in exactness.reason

    @pytest.mark.parametrize("worker_class", [DefaultWorker, VecWorker, FragmentWorker])
    @pytest.mark.parametrize("world", [Walk, partial(Offset, 1.0)])
    def test_in_the_same_world_keeps_its_grade(self, world: Any, worker_class: Any) -> None:
        """The actions of that episode are taken again, whatever the policy has learned since."""
        exactness = self.resumed(world(), world(), worker_class=worker_class)
        assert exactness.grade == "A"
        assert RAN_AGAIN in exactness.checked

    def test_of_another_resume_compares_with_the_first_process(self) -> None:
        """Also where nothing was sampled between the two."""
        first = make_local(Gaussian(), Offset(0.0))
        first.obtain_samples(0, 60, None)
        state = first.state_dict()
        for _ in range(2):
            between = make_local(Gaussian(), Offset(0.0))
            between.load_state_dict(state)
            state = between.state_dict()
        last = make_local(Gaussian(), Offset(1.0))
        last.load_state_dict(state)
        assert last.exactness().grade == "C"

    def test_with_a_history_has_nothing_to_compare(self) -> None:
        """A generator that nobody seeds is saved with the sampler; a new environment has another one."""
        assert self.resumed(OwnGenerator(), OwnGenerator()).grade == "A"

    def test_with_another_environment_has_nothing_to_compare(self) -> None:
        """The one that the episode was of is no longer there."""
        exactness = self.resumed(Offset(0.0), Offset(0.0), Offset(2.0))
        assert exactness.grade == "A"
        assert RAN_AGAIN not in exactness.checked


class TestLiveEnvironments:
    @pytest.mark.parametrize(
        "policy",
        [Gaussian(), Recurrent(), RecurrentForAll(), SingleRecurrent(), Schedule()],
        ids=lambda p: type(p).__name__,
    )
    @pytest.mark.parametrize("env", [Walk(), LastActions()], ids=["saved", "replayed"])
    def test_continue_with_what_the_policy_remembers(self, policy: Any, env: Any) -> None:
        """A resumed worker equals its twin, whether its environments are saved or run again."""
        args = {"n_envs": 3, "timesteps_per_call": 5}
        sampler = make_local(policy, env, worker_class=FragmentWorker, worker_args=args)
        assert continues_exactly(
            lambda: make_local(policy, env, worker_class=FragmentWorker, worker_args=args)
        )
        assert sampler.exactness().grade == "A"

    def test_that_part_when_run_again_are_named_with_the_step(self) -> None:
        """Where an environment cannot be copied and is not the same again, the grade is C."""

        class Parting(LastActions, Entropy):
            """A world of chance that cannot be copied."""

        args = {"n_envs": 2, "timesteps_per_call": 5}
        sampler, resumed = (
            make_local(Gaussian(), Parting(), worker_class=FragmentWorker, worker_args=args) for _ in range(2)
        )
        sampler.obtain_samples(0, 10, None)
        resumed.load_state_dict(sampler.state_dict())
        assert resumed.exactness().grade == "C"
        assert "parts from what it was in step" in resumed.exactness().reason

    def test_with_a_memory_of_several_keep_their_number(self) -> None:
        """What a policy remembers of environments together cannot be dealt out to others."""
        args = {"timesteps_per_call": 5}
        sampler = make_local(Recurrent(), worker_class=FragmentWorker, worker_args={**args, "n_envs": 4})
        sampler.obtain_samples(0, 20, None)
        other = make_local(
            Recurrent(), worker_class=FragmentWorker, n_workers=2, worker_args={**args, "n_envs": 2}
        )
        other.load_state_dict(sampler.state_dict())
        with pytest.raises(ValueError, match="the same n_envs and n_workers"):
            other.obtain_samples(0, 20, None)


class TestTheCheckItself:
    def test_leaves_the_generators_of_the_run_alone(self) -> None:
        """The program draws what it would have drawn."""
        sampler = make_local()
        random.seed(5)
        np.random.seed(5)
        wanted = random.random(), np.random.random()
        random.seed(5)
        np.random.seed(5)
        sampler.exactness()
        assert (random.random(), np.random.random()) == wanted

    @pytest.mark.parametrize("env", [Walk(), OwnGenerator.__mro__[1](), Counting()])
    def test_changes_no_batch(self, env: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run that was never checked has the same bits."""
        checked = make_local(Gaussian(), env).obtain_samples(0, 60, None).digest()
        monkeypatch.setattr(Evidence, "is_worth_it", _never)
        assert make_local(Gaussian(), env).obtain_samples(0, 60, None).digest() == checked

    def test_leaves_errors_to_the_run(self) -> None:
        """An environment that raises does so in the call, with its key."""
        sampler = make_local(Gaussian(), Raising())
        with pytest.raises(EpisodeError, match="fell into a hole"):
            sampler.obtain_samples(0, 200, None)

    @pytest.mark.parametrize("worker_class", [DefaultWorker, FragmentWorker])
    def test_is_cut_off(self, worker_class: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where it takes too long, the grade says that nothing is known."""
        monkeypatch.setattr(evidence, "check", partial(check, seconds=0.3))
        exactness = make_local(Gaussian(), Slow(), worker_class=worker_class).exactness()
        assert exactness.grade == "B"
        assert "not checked" in exactness.reason

    @pytest.mark.parametrize("name", ["RecordVideo", "Monitor"])
    def test_is_not_made_where_a_second_environment_would_write_files(self, name: str) -> None:
        """Files of a run stay what they are."""
        env = type(name, (Walk,), {})()
        exactness = make_local(Gaussian(), env).exactness()
        assert exactness.grade == "B"
        assert f"{name} writes files" in exactness.reason

    def test_is_made_again_after_another_environment(self) -> None:
        """An update of the environment asks for new evidence."""
        sampler = make_local()
        assert sampler.exactness().reason == "episodes are keyed"
        sampler.obtain_samples(0, 60, None, Counting())
        assert "the history of Counting" in sampler.exactness().reason

    def test_is_made_again_after_a_policy_of_another_class(self) -> None:
        """So does another policy."""
        sampler = make_local()
        sampler.obtain_samples(0, 60, None)
        sampler.obtain_samples(0, 60, Schedule())
        assert "the history of Schedule" in sampler.exactness().reason

    def test_compares_the_run_with_what_it_saw(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lanes that disturb each other are found, although each episode alone is the same again."""

        class Neighbours(Gaussian):
            """A policy that adds up the rows of a call."""

            def get_actions(self, observations: Any, *, rngs: Any) -> Any:
                actions, infos = super().get_actions(observations, rngs=rngs)
                return actions + observations.sum(), infos

        args = {"n_envs": 3, "inference_rows": 4}
        sampler = make_local(Neighbours(), worker_class=VecWorker, worker_args=args)
        sampler.obtain_samples(0, 60, None)
        assert sampler.exactness().grade == "C"
        assert OF_RUN in sampler.exactness().reason
