"""One logger for many processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Final

from rlx_logging._base import BaseLogger
from rlx_logging._lazy_logger import LazyLogger

_RANK_VARIABLES: Final = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")


def rank_zero(make: Callable[[], BaseLogger], *, rank: int | None = None) -> BaseLogger:
    """Return what `make` returns in the process of rank 0, and a `LazyLogger` in all others.

    Args:
        make: Makes the logger; not called in other ranks, so that nothing is opened there.
        rank: Rank of this process; by default that of torch.distributed where it is initialized, else of torchrun,
            Slurm or MPI, and 0 without any of them.

    Raises:
        ValueError: If a variable that should hold the rank holds no number.
    """
    mine = _rank_here() if rank is None else rank
    return make() if mine == 0 else LazyLogger()


def _rank_here() -> int:
    distributed: Any = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_rank())
    return _rank_of_environment()


def _rank_of_environment() -> int:
    for name in _RANK_VARIABLES:
        text = os.environ.get(name)
        if text is not None:
            if not text.isdecimal():
                raise ValueError(f"the rank in {name} must be a number; got {text!r}.")
            return int(text)
    return 0
