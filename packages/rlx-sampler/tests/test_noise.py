"""Actions drawn from generators that are handed in."""

from typing import Any

import numpy as np
import pytest

from rlx_sampler import sample_categorical, sample_gaussian


def test_categorical_frequencies() -> None:
    """Each choice comes as often as its probability says."""
    probabilities = np.array([0.1, 0.2, 0.7])
    drawn = sample_categorical(np.tile(np.log(probabilities), (50_000, 1)), np.random.default_rng(0))
    assert np.allclose(np.bincount(drawn) / 50_000, probabilities, atol=0.01)


def test_categorical_never_draws_the_impossible() -> None:
    """A logit of minus infinity is never drawn."""
    logits = np.tile([0.0, -np.inf, 0.0], (5_000, 1))
    assert not (sample_categorical(logits, np.random.default_rng(0)) == 1).any()


def test_gaussian_moments_and_dtype() -> None:
    """Mean and deviation are as asked, and the dtype is the mean's."""
    mean = np.tile(np.array([1.0, -2.0], np.float32), (50_000, 1))
    drawn = sample_gaussian(mean, np.array([0.5, 2.0]), np.random.default_rng(0))
    assert drawn.dtype == np.float32
    assert np.allclose(drawn.mean(0), [1, -2], atol=0.05)
    assert np.allclose(drawn.std(0), [0.5, 2], atol=0.05)


def standard_gaussian(mean: Any, rng: Any) -> Any:
    """Draw with a deviation of 1."""
    return sample_gaussian(mean, 1.0, rng)


@pytest.mark.parametrize("draw", [sample_categorical, standard_gaussian])
def test_rows_draw_from_their_own_generators(draw: Any) -> None:
    """A row does not depend on the others, and one generator serves one row."""
    rows = np.linspace(-1, 1, 8).reshape(4, 2)
    together = draw(rows, [np.random.default_rng(seed) for seed in range(4)])
    for seed in range(4):
        assert np.array_equal(together[seed], draw(rows[seed], np.random.default_rng(seed)))


def test_the_number_of_generators_is_checked() -> None:
    """One generator a row is needed."""
    with pytest.raises(ValueError, match=r"2 generators for values of shape \(3, 2\)"):
        sample_categorical(np.zeros((3, 2)), [np.random.default_rng(0)] * 2)
