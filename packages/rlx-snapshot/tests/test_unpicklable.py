"""A state that cannot be pickled: the error says where in it the trouble is."""

import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlx_snapshot import Snapshotter, UnpicklableStateError, exact_dumps


class Holder:
    """An object with attributes."""

    def __init__(self, **attributes: object) -> None:
        vars(self).update(attributes)


class Slotted:
    """An object without an attribute dictionary."""

    __slots__ = ("lock",)

    def __init__(self) -> None:
        self.lock = threading.Lock()


class Dropping(Holder):
    """An object that leaves one attribute out by itself."""

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "dropped"}


class WithoutModule(type):
    """Makes classes that do not say where they are defined, as C libraries do."""

    @property
    def __module__(cls) -> str:  # type: ignore[override]
        raise AttributeError("__module__")


class SwigPyObject(metaclass=WithoutModule):
    """Stands for a pointer into a C library."""

    def __reduce__(self) -> Any:
        raise TypeError("cannot pickle 'SwigPyObject' object")


def lock() -> Any:
    """Something that cannot be pickled."""
    return threading.Lock()


def capturing(value: object) -> Callable[[], object]:
    """A function that holds `value` in its closure."""
    return lambda: value


@pytest.mark.parametrize(
    ("state", "path"),
    [
        (lock(), "state"),
        ({"algo": Holder(optimizer=Holder(lock=lock(), rate=1))}, "state['algo'].optimizer.lock"),
        ([0, ({("k", 3): {lock()}},)], "state[1][0][('k', 3)]{...}"),
        ({"s": Slotted()}, "state['s'].lock"),
        (Dropping(dropped=lock(), kept=lock()), "state.kept"),
        (capturing(lock()), "state.<variable value>"),
        ({"generator": (n for n in range(3))}, "state['generator']"),
    ],
)
def test_error_names_the_part(state: object, path: str) -> None:
    """The path reads as the Python that reaches the part."""
    with pytest.raises(UnpicklableStateError, match="cannot pickle") as caught:
        exact_dumps(state)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path} cannot be saved: cannot pickle")


def test_error_is_what_callers_of_pickle_catch() -> None:
    """Both a PicklingError and the TypeError that pickle raises for most things."""
    with pytest.raises(pickle.PicklingError, match="Leave it out"):
        exact_dumps(lock())
    with pytest.raises(TypeError, match="give Holder a __getstate__"):
        exact_dumps(Holder(lock=lock()))


def test_objects_of_c_libraries_are_named_as_such() -> None:
    """A physics engine behind SWIG cannot be copied, and the error says what to do instead."""
    environment = Holder(env=Holder(world={"this": SwigPyObject()}))
    with pytest.raises(UnpicklableStateError, match=r"state\.env\.world\['this'\] .* C library"):
        exact_dumps(environment)


def test_box2d_is_refused() -> None:
    """The real one."""
    pytest.importorskip("Box2D", reason="needs box2d")
    gymnasium: Any = pytest.importorskip("gymnasium", reason="needs gymnasium")
    environment = gymnasium.make("LunarLander-v3")
    environment.reset(seed=1)
    with pytest.raises(UnpicklableStateError, match="C library"):
        exact_dumps(environment)


def test_bottomless_nesting_is_refused() -> None:
    """A list in a list in a list ends in an error, not in a crash."""
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(UnpicklableStateError, match="recursion"):
        exact_dumps(nested)


@pytest.mark.parametrize("background", [False, True])
def test_refused_state_costs_nothing(tmp_path: Path, background: bool) -> None:
    """The error is raised by the save itself, also in the background, and the snapshot before it stays."""
    with Snapshotter(tmp_path, background=background) as snapshotter:
        snapshotter.save_itr_params(1, "good")
        with pytest.raises(UnpicklableStateError, match=r"state\['lock'\]"):
            snapshotter.save_itr_params(2, {"lock": lock()})
    assert snapshotter.load(tmp_path) == "good"
    assert [path.name for path in tmp_path.iterdir()] == ["params.pkl"]


class Answering:
    """An object that fails at any question about itself."""

    def __getattribute__(self, name: str) -> Any:
        return getattr(self, name)


class Unfilled:
    """An object without attributes whose search for them never ends."""

    __slots__ = ("filled",)  # pyright: ignore[reportUninitializedInstanceVariable]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.missing, name)


@pytest.mark.parametrize("hostile", [Answering, Unfilled])
def test_a_hostile_object_is_named_too(hostile: Callable[[], object]) -> None:
    """An object whose attribute access recurses without end is refused by its path, like any other."""
    with pytest.raises(UnpicklableStateError, match="recursion") as caught:
        exact_dumps({"policy": [hostile()]})
    assert caught.value.path == "state['policy'][0]"
