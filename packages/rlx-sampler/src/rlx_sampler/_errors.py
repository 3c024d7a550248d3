"""What went wrong in an episode, and which episode it was."""

from rlx_sampler._keys import EpisodeKey


class EpisodeError(RuntimeError):
    """An environment or a policy raised while an episode ran.

    `keys` names the episode, or all that ran side by side where the policy was asked
    for them together. The original exception is the cause where it could be carried
    over; its traceback is in the message when it comes from another process.
    """

    def __init__(
        self, where: str, keys: tuple[EpisodeKey, ...], reason: str, remote_traceback: str = ""
    ) -> None:
        super().__init__(where, keys, reason, remote_traceback)
        self.where = where
        self.keys = keys
        self.reason = reason
        self.remote_traceback = remote_traceback

    def __str__(self) -> str:
        """Say where, which episode, why, and how to see it again."""
        shown = ", ".join(f"{key.episode}" for key in self.keys[:4]) + (", ..." if len(self.keys) > 4 else "")
        call = self.keys[0].call if self.keys else "?"
        episode = self.keys[0].episode if self.keys else "?"
        several = f"one of {len(self.keys)} episodes that it was asked for together, " * (len(self.keys) > 1)
        remote = f"\n\nIn the worker:\n{self.remote_traceback}" if self.remote_traceback else ""
        return (
            f"{self.where} raised {self.reason} in {several}episode {shown} of sampling call {call}. "
            f"replay({call}, {episode}) of the sampler runs {'the first' if several else 'that episode'} again "
            f"in this process.{remote}"
        )


class WorkerError(RuntimeError):
    """A worker process failed outside of an episode: at its start, again and again, or by doing nothing."""


class ClosedSamplerError(RuntimeError):
    """The sampler was shut down."""
