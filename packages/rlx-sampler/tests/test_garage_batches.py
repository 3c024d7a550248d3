"""What garage's users ask of a batch, under garage's names."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sampler_worlds import make_local

from rlx_sampler import EpisodeBatch, StepType, TimeStepBatch

SPEC: Any = SimpleNamespace(max_episode_length=30)


@pytest.fixture
def batch() -> EpisodeBatch:
    """Return some episodes."""
    return dataclasses.replace(make_local().obtain_samples(0, 40, None), env_spec=SPEC)


class TestEpisodes:
    def test_are_padded_to_the_limit_of_the_environment(self, batch: EpisodeBatch) -> None:
        """With a description of the environment, padded arrays are as long as its longest episode."""
        assert batch.padded_observations.shape == (batch.n_episodes, 30, 3)
        assert batch.valids.sum(axis=1).tolist() == batch.lengths.tolist()
        assert dataclasses.replace(batch, env_spec=None).padded_rewards.shape[1] == batch.lengths.max()

    def test_come_from_lists_with_and_without_a_description(self, batch: EpisodeBatch) -> None:
        """Garage's from_list has the description first."""
        for again in (EpisodeBatch.from_list(SPEC, batch.to_list()), EpisodeBatch.from_list(batch.to_list())):
            assert again.digest() == batch.digest()
        assert EpisodeBatch.from_list(SPEC, batch.to_list()).env_spec is SPEC

    def test_keep_the_description_when_they_are_cut_and_joined(self, batch: EpisodeBatch) -> None:
        """Each part has it, and so has the whole."""
        assert EpisodeBatch.concatenate(*batch.split()).env_spec is SPEC

    def test_are_listed_one_by_one(self, batch: EpisodeBatch) -> None:
        """Observations and actions as one array an episode."""
        assert [len(each) for each in batch.observations_list] == batch.lengths.tolist()
        assert np.array_equal(np.concatenate(batch.actions_list), batch.actions)

    def test_say_where_the_environment_ended(self, batch: EpisodeBatch) -> None:
        """True at the last step of an episode that was not cut off, nowhere else."""
        assert batch.terminals.sum() == (batch.step_types == StepType.TERMINAL).sum() > 0
        assert batch.episode_infos_by_episode is batch.episode_infos


class TestTimeSteps:
    def test_are_those_of_the_episodes(self, batch: EpisodeBatch) -> None:
        """One row a step; facts about an episode are said of each of its steps."""
        steps = TimeStepBatch.from_episode_batch(batch)
        assert np.array_equal(steps.next_observations, batch.next_observations)
        assert np.array_equal(steps.terminals, batch.terminals)
        assert steps.episode_infos["level"].shape == (batch.n_steps,)

    def test_lists_and_batches_are_inverse(self, batch: EpisodeBatch) -> None:
        """A list of dicts of one row each gives the same steps back."""
        listed = batch.to_time_step_list()
        assert len(listed) == batch.n_steps
        again = TimeStepBatch.from_time_step_list(SPEC, listed)
        assert np.array_equal(again.observations, batch.observations)
        assert again.env_spec is SPEC

    def test_have_as_many_rows_each(self, batch: EpisodeBatch) -> None:
        """A field with another number of rows is named."""
        steps = TimeStepBatch.from_episode_batch(batch)
        with pytest.raises(ValueError, match=r"actions has shape .*first dimension must be \d+"):
            dataclasses.replace(steps, actions=steps.actions[1:])

    def test_must_be_some_to_join(self) -> None:
        """Nothing cannot be joined."""
        with pytest.raises(ValueError, match="there is no batch to concatenate"):
            TimeStepBatch.concatenate()


class TestStepType:
    @pytest.mark.parametrize(
        ("arguments", "wanted"),
        [
            ((1, 5, False), StepType.FIRST),
            ((2, 5, False), StepType.MID),
            ((2, 5, True), StepType.TERMINAL),
            ((5, 5, True), StepType.TIMEOUT),
            ((7, None, False), StepType.MID),
        ],
    )
    def test_follows_from_the_count(self, arguments: Any, wanted: StepType) -> None:
        """As garage labels steps."""
        assert StepType.get_step_type(*arguments) is wanted

    def test_counts_from_one(self) -> None:
        """A count of zero means that nothing was reset."""
        with pytest.raises(ValueError, match="step_cnt is 0; it must be at least 1"):
            StepType.get_step_type(0, 5, False)
