"""What Slurm's own commands say and do: squeue, scontrol, scancel and sinfo, never sacct, which needs a database."""

import os
import subprocess
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

_SECONDS: Final = 60.0
"""How long a command may take; with a controller that does not answer they take 10 to 40 s to say so."""


class SlurmUnavailableError(RuntimeError):
    """A command of Slurm failed, or did not answer."""


def live_jobs() -> set[str]:
    """Return the ids of this user's jobs that wait, run or end, a task of an array as ``12_3``."""
    said = _ask("squeue", "--noheader", "--array", "--user", str(os.getuid()), "--format", "%i")
    return set(said.split())


def describe_job(job_id: str) -> Mapping[str, str]:
    """Return what the controller knows about a job; nothing where it has forgotten it, minutes after its end."""
    try:
        said = _ask("scontrol", "show", "job", job_id, "--oneliner")
    except SlurmUnavailableError as error:
        if "Invalid job id" in str(error):
            return {}
        raise
    return dict(word.split("=", 1) for word in said.split() if "=" in word)


def seconds_left(job: Mapping[str, str]) -> float | None:
    """Return the time until a running job reaches its limit; None where it has none."""
    if job.get("TimeLimit") in (None, "UNLIMITED"):
        return None
    try:
        end = datetime.fromisoformat(job["EndTime"]).astimezone()
    except (KeyError, ValueError):
        return None
    return (end - datetime.now().astimezone()).total_seconds()


def requeue(job_id: str) -> None:
    """Have a running job ended and queued again, under the same id."""
    _ask("scontrol", "requeue", job_id)


def cancel(job_ids: Iterable[str]) -> None:
    """Cancel jobs; those that are gone already are passed over."""
    ids = list(job_ids)
    for start in range(0, len(ids), 500):  # a command line has a limit
        _ask("scancel", "--quiet", *ids[start : start + 500])


def read_configuration() -> Mapping[str, str]:
    """Return the settings of the cluster by their names in ``slurm.conf``."""
    lines = [line.partition("=") for line in _ask("scontrol", "show", "config").splitlines()]
    return {key.strip(): value.strip() for key, equals, value in lines if equals}


def partition_limits() -> Mapping[str, float]:
    """Return each partition with its time limit in minutes."""
    lines = _ask("sinfo", "--noheader", "--format", "%R|%l").splitlines()
    return {name: _minutes(limit) for name, _, limit in (line.strip().partition("|") for line in lines)}


def _minutes(limit: str) -> float:
    """Read ``days-hours:minutes:seconds``, whose front parts may be missing."""
    days, _, clock = limit.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in parts):
        return float("inf")  # "infinite", "n/a"
    seconds = 0
    for part in parts:
        seconds = seconds * 60 + int(part)
    return int(days or 0) * 1440 + seconds / 60


def _ask(*command: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SlurmUnavailableError(f"{command[0]}: {error}") from error
    if done.returncode:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise SlurmUnavailableError(f"{command[0]}: {said.splitlines()[0]}")
    return done.stdout
