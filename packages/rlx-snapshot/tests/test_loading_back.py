"""What a save reports as safe has been loaded back: a state that pickles but does not load is an error of its save."""

import ctypes
import random
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_snapshot import Snapshotter, UnpicklableStateError


class CodedError(Exception):
    """An exception whose constructor takes other arguments than those that Python pickles."""

    def __init__(self, code: int, where: str) -> None:
        super().__init__(f"{where}: {code}")


class Delegating:
    """An object that asks another for what it lacks, also before it holds the other."""

    def __init__(self) -> None:
        self.inner = [1]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class NamingWhatIsMissing:
    """An object that is built again by a function that is not there."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return getattr, (random, "no_such_function")


class Drawing:
    """An object whose loading draws from the global generators and leaves a trace."""

    loaded = 0

    def __setstate__(self, state: object) -> None:
        type(self).loaded += 1
        random.random()
        np.random.random()
        warnings.warn("loading", stacklevel=1)

    def __getstate__(self) -> object:
        return {"state": 1}


class Waiting:
    """An object whose loading waits until the training has drawn."""

    begun, drawn = threading.Event(), threading.Event()

    def __setstate__(self, state: object) -> None:
        self.begun.set()
        assert self.drawn.wait(60)

    def __getstate__(self) -> object:
        return {"state": 1}


class Checking:
    """An object that looks into its large array when it is loaded."""

    def __init__(self, size: int) -> None:
        self.array = np.ones(size)

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state["array"][-1] != 1:
            raise ValueError("the array should end with 1")
        self.array = state["array"]


class Changing(Checking):
    """An object that changes its large array when it is loaded."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        state["array"][:] = 2


@pytest.fixture(params=[False, True], ids=["foreground", "background"])
def background(request: pytest.FixtureRequest) -> bool:
    """Whether a thread writes what is saved."""
    return bool(request.param)


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        (CodedError(3, "here"), r"CodedError can be pickled, but loading it raises TypeError"),
        ((ctypes.c_int * 3)(1, 2, 3), r"c_int_Array_3 can be pickled, but loading it raises"),
        (Delegating(), r"Delegating can be pickled, but loading it raises RecursionError"),
        (NamingWhatIsMissing(), r"raises AttributeError: .*no_such_function"),
    ],
)
def test_what_does_not_load_is_an_error_of_its_save(
    part: object, problem: str, background: bool, tmp_path: Path
) -> None:
    """The error names the part and why it does not load; what was saved before is still the newest."""
    with Snapshotter(tmp_path, background=background) as snapshotter:
        snapshotter.save_itr_params(0, {"fine": 1})
        with pytest.raises(UnpicklableStateError, match=problem) as caught:
            snapshotter.save_itr_params(1, {"algo": [0, {"part": part}]})
        assert caught.value.path == "state['algo'][1]['part']"
        snapshotter.wait()
        assert snapshotter.last_committed == 0
        assert snapshotter.load(tmp_path) == {"fine": 1}


def test_nothing_of_the_program_changes(background: bool, tmp_path: Path) -> None:
    """Loading back moves no global generator and shows no warning."""
    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    with Snapshotter(tmp_path, background=background) as snapshotter:
        snapshotter.save_itr_params(0, Drawing())
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # type: ignore[index]


def test_a_structure_is_loaded_once(tmp_path: Path) -> None:
    """Later states of the same classes and functions are not loaded back; one with another class is."""
    before = Drawing.loaded
    with Snapshotter(tmp_path) as snapshotter:
        for itr in range(3):
            snapshotter.save_itr_params(itr, [Drawing(), itr])
        assert Drawing.loaded == before + 1
        snapshotter.save_itr_params(3, [Drawing(), NamingWhatIsMissing])
        assert Drawing.loaded == before + 2


def test_the_saved_arrays_stay_as_they_are(background: bool, tmp_path: Path) -> None:
    """An object that changes its arrays when it is loaded changes neither the live ones nor the saved."""
    state = Changing(1 << 17)
    with Snapshotter(tmp_path, background=background) as snapshotter:
        snapshotter.save_itr_params(0, [state, state.array])
        snapshotter.wait()
    assert state.array.min() == 1
    assert (tmp_path / "params.pkl").read_bytes().count(np.float64(1).tobytes()) >= 1 << 17


@pytest.mark.parametrize("size", [1 << 17, (64 << 20) // 8 + 1])
def test_objects_that_look_into_large_arrays_are_loaded_with_them(size: int, tmp_path: Path) -> None:
    """The zeros that stand for very large arrays are no reason to refuse a state."""
    with Snapshotter(tmp_path) as snapshotter:
        snapshotter.save_itr_params(0, Checking(size))
        assert snapshotter.last_committed == 0


def test_a_save_beside_the_training_takes_no_draw_back(tmp_path: Path) -> None:
    """What the main thread draws while another one loads back stays drawn."""
    snapshotter = Snapshotter(tmp_path)
    saving = threading.Thread(target=snapshotter.save_itr_params, args=(0, Waiting()))
    saving.start()
    assert Waiting.begun.wait(60)
    drawn = (random.random(), float(np.random.random()))
    Waiting.drawn.set()
    saving.join()
    snapshotter.close()
    assert (random.random(), float(np.random.random())) != drawn
