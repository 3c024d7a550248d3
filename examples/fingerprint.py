"""Prints the digest of every value that a run left: its last snapshot, and its logs as stock readers see them.

Usage: fingerprint.py SCRIPT FOLDER...
"""

import csv
import hashlib
import json
import random
import re
import runpy
import sys
import types
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from rlx_logging import read_metrics
from rlx_snapshot import Snapshotter, exact_loads

Fingerprint = dict[str, dict[str, str]]
"""The digest of every value, by where it was found and its name."""
WALL_CLOCK: Final = ("EpochTime", "TotalTime", "_time")
"""Logged values that are outside the promise."""
NOT_COMPARED: Final = (
    "/exact/elapsed",
    "/exact/logger",
    "/exact/process/$PYTHONHASHSEED",
    "/exact/sampler_exactness/0",  # how far the check came in its time
    "/exact/sampler_exactness/1",
    "/exact/sampler/reference",  # the same: evidence, on which no episode depends
    "/train_args/start_epoch",
)
"""Wall-clock time; positions in files that hold it; the hash seed, another in each life; where the last life began."""
UNUSED: Final = re.compile(r"/env/.*_np_random")
"""Generators of the environment that samplers copy, some seeded from the system: each episode seeds its own."""
LIVE_ENVIRONMENT: Final = re.compile(r"/exact/sampler/live/\d+/\d+")
"""Environments in mid-episode, each pickled by itself: compared by what is in them."""
PHYSICS: Final = (
    "time",
    "qpos",
    "qvel",
    "act",
    "ctrl",
    "qacc_warmstart",
    "qfrc_applied",
    "xfrc_applied",
    "mocap_pos",
)
"""What the next step of MuJoCo follows from; beside it MjData holds timers of its own, which run by the clock."""
PLAIN: Final = (
    type(None),
    bool,
    int,
    str,
    bytes,
    complex,
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
)


class Walk:
    """Visits every value below one, and names it by its path.

    An object met again is noted as the same as the first one: an optimiser that no longer
    holds the parameters of its policy has another fingerprint, although all numbers agree.
    """

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}
        self._paths: dict[int, str] = {}
        self._kept: list[object] = []

    def visit(self, path: str, value: Any) -> None:
        """Note the digest of `value` and of everything below it."""
        if path.startswith(NOT_COMPARED) or UNUSED.fullmatch(path):
            return
        if LIVE_ENVIRONMENT.fullmatch(path):
            value = exact_loads(value)
        if isinstance(value, PLAIN):
            self.digests[path] = _plain(value)
        elif isinstance(value, float):
            self.digests[path] = value.hex()
        elif isinstance(value, np.generic):
            self.digests[path] = f"{value.dtype} {value.tobytes().hex()}"
        elif id(value) in self._paths and not isinstance(value, tuple | frozenset):
            self.digests[path] = f"same as {self._paths[id(value)]}"
        else:
            self._paths[id(value)] = path
            self._kept.append(value)
            self.digests[path] = type(value).__qualname__
            for name, part in _parts(value):
                self.visit(f"{path}/{name}", part)


