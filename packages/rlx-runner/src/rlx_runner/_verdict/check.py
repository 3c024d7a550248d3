"""Ask whether a run resumes exactly: train it, continue it once more from its middle, and compare everything."""

import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rlx_runner._checks import check_count
from rlx_runner._environments import savable
from rlx_runner._errors import ExactnessCheckError
from rlx_runner._verdict.program import ROWS, SAID, SPECIFICATION
from rlx_snapshot import compare, exact_dumps

_CLOCKS: Final = frozenset({"EpochTime", "TotalTime"})
"""What the runner itself logs about time."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a run that was interrupted, beside one that was not.

    Args:
        said: The grade that the runner gave when it resumed, with its reasons.
        differences: Every part of the snapshots, and every logged value, that differs.
        compared: How many parts and values were compared.
    """

    said: str
    differences: Sequence[str]
    compared: int

    @property
    def exact(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def __str__(self) -> str:
        """Say what was found, each difference on a line of its own."""
        if self.exact:
            return f"exact in all of {self.compared} parts and logged values; the runner said {self.said}"
        head = f"not exact in {len(self.differences)} of {self.compared} parts and logged values; the runner said {self.said}"
        return "\n  ".join((head, *self.differences))


def check_exactness(
    algo: Any,
    env: Any,
    sampler_cls: Any = None,
    sampler_args: dict[str, Any] | None = None,
    n_workers: int | None = 1,
    worker_class: Any = None,
    worker_args: dict[str, Any] | None = None,
    *,
    n_epochs: int = 4,
    batch_size: int | None = None,
    seed: int = 0,
    timeout: float = 600.0,
) -> Verdict:
    """Train copies of `algo` and `env`, continue once more from the snapshot in the middle, and compare what comes of both.

    What continues is another process with another hash seed; nothing of the caller's objects and generators changes,
    and no folder of a run is touched.

    Args:
        algo: As for `LocalRunner.setup`, as are all up to `worker_args`.
        env: Environment, or a list of one a worker.
        sampler_cls: Sampler class.
        sampler_args: Further keyword arguments for the sampler.
        n_workers: Number of workers.
        worker_class: Worker class.
        worker_args: Further keyword arguments for each worker.
        n_epochs: Epochs in all; the interruption comes in the middle.
        batch_size: Environment steps of a batch.
        seed: Root seed.
        timeout: Seconds for each of the two processes.

    Returns:
        The verdict; it says all that differs, and the grade that the runner gave.

    Raises:
        ExactnessCheckError: If training itself fails, or takes longer than `timeout`; nothing was found out then.
        UnpicklableStateError: If algorithm or environment cannot be saved.
    """
    check_count("n_epochs", n_epochs, least=2)
    specification = {
        "algo": algo,
        "env": savable(env).env,
        "sampling": {
            "sampler_cls": sampler_cls,
            "sampler_args": sampler_args,
            "n_workers": n_workers,
            "worker_class": worker_class,
            "worker_args": worker_args,
        },
        "batch_size": batch_size,
        "seed": seed,
    }
    with tempfile.TemporaryDirectory(prefix="rlx-exactness-") as temporary:
        folder = Path(temporary)
        (folder / SPECIFICATION).write_bytes(exact_dumps(specification))
        unbroken, broken = folder / "unbroken", folder / "broken"
        _train([unbroken, n_epochs], n_epochs, 1, timeout)
        shutil.copytree(unbroken, broken)
        _train([broken, n_epochs, n_epochs // 2 - 1], n_epochs - n_epochs // 2, 2, timeout)
        return _verdict(unbroken, broken, f"itr_{n_epochs - 1}.pkl")


def _train(arguments: Sequence[object], n_epochs: int, hash_seed: int, timeout: float) -> None:
    command = [sys.executable, "-m", "rlx_runner._verdict.program", *map(str, arguments)]
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": os.pathsep.join(sys.path)}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ExactnessCheckError(
            f"not checked: {n_epochs} epochs took longer than {timeout:g} s; give fewer epochs or more time."
        ) from error
    if done.returncode != 0:
        raise ExactnessCheckError(f"not checked: training failed by itself.\n{done.stderr[-4000:]}")


def _verdict(unbroken: Path, broken: Path, last: str) -> Verdict:
    found = compare(unbroken / last, broken / last)
    old, new = (_values(pickle.loads((run / ROWS).read_bytes())) for run in (unbroken, broken))
    names = dict.fromkeys((*old, *new))
    return Verdict(
        said=(broken / SAID).read_text(),
        differences=[
            *(
                f"{each.part}: {each.first} without, {each.second} with an interruption"
                for each in found.differences
            ),
            *(
                f"{name}: {old.get(name, 'missing')} without, {new.get(name, 'missing')} with an interruption"
                for name in names
                if old.get(name) != new.get(name)
            ),
        ],
        compared=found.parts + len(names),
    )


def _values(rows: Mapping[tuple[str, int], Mapping[str, Any]]) -> dict[str, str]:
    """Return every logged value in all its digits, by its name."""
    return dict(_named(rows))


def _named(rows: Mapping[tuple[str, int], Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for (kind, step), row in rows.items():
        for name, value in row.items():
            if name not in _CLOCKS:
                yield f"{name} at {kind} {step}", _in_all_digits(value)


def _in_all_digits(value: Any) -> str:
    try:
        return f"{value.dtype} {value.shape} {value.tolist()!r}"
    except AttributeError:
        return repr(value)
