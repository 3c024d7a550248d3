"""Actions drawn with an episode's own generator, for policies that take their noise from outside.

Every function takes either `rngs`, one generator a row, as ``get_actions`` gets them,
or the one `rng` of ``get_action``; row i draws from ``rngs[i]`` only.
"""

from collections.abc import Sequence, Sized
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np

from rlx_sampler._batches.tensors import is_tensor, to_array
from rlx_sampler._batches.trees import Array, is_array
from rlx_sampler._checks import all_of
from rlx_sampler._policies.row_generators import Kind, RowGenerators, draw

Noise: TypeAlias = np.random.Generator | Sequence[np.random.Generator]


def sample_categorical(logits: Any, rng: Noise) -> Any:
    """Draw from the categorical distributions that `logits` (..., n) give, by the Gumbel-max trick.

    Args:
        logits: Unnormalised log probabilities: an array, or a CPU tensor of torch.
        rng: One generator, or one a row of `logits`.

    Returns:
        int64 of the shape of `logits` without its last dimension, as an array or a tensor.

    Raises:
        ValueError: If the number of generators is not the number of rows.
    """
    values = to_array(logits)
    scores = values + _noise(rng, values.shape, "gumbel")
    return like(logits, np.asarray(scores.argmax(-1)))


def sample_gaussian(mean: Any, std: Any, rng: Noise) -> Any:
    """Draw from normal distributions with `mean` (..., n) and `std`, which broadcasts to it.

    Returns:
        An array or tensor of the shape and dtype of `mean`.

    Raises:
        ValueError: If the number of generators is not the number of rows.
    """
    values = to_array(mean)
    noise = _noise(rng, values.shape, "standard_normal")
    scale = std if isinstance(std, float) else to_array(std)
    return like(mean, (values + scale * noise).astype(values.dtype))


def sample_distribution(distribution: Any, rng: Noise) -> Any:
    """Draw from a distribution of ``torch.distributions``, without its global generator.

    Categorical, Bernoulli, Normal, MultivariateNormal, Independent of these and
    TransformedDistribution over these (as for a squashed Gaussian) are known.

    Returns:
        A tensor, without gradient.

    Raises:
        TypeError: If the distribution is of another kind.
    """
    torch: Any = import_module("torch")
    known = torch.distributions
    with torch.no_grad():
        match distribution:
            case known.Independent():
                return sample_distribution(distribution.base_dist, rng)
            case known.TransformedDistribution():
                value = sample_distribution(distribution.base_dist, rng)
                for transform in distribution.transforms:
                    value = transform(value)
                return value
            case known.Categorical():
                return sample_categorical(distribution.logits, rng)
            case known.Bernoulli():
                uniform = _noise(rng, tuple(distribution.probs.shape), "uniform")
                return (torch.from_numpy(uniform) < distribution.probs).to(distribution.probs.dtype)
            case known.Normal():
                return sample_gaussian(distribution.mean, distribution.stddev, rng)
            case known.MultivariateNormal():
                noise = _noise(rng, tuple(distribution.mean.shape), "standard_normal")
                scaled = (
                    distribution.scale_tril @ torch.from_numpy(noise).to(distribution.mean.dtype)[..., None]
                )
                return distribution.mean + scaled[..., 0]
            case _:
                raise TypeError(
                    f"{type(distribution).__name__} is no distribution this function knows; draw its noise from "
                    f"the generators yourself, as sample_gaussian does."
                )


def _noise(rng: Noise, shape: tuple[int, ...], kind: Kind) -> Array:
    """Return noise of `shape`, row i from generator i, or all from the one generator."""
    if isinstance(rng, np.random.Generator):
        return np.asarray(draw(rng, shape, kind))
    if isinstance(rng, RowGenerators):
        _check_rows(rng, shape)
        return rng.draw(shape[1:], kind)
    generators = all_of("rng", rng, np.random.Generator, "NumPy's generators, one a row, or be a single one")
    _check_rows(generators, shape)
    return np.array([draw(generator, shape[1:], kind) for generator in generators])


def _check_rows(generators: Sized, shape: tuple[int, ...]) -> None:
    if shape[:1] != (len(generators),):
        raise ValueError(
            f"rng holds {len(generators)} generators for values of shape {shape}; it must hold one a row."
        )


def like(model: Any, value: Array) -> Any:
    """Return `value` as a tensor on the device of `model` where that is a tensor."""
    if is_array(model) or not is_tensor(model):
        return value
    torch: Any = import_module("torch")
    return torch.from_numpy(value).to(model.device)
