"""What a state may hold of NumPy, and a program that takes it from one version of NumPy to another.

``portable_values.py save FILE`` needs rlx-snapshot; ``portable_values.py check FILE`` needs
nothing but NumPy, of any version, and reads the file with `pickle.load`.
"""

import pickle
import sys
from pathlib import Path
from typing import Any

FIELDS = [("x", "i4"), ("y", "f8", 3)]


def values(np: Any) -> dict[str, Any]:
    """Every kind of value, by name, the same for every version of NumPy."""
    return {**arrays(np), **chararrays(np), **scalars(np), **types(np), **generators(np)}


def arrays(np: Any) -> dict[str, Any]:
    """Arrays of every kind of contents and class."""
    looped = np.array([None, 1], dtype=object)
    looped[0] = [looped]
    return {
        "large array": np.arange(70_000).reshape(7, -1),
        "Fortran order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "objects": np.array([[1, "a"], [None, np.float32(2)]], dtype=object),
        "objects that hold their array": looped,
        "structured": np.array([(1, [2, 3, 4])], dtype=FIELDS),
        "structured with objects": np.array([(1, {"a": 2})], dtype=[("n", "i4"), ("o", "O")]),
        "records": np.rec.array([(1, [2, 3, 4])], dtype=FIELDS),
        "masked": np.ma.masked_array([1.5, 2], [False, True]),
        "masked structured": np.ma.masked_array(np.zeros(2, [("a", "i4"), ("b", "f8")])),
        "matrix": np.arange(4).reshape(2, 2).view(np.matrix),
        "text": np.array(["a", "été"]),
        "dates": np.arange(3).astype("M8[s]"),
    }


def chararrays(np: Any) -> dict[str, Any]:
    """An array of NumPy's old class for text, where NumPy does not warn of it yet."""
    return {"chararray": np.char.array(["a", "b"])} if "chararray" in vars(np.char) else {}


def scalars(np: Any) -> dict[str, Any]:
    """A scalar of every type."""
    codes = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "g", "c8", "c16", "G"]
    numbers = {f"scalar {code}": np.dtype(code).type(1) for code in codes}
    return {
        **numbers,
        "not a number": np.float32("nan"),
        "text scalar": np.str_("été"),
        "bytes scalar": np.bytes_(b"a\0b"),
        "moment": np.datetime64("2020-01-02T03:04:05"),
        "span": np.timedelta64(3, "ms"),
        "row": np.array([(1, [2, 3, 4])], dtype=FIELDS)[0],
        "row with an object": np.array([(1, {"a": 2})], dtype=[("n", "i4"), ("o", "O")])[0],
        "record": np.rec.array([(1, [2, 3, 4])], dtype=FIELDS)[0],
        "raw bytes": np.void(b"abc"),
    }


def types(np: Any) -> dict[str, Any]:
    """Types, classes and functions of NumPy, as spaces and networks refer to them."""
    return {
        "type": np.dtype("f4"),
        "big-endian type": np.dtype(">i8"),
        "aligned type": np.dtype([("a", "i1"), ("b", "f8")], align=True),
        "aligned type of records": np.dtype((np.record, np.dtype([("a", "i1"), ("b", "f8")], align=True))),
        "type of records": np.dtype((np.record, FIELDS)),
        "type with metadata": np.dtype("f4", metadata={"unit": "m"}),
        "date type": np.dtype("M8[3h]"),
        "type of objects": np.dtype("O"),
        "class of booleans": np.bool_,
        "class of integers": np.dtype("l").type,
        "class of floats": np.float32,
        "class of arrays": np.ndarray,
        "class of record arrays": np.recarray,
        "class of generators": np.random.Generator,
        "ufunc": np.tanh,
        "function": np.mean,
        "function of a submodule": np.linalg.norm,
    }


def generators(np: Any) -> dict[str, Any]:
    """Random generators of every kind, in the middle of their stream."""
    bits = [np.random.MT19937, np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64]
    made: dict[str, Any] = {f"generator {cls.__name__}": np.random.Generator(cls(5)) for cls in bits}
    made["random state"] = np.random.RandomState(5)
    for generator in made.values():
        generator.standard_normal()
    made["bit generator"] = np.random.PCG64(5)
    made["seed sequence"] = np.random.SeedSequence(5, spawn_key=(1, 2))
    return made


def told(value: Any) -> str:
    """Class and contents of a value, in words that do not depend on NumPy's version."""
    random = sys.modules["numpy.random"]
    if isinstance(value, random.Generator | random.RandomState):
        return f"{type(value).__name__} {value.standard_normal(3).tolist()}"
    if isinstance(value, random.BitGenerator):
        return f"{type(value).__name__} {value.random_raw(3).tolist()}"
    if isinstance(value, random.SeedSequence):
        return f"SeedSequence {value.generate_state(3).tolist()}"
    if not isinstance(value, sys.modules["numpy"].ndarray | sys.modules["numpy"].generic):
        return repr(value)
    name = type(value).__name__.replace("bool_", "bool")
    return f"{name} {value.dtype.str} {value.dtype.descr} {value.shape} {value.tolist()}"


def check(file: Path) -> list[str]:
    """The names of the values that `pickle.load` brings back changed."""
    import numpy as np

    with file.open("rb") as opened:
        loaded = pickle.load(opened)
    return [name for name, value in values(np).items() if told(loaded[name]) != told(value)]


def save(file: Path) -> None:
    """Save every value."""
    import numpy as np

    from rlx_snapshot import Snapshotter

    Snapshotter(file.parent).save_itr_params(0, values(np))
    (file.parent / "params.pkl").rename(file)


if __name__ == "__main__":
    if sys.argv[1] == "save":
        save(Path(sys.argv[2]))
    elif changed := check(Path(sys.argv[2])):
        sys.exit(f"changed on the way to NumPy {sys.modules['numpy'].__version__}: {', '.join(changed)}")
