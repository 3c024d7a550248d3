"""What a runner raises."""

EXIT_STOPPED = 75
"""Exit status of a run that was asked to stop and can be resumed (EX_TEMPFAIL of sysexits.h)."""


class NotSetupError(Exception):
    """The runner was used before `LocalRunner.setup` or ``restore``."""


class StatisticalResumeError(ValueError):
    """The snapshot cannot be resumed exactly here, only statistically."""


class TrainingStopped(SystemExit):
    """Training was asked to stop before its last epoch and did so, at a point where it can be resumed.

    A SystemExit, so that code after ``train()`` does not run as if training were complete,
    and a script that does not catch it ends with exit status 75.
    """

    def __init__(self, message: str) -> None:
        super().__init__(EXIT_STOPPED)
        self.message = message

    def __str__(self) -> str:
        return self.message


class IncompleteCheckpointError(ValueError):
    """Something that was not passed to a checkpoint changes the run.

    Args:
        message: What differed, and what was not passed.
        names: The loop's variables that changed and are not in the snapshot.
    """

    def __init__(self, message: str, names: list[str]) -> None:
        super().__init__(message)
        self.names = names


class ExactnessCheckError(RuntimeError):
    """A check of exactness came to no result: training failed by itself, or took too long."""
