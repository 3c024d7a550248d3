"""The check: each comparison runs something twice that should give the same bits, and names the first that differ."""

import random
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from rlx_sampler._errors import EpisodeError
from rlx_sampler._exactness import can_save_environments
from rlx_sampler._global_generators import generators_kept, one_torch_thread, seed_globally
from rlx_sampler._selfcheck.deadlines import Deadline, OutOfTimeError
from rlx_sampler._selfcheck.findings import Findings
from rlx_sampler._selfcheck.reference import ReferenceEpisode
from rlx_sampler._selfcheck.subject import LANES, Subject, run
from rlx_sampler._selfcheck.traces import Difference, Trace, first_difference
from rlx_sampler._workers.worker import Worker

SECONDS: Final = 2.0
"""How long the episodes of a check may take: half of it with long ones; where that is too little, all of it with short ones."""
FEW_STEPS: Final = 2
AGAIN: Final = "an episode runs again after others"
FRESH: Final = "an episode runs in a new environment instead of after others"
UNSEEDED: Final = "an episode runs in one new environment and in another"
ROUND_TRIP: Final = "a worker continues from a saved state"


def check(subject: Subject, seconds: float = SECONDS) -> Findings:
    """Gather evidence on whether episodes depend on their keys alone; nothing outside is changed."""
    try:
        with _undisturbed():
            subject = _prepared(subject)
            findings = _Check(subject, Deadline(seconds / 2)).findings()
            if findings.not_checked:
                short = replace(subject, longest=FEW_STEPS)
                findings = _Check(short, Deadline(seconds)).findings()
            return findings
    except Exception as error:  # noqa: BLE001 - where it matters, training raises it again and says where
        return Findings(
            not_checked=f"not checked, because {type(error).__name__} was raised meanwhile: {error}"
        )


def _prepared(subject: Subject) -> Subject:
    """Return `subject` with the rows that the policy needs, which the sampler would have to find anyhow."""
    if subject.inference_rows is not None:
        return subject
    with subject.worker() as worker:
        worker.prepare(subject.keys[0])
        return replace(subject, inference_rows=worker.inference_rows)


