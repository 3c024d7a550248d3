"""Does a script resume exactly? Kill it, let it go on, and compare with a twin that was never interrupted."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from rlx_experiment._curves import Curve, read_curves

_WALL_CLOCK: Final = ("time", "seconds", "steps_per", "per_second", "memory")
"""Parts of tags that say how long something took, which no resume promises to repeat."""
_NOT_COMPARED: Final = ("elapsed", "logger", "versions", "threads", "start_epoch")
"""Parts of snapshots that are about the process, not about the training."""


class ScriptFailedError(RuntimeError):
    """The script that should be verified failed by itself."""


def verify_resume(
    script: Path, arguments: Sequence[str], folder: Path, *, kills: int = 3, seed: int = 0
) -> str | None:
    """Run `script` twice in `folder`, once with `kills` interruptions; return the first difference, None if exact.

    The script takes ``--log-dir`` and ``--resume``, as :meth:`ExperimentTemplate.main` gives them to every experiment.

    Args:
        script: A Python script.
        arguments: Its arguments.
        folder: Gets the runs ``unbroken`` and ``broken``.
        kills: How often the second run is killed, by SIGKILL, after it has saved something.
        seed: Decides the moments.

    Raises:
        ScriptFailedError: A run ended with an error of its own.
    """
    unbroken, broken = folder / "unbroken", folder / "broken"
    _finish(_start(script, arguments, unbroken, hash_seed=1))
    moments = random.Random(seed)
    done = 0
    while done < kills and _kill_after_progress(
        _start(script, arguments, broken, hash_seed=done + 2), broken, moments
    ):
        done += 1
    _finish(_start(script, arguments, broken, hash_seed=done + 2))
    if done == 0:
        return "nothing was verified: the run ended before it could be killed; let it run longer, or save more often"
    return next(differences(unbroken, broken), None)


def _start(script: Path, arguments: Sequence[str], run: Path, *, hash_seed: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        (sys.executable, str(script), *arguments, "--log-dir", str(run), "--resume"),
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _finish(process: "subprocess.Popen[bytes]") -> None:
    _, errors = process.communicate()
    if process.returncode != 0:
        raise ScriptFailedError(
            f"the script ended with {process.returncode}: {errors.decode(errors='replace')[-2000:]}"
        )


def _kill_after_progress(process: "subprocess.Popen[bytes]", run: Path, moments: random.Random) -> bool:
    """Kill the run a random moment after it has saved a snapshot; return False if it ended before."""
    before, wanted = _saved(run), moments.randint(1, 3)
    while wanted:
        try:
            process.communicate(timeout=moments.uniform(0.001, 0.02))
        except subprocess.TimeoutExpired:
            now = _saved(run)
            wanted -= now != before
            before = now
        else:
            return False
    process.kill()
    process.communicate()
    return True


def _saved(run: Path) -> set[tuple[str, int]]:
    """Return names and times of the snapshots in `run`."""
    found: set[tuple[str, int]] = set()
    for path in run.glob("*.pkl"):
        try:
            found.add((path.name, path.stat().st_mtime_ns))
        except FileNotFoundError:  # replaced meanwhile
            continue
    return found


def differences(unbroken: Path, broken: Path) -> Iterator[str]:
    """Yield in what two runs differ, logged values first, then the last snapshots."""
    old, new = read_curves(unbroken), read_curves(broken)
    for tag in sorted({*old, *new}):
        if any(part in tag.lower() for part in _WALL_CLOCK):
            continue
        if tag not in old or tag not in new:
            yield f"{tag} was logged by the {'broken' if tag in new else 'unbroken'} run only"
        elif found := _first_difference(old[tag], new[tag]):
            yield f"{tag} {found}"
    for path in sorted(unbroken.glob("*.pkl")):
        if path.name != "arguments.pkl":
            yield from _snapshot_differences(path, broken / path.name)


def _first_difference(old: Curve, new: Curve) -> str | None:
    """Return where two curves differ, in any bit of a value; None where they do not."""
    for step, value, other_step, other in zip(*(array.tolist() for array in (*old, *new)), strict=False):
        if step != other_step:
            return f"has step {step:g} in the unbroken run, {other_step:g} in the broken one"
        if np.float64(value).tobytes() != np.float64(other).tobytes():
            return f"differs first at step {step:g}: {value!r} unbroken, {other!r} broken"
    if len(old[0]) != len(new[0]):
        return f"has {len(old[0])} values in the unbroken run, {len(new[0])} in the broken one"
    return None


def _snapshot_differences(old: Path, new: Path) -> Iterator[str]:
    """Yield the parts in which two snapshots differ, as ``rlx-snapshot diff`` names them; nothing without it."""
    if not new.exists():
        yield f"{old.name} was saved by the unbroken run only"
        return
    command = (sys.executable, "-m", "rlx_snapshot", "diff", str(old), str(new))
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = result.stdout.splitlines()
    for head, before, after in zip(lines, lines[1:], lines[2:], strict=False):
        both = before.startswith("  - ") and after.startswith("  + ")
        if head.startswith(".") and both and not _harmless(head, before, after):
            yield f"{old.name}: {head.removesuffix(':')}"


def _harmless(part: str, before: str, after: str) -> bool:
    """Return whether a difference is about the process, about code saved by value, or about which of equals are one."""
    about_process = any(f".{word}" in part for word in _NOT_COMPARED)
    one_object = any(word in line for line in (before, after) for word in ("same as", "(missing)"))
    return about_process or "()" in part or one_object
