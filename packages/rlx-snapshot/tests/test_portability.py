"""Files outlive the version of NumPy that wrote them: they name nothing that moves."""

import pickle
import pickletools
from pathlib import Path
from typing import Any

import pytest
from portable_values import check, save, told, values

from rlx_snapshot import exact_dumps

np: Any = pytest.importorskip("numpy", reason="needs numpy")

PRIVATE = ("numpy.core", "numpy._core", "numpy.rec", "numpy.char", "numpy.random._", "numpy.random.mtrand")


def texts_in(pickled: bytes) -> list[str]:
    """Every string of a pickle: the names of modules, classes and functions are among them."""
    return [argument for _, argument, _ in pickletools.genops(pickled) if isinstance(argument, str)]


@pytest.mark.parametrize("name", values(np))
class TestValues:
    def test_survives(self, name: str) -> None:
        """Class, type and contents come back."""
        loaded = pickle.loads(exact_dumps(values(np)[name]))
        assert told(loaded) == told(values(np)[name])

    def test_names_nothing_that_moves(self, name: str) -> None:
        """No module is named that is private, or that some version from 1.26 on lacks."""
        texts = texts_in(exact_dumps(values(np)[name]))
        assert [text for text in texts if text.startswith(PRIVATE)] == []


class Tagged(np.ndarray):  # type: ignore[misc]
    """A class of arrays with state of its own."""

    tag = ""

    def __reduce__(self) -> Any:
        reduced: Any = np.ndarray.__reduce__(self)
        return *reduced[:2], (*reduced[2], self.tag)

    def __setstate__(self, state: Any) -> None:
        np.ndarray.__setstate__(self, state[:-1])
        self.tag = state[-1]


def test_classes_of_arrays_keep_their_own_state() -> None:
    """What an array's class adds to NumPy's state is handed back to it."""
    array = np.arange(3).view(Tagged)
    array.tag = "kept"
    pickled = exact_dumps(array)
    copy = pickle.loads(pickled)
    assert (type(copy), copy.tolist(), copy.tag) == (Tagged, [0, 1, 2], "kept")
    assert [text for text in texts_in(pickled) if text.startswith(PRIVATE)] == []


def test_booleans_name_no_class_that_older_versions_lack() -> None:
    """NumPy 1.26 has no ``numpy.bool``."""
    assert "bool" not in texts_in(exact_dumps(np.bool_))


def test_rows_can_still_be_changed() -> None:
    """A structured scalar is as writable as the one that was saved."""
    row = pickle.loads(exact_dumps(np.zeros(1, dtype=[("a", "i4")])[0]))
    row["a"] = 7
    assert row["a"] == 7


def test_program_that_crosses_versions_finds_a_change(tmp_path: Path) -> None:
    """The check that runs between two versions passes on what was saved, and fails on anything else."""
    save(tmp_path / "values.pkl")
    assert check(tmp_path / "values.pkl") == []
    altered = {**values(np), "record": np.float64(1)}
    (tmp_path / "altered.pkl").write_bytes(pickle.dumps(altered))
    assert check(tmp_path / "altered.pkl") == ["record"]
