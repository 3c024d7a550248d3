"""The fault injector: strace counts the system calls of real saves, then kills or fails at each of them."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from os import WUNTRACED, kill, waitpid
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from fault_writer import MIB, expected_state

from rlx_snapshot import Snapshotter

WRITER: Final = Path(__file__).with_name("fault_writer.py")
CALLS: Final = (
    "openat,write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,rename,link,linkat,unlink,flock,ftruncate,fallocate,close,"
    "getdents64,newfstatat,fstat,fcntl,ioctl"
)
MODES: Final = ("last", "all", "gap", "gap_and_last", "gap_overwrite")
PATIENCE: Final = 60

needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None or not sys.platform.startswith("linux"), reason="needs strace"
)


class Program(NamedTuple):
    """What is run: a writer of `fault_writer.py`, and how much it saves."""

    writer: str
    mode: str = "last"
    size: int = 70_000
    in_peace: int = 1
    saves: int = 3


def patching(writer: str = "background", *, in_peace: int = 3, saves: int = 5) -> Program:
    """A program whose state is large enough to be saved by patching, from the third save on."""
    return Program(writer, "last", 9 * MIB, in_peace, saves)


class Call(NamedTuple):
    """The n-th system call of one name."""

    name: str
    number: int


class Report(NamedTuple):
    """What the writer told its caller."""

    acked: list[int]
    failed: list[int]


def run(directory: Path, program: Program, *options: str) -> Report:
    """Run a program, with strace attached after the saves in peace, and collect what it reported."""
    writer = subprocess.Popen(
        [sys.executable, str(WRITER), str(directory), *map(str, program)], stderr=subprocess.DEVNULL
    )
    waitpid(writer.pid, WUNTRACED)
    command = ["strace", "-f", "-y", "-s", "0", "-e", f"trace={CALLS},mkdir", *options]
    command += ["-o", str(directory.with_suffix(".trace")), "-p", str(writer.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        attached = tracer.stderr.readline() if tracer.stderr else ""
        kill(writer.pid, signal.SIGCONT)
        try:
            writer.wait(timeout=PATIENCE)
        finally:
            writer.kill()  # the tracer ends when its program has
            writer.wait()
        tracer.communicate(timeout=PATIENCE)
    assert "attached" in attached
    return Report(*(sorted(_reported(directory, word)) for word in ("acked", "failed")))


def calls_of(tmp_path: Path, program: Program) -> list[Call]:
    """Every counted system call of the saves that follow those in peace, in order, of a run without faults."""
    report = run(tmp_path / "dry", program)
    assert report.acked == list(range(1, program.saves + 1))
    counts: dict[tuple[str, str], int] = {}
    found: list[Call] = []
    for thread, line in lines_of(tmp_path / "dry.trace"):
        name = line.partition("(")[0]
        if name in CALLS.split(","):
            counts[thread, name] = counts.get((thread, name), 0) + 1
            found.append(Call(name, counts[thread, name]))
    return list(dict.fromkeys(found))


def lines_of(trace: Path) -> list[tuple[str, str]]:
    """Thread and system call of every line of a trace."""
    matches = (re.match(r"(\d+) +(\w+\(.*)", line) for line in trace.read_text().splitlines())
    return [(match[1], match[2]) for match in matches if match]


def kills_at(calls: Iterable[Call]) -> list[str]:
    """Faults that kill the program at each of `calls`."""
    return [f"{call.name}:signal=KILL:when={call.number}" for call in calls]


def problems_with(tmp_path: Path, program: Program, faults: Iterable[str]) -> dict[str, str]:
    """For each of `faults` that breaks a promise, which one."""
    problems = {fault: problem_with(tmp_path, program, fault) for fault in faults}
    return {fault: problem for fault, problem in problems.items() if problem}


def problem_with(tmp_path: Path, program: Program, fault: str) -> str | None:
    """What goes wrong when `fault` is injected, None if nothing does."""
    directory = tmp_path / re.sub(r"\W", "_", fault)
    try:
        report = run(directory, program, "-e", f"inject={fault}")
    except subprocess.TimeoutExpired:
        return f"it does not end within {PATIENCE} s"
    problem = _problem_loading(directory, report, program.size) or _problem_recovering(directory, program)
    for path in tmp_path.glob(f"{directory.name}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return problem


def _problem_loading(directory: Path, report: Report, size: int) -> str | None:
    newest = max(report.acked)
    try:
        state: dict[str, Any] = Snapshotter(directory.with_name("reader")).load(directory)
        itr = int(state["itr"])
    except Exception as error:  # noqa: BLE001 - whatever loading raises, the promise is broken
        return f"iteration {newest} does not load: {error!r}"
    if state != expected_state(itr, size):
        return "iterations are mixed"
    if itr < newest:
        return f"iteration {newest} was reported as saved, {itr} is there"
    return None


def _problem_recovering(directory: Path, program: Program) -> str | None:
    snapshotter = Snapshotter(directory, program.mode)
    snapshotter.save_itr_params(9, "recovered")
    left = [
        path.name for path in directory.iterdir() if not re.fullmatch(r"params\.pkl|itr_\d+\.pkl", path.name)
    ]
    if snapshotter.load(directory) != "recovered":
        return "a later save did not recover"
    return f"left behind: {left}" if left else None


def _reported(directory: Path, word: str) -> list[int]:
    return [int(path.name.rpartition("-")[2]) for path in directory.parent.glob(f"{directory.name}.{word}-*")]
