"""When enough is enough, other than by epochs."""

from dataclasses import dataclass
from numbers import Real

from rlx_runner._checks import check_count, check_kind, check_positive
from rlx_runner._progress import Progress


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Ends training at the end of the epoch in which one of the limits is reached.

    Args:
        env_steps: Environment steps in all.
        target_return: Average return of an epoch that is good enough.
        seconds: Training time in all, that of earlier attempts included.

    Raises:
        TypeError: If a limit is no number.
        ValueError: If `env_steps` or `seconds` is not positive.
    """

    env_steps: int | None = None
    target_return: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.env_steps is not None:
            check_count("a budget's env_steps", self.env_steps, least=1)
        if self.seconds is not None:
            check_positive("a budget's seconds", self.seconds)
        check_kind("a budget's target_return", self.target_return, Real, "a number")

    def reached(self, progress: Progress) -> str | None:
        """Return which limit `progress` has reached, in words; None where there is room."""
        if self.env_steps is not None and progress.env_steps >= self.env_steps:
            return f"{progress.env_steps} of {self.env_steps} environment steps are done"
        average = progress.average_return
        if self.target_return is not None and average is not None and average >= self.target_return:
            return f"the average return {average:g} has reached {self.target_return:g}"
        if self.seconds is not None and progress.elapsed >= self.seconds:
            return f"{progress.elapsed:.0f} s of training have reached the {self.seconds:g} s allowed"
        return None
