"""Runs a script with one fault put into rlx, which a test of exact resume must notice.

Usage: mutants.py NAME SCRIPT [ARGUMENT...]
"""

import copy
import os
import runpy
import signal
import sys
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np

from rlx_logging._files.folder import LogFolder
from rlx_runner import Checkpoint, LocalRunner, get_seed, set_seed
from rlx_runner._checkpoint.inplace import InPlace
from rlx_runner._clients.events import EventFiles
from rlx_runner._clients.texts import TextLogs
from rlx_runner._clients.workers import Workers
from rlx_runner._data.order import EpochOrder
from rlx_runner._learners.store import RankStore
from rlx_runner._loop import EpochLoop
from rlx_runner._random import capture_random, restore_random
from rlx_runner._setup import Setup
from rlx_runner.tianshou import _run as tianshou_run
from rlx_snapshot._storage import atomic

FATAL_SAVE: Final = 5


def replace(owner: type[Any], name: str, mutant: Any) -> Any:
    """Put `mutant` in the place of a method, which must exist; return the method."""
    members: Mapping[str, Any] = owner.__dict__
    original = members[name]
    setattr(owner, name, mutant)
    return original


def replace_function(package: str, name: str, mutant: Any) -> None:
    """Put `mutant` in the place of a function in every module of `package` that knows it."""
    modules = [
        module for key, module in sys.modules.items() if key.startswith(package) and name in vars(module)
    ]
    if not modules:
        raise LookupError(f"no module of {package} has a function {name!r}: this mutant changes nothing.")
    for module in modules:
        setattr(module, name, mutant)


def nothing(*args: object, **kwargs: object) -> None:
    """Take the place of something that should be done."""


def seed_reset_at_restore() -> None:
    """A resumed run seeds the global generators again, as garage's runner does."""

    def seed_again(states: object) -> None:
        del states
        set_seed(get_seed() or 0)

    replace_function("rlx_runner", "restore_random", seed_again)


def without_random_state(kind: str) -> Callable[[], None]:
    """One of the global generators is not brought back."""

    def mutate() -> None:
        def restore_others(states: Mapping[str, Any]) -> None:
            if kind not in states:
                raise KeyError(f"no state of {kind!r} was saved, only {sorted(states)}")
            restore_random({**states, kind: capture_random()[kind]})

        replace_function("rlx_runner", "restore_random", restore_others)

    return mutate


def sampler_starts_again() -> None:
    """The sampler's state is not brought back: it counts its calls from 0."""
    replace(Setup, "load", nothing)


def snapshot_before_log() -> None:
    """The snapshot is taken before the row of its epoch is written."""

    class LateLogger:
        def __init__(self, logger: Any) -> None:
            self._logger = logger
            self._call: tuple[str, tuple[Any, ...]] = ("write", ())

        def write(self, *row: Any) -> None:
            self._call = ("write", row)

        def log_info_data(self, *row: Any) -> None:
            self._call = ("log_info_data", row)

        def write_late(self) -> None:
            name, row = self._call
            getattr(self._logger, name)(*row)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._logger, name)

    def end_epoch(self: Any, epoch: int) -> None:
        logger = self._logger
        self._logger = LateLogger(logger)
        try:
            original(self, epoch)
            self._logger.write_late()
        finally:
            self._logger = logger

    original = replace(EpochLoop, "_end_epoch", end_epoch)


def logs_not_cut() -> None:
    """A resumed run appends to the logs as they lie there."""
    replace(LogFolder, "cut", nothing)


def killed_while_writing() -> None:
    """No fault: the process is killed in the middle of writing its fifth snapshot."""
    saves = count(1)

    def replace_file(target: Path, write: Callable[[Any], object], *, durable: bool) -> None:
        original(target, _write_half(write) if next(saves) == FATAL_SAVE else write, durable=durable)

    original = atomic.replace_file
    replace_function("rlx_snapshot", "replace_file", replace_file)


def non_atomic_write() -> None:
    """A snapshot is written over the one before; the process is killed in the middle of the fifth."""
    saves = count(1)

    def overwrite(target: Path, write: Callable[[Any], object], *, durable: bool) -> None:
        del durable
        with target.open("wb", buffering=0) as file:
            (_write_half(write) if next(saves) == FATAL_SAVE else write)(file)

    replace_function("rlx_snapshot", "replace_file", overwrite)


