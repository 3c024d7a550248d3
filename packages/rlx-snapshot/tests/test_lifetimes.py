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


class Reporting(State):
    """A state that says of each object that is loaded of it that it is there."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        LOADED.append(weakref.ref(self))


LOADED: list[weakref.ref[object]] = []


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

    @pytest.mark.parametrize("verify", ["full", "index"])
    def test_a_loaded_state_leaves_with_its_last_reference(self, verify: Any, tmp_path: Path) -> None:
        """Neither the reader nor the thread that checks holds the memory of what it has loaded."""
        Snapshotter(tmp_path).save_itr_params(0, [np.ones(1 << 18), State()])
        reader = Snapshotter(tmp_path)
        state = reader.load(tmp_path, verify=verify)
        reader.wait()
        alive = [weakref.ref(part) for part in state]
        mapped = weakref.ref(state[0].base)
        del state
        assert [part() for part in alive] == [None, None]
        assert mapped() is None

    def test_what_was_loaded_back_leaves_at_once(self, tmp_path: Path) -> None:
        """The check of a save keeps no second state."""
        LOADED.clear()
        Snapshotter(tmp_path).save_itr_params(0, Reporting())
        assert [each() for each in LOADED] == [None]
