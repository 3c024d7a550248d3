"""Batches of episodes: what they hold, how they are cut, joined and padded."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_sampler import EpisodeBatch, StepType

Array = npt.NDArray[Any]


def make_batch(lengths: list[int], *, seed: int = 0) -> EpisodeBatch:
    """Return a batch of random numbers."""
    rng = np.random.default_rng(seed)
    n = sum(lengths)
    types = [
        StepType.TERMINAL if t == length - 1 else StepType.FIRST if t == 0 else StepType.MID
        for length in lengths
        for t in range(length)
    ]
    return EpisodeBatch(
        observations=rng.standard_normal((n, 3)),
        last_observations=rng.standard_normal((len(lengths), 3)),
        actions=rng.integers(0, 4, n),
        rewards=rng.standard_normal(n),
        step_types=np.array(types),
        lengths=np.array(lengths),
        env_infos={"speed": rng.standard_normal(n)},
        agent_infos={"mean": rng.standard_normal((n, 2))},
        episode_infos={"level": np.arange(len(lengths))},
    )


def changed(batch: EpisodeBatch, **fields: Any) -> EpisodeBatch:
    """Return the batch with other fields."""
    given_fields = {name: getattr(batch, name) for name in batch.__dataclass_fields__}
    return EpisodeBatch(**{**given_fields, **fields})


lengths_lists = st.lists(st.integers(1, 7), min_size=1, max_size=6)


class TestChecks:
    @pytest.mark.parametrize(
        ("field", "value", "message"),
        [
            ("observations", np.zeros((4, 3)), r"observations has shape \(4, 3\).*must be 5"),
            ("actions", np.zeros(6), r"actions has shape \(6,\).*must be 5"),
            ("rewards", np.zeros((5, 1)), r"rewards has shape \(5, 1\)"),
            ("rewards", np.zeros(4), r"rewards has shape \(4,\).*must be 5"),
            ("step_types", np.zeros(5), "step_types has dtype float64"),
            ("step_types", np.array([0, 1, 4, 0, 2]), "step_types holds 4"),
            ("last_observations", np.zeros((3, 3)), r"last_observations has shape \(3, 3\).*must be 2"),
            ("last_observations", np.zeros((2, 4)), r"rows of shape \(4,\)"),
            ("last_observations", {"a": np.zeros((2, 3))}, "last_observations has the leaves"),
            ("env_infos", {"a": {"b": np.zeros(4)}}, r"env_infos\['a'\]\['b'\] has shape \(4,\)"),
            ("agent_infos", {"a": np.zeros(())}, r"agent_infos\['a'\] has shape \(\)"),
            ("episode_infos", {"a": np.zeros(5)}, r"episode_infos\['a'\] has shape \(5,\).*must be 2"),
            ("lengths", np.array([2, 4]), "must be 6"),
            ("lengths", np.array([5, 0]), "lengths holds 0"),
            ("lengths", np.array([2.0, 3.0]), "dtype float64"),
            ("lengths", np.zeros(0, int), r"shape \(0,\)"),
            ("complete", np.ones(3, bool), r"complete has shape \(3,\)"),
        ],
    )
    def test_rejects_a_wrong_shape(self, field: str, value: object, message: str) -> None:
        """Every field is checked, and the error names it and both sizes."""
        with pytest.raises(ValueError, match=message):
            changed(make_batch([3, 2]), **{field: value})

    def test_takes_step_types_as_objects(self) -> None:
        """Garage's users build them with ``dtype=StepType``, which gives an array of objects."""
        members = np.array([StepType.FIRST, StepType.TERMINAL], dtype=StepType)
        fields: dict[str, Any] = {"observations": [0, 1], "last_observations": [2], "actions": [0, 0]}
        batch = EpisodeBatch(**fields, rewards=np.ones(2), step_types=members, lengths=np.array([2]))
        assert batch.step_types.dtype == np.int8
        assert batch.step_types.tolist() == [0, 2]

    def test_is_frozen(self) -> None:
        """A batch cannot be given other fields."""
        with pytest.raises(AttributeError, match="cannot assign"):
            make_batch([1]).rewards = np.zeros(1)  # type: ignore[misc]

    def test_takes_lists(self) -> None:
        """Lists become arrays."""
        batch = EpisodeBatch(
            observations=[[1.0]],
            last_observations=[[2.0]],
            actions=[0],
            rewards=np.array([1.0]),
            step_types=np.array([2]),
            lengths=np.array([1]),
        )
        assert batch.observations.shape == (1, 1)


