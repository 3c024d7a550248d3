"""What was saved is not kept: large states leave memory with their last reference, also without the collector."""

import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_snapshot import Snapshotter, exact_copy, exact_dumps


class State:
    """A policy's parameters and what refers to them."""

    def __init__(self) -> None:
        self.weights = np.ones(1000)
        self.hook = len


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Leave the freeing of memory to reference counts alone."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def save_in(folder: Path, *, background: bool) -> Callable[[object], None]:
    """Return a save that ends when the state is on disk."""
    snapshotter = Snapshotter(folder, "last", 1, background=background)

    def save(state: object) -> None:
        snapshotter.save_itr_params(0, state)
        snapshotter.wait()

    return save


@pytest.mark.usefixtures("no_collector")
class TestSavedStates:
    @pytest.mark.parametrize("way", ["exact_dumps", "exact_copy", "foreground", "background"])
    def test_leave_with_their_last_reference(self, way: str, tmp_path: Path) -> None:
        """No save leaves a circle of references that holds the state until the collector runs."""
        ways: dict[str, Callable[[Any], object]] = {
            "exact_dumps": exact_dumps,
            "exact_copy": exact_copy,
            "foreground": save_in(tmp_path, background=False),
            "background": save_in(tmp_path, background=True),
        }
        state = State()
        alive = weakref.ref(state)
        for _ in range(2):
            ways[way](state)
        del state
        assert alive() is None

    def test_leave_after_an_error(self) -> None:
        """The search for what cannot be pickled holds nothing either, once its error is gone."""
        state = State()
        alive = weakref.ref(state)
        with pytest.raises(TypeError, match="generator"):
            exact_dumps([state, (number for number in range(3))])
        del state
        assert alive() is None
