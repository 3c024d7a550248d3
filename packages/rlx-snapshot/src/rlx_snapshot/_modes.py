"""Which files an iteration is saved to. One line per snapshot mode."""

import re
from collections.abc import Callable, Mapping
from typing import Final

LATEST: Final = "params.pkl"
DISCARDED: Final = "discarded"
_NUMBERED: Final = re.compile(r"itr_(0|[1-9][0-9]*)\.pkl")


def numbered(itr: int) -> str:
    """Name of the file that holds iteration `itr` alone."""
    return f"itr_{itr}.pkl"


def iteration_of(name: str) -> int | None:
    """The iteration that a numbered file name stands for, None for any other name."""
    match = _NUMBERED.fullmatch(name)
    return int(match[1]) if match else None


FILES_FOR_MODE: Final[Mapping[str, Callable[[int, int], tuple[str, ...]]]] = {
    "all": lambda itr, _: (numbered(itr),),
    "last": lambda _itr, _gap: (LATEST,),
    "gap": lambda itr, gap: (numbered(itr),) if itr % gap == 0 else (),
    "gap_and_last": lambda itr, gap: (numbered(itr), LATEST) if itr % gap == 0 else (LATEST,),
    "gap_overwrite": lambda itr, gap: (LATEST,) if itr % gap == 0 else (),
    "none": lambda _itr, _gap: (),
}
