"""Checkpoints and which of them stay."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlx_persistence import (
    Checkpoint,
    FolderWorld,
    KeepAny,
    KeepBest,
    Keeper,
    KeepLast,
    PolicyInfo,
    PolicyPersistence,
)


def checkpoint(epoch: int, score: float | None = None) -> Checkpoint:
    """Make the checkpoint of an epoch, without a file."""
    return Checkpoint(f"policy_epoch_{epoch}.pt", epoch, PolicyInfo("policy", epoch=epoch, score=score))


def epochs(keeper: Keeper, *checkpoints: Checkpoint) -> set[int]:
    """Return the epochs that a keeper keeps."""
    return {kept.epoch for kept in keeper.keep(checkpoints)}


class TestKeepers:
    def test_last(self) -> None:
        """KeepLast keeps the latest epochs."""
        assert epochs(KeepLast(2), *map(checkpoint, range(5))) == {3, 4}

    def test_best(self) -> None:
        """KeepBest keeps the largest scores."""
        assert epochs(KeepBest(2), checkpoint(1, 5.0), checkpoint(2, 9.0), checkpoint(3, 7.0)) == {2, 3}

    def test_smallest_is_best(self) -> None:
        """KeepBest(largest=False) keeps the smallest scores."""
        keeper = KeepBest(1, largest=False)
        assert epochs(keeper, checkpoint(1, 5.0), checkpoint(2, -9.0), checkpoint(3)) == {2}

    def test_of_equal_scores_the_later(self) -> None:
        """Among equals the later epoch stays."""
        assert epochs(KeepBest(1), checkpoint(1, 5.0), checkpoint(2, 5.0)) == {2}

    @pytest.mark.parametrize("score", [None, float("nan")])
    def test_no_score_is_worst(self, score: float | None) -> None:
        """A checkpoint without a score, or with none that is a number, goes first."""
        assert epochs(KeepBest(1), checkpoint(1, -1e9), checkpoint(2, score)) == {1}

    def test_any(self) -> None:
        """KeepAny keeps what one of its keepers keeps."""
        keeper = KeepAny(KeepBest(1), KeepLast(1))
        assert epochs(keeper, checkpoint(1, 5.0), checkpoint(2, 4.0), checkpoint(3, 3.0)) == {1, 3}

    @pytest.mark.parametrize("keeper", [KeepLast, KeepBest])
    def test_keeping_none_is_refused(self, keeper: type[KeepLast] | type[KeepBest]) -> None:
        """A keeper that keeps nothing is a mistake."""
        with pytest.raises(ValueError, match="k is 0; it must be at least 1"):
            keeper(0)

    @pytest.mark.parametrize("keeper", [KeepLast, KeepBest])
    def test_keeping_a_word_is_refused(self, keeper: type[KeepLast] | type[KeepBest]) -> None:
        """What is kept is counted."""
        k: Any = "all"
        with pytest.raises(TypeError, match="k is 'all'; it must be a whole number"):
            keeper(k)

    def test_any_of_none_is_refused(self) -> None:
        """So is one of no keepers."""
        with pytest.raises(ValueError, match="KeepAny"):
            KeepAny()


class TestFolder:
    def save(self, folder: Path, keep: Keeper | None, scores: list[float]) -> list[str]:
        """Write a checkpoint of each score and return the names that are left."""
        world = FolderWorld(folder, folder, policy={"weights": [1.0]})
        upcoming: Iterator[float] = iter(scores)
        persistence = PolicyPersistence(keep=keep)
        save = persistence.get_save_checkpoint_fn(world, score=lambda: next(upcoming))
        assert save is not None
        for epoch in range(len(scores)):
            assert Path(save(epoch, epoch, epoch)).exists()
        return [Path(kept.path).name for kept in persistence.checkpoints(world)]

    def test_all_stay_by_default(self, tmp_path: Path) -> None:
        """Without a keeper every checkpoint stays, listed by number and not by text."""
        names = self.save(tmp_path, None, [0.0] * 11)
        assert names == [f"policy_epoch_{epoch}.pt" for epoch in range(11)]

    def test_best_survive(self, tmp_path: Path) -> None:
        """The best scores and the newest file stay; what goes takes its sidecar along."""
        assert self.save(tmp_path, KeepBest(2), [5.0, 9.0, 7.0, 1.0]) == [
            "policy_epoch_1.pt",
            "policy_epoch_2.pt",
            "policy_epoch_3.pt",
        ]
        assert len(list(tmp_path.iterdir())) == 6

    def test_scores_are_found_again(self, tmp_path: Path) -> None:
        """A new process knows the scores of the old one: they are in the files."""
        self.save(tmp_path, None, [5.0, 9.0, 7.0])
        world = FolderWorld(tmp_path, tmp_path)
        assert [c.score for c in PolicyPersistence().checkpoints(world)] == [5.0, 9.0, 7.0]

    def test_no_folder_no_checkpoints(self, tmp_path: Path) -> None:
        """Before the first save there are none."""
        assert PolicyPersistence().checkpoints(FolderWorld(tmp_path / "new")) == []

    def test_other_files_are_left_alone(self, tmp_path: Path) -> None:
        """Files of other modes and of other people are neither listed nor removed."""
        others = [
            "policy_epoch_0.safetensors",
            "policy_epoch_x.pt",
            "my_policy_epoch_0.pt",
            "policy_epoch_0.pt~",
        ]
        for name in others:
            (tmp_path / name).touch()
        assert self.save(tmp_path, KeepLast(1), [0.0, 0.0, 0.0]) == ["policy_epoch_2.pt"]
        assert all((tmp_path / name).exists() for name in others)

    def test_damaged_checkpoint_is_listed_without_info(self, tmp_path: Path) -> None:
        """A damaged checkpoint does not stop the next one from being kept."""
        self.save(tmp_path, None, [5.0, 6.0])
        with (tmp_path / "policy_epoch_0.pt").open("r+b") as file:
            file.write(b"??")
        listed = PolicyPersistence().checkpoints(FolderWorld(tmp_path))
        assert [c.info is None for c in listed] == [True, False]

    def test_restoring_a_checkpoint(self, tmp_path: Path) -> None:
        """A checkpoint is restored by its name."""
        self.save(tmp_path, None, [5.0])
        policy: dict[str, object] = {}
        world = FolderWorld(tmp_path, tmp_path)
        PolicyPersistence().restore(policy, world, "cpu", filename="policy_epoch_0.pt")
        assert policy == {"weights": [1.0]}
