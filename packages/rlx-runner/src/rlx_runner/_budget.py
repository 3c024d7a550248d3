"""When enough is enough, other than by epochs."""

from dataclasses import dataclass

from rlx_runner._progress import Progress


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Ends training at the end of the epoch in which one of the limits is reached.

    Args:
        env_steps: Environment steps in all.
        target_return: Average return of an epoch that is good enough.
        seconds: Training time in all, that of earlier attempts included.

    Raises:
        ValueError: If `env_steps` or `seconds` is not positive.
    """

    env_steps: int | None = None
    target_return: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name, limit in (("env_steps", self.env_steps), ("seconds", self.seconds)):
            if limit is not None and limit <= 0:
                raise ValueError(f"a budget's {name} must be positive; it is {limit}.")

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
