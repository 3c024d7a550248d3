"""The processes that train together: one, or the ranks of torch.distributed."""

import os
import sys
from typing import Any


class Group:
    """This process alone. Every member of a group makes the same calls in the same order."""

    rank = 0
    size = 1

    def any(self, *said: bool) -> tuple[bool, ...]:
        """Return of each value whether any member says True."""
        return said

    def everyone(self, value: Any) -> list[Any]:
        """Return what each member gives, by rank."""
        return [value]

    def wait(self) -> None:
        """Return when every member has got here; may be called in a thread of its own."""


class RankGroup(Group):
    """The ranks of torch.distributed's default process group.

    They talk through groups of their own over gloo, which every build of torch has and which needs no device: one for
    the thread that trains, one for the thread that commits.
    """

    def __init__(self) -> None:
        from torch import distributed

        self._distributed: Any = distributed
        self.rank = distributed.get_rank()
        self.size = distributed.get_world_size()
        self._training: Any = self._distributed.new_group(backend="gloo")
        self._committing: Any = self._distributed.new_group(backend="gloo")

    def any(self, *said: bool) -> tuple[bool, ...]:
        """Return of each value whether any member says True."""
        import torch

        flags: Any = torch.tensor(said, dtype=torch.int32, device="cpu")
        self._distributed.all_reduce(flags, op=self._distributed.ReduceOp.MAX, group=self._training)
        return tuple(map(bool, flags.tolist()))

    def everyone(self, value: Any) -> list[Any]:
        """Return what each member gives, by rank."""
        values: list[Any] = [None] * self.size
        self._distributed.all_gather_object(values, value, group=self._training)
        return values

    def wait(self) -> None:
        """Return when every member has got here; may be called in a thread of its own."""
        self._distributed.barrier(group=self._committing)


def group_of_this_process() -> Group:
    """Return the group to which this process belongs.

    Raises:
        RuntimeError: If torchrun started several processes that do not know of each other yet.
    """
    if number_of_learners() > 1:
        return RankGroup()
    if _is_initialized():
        return Group()
    launched = int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1
    if launched > 1:
        raise RuntimeError(
            f"torchrun started {launched} processes, and torch.distributed must be initialized before their run is set up; "
            "call torch.distributed.init_process_group() first."
        )
    return Group()


def number_of_learners() -> int:
    """Return how many processes train together."""
    return int(sys.modules["torch.distributed"].get_world_size()) if _is_initialized() else 1


def _is_initialized() -> bool:
    distributed: Any = sys.modules.get("torch.distributed")
    return distributed is not None and distributed.is_available() and distributed.is_initialized()