class TestCutting:
    @given(lengths_lists)
    def test_split_and_concatenate_are_inverse(self, lengths: list[int]) -> None:
        """Splitting gives one batch an episode; joining them gives the same bits back."""
        batch = make_batch(lengths)
        parts = batch.split()
        assert [part.n_steps for part in parts] == lengths
        assert EpisodeBatch.concatenate(*parts).digest() == batch.digest()

    @given(lengths_lists)
    def test_lists_and_batches_are_inverse(self, lengths: list[int]) -> None:
        """A list of dicts holds everything that a batch of whole episodes does."""
        batch = make_batch(lengths)
        assert EpisodeBatch.from_list(batch.to_list()).digest() == batch.digest()

    def test_dicts_have_the_keys_of_garage(self) -> None:
        """Each episode is a dict with the names that algorithms for garage read."""
        first = make_batch([3, 2]).to_list()[0]
        assert set(first) == {
            "observations",
            "next_observations",
            "actions",
            "rewards",
            "step_types",
            "env_infos",
            "agent_infos",
            "episode_infos",
        }
        assert first["env_infos"]["speed"].shape == (3,)

    def test_from_list_reads_dones(self) -> None:
        """Without step types the last `dones` says whether the episode is terminal."""
        episode = make_batch([3]).to_list()[0]
        del episode["step_types"]
        done = EpisodeBatch.from_list([{**episode, "dones": [False, False, True]}])
        cut = EpisodeBatch.from_list([episode])
        assert list(done.step_types) == [0, 1, 2]
        assert list(cut.step_types) == [0, 1, 3]

    def test_from_list_names_what_is_missing(self) -> None:
        """A dict without rewards is refused."""
        episode = make_batch([3]).to_list()[0]
        del episode["rewards"]
        with pytest.raises(ValueError, match=r"lacks \['rewards'\]"):
            EpisodeBatch.from_list([episode])

    def test_concatenate_needs_a_batch(self) -> None:
        """There is no empty batch."""
        with pytest.raises(ValueError, match="pass at least one"):
            EpisodeBatch.concatenate()

    def test_concatenate_refuses_other_infos(self) -> None:
        """Batches that hold different things are not joined."""
        with pytest.raises(ValueError, match="env_infos holds"):
            EpisodeBatch.concatenate(make_batch([1]), changed(make_batch([1]), env_infos={}))


class TestViews:
    @given(lengths_lists)
    def test_next_observations_shift_by_one(self, lengths: list[int]) -> None:
        """What follows a step is the next observation, or the last one at an end."""
        for episode in make_batch(lengths).split():
            joined = np.concatenate([episode.observations, episode.last_observations])
            assert np.array_equal(episode.next_observations, joined[1:])

    @given(lengths_lists)
    def test_padding_and_valids_give_the_flat_arrays_back(self, lengths: list[int]) -> None:
        """The valid entries of a padded view are the flat array, the others zero."""
        batch = make_batch(lengths)
        pairs: list[tuple[Array, Array]] = [
            (batch.padded_observations, batch.observations),
            (batch.padded_next_observations, batch.next_observations),
            (batch.padded_actions, batch.actions),
            (batch.padded_rewards, batch.rewards),
            (batch.padded_step_types, batch.step_types),
            (batch.padded_env_infos["speed"], batch.env_infos["speed"]),
            (batch.padded_agent_infos["mean"], batch.agent_infos["mean"]),
        ]
        for padded, flat in pairs:
            assert padded.shape[:2] == (len(lengths), max(lengths))
            assert np.array_equal(padded[batch.valids], flat)
            assert not padded[~batch.valids].any()

    @given(lengths_lists)
    def test_returns_sum_each_episode(self, lengths: list[int]) -> None:
        """The undiscounted return is the sum of an episode's rewards."""
        batch = make_batch(lengths)
        expected = [episode.rewards.sum() for episode in batch.split()]
        assert np.allclose(batch.undiscounted_returns, expected)

    def test_nested_observations(self) -> None:
        """Dict spaces are dicts of arrays and Tuple spaces tuples, everywhere."""
        batch = changed(
            make_batch([2, 1]),
            observations={"a": np.arange(3), "b": (np.zeros((3, 2)), np.ones((3, 1)))},
            last_observations={"a": np.array([7, 8]), "b": (np.zeros((2, 2)), np.ones((2, 1)))},
        )
        assert list(batch.next_observations["a"]) == [1, 7, 8]
        assert batch.padded_observations["b"][0].shape == (2, 2, 2)
        assert EpisodeBatch.concatenate(*batch.split()).digest() == batch.digest()


class TestDigest:
    @pytest.mark.parametrize("name", ["rewards", "observations", "actions", "env_infos", "complete"])
    def test_sees_every_bit(self, name: str) -> None:
        """One bit, dtype or name that differs gives another digest."""
        batch = make_batch([3, 2])
        other: dict[str, Any] = {
            "rewards": np.nextafter(batch.rewards, np.inf),
            "observations": np.float64(np.float32(batch.observations)),
            "actions": np.int32(batch.actions),
            "env_infos": {"velocity": batch.env_infos["speed"]},
            "complete": np.zeros(2, bool),
        }
        assert changed(batch, **{name: other[name]}).digest() != batch.digest()

    def test_objects_count_by_value(self) -> None:
        """Equal objects give equal digests, whether or not they are the same object."""
        text = "".join(["a", "b"])
        one = changed(make_batch([2]), env_infos={"s": np.array([text, text], object)})
        other = changed(make_batch([2]), env_infos={"s": np.array(["ab", "".join(["a", "b"])], object)})
        assert one.digest() == other.digest()
