"""What must agree between a live object and a saved one before anything of the live one is changed."""

import re
from collections.abc import Iterator
from typing import Any

from rlx_runner._checkpoint.attributes import is_tuple, same_class
from rlx_runner._offers import is_component, offered

_COUNTS = re.compile(r"\.(num_envs|n_envs|env_num)$")
_IN_A_LIST = re.compile(r"\[\d+\]$")
_NAMED_PARTS = re.compile(r"\.(_modules|_parameters|_buffers)$")


def disagreements(path: str, live: Any, saved: Any) -> Iterator[str]:
    """Say in which way `saved` is of another make than `live`, where that is not a matter of state."""
    is_class_wrong = not same_class(live, saved)
    if is_class_wrong and is_component(live) and is_component(saved):
        yield f"{path} is a {type(live).__qualname__} here, a {type(saved).__qualname__} in the snapshot"
    elif is_class_wrong:
        return
    elif _NAMED_PARTS.search(path):
        yield from _names(path, live, saved)
    elif _COUNTS.search(path) and live != saved:
        yield f"{path} is {live} here, {saved} in the snapshot"
    else:
        yield from _shapes(path, live, saved)


def _names(path: str, live: Any, saved: Any) -> Iterator[str]:
    parts = path.rpartition(".")[0]
    yield from (f"{parts}.{name} is not in the snapshot" for name in live if name not in saved)
    yield from (f"{parts}.{name} of the snapshot is not here" for name in saved if name not in live)


def _shapes(path: str, live: Any, saved: Any) -> Iterator[str]:
    here, there = offered(live, "shape"), offered(saved, "shape")
    if not is_tuple(here) or not is_tuple(there) or offered(live, "dtype") is None:
        return
    if 0 in here or _IN_A_LIST.search(path):  # it grows with the run
        return
    if here != there:
        yield f"{path} has shape {tuple(here)} here, {tuple(there)} in the snapshot"
    elif live.dtype != saved.dtype:
        yield f"{path} is {live.dtype} here, {saved.dtype} in the snapshot"
