"""Does a script resume exactly? Kill it, let it continue, and compare with a run that was never interrupted."""

import os
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from rlx_experiment._reports.curves import Curve, read_curves
from rlx_experiment._reports.ignoring import Ignored
from rlx_experiment._reports.snapshot_parts import Comparison, compare_snapshots

_WALL_CLOCK: Final = frozenset({"time", "times", "second", "seconds", "fps", "sps", "memory"})
"""Words in tags that say how long something took, or of what, which no resume promises to repeat."""
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


class ScriptFailedError(RuntimeError):
    """The script that should be verified failed by itself."""


class Verdict(NamedTuple):
    """What a comparison of a killed run with one that was left alone has shown."""

    kills: int
    """How often the run was really killed; it may have ended before it could be."""
    differences: Sequence[str]
    """All that differs, in words."""
    compared: Sequence[str] = ()
    """In words, what was compared, and what was left out of it."""
    ignored: Sequence[str] = ()
    """In words, what was left out because it was asked for."""


def verify_resume(
    script: Path,
    arguments: Sequence[str],
    folder: Path,
    *,
    kills: int = 3,
    seed: int = 0,
    ignore: Sequence[str] = (),
) -> Verdict:
    """Run `script` twice in `folder`, once with `kills` interruptions, and compare the two.

    The script takes ``--log-dir`` and ``--resume``, as `ExperimentTemplate.main` gives them to every experiment.

    Args:
        script: A Python script.
        arguments: Its arguments.
        folder: Gets the runs ``unbroken`` and ``broken``.
        kills: How often the second run is killed, by SIGKILL, after it has saved something.
        seed: Decides the moments.
        ignore: Patterns of the tags of logs, and of parts of snapshots, that do not count.

    Raises:
        ScriptFailedError: A run ended with an error of its own.
        ValueError: `kills` is below 1.
    """
    if kills < 1:
        raise ValueError(f"kills is {kills}; it must be at least 1: without one nothing is verified")
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
        ended = "the run ended before it could be killed; let it run longer, or save more often"
        return Verdict(0, [f"nothing was verified: {ended}"])
    ignored = Ignored(ignore)
    comparisons = [
        compare_logs(unbroken, broken, ignored),
        *compare_snapshots(unbroken, broken, ignored),
    ]
    differences = [each for one in comparisons for each in one.differences]
    return Verdict(done, differences, [one.compared for one in comparisons], ignored.in_words())


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
    return process.returncode != 0  # it may have come to its end by itself in the meantime


def _saved(run: Path) -> set[tuple[str, int]]:
    """Return names and times of the snapshots in `run`."""
    found: set[tuple[str, int]] = set()
    for path in run.glob("*.pkl"):
        try:
            found.add((path.name, path.stat().st_mtime_ns))
        except FileNotFoundError:  # replaced meanwhile
            continue
    return found


def compare_logs(unbroken: Path, broken: Path, ignored: Ignored | None = None) -> Comparison:
    """Compare every bit of every logged value, but for those that say how long something took."""
    old, new = read_curves(unbroken), read_curves(broken)
    tags = sorted({*old, *new})
    clocks = [tag for tag in tags if _WALL_CLOCK.intersection(map(str.lower, _WORD.findall(tag)))]
    found = {tag: _tag_difference(tag, old.get(tag), new.get(tag)) for tag in tags if tag not in clocks}
    ignored = Ignored() if ignored is None else ignored
    differences = [each for tag, each in found.items() if each and not ignored.covers(tag)]
    number = sum(len(curve[0]) for tag, curve in old.items() if tag not in clocks)
    left_out = f", but not {', '.join(clocks)}" if clocks else ""
    return Comparison(f"{number} logged values, bit by bit{left_out}", differences)


def _tag_difference(tag: str, old: Curve | None, new: Curve | None) -> str | None:
    if old is None or new is None:
        return f"{tag} was logged by the {'broken' if old is None else 'unbroken'} run only"
    found = _first_difference(old, new)
    return f"{tag} {found}" if found else None


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