def _write_half(write: Callable[[Any], object]) -> Callable[[Any], object]:
    """Return what leaves half a file behind, and no process."""

    def write_and_die(file: Any) -> None:
        write(file)
        os.ftruncate(file.fileno(), os.fstat(file.fileno()).st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    return write_and_die


def two_pickles() -> None:
    """Policy and optimiser are saved apart, so that they no longer share their parameters."""

    def take_over(self: Any, state: Any, *args: Any) -> Any:
        state.algo.policy = copy.deepcopy(state.algo.policy)
        return original(self, state, *args)

    original = replace(LocalRunner, "_take_over", take_over)


def variables_not_restored() -> None:
    """The variables of an own loop begin again."""

    def begin_again(self: Any, get: Callable[[], Any]) -> Any:
        original(self, get)
        return get()

    original = replace(Checkpoint, "carry", begin_again)


def parts_not_written() -> None:
    """The parts of an own loop stay as they were built."""
    replace(InPlace, "write", nothing)


def without_pairs(kind: type[Any]) -> Callable[[], None]:
    """Objects of one class are not given their state."""

    def mutate() -> None:
        def write(self: Any) -> None:
            self._pairs = [pair for pair in self._pairs if not isinstance(pair[1], kind)]
            original(self)

        original = replace(InPlace, "write", write)

    return mutate


def taken_batches_forgotten() -> None:
    """An epoch begins at its first batch again."""

    def load(self: Any, state: Mapping[str, Any]) -> None:
        original(self, {**state, "taken": 0})

    original = replace(EpochOrder, "load_state_dict", load)


def order_drawn_again() -> None:
    """An epoch that is under way is shuffled again."""

    def load(self: Any, state: Mapping[str, Any]) -> None:
        original(self, {**state, "indices": np.random.default_rng(0).permutation(state["indices"])})

    original = replace(EpochOrder, "load_state_dict", load)


def one_rank_not_seeded() -> None:
    """The second rank's random numbers begin again."""

    def restore_first(states: Mapping[str, Any]) -> None:
        if os.environ["RANK"] == "0":
            restore_random(states)

    replace_function("rlx_runner", "restore_random", restore_first)


def each_rank_its_newest() -> None:
    """Each rank takes its newest part, whether all have written theirs or not, and dies before the fourth commit."""
    commits = count(1)

    def load(self: Any, load_dir: str, itr: int | str = "last") -> Any:
        del load_dir, itr
        return self._own.load(self._own.snapshot_dir, "last")

    def commit(self: Any, itr: int) -> None:
        if next(commits) == FATAL_SAVE and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
            if os.environ["RANK"] == "0":
                self._own.wait()
            os.kill(os.getpid(), signal.SIGKILL)
        original(self, itr)

    replace(RankStore, "load", load)
    original = replace(RankStore, "_commit_together", commit)


def buffer_pointer_lost() -> None:
    """A replay buffer is filled from its beginning again."""

    def write(self: Any) -> None:
        for _, live, saved in self._pairs:
            if "added" in (fields := getattr(saved, "__dict__", {})):
                fields["added"] = live.added
        original(self)

    original = replace(InPlace, "write", write)


def attribute_lost(name: str) -> Callable[[], None]:
    """Objects with an attribute of this name keep the value that they have where the run continues."""

    def mutate() -> None:
        def write(self: Any) -> None:
            found = [live for _, live, saved in self._pairs if name in getattr(saved, "__dict__", {})]
            kept = [copy.deepcopy(live.__dict__[name]) for live in found]
            original(self)
            for live, value in zip(found, kept, strict=True):
                live.__dict__[name] = value

        original = replace(InPlace, "write", write)

    return mutate


def pointers_of_tianshou_lost() -> None:
    """Each environment's part of a replay buffer is filled from its beginning again."""

    def restore_or_begin(self: Any, **options: Any) -> None:
        original(self, **options)
        for buffer in self._managers():
            for part in buffer.buffers:
                part._insertion_idx = 0

    original = replace(vars(tianshou_run)["_Run"], "restore_or_begin", restore_or_begin)


def without(owner: type[Any], method: str) -> Callable[[], None]:
    """Something is not given back."""

    def mutate() -> None:
        replace(owner, method, nothing)

    return mutate


MUTANTS: Final[Mapping[str, Callable[[], None]]] = {
    "seed-reset-at-restore": seed_reset_at_restore,
    "no-python-random-state": without_random_state("python"),
    "no-numpy-random-state": without_random_state("numpy"),
    "no-torch-random-state": without_random_state("torch"),
    "sampler-starts-again": sampler_starts_again,
    "snapshot-before-log": snapshot_before_log,
    "logs-not-cut": logs_not_cut,
    "killed-while-writing": killed_while_writing,
    "non-atomic-write": non_atomic_write,
    "two-pickles": two_pickles,
    "variables-not-restored": variables_not_restored,
    "parts-not-written": parts_not_written,
    "no-generators-of-environments": without_pairs(np.random.BitGenerator),
    "buffer-pointer-lost": buffer_pointer_lost,
    "sb3-buffer-pointer-lost": attribute_lost("pos"),
    "sb3-normalizer-lost": attribute_lost("returns"),
    "sb3-best-lost": attribute_lost("best_mean_reward"),
    "taken-batches-forgotten": taken_batches_forgotten,
    "order-drawn-again": order_drawn_again,
    "one-rank-not-seeded": one_rank_not_seeded,
    "each-rank-its-newest": each_rank_its_newest,
    "tianshou-buffer-pointer-lost": pointers_of_tianshou_lost,
    "texts-lost": without(TextLogs, "load"),
    "events-not-cut": without(EventFiles, "load"),
    "workers-lost": without(Workers, "load_state_dict"),
}

if __name__ == "__main__":
    _, mutant, script, *arguments = sys.argv
    MUTANTS[mutant]()
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).parent)
    runpy.run_path(script, run_name="__main__")
