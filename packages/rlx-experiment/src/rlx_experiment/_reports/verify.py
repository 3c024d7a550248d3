"""Does a script resume exactly? Kill it, let it go on, and compare with a twin that was never interrupted."""

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from rlx_experiment._reports.curves import Curve, read_curves

_WALL_CLOCK: Final = frozenset({"time", "times", "second", "seconds", "fps", "sps", "memory"})
"""Words in tags that say how long something took, or of what, which no resume promises to repeat."""
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_NOT_COMPARED: Final = (
    ".elapsed",
    ".logger",
    ".versions",
    ".threads",
    ".start_epoch",
    ".process['$PYTHONHASHSEED']",  # which each of the processes is given another of
)
"""Parts of snapshots that are about the process, not about the training."""
_HARMLESS: Final = "process, place in the logs, code kept by value, which of equal objects are one"
_NAMED: Final = 8
"""How many skipped parts of a snapshot are named before the rest is counted."""


class ScriptFailedError(RuntimeError):
    """The script that should be verified failed by itself."""


class Verdict(NamedTuple):
    """What a comparison of a killed run with one that was left alone has shown."""

    kills: int
    """How often the run was really killed; it may have ended before it could be."""
    difference: str | None
    """The first difference; None if there is none."""
    compared: Sequence[str]
    """In words, what was compared, and what was left out of it."""


def verify_resume(
    script: Path, arguments: Sequence[str], folder: Path, *, kills: int = 3, seed: int = 0
) -> Verdict:
    """Run `script` twice in `folder`, once with `kills` interruptions, and compare the two.

    The script takes ``--log-dir`` and ``--resume``, as :meth:`ExperimentTemplate.main` gives them to every experiment.

    Args:
        script: A Python script.
        arguments: Its arguments.
        folder: Gets the runs ``unbroken`` and ``broken``.
        kills: How often the second run is killed, by SIGKILL, after it has saved something.
        seed: Decides the moments.

    Raises:
        ScriptFailedError: A run ended with an error of its own.
        ValueError: `kills` is below 1.
    """
    if kills < 1:
        raise ValueError(f"kills should be at least 1, not {kills}: without one nothing is verified")
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
        return Verdict(0, f"nothing was verified: {ended}", ())
    logs, snapshots = compare_logs(unbroken, broken), compare_snapshots(unbroken, broken)
    difference = next((one.difference for one in (logs, *snapshots) if one.difference), None)
    return Verdict(done, difference, [one.compared for one in (logs, *snapshots)])


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


class Comparison(NamedTuple):
    """One file, or kind of file, of two runs compared."""

    compared: str
    difference: str | None


def compare_logs(unbroken: Path, broken: Path) -> Comparison:
    """Compare every bit of every logged value, but for those that say how long something took."""
    old, new = read_curves(unbroken), read_curves(broken)
    tags = sorted({*old, *new})
    clocks = [tag for tag in tags if _WALL_CLOCK.intersection(map(str.lower, _WORD.findall(tag)))]
    found = (_tag_difference(tag, old.get(tag), new.get(tag)) for tag in tags if tag not in clocks)
    difference = next(filter(None, found), None)
    number = sum(len(curve[0]) for tag, curve in old.items() if tag not in clocks)
    left_out = f", but not {', '.join(clocks)}" if clocks else ""
    return Comparison(f"{number} logged values, bit by bit{left_out}", difference)


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


def compare_snapshots(unbroken: Path, broken: Path) -> list[Comparison]:
    """Compare the snapshots that the runs ended with: by their bytes, or else part by part."""
    names = sorted(
        {path.name for run in (unbroken, broken) for path in run.glob("*.pkl")} - {"arguments.pkl"}
    )
    return [_compare_snapshot(unbroken / name, broken / name) for name in names]


def _compare_snapshot(old: Path, new: Path) -> Comparison:
    for there, missing, run in ((old, new, "unbroken"), (new, old, "broken")):
        if not missing.exists():
            return Comparison(there.name, f"{there.name} was saved by the {run} run only")
    if old.read_bytes() == new.read_bytes():
        return Comparison(f"{old.name}, byte by byte", None)
    command = (sys.executable, "-m", "rlx_snapshot", "diff", str(old), str(new))
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    total = re.search(r"of (\d+) parts differ", result.stdout)
    if total is None:
        return Comparison(f"not {old.name}, which differs in some bytes: {_complaint(result.stderr)}", None)
    counted: list[str] = []
    skipped: list[str] = []
    for part, before, after in _differing_parts(result.stdout.splitlines()):
        (skipped if _harmless(part, before, after) else counted).append(part)
    words = f"{int(total[1]) - len(skipped)} of {total[1]} parts of {old.name}{_left_out(skipped)}"
    return Comparison(words, f"{old.name}: {counted[0]}" if counted else None)


def _left_out(parts: Sequence[str]) -> str:
    """Return the names of skipped parts, the first of many, in words that go on from what was compared."""
    if not parts:
        return ""
    named = parts if len(parts) <= _NAMED else [*parts[:_NAMED], f"{len(parts) - _NAMED} more"]
    return f", but not {', '.join(named)} ({_HARMLESS})"


def _complaint(error: str) -> str:
    if "No module named rlx_snapshot" in error:
        return "to see in which parts, pip install 'rlx-experiment[snapshot]'"
    return (error.strip().splitlines() or ["it cannot be read"])[-1]


def _differing_parts(lines: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield name and both contents of each part in which ``rlx-snapshot diff`` says that two snapshots differ."""
    for head, before, after in zip(lines, lines[1:], lines[2:], strict=False):
        if before.startswith("  - ") and after.startswith("  + "):
            yield head.removesuffix(":"), before, after


def _harmless(part: str, before: str, after: str) -> bool:
    """Return whether a difference is about the process, about code saved by value, or about which of equals are one."""
    about_process = any(word in part for word in _NOT_COMPARED)
    one_object = any(word in line for line in (before, after) for word in ("same as", "(missing)"))
    return about_process or "()" in part or one_object