def _plain(value: Any) -> str:
    if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a value that is no plain one, by name."""
    torch = sys.modules.get("torch")
    if isinstance(value, np.ndarray):
        yield "array", _array(value)
    elif torch is not None and isinstance(value, torch.Tensor | torch.Generator):
        yield from _torch_parts(value)
    elif isinstance(value, np.random.Generator):
        yield "state", value.bit_generator.state
    elif isinstance(value, random.Random):
        yield "state", value.getstate()
    elif type(value).__name__ == "MjData":
        yield from ((name, getattr(value, name)) for name in PHYSICS)
    elif isinstance(value, Mapping):
        yield from _items(value)
    elif isinstance(value, set | frozenset):
        yield from enumerate_names(sorted(value, key=repr))
    elif isinstance(value, list | tuple):
        yield from enumerate_names(value)
    elif not isinstance(value, weakref.ref | types.ModuleType):
        yield from _fields(value)


def _torch_parts(value: Any) -> Iterator[tuple[str, Any]]:
    try:
        yield "state", value.get_state()  # a generator
    except AttributeError:
        yield "tensor", f"{value.dtype} {value.requires_grad} {_array(value.detach().cpu().numpy())}"
        yield "grad", value.grad


def _items(mapping: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    for number, (key, part) in enumerate(mapping.items()):
        if isinstance(key, str | int | float | bool | tuple | type(None)):
            yield str(key), part
        else:
            yield f"key {number}", key
            yield f"value {number}", part


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    try:
        yield from vars(value).items()
    except TypeError:  # no __dict__: what a pickle would hold
        try:
            yield from enumerate_names(value.__reduce_ex__(2)[1:])
        except TypeError:
            return


def enumerate_names(values: Any) -> Iterator[tuple[str, Any]]:
    """Yield values with their places as names."""
    yield from ((str(number), value) for number, value in enumerate(values))


def _array(array: np.ndarray[Any, Any]) -> str:
    content = (
        repr(array.tolist()).encode() if array.dtype.hasobject else np.ascontiguousarray(array).tobytes()
    )
    return f"{array.dtype} {array.shape} {hashlib.sha256(content).hexdigest()}"


def journal(folder: Path) -> dict[str, str]:
    """Return every point of the journal, by tag and place."""
    points: dict[str, str] = {}
    if not (folder / "metrics.rlxj").exists():  # the part of one of several processes
        return points
    for tag, series in read_metrics(folder).items():
        for number, (step, value) in enumerate(zip(series.steps, series.values, strict=True)):
            points[f"{tag} {number}"] = f"{int(step)} {_point(value)}"
    return points


def _point(value: Any) -> str:
    array = np.asarray(value)
    return float(array).hex() if array.ndim == 0 else _array(array)


def csv_rows(folder: Path) -> dict[str, str]:
    """Return every cell of progress.csv, by column and row."""
    path = folder / "progress.csv"
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {
            f"{column} {number}": str(cell)
            for number, row in enumerate(csv.DictReader(file))
            for column, cell in row.items()
        }


def tensorboard(folder: Path) -> dict[str, str]:
    """Return every scalar that TensorBoard's own reader finds, by tag and place."""
    if not any(folder.rglob("*tfevents*")):
        return {}
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader: Any = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    reader.Reload()
    return {
        f"{tag} {number}": f"{event.step} {float(event.value).hex()}"
        for tag in reader.Tags()["scalars"]
        for number, event in enumerate(reader.Scalars(tag))
    }


def timeless(points: dict[str, str]) -> dict[str, str]:
    """Leave out wall-clock times."""
    return {name: value for name, value in points.items() if not any(clock in name for clock in WALL_CLOCK)}


def fingerprint(folder: Path) -> Fingerprint:
    """Return the digests of everything that the run in `folder` left."""
    walk = Walk()
    walk.visit("", Snapshotter(folder).load(folder, "last"))
    logs = {"journal": journal, "csv": csv_rows, "tensorboard": tensorboard}
    return {"snapshot": walk.digests, **{name: timeless(read(folder)) for name, read in logs.items()}}


def differences(left: Fingerprint, right: Fingerprint) -> list[str]:
    """Name every value that two runs do not have in common."""
    return [
        f"{kind}: {name}"
        for kind in sorted(left.keys() | right.keys())
        for name in sorted(left.get(kind, {}).keys() | right.get(kind, {}).keys())
        if left.get(kind, {}).get(name) != right.get(kind, {}).get(name)
    ]


def lend_classes(script: str) -> None:
    """Make the classes of `script` known as those of ``__main__``, which is how its snapshots name them."""
    classes = {name: value for name, value in runpy.run_path(script).items() if not name.startswith("__")}
    vars(sys.modules["__main__"]).update(classes)


if __name__ == "__main__":
    script, *folders = sys.argv[1:]
    lend_classes(script)
    json.dump([fingerprint(Path(folder)) for folder in folders], sys.stdout)