@contextmanager
def _undisturbed() -> Generator[None]:
    """Keep the generators of the run, and let nothing be heard of the check."""
    with generators_kept(), one_torch_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class _Check:
    """One check: it ends early where its time is over, with what it has found by then."""

    def __init__(self, subject: Subject, deadline: Deadline) -> None:
        self._subject = subject
        self._deadline = deadline
        self._seen: dict[int, Trace] = {}
        """The episodes as they were in a new environment, or else the first time; by the position of the key."""
        self._n_compared = 0
        self._environment = "the environment"
        self._has_continued = False
        """Whether a saved state was continued, or there is none to continue."""
        self._findings = Findings()

    def findings(self) -> Findings:
        """Make all comparisons there is time for."""
        not_checked = ""
        try:
            if self._subject.lives_on:
                self._continue()
            self._repeat()
            self._renew()
            if not self._has_continued:
                self._continue()
            self._run_reference()
        except OutOfTimeError:
            not_checked = "not checked to its end, because that takes too long"
        if self._n_compared:
            checked = f"{self._n_compared} episodes of up to {self._subject.most_steps} steps ran again"
            self._findings = replace(self._findings, checked=(checked, *self._findings.checked))
            not_checked = "" if self._has_continued or not self._needs_state else not_checked
        elif not not_checked:
            not_checked = "not checked, because no episode could be run"
        traces = [self._seen[position] for position in range(len(self._seen)) if position in self._seen]
        return replace(
            self._findings, not_checked=not_checked, traces=tuple(traces), reference=self._reference()
        )

    def _reference(self) -> ReferenceEpisode | None:
        """Return what another process is to run again: what this one was told to, or else its own first episode."""
        subject = self._subject
        if subject.has_lanes or self._findings.history is not None or 0 not in self._seen:
            return None
        return subject.reference or ReferenceEpisode.of(subject.keys[0], subject.most_steps, self._seen[0])

    def _run_reference(self) -> None:
        """Run an episode of the process that saved, unless episodes depend on what was before."""
        reference = self._subject.reference
        if reference is None or reference.trace.actions is None or self._findings.history is not None:
            return
        with self._subject.replaying(reference.trace.actions).worker() as worker:
            (again,) = run(worker, [reference.key], self._deadline)
        found = reference.difference_from(again, self._subject.most_steps)
        self._findings = self._findings.noting("an episode of the process that saved ran again", found)

    def _repeat(self) -> None:
        """Run all episodes in one worker, and then the first ones again."""
        with self._worker() as worker:
            for position in range(len(self._subject.keys)):
                self._seen |= self._ran(worker, position)
                if position:
                    self._compare(AGAIN, position - 1, self._ran(worker, position - 1))
                self._environment = self._subject.environment_of(worker)
            self._findings = replace(self._findings, inference_rows=worker.inference_rows)

    def _renew(self) -> None:
        """Run episodes in an environment of their own: the first, which had one, and those that ran after others."""
        with self._worker() as worker:
            again = self._ran(worker, 0)
        if 0 in self._seen and again:
            found = first_difference(UNSEEDED, self._seen[0], again[0])
            self._findings = self._findings.noting("an episode ran in two new environments", found)
        for position in range(1, len(self._subject.keys)):
            with self._worker() as worker:
                fresh = self._ran(worker, position)
            self._compare(FRESH, position, fresh)
            self._seen |= fresh

    @property
    def _needs_state(self) -> bool:
        """Whether what comes depends on a saved state; idle lanes step too, and more often than in a call."""
        has_history = self._findings.history is not None and not self._subject.has_lanes
        return (self._subject.lives_on or has_history) and can_save_environments()

    def _continue(self) -> None:
        """Continue in two workers: in one that went so far, and in one that took over its state."""
        if not self._needs_state:
            return
        n_lanes = LANES if self._subject.lives_on else 1
        first, second = self._subject.keys[:n_lanes], self._subject.keys[n_lanes:]
        lives_on = self._subject.lives_on
        with (
            self._worker(as_given=lives_on) as worker,
            self._subject.worker(as_given=lives_on) as other,
        ):
            seed_globally(1)
            run(worker, first, self._deadline)
            other.use_inference_rows(worker.inference_rows)
            try:
                with self._deadline.paused():
                    other.load_live_state(worker.live_state())
            except Exception as error:  # noqa: BLE001 - libraries refuse in many ways
                note = f"the environment or the policy cannot be saved ({error})"
                self._findings = replace(self._findings, not_saved=note)
                self._has_continued = True
                return
            seed_globally(2)
            wanted = run(worker, second, self._deadline)
            seed_globally(3)
            got = run(other, second, self._deadline)
        differences = [first_difference(ROUND_TRIP, *pair) for pair in zip(wanted, got, strict=True)]
        found = next((each for each in differences if each is not None), None)
        self._findings = self._findings.noting("a saved state was continued", found)
        self._has_continued = True

    @contextmanager
    def _worker(self, *, as_given: bool = False) -> Generator[Worker]:
        """Build a worker; what its environments take for that is not the check's time."""
        with self._subject.worker(as_given=as_given) as worker:
            with self._deadline.paused():
                worker.prepare(self._subject.keys[0])
            yield worker

    def _ran(self, worker: object, position: int) -> dict[int, Trace]:
        """Run the episode of a key, with the global generators in another state than ever before."""
        seed_globally(random.getrandbits(31))
        try:
            return {position: run(worker, [self._subject.keys[position]], self._deadline)[0]}
        except EpisodeError:  # it is raised in training, if the episode is needed there
            return {}

    def _compare(self, comparison: str, position: int, again: dict[int, Trace]) -> None:
        if position not in self._seen or position not in again:
            return
        self._n_compared += 1
        difference = first_difference(comparison, self._seen[position], again[position])
        if difference is not None and self._findings.history is None:
            self._findings = replace(self._findings, history=difference, keeper=self._keeper(difference))

    def _keeper(self, difference: Difference) -> str:
        if difference.is_by_policy:
            return type(self._subject.setup.agent).__name__
        return self._environment
