"""How many bytes a batch of a vector environment takes while it is made."""

import tracemalloc
from dataclasses import fields
from typing import Any

import gymnasium
import numpy as np
import pytest
from sampler_worlds import make_local
from vector_worlds import N_ENVS, OneGenerator, Zero

from rlx_sampler import EpisodeBatch, FragmentWorker, VecWorker

spaces: Any = gymnasium.spaces
FRAME = (96, 96)
STEPS = 800
MOST = 2.2
"""Times the bytes of the batch: what was recorded, the batch, and what a step takes."""


class Frames(OneGenerator):
    """Shows large frames, in episodes of 10 to 49 steps."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = True
        self.single_observation_space = spaces.Box(0, 255, FRAME, np.uint8)
        self.observation_space = spaces.Box(0, 255, (N_ENVS, *FRAME), np.uint8)

    def _begin(self, lanes: Any) -> None:
        self.age[lanes] = 0
        self.end[lanes] = self.rng.integers(10, 50, lanes.sum())

    def _frames(self) -> Any:
        return np.full((N_ENVS, *FRAME), self.age[:, None, None], np.uint8)

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self._frames(), {}

    def step(self, actions: Any) -> Any:
        _, *others, _ = super().step(actions)
        return self._frames(), *others, {}


def bytes_of(batch: EpisodeBatch) -> int:
    """Return the bytes of all arrays of a batch without infos."""
    arrays = [getattr(batch, field.name) for field in fields(batch)]
    return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))


@pytest.mark.parametrize("worker_class", [FragmentWorker, VecWorker])
def test_a_batch_is_held_once_beside_what_was_recorded(worker_class: Any) -> None:
    """At no time are there more bytes than for the recording and the batch, in the first call and later."""
    args = {"timesteps_per_call": STEPS} if worker_class is FragmentWorker else {}
    tracemalloc.start()
    try:
        sampler = make_local(Zero(), Frames, worker_class=worker_class, worker_args=args, longest=99)
        for _ in range(2):
            tracemalloc.reset_peak()
            batch = sampler.obtain_samples(0, STEPS * N_ENVS, None)
            _, peak = tracemalloc.get_traced_memory()
            n_bytes = bytes_of(batch)
            del batch
            assert peak <= MOST * n_bytes
    finally:
        tracemalloc.stop()
