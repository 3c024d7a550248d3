"""The grade that follows from what is known of a sampler's workers, and from the check."""

from collections.abc import Iterator
from dataclasses import dataclass

from rlx_sampler._exactness import Exactness, WorkerProfile, can_save_environments
from rlx_sampler._selfcheck.findings import Findings


@dataclass(frozen=True, slots=True)
class Judgement:
    """Weighs the evidence.

    Args:
        profile: What is known of the workers.
        findings: What the check found.
        in_process: Whether the workers run in the caller's process, in a fixed order.
        lost: Whether live environments died with a worker.
    """

    profile: WorkerProfile
    findings: Findings
    in_process: bool
    lost: bool

    @property
    def lives_on(self) -> bool:
        """Whether environments live on between calls."""
        return self.profile.steps_per_key is not None

    @property
    def keeper(self) -> str:
        """Who remembers earlier episodes; empty where nobody does."""
        return self.findings.keeper or ", ".join(self.profile.histories)

    def exactness(self) -> Exactness:
        """Return the worst grade that something calls for, with every reason for it."""
        checked = self.findings.checked
        statistical = tuple(self._against_any_exactness())
        if statistical:
            return Exactness("C", statistical, checked)
        if self.findings.not_checked:
            return Exactness("B", (self.findings.not_checked,), checked)
        return Exactness("A", (self._for_exactness(),), checked)

    def _against_any_exactness(self) -> Iterator[str]:
        yield from self._against_saving()
        yield from self._against_several_workers()
        yield from map(str, self.findings.differences)
        if self.profile.strayed_late:
            yield (
                "policy or environment first drew from a global generator in the middle of a fragment, "
                "when others had drawn from it before"
            )
        if self.profile.parted:
            yield self.profile.parted
        if self.lost:
            yield "a worker died with live environments, whose episodes began again"

    def _against_saving(self) -> Iterator[str]:
        if self.profile.unsaved:
            yield (
                f"{self.profile.unsaved} cannot be saved in mid-episode, so that its lanes begin again where a run "
                f"resumes; VecWorker, whose episodes are whole, needs no saved environments"
            )
        if not self.lives_on and not self.keeper:
            return
        if not can_save_environments():
            yield "live environments cannot be saved without rlx-snapshot: pip install 'rlx-sampler[stateful]'"
        elif self.findings.not_saved:
            yield f"{self._dependence()}, and {self.findings.not_saved}"

    def _against_several_workers(self) -> Iterator[str]:
        if self.keeper and not self.in_process and not self.lives_on:
            yield (
                f"{self._dependence()}, so that a batch depends on which worker ran what before; "
                f"sample in one process, where that history is saved with the sampler"
            )
        if self.profile.unseeded and not self.in_process:
            yield (
                f"{self.profile.unseeded} takes no seed for a single lane, so that a batch depends on which worker "
                f"ran what; sample in one process, or with a SyncVectorEnv of gymnasium 1.1 or later"
            )

    def _dependence(self) -> str:
        if self.lives_on and not self.keeper:
            return "environments live on between calls"
        shown = f" ({self.findings.history})" if self.findings.history is not None else ""
        return f"{self.keeper} depends on the episodes before{shown}"

    def _for_exactness(self) -> str:
        if self.lives_on:
            return "live environments are saved with the sampler"
        if self.keeper:
            return f"the history of {self.keeper} is saved with the sampler"
        return "episodes are keyed"
