"""When a sampler is checked, where, and what came of it."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from rlx_sampler._batches.recorded import Part, assemble
from rlx_sampler._selfcheck.check import check
from rlx_sampler._selfcheck.findings import Findings
from rlx_sampler._selfcheck.other_process import OtherProcess
from rlx_sampler._selfcheck.reference import ReferenceEpisode
from rlx_sampler._selfcheck.subject import Subject
from rlx_sampler._selfcheck.traces import COMMON, Trace, first_difference, trace_of

EPISODES: Final = 4
"""Episodes that are checked: the first of the call that comes next."""
ALLOWANCE: Final = 2.0
SHARE: Final = 0.02
"""Seconds and part of all time that checks may take where changes ask for another one again and again."""
OF_RUN: Final = "the sampler runs an episode that was checked before"
ELSEWHERE: Final = "another process, with another PYTHONHASHSEED, runs an episode"


class Evidence:
    """What is known of a sampler from checks, which are made when something has changed."""

    def __init__(self) -> None:
        self.is_due = True
        self._findings = Findings()
        self._subject: Subject | None = None
        """What was checked here."""
        self._other: OtherProcess | None = None
        self._shown: Sequence[Trace] = ()
        """What the sampler gave for the episodes that another process checks."""
        self._is_waiting = False
        """Whether the next call runs the episodes that were checked."""
        self._has_loaded_history = False
        self._loaded_reference: ReferenceEpisode | None = None
        self._begin_time = time.monotonic()
        self._cost = 0.0

    @property
    def findings(self) -> Findings:
        """What is known without waiting for anybody."""
        return self._findings

    @property
    def has_history(self) -> bool:
        """Whether episodes depend on those before them."""
        return self._has_loaded_history or self._findings.history is not None

    @property
    def reference(self) -> ReferenceEpisode | None:
        """The episode that the process which continues is to run again; None without a check in this process."""
        return self._loaded_reference if self.is_due else self._findings.reference

    def note_change(self) -> None:
        """Note that there is another policy or another environment than before."""
        self.is_due, self._loaded_reference = True, None

    def note_restore(self, reference: ReferenceEpisode | None, *, has_history: bool) -> None:
        """Note that the sampler continues from a state, perhaps one with the history of environments."""
        self.is_due, self._has_loaded_history, self._loaded_reference = True, has_history, reference

    def is_worth_it(self) -> bool:
        """Whether a check is due, and all before it were short enough."""
        elapsed = time.monotonic() - self._begin_time
        return self.is_due and self._cost <= ALLOWANCE + SHARE * elapsed

    def gather(self, findings: Findings) -> None:
        """Take over findings instead of a check."""
        self.close()
        self._begin(findings)

    def gather_here(self, subject: Subject) -> None:
        """Check in this process."""
        begin = time.monotonic()
        subject = replace(subject, reference=self._loaded_reference)
        self.gather(check(subject))
        self._subject = subject
        self._is_waiting = not subject.lives_on
        self._cost += time.monotonic() - begin

    def gather_elsewhere(self, subject: Subject) -> None:
        """Begin to check in another process, whose findings are waited for when somebody asks."""
        self.close()
        try:
            self._other = OtherProcess(replace(subject, reference=self._loaded_reference))
        except (OSError, TypeError) as error:
            self._begin(Findings(not_checked=f"not checked, because no process could be started: {error}"))
            return
        self._begin(Findings())
        self._is_waiting = not subject.lives_on

    def _begin(self, findings: Findings) -> None:
        self._findings, self.is_due, self._is_waiting, self._shown = findings, False, False, ()

    def compare(self, parts: Sequence[Part]) -> None:
        """Compare the episodes of the call that was checked with what the check saw."""
        if not self._is_waiting:
            return
        self._is_waiting = False
        shown = [trace_of(assemble([part])) for part in parts[:EPISODES] if part.n_segments == 1]
        if self._other is not None:
            self._shown = shown
        else:
            self._findings = _compared(self._findings, OF_RUN, shown)

    def wait(self) -> Findings:
        """Return what is known, also from another process."""
        if self._other is not None:
            # Another process has compared itself with this one already; when it ends is no part of the state.
            found = replace(self._other.findings(), reference=None)
            self.close()
            self._findings = _compared(found, ELSEWHERE, self._shown)
        return self._findings

    def compare_elsewhere(self) -> None:
        """Run what was checked here in another process too, and wait for it."""
        here, subject, self._subject = self._findings, self._subject, None
        if subject is None or here.not_checked:
            return
        try:
            other = OtherProcess(subject)
        except (OSError, TypeError) as error:
            self._findings = replace(
                here, not_checked=f"not checked, because no process could be started: {error}"
            )
            return
        found = other.findings()
        other.close()
        if found.not_checked:
            self._findings = replace(here, not_checked=found.not_checked)
        else:
            self._findings = _compared(here, ELSEWHERE, found.traces)

    def close(self) -> None:
        """End the other process. Calling it twice is allowed."""
        other, self._other = self._other, None
        if other is not None:
            other.close()


def _compared(findings: Findings, comparison: str, shown: Sequence[Trace]) -> Findings:
    """Return findings with one more comparison, unless a history lets episodes differ anyhow."""
    pairs = list(zip(findings.traces, shown, strict=False))
    if findings.history is not None or not pairs:
        return findings
    differences = [first_difference(comparison, *pair, names=COMMON, is_cut=True) for pair in pairs]
    found = next((each for each in differences if each is not None), None)
    return findings.noting(f"{len(pairs)} episodes compared when {comparison}", found)
