"""Where a run is: one frozen value, the only run state that the runner owns."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run has come.

    Args:
        epoch: Epochs done, which is also the number of the next one.
        itr: Iterations, as the algorithm counts them.
        env_steps: Environment steps collected.
        elapsed: Seconds of training, those before a resume included.
        average_return: Mean undiscounted return of the newest epoch with a finished episode.
    """

    epoch: int = 0
    itr: int = 0
    env_steps: int = 0
    elapsed: float = 0.0
    average_return: float | None = None
