"""Runs training scripts as children, kills them, and compares what is left of two runs."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
POLL_SECONDS = 0.002
PATIENCE_SECONDS = 600.0
DONE, STOPPED = 0, 75
SOAK = "RLX_SOAK" in os.environ
LONGER = 4 if SOAK else 1
"""How many times longer trainings are, so that every one of ten kills finds them under way."""
TEST_SECONDS = 7200 if SOAK else 900
"""Limit of a test: each starts many processes, and the machine may be busy."""

Fingerprint = dict[str, dict[str, str]]
Files = frozenset[tuple[str, int, int]]


@dataclass(frozen=True)
class Program:
    """A training script and its options, those of `sampling_switches` among them.

    Args:
        script: An experiment with the usual command line.
        options: What all its lives have in common.
        mutant: Fault of :mod:`mutants` that each life runs with; None for the real thing.
    """

    script: Path
    options: tuple[str, ...] = ()
    mutant: str | None = None

    def command(self, folder: Path, more: tuple[str, ...]) -> list[str]:
        """Return the command that starts the run in `folder`, or continues it."""
        faulty = [str(HERE / "mutants.py"), self.mutant] if self.mutant else []
        switches = str(HERE / "sampling_switches.py")
        where = ["--log-dir", str(folder), "--resume"]
        return [sys.executable, *faulty, switches, str(self.script), *self.options, *more, *where]


class Life:
    """One process of a run, from its start to its end.

    Args:
        program: What to run.
        folder: Folder of the run.
        options: What only this life is given.
        hash_seed: Value of PYTHONHASHSEED.
    """

    def __init__(
        self, program: Program, folder: Path, options: tuple[str, ...] = (), *, hash_seed: int = 0
    ) -> None:
        self._folder = folder
        self._before = snapshots(folder)
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._process = subprocess.Popen(
            program.command(folder, options),
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed), "CUDA_VISIBLE_DEVICES": ""},
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=subprocess.STDOUT,
        )

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def wait_for(self, happened: Callable[[], bool]) -> bool:
        """Return True once `happened()`, or False if the process ends first."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not happened():
            if self._process.poll() is not None:
                return False
            if time.monotonic() > end:
                raise TimeoutError(f"nothing happened for {PATIENCE_SECONDS} s; it said: {self.said()}")
            time.sleep(POLL_SECONDS)
        return True

    def wait_for_snapshot(self) -> bool:
        """Return whether a snapshot that was not there before, or at the last call, appears before the end."""
        appeared = self.wait_for(lambda: snapshots(self._folder) != self._before)
        self._before = snapshots(self._folder)
        return appeared

    def wait_for_words(self, words: str) -> bool:
        """Return whether the process says `words` before it ends."""
        return self.wait_for(lambda: words in self.said())

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def kill(self) -> bool:
        """Kill with SIGKILL; return whether the process was still running."""
        self._process.kill()
        return self.end() == -signal.SIGKILL

    def end(self) -> int:
        """Wait for the end; return the exit code."""
        try:
            return self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def said(self) -> str:
        """Return everything written to standard output and standard error so far."""
        return os.pread(self._said.fileno(), 1 << 20, 0).decode(errors="replace")

    def close(self) -> None:
        """Leave nothing behind."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._said.close()


def require_kills(done: int, wanted: int) -> None:
    """Fail where kills came too late: in a soak any; else half of them, as a busy machine may finish a short run first."""
    assert done >= (wanted if SOAK else (wanted + 1) // 2)


def no_options(number: int) -> tuple[str, ...]:
    """Give every life the same."""
    del number
    return ()


@contextlib.contextmanager
def life(program: Program, folder: Path, *options: str, hash_seed: int = 0) -> Generator[Life]:
    """Start a process, and make sure that it is gone afterwards."""
    process = Life(program, folder, options, hash_seed=hash_seed)
    try:
        yield process
    finally:
        process.close()


def snapshots(folder: Path) -> Files:
    """Identify the snapshots in `folder`: a new one has another inode or time."""
    found: set[tuple[str, int, int]] = set()
    for path in folder.glob("*.pkl"):
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            found.add((path.name, status.st_ino, status.st_mtime_ns))
    return frozenset(found)


class Killer:
    """Kills runs at random moments.

    Args:
        seed: Of the moments and the hash seeds.
    """

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._epoch_seconds = 0.0

    def kill_before_progress(self, program: Program, folder: Path, kills: int) -> None:
        """Kill `kills` times before the first snapshot, ever later in the launch."""
        with tempfile.TemporaryDirectory() as elsewhere:
            seconds = self._seconds_to_snapshot(program, Path(elsewhere) / "run")
        for number in range(kills):
            with life(program, folder, hash_seed=self._hash_seed()) as process:
                latest = time.monotonic() + seconds * (number + self._dice.random()) / kills
                process.wait_for(partial(_late_or_saved, latest, folder))
                process.kill()

    def kill_after_progress(
        self,
        program: Program,
        folder: Path,
        kills: int,
        options: Callable[[int], tuple[str, ...]] = no_options,
        *,
        after: int = 0,
    ) -> int:
        """Kill up to `kills` times, each within an epoch after a new snapshot.

        Args:
            program: What to run.
            folder: Folder of the run.
            kills: How often.
            options: What life number n is given.
            after: New snapshots of a life that come before.

        Returns:
            How often the kill did not come too late.
        """
        done = 0
        while done < kills:
            with life(program, folder, *options(done), hash_seed=self._hash_seed()) as process:
                is_under_way = all(process.wait_for_snapshot() for _ in range(after))
                if not (is_under_way and self._wait_for_progress(process, measure=done % 3 == 0)):
                    require_success(program, process)
                    break
                time.sleep(self._dice.uniform(0, self._epoch_seconds))
                done += process.kill()
        return done

    def _wait_for_progress(self, process: Life, *, measure: bool) -> bool:
        if not process.wait_for_snapshot():
            return False
        if measure:
            began = time.monotonic()
            if not process.wait_for_snapshot():
                return False
            self._epoch_seconds = time.monotonic() - began
        return True

    def _seconds_to_snapshot(self, program: Program, folder: Path) -> float:
        began = time.monotonic()
        with life(program, folder) as process:
            process.wait_for_snapshot()
            return time.monotonic() - began

    def _hash_seed(self) -> int:
        return self._dice.randrange(2**32)


def _late_or_saved(latest: float, folder: Path) -> bool:
    return time.monotonic() > latest or bool(snapshots(folder))


def finish(program: Program, folder: Path, *options: str, hash_seed: int = 0) -> str:
    """Run to the end; return what the program said.

    Raises:
        RuntimeError: If the exit code is not 0; says what the program said.
    """
    with life(program, folder, *options, hash_seed=hash_seed) as process:
        require_success(program, process)
        return process.said()


def unbroken_runs(new_folder: Callable[[str], Path]) -> Callable[[Program], Path]:
    """Return a function that gives the folder of a run that nobody disturbed; each program runs once.

    Args:
        new_folder: Makes a folder, given a name for it.
    """

    @cache
    def run(program: Program) -> Path:
        folder = new_folder(program.script.stem) / "unbroken"
        finish(program, folder, hash_seed=1)
        return folder

    return run


def require_success(program: Program, process: Life) -> None:
    """Wait for the end; raise RuntimeError if the exit code is not 0."""
    code = process.end()
    if code != DONE:
        raise RuntimeError(f"{program.script.name} ended with {code}: {process.said()[-3000:]}")


def fingerprints(script: Path, *folders: Path) -> list[Fingerprint]:
    """Return what is left of runs of `script`: the digest of every value, by kind and name."""
    command = [sys.executable, str(EXAMPLES / "fingerprint.py"), str(script), *map(str, folders)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if result.returncode != 0:
        raise RuntimeError(f"no fingerprint of {script.name}: {result.stderr[-3000:]}")
    found: list[Any] = json.loads(result.stdout)
    return found


def differences(left: Fingerprint, right: Fingerprint) -> list[str]:
    """Name every value that two runs do not have in common."""
    return [
        f"{kind}: {name}"
        for kind in sorted(left.keys() | right.keys())
        for name in sorted(left.get(kind, {}).keys() | right.get(kind, {}).keys())
        if left.get(kind, {}).get(name) != right.get(kind, {}).get(name)
    ]
