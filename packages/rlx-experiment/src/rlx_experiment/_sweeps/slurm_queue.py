"""Where submitted jobs are: in Slurm's queue, or in processes of this machine."""

import pickle
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rlx_experiment._arguments.encoder import write_json
from rlx_experiment._runs.files import DamagedRunError, read_object
from rlx_experiment._sweeps import slurm_commands
from rlx_experiment._sweeps.jobs import FAILED


class Submitted(NamedTuple):
    """A job that was submitted."""

    job_id: str
    result_file: Path
    """Where submitit leaves what the job returned."""
    process: Any = None
    """submitit's job where it is a process of this machine, which has to be waited for."""

    def exit_code(self) -> int | None:
        """Return the code that the job ended with; None while there is none."""
        if self.process is not None and not self.process.done():
            return None
        try:
            outcome, value = pickle.loads(self.result_file.read_bytes())
        except FileNotFoundError:
            return None
        return int(value) if outcome == "success" else FAILED


class Queue(Protocol):
    """Where jobs wait and run."""

    def live(self, jobs: Collection[Submitted]) -> set[str]:
        """Return the ids of those jobs that wait or run."""
        ...

    def was_cancelled(self, job: Submitted) -> bool:
        """Return whether a job that is gone was cancelled."""
        ...

    def cancel(self, jobs: Collection[Submitted]) -> None:
        """Cancel jobs."""
        ...

    def record(self, run_folder: Path, job: Submitted) -> None:
        """Keep beside its run folder which job was submitted."""
        ...

    def recorded(self, run_folder: Path) -> Submitted | None:
        """Return the job that an earlier sweep submitted for a run folder."""
        ...


class SlurmQueue:
    """Slurm's queue.

    Args:
        paths: submitit's ``JobPaths``.
        folder: Its folder.
    """

    def __init__(self, paths: Callable[..., Any], folder: str) -> None:
        self._paths = paths
        self._folder = folder

    def live(self, jobs: Collection[Submitted]) -> set[str]:
        """Return the ids of those jobs that wait or run."""
        return slurm_commands.live_jobs().intersection(job.job_id for job in jobs)

    def was_cancelled(self, job: Submitted) -> bool:
        """Return whether a job that is gone was cancelled, as far as Slurm still knows."""
        described: Mapping[str, str] = slurm_commands.describe_job(job.job_id)
        return described.get("JobState") == "CANCELLED"

    def cancel(self, jobs: Collection[Submitted]) -> None:
        """Cancel jobs."""
        slurm_commands.cancel(job.job_id for job in jobs)

    def record(self, run_folder: Path, job: Submitted) -> None:
        """Keep beside its run folder which job was submitted."""
        run_folder.parent.mkdir(parents=True, exist_ok=True)
        write_json(_record_of(run_folder), {"job": job.job_id, "folder": str(Path(self._folder).absolute())})

    def recorded(self, run_folder: Path) -> Submitted | None:
        """Return the job that an earlier sweep submitted for a run folder."""
        try:
            found = read_object(_record_of(run_folder))
            job_id, folder = str(found["job"]), str(found["folder"])
        except (FileNotFoundError, DamagedRunError, KeyError):
            return None
        return Submitted(job_id, self._paths(folder, job_id, 0).result_pickle)


class LocalQueue:
    """submitit's local executor: jobs are processes of this machine, and no later sweep finds them."""

    def live(self, jobs: Collection[Submitted]) -> set[str]:
        """Return the ids of those jobs that run."""
        return {job.job_id for job in jobs if not job.process.done()}

    def was_cancelled(self, job: Submitted) -> bool:
        """Nobody else cancels them."""
        return False

    def cancel(self, jobs: Collection[Submitted]) -> None:
        """Cancel jobs."""
        for job in jobs:
            job.process.cancel(check=False)

    def record(self, run_folder: Path, job: Submitted) -> None:
        """Do nothing: the processes end with this one."""

    def recorded(self, run_folder: Path) -> Submitted | None:
        """There is none."""
        return None


def _record_of(run_folder: Path) -> Path:
    return run_folder.with_name(f".{run_folder.name}.slurm.json")
