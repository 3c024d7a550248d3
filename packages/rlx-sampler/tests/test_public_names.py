"""The public face of the package."""

import pickle

import numpy as np

import rlx_sampler
from rlx_sampler import EpisodeBatch, ObservationNormalizer, StepType


def test_all_lists_every_public_name() -> None:
    """`__all__` is sorted and holds exactly what the package gives."""
    public = {name for name in vars(rlx_sampler) if not name.startswith("_")}
    assert set(rlx_sampler.__all__) == public


def test_what_users_keep_is_pickled_by_its_public_name() -> None:
    """A snapshot that holds a batch or a normaliser outlives a change of the modules inside."""
    batch = EpisodeBatch(
        observations=np.zeros((2, 3)),
        last_observations=np.zeros((1, 3)),
        actions=np.zeros(2),
        rewards=np.zeros(2),
        step_types=np.array([StepType.FIRST, StepType.TERMINAL]),
        lengths=np.array([2]),
    )
    for kept in (batch, ObservationNormalizer((3,)), StepType.MID):
        data = pickle.dumps(kept)
        assert b"rlx_sampler" in data
        assert b"rlx_sampler._" not in data
        assert type(pickle.loads(data)) is type(kept)
