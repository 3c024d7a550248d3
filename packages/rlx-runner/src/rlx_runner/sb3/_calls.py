"""Where a run stands among the calls of ``learn``, as it is saved."""

import time
from dataclasses import dataclass, field


@dataclass
class LearnCalls:
    """How far the calls of ``learn`` have come; a script may call it more than once.

    Args:
        ends: Timesteps of the model at the end of each call that has ended.
        steps_before: Environment steps of earlier calls, where the model counts from 0 again.
        timesteps: Timesteps of the model.
        iteration: Rollouts of this call: a local variable of SB3's on-policy ``learn``.
        is_at_rollout: Whether the snapshot was made where a rollout begins; else at the end of a call.
        is_stopped_early: Whether a callback ended the last call before its timesteps were done.
        clock: Time of the save in nanoseconds.
    """

    ends: list[int] = field(default_factory=list[int])
    steps_before: int = 0
    timesteps: int = 0
    iteration: int = 0
    is_at_rollout: bool = True
    is_stopped_early: bool = False
    clock: int = 0

    @property
    def steps(self) -> int:
        """Environment steps over all calls."""
        return self.steps_before + self.timesteps

    @property
    def newest(self) -> int:
        """The call that the snapshot was made in, counted from 1."""
        return len(self.ends) + self.is_at_rollout

    def begin(self, timesteps: int) -> None:
        """Note that a further call begins with `timesteps` on the model's count."""
        if self.ends and timesteps < self.ends[-1]:
            self.steps_before += self.ends[-1]
        self.note(timesteps, iteration=0)

    def note(self, timesteps: int, iteration: int) -> None:
        """Note where a rollout begins."""
        self.timesteps, self.iteration = timesteps, iteration
        self.is_at_rollout, self.is_stopped_early = True, False
        self.clock = time.time_ns()

    def end(self, timesteps: int, *, is_stopped_early: bool) -> None:
        """Note that a call ends."""
        self.ends.append(timesteps)
        self.timesteps = timesteps
        self.is_at_rollout, self.is_stopped_early = False, is_stopped_early
        self.clock = time.time_ns()
