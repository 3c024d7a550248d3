"""Normalising observations on the policy's side."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rlx_sampler import ObservationNormalizer


@given(
    arrays(np.float64, st.tuples(st.integers(1, 30), st.just(2)), elements=st.floats(-1e3, 1e3)), st.data()
)
def test_statistics_are_those_of_all_observations(observations: np.ndarray, data: st.DataObject) -> None:
    """However the observations are cut into batches, mean and variance are those of the whole."""
    cut = data.draw(st.integers(0, len(observations)))
    normalizer = ObservationNormalizer((2,))
    normalizer.update(observations[:cut])
    normalizer.update(observations[cut:])
    assert normalizer.count == len(observations)
    assert np.allclose(normalizer.mean, observations.mean(axis=0))
    assert np.allclose(normalizer.variance, observations.var(axis=0), atol=1e-6)


def test_normalised_observations_have_mean_zero_and_variance_one() -> None:
    """The batch that the statistics come from is normalised by them."""
    observations = np.random.default_rng(1).normal(5.0, 3.0, (1000, 4))
    normalizer = ObservationNormalizer((4,))
    normalizer.update(observations)
    normalized = normalizer.normalize(observations)
    assert np.allclose(normalized.mean(axis=0), 0.0, atol=1e-9)
    assert np.allclose(normalized.std(axis=0), 1.0, atol=1e-6)


def test_outliers_are_clipped() -> None:
    """A value far out does not blow up the network."""
    normalizer = ObservationNormalizer((1,), clip=2.0)
    normalizer.update([[0.0], [1.0]])
    assert normalizer.normalize([[1e9]]).tolist() == [[2.0]]


def test_observations_pass_unchanged_before_the_first_update() -> None:
    """An untrained policy sees what the environment gives."""
    assert ObservationNormalizer((1,)).normalize([[7.0]]).tolist() == [[7.0]]


def test_parameters_travel() -> None:
    """A worker's copy normalises as the learner's does."""
    learner, worker = ObservationNormalizer((2,)), ObservationNormalizer((2,))
    learner.update([[1.0, 2.0], [3.0, 5.0]])
    worker.set_param_values(learner.get_param_values())
    assert np.array_equal(worker.normalize([[2.0, 2.0]]), learner.normalize([[2.0, 2.0]]))


def test_taken_over_parameters_are_a_copy() -> None:
    """An update of one does not reach the other."""
    learner, worker = ObservationNormalizer((1,)), ObservationNormalizer((1,))
    learner.update([[1.0]])
    worker.set_param_values(learner.get_param_values())
    worker.mean += 5.0
    assert learner.mean.tolist() == [1.0]


def test_wrong_shapes_are_refused() -> None:
    """The error names both shapes; the statistics stay."""
    normalizer = ObservationNormalizer((2,))
    with pytest.raises(ValueError, match=r"shape \(3, 4\); they must have \(N, \(2,\)\)"):
        normalizer.update(np.zeros((3, 4)))
    assert normalizer.count == 0


@pytest.mark.parametrize("option", ["clip", "epsilon"])
def test_bounds_must_be_positive(option: str) -> None:
    """Nothing can be clipped to nothing."""
    options = {"clip": 1.0, "epsilon": 1.0, option: 0.0}
    with pytest.raises(ValueError, match=f"{option} is 0"):
        ObservationNormalizer((1,), clip=options["clip"], epsilon=options["epsilon"])
