"""How many rows a policy is called with, so that a row's result is its own."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from sampler_worlds import Array, Gaussian, SingleGaussian, Walk, make_factory, make_local

from rlx_sampler import MultiprocessingSampler, VecWorker
from rlx_sampler._policies.acting import BatchedActor
from rlx_sampler._policies.inference import BlockMerging, probe_block
from rlx_sampler._workers import lane_worker

OBSERVATION = np.array([0.3, -1.2, 0.7], np.float32)


class Mixing(Gaussian):
    """A policy whose rows depend on each other, unless there are at least `enough`."""

    def __init__(self, enough: int) -> None:
        super().__init__()
        self.enough = enough

    def get_actions(
        self, observations: Any, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[Array, dict[str, Any]]:
        actions, infos = super().get_actions(observations, rngs=rngs)
        return actions + (observations.mean() if len(rngs) < self.enough else 0), infos


class Counting(Gaussian):
    """A policy whose last bits depend on the number of rows, as matrix products do."""

    calls = 0

    def get_actions(
        self, observations: Any, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[Array, dict[str, Any]]:
        self.calls += 1
        actions, infos = super().get_actions(observations, rngs=rngs)
        return np.nextafter(actions, np.float32(len(rngs))) + np.float32(len(rngs)), infos


class Placed(Gaussian):
    """A policy that adds a row's place to some results: of rows far from zero, or of few near it."""

    def __init__(self, where: Callable[[Array], Array]) -> None:
        super().__init__()
        self.where = where

    def get_actions(
        self, observations: Any, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[Array, dict[str, Any]]:
        actions, infos = super().get_actions(observations, rngs=rngs)
        places = np.arange(len(rngs), dtype=np.float32).reshape(-1, 1)
        return actions + np.where(self.where(observations), places, 0), infos


class Bounded(Gaussian):
    """A policy that refuses what lies far from zero."""

    def get_actions(
        self, observations: Any, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[Array, dict[str, Any]]:
        if np.abs(observations).max() > 5:
            raise ValueError("outside of the space")
        return super().get_actions(observations, rngs=rngs)


def far(observations: Array) -> Array:
    """Say which rows lie far from those that an episode begins with."""
    return np.asarray(np.abs(observations).max(axis=1, keepdims=True) > 5)


def few(observations: Array) -> Array:
    """Say which rows are among one in a hundred."""
    return np.asarray(observations[:, :1].copy().view(np.uint32) % 100 == 0)


def digest(policy: Any, n_envs: int) -> str:
    """Return the digest of a batch from `n_envs` environments side by side."""
    sampler = make_local(policy, worker_class=VecWorker, worker_args={"n_envs": n_envs})
    return sampler.obtain_samples(0, 300, None).digest()


@pytest.mark.parametrize(
    ("policy", "rows"),
    [
        (Gaussian(), 16),
        (Counting(), 16),
        (Mixing(17), 32),
        (Mixing(64), 64),
        (Mixing(65), 1),
        (Placed(far), 1),
        (Placed(few), 1),
        (Bounded(), 16),
        (SingleGaussian(), 1),
    ],
    ids=[
        "sound",
        "counting",
        "mixing below 17",
        "mixing below 64",
        "mixing always",
        "by place far away",
        "by place in few rows",
        "bounded",
        "one at a time",
    ],
)
def test_the_probe_finds_the_smallest_block(policy: Any, rows: int) -> None:
    """As many rows as make them independent, and single rows where none do."""
    assert probe_block(policy, OBSERVATION) == rows


def test_the_probe_begins_small_for_images() -> None:
    """Rows that cost more than a call get smaller blocks."""
    pixels = np.zeros((64, 64), np.float32)

    class Blind(Gaussian):
        def get_actions(self, observations: Any, *, rngs: Any) -> tuple[Array, dict[str, Any]]:
            return super().get_actions(observations[:, 0, :3], rngs=rngs)

    assert probe_block(Blind(), pixels) == 4


def test_blocks_merge_where_no_bit_changes() -> None:
    """Three blocks go into one call of a sound policy, and not of one that sees their number; asked once."""
    stack, counting, merging = np.tile(OBSERVATION, (48, 1)), Counting(), BlockMerging()
    assert merging(Gaussian(), stack, 16)
    assert not BlockMerging()(counting, stack, 16)
    assert merging(counting, stack, 16)  # what was found before
    assert counting.calls == 0  # only copies were asked


@pytest.mark.parametrize("build", [Counting, lambda: Mixing(32), lambda: Mixing(65)])
def test_batches_do_not_depend_on_how_many_run_side_by_side(build: Callable[[], Any]) -> None:
    """One environment, a few or more than a block, here or in two processes: the same bits."""
    wanted = digest(build(), 1)
    assert [digest(build(), n_envs) for n_envs in (3, 20, 40)] == [wanted] * 3
    factory = make_factory(n_workers=2, worker_class=VecWorker, worker_args={"n_envs": 3})
    sampler = MultiprocessingSampler(factory, build(), Walk())
    assert sampler.obtain_samples(0, 300, None).digest() == wanted
    sampler.shutdown_worker()


@pytest.mark.parametrize(("merges", "calls"), [(True, [16, 48]), (False, [16, 16, 16])])
def test_only_blocks_with_an_episode_are_asked_for(merges: bool, calls: list[int]) -> None:
    """While the episodes fit in one block, a call has so many rows; beyond it a policy may get all."""
    seen: list[int] = []

    class Noting(Gaussian):
        def get_actions(self, observations: Any, *, rngs: Any) -> tuple[Array, dict[str, Any]]:
            seen.append(len(rngs))
            return super().get_actions(observations, rngs=rngs)

    def may_merge(_policy: Any, _observations: Any, _block: int) -> bool:
        return merges

    actor = BatchedActor(Noting(), 48, 16, may_merge)
    observations = np.repeat(OBSERVATION[None], 48, axis=0)
    assert len(actor.act(observations, 16).actions) == 16
    actor.act(observations, 17)
    assert seen == calls


class TestTheseTestsWouldNotice:
    def test_that_nothing_is_padded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With as many rows as there are episodes, last bits differ."""

        def unpadded(policy: Any, n_lanes: int, block: int, may_merge: Any) -> BatchedActor:
            return BatchedActor(policy, n_lanes, n_lanes, may_merge)

        monkeypatch.setattr(lane_worker, "build_actor", unpadded)
        assert digest(Counting(), 1) != digest(Counting(), 3)
        assert digest(Gaussian(), 1) == digest(Gaussian(), 3)

    def test_that_the_block_is_too_small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With 16 rows where 32 are needed, neighbours are seen."""

        def probe_nothing(_policy: Any, _observation: Any) -> int:
            return 16

        monkeypatch.setattr(lane_worker, "probe_block", probe_nothing)
        assert digest(Mixing(32), 1) != digest(Mixing(32), 3)

    def test_that_blocks_merge_unasked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """All rows in one call are not what blocks give."""

        def agree(*_: Any) -> bool:
            return True

        monkeypatch.setattr(BlockMerging, "__call__", agree)
        assert digest(Counting(), 1) != digest(Counting(), 40)
