"""What runs in an actor of Ray."""

import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from rlx_sampler._batches.recorded import EpisodeChunk
from rlx_sampler._copies import unpacked
from rlx_sampler._engine import build_worker
from rlx_sampler._errors import EpisodeError
from rlx_sampler._exactness import WorkerProfile
from rlx_sampler._keys import CallKey, EpisodeKey
from rlx_sampler._remote.failures import Failure, describe

UNKNOWN: Final = -1
"""The version of a worker in which an update failed half way."""


@dataclass(frozen=True, slots=True)
class Update:
    """What brings a worker to a version: the last update, or all where it may lack more."""

    version: int
    is_whole: bool = False


@dataclass(slots=True)
class _Stoppable:
    """A lease of given episodes that another thread may end."""

    round_number: int
    call: CallKey
    indices: deque[int]
    is_stopped: bool = False
    steps: int = 0

    def take_all(self) -> None:
        """Take no whole call: other workers have a part in it."""

    def next_range(self, count: int) -> None:
        """Take no several episodes at once."""

    def next_key(self) -> EpisodeKey | None:
        """Return the next key."""
        if self.is_stopped or not self.indices:
            return None
        return self.call.episode(self.indices.popleft())

    def is_over(self) -> bool:
        """Count a step, and say whether the rest is not wanted any more."""
        self.steps += 1
        return self.is_stopped


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a lease: the episodes that were finished, and what broke, if something did."""

    version: int
    """What the worker has of the updates."""
    chunks: list[EpisodeChunk] = field(default_factory=list[EpisodeChunk])
    failure: Failure | None = None


class RayActor:
    """One worker; one thread runs episodes, others answer."""

    def __init__(
        self, packed_setup: bytes, number: int, probe: EpisodeKey, inference_rows: int | None, version: int
    ) -> None:
        factory, setup = unpacked(packed_setup)
        self._worker = build_worker(factory, setup, number)
        torch: Any = sys.modules.get("torch")
        if torch is not None:
            torch.set_num_threads(1)
        self._worker.use_inference_rows(inference_rows)
        self._worker.prepare(probe)
        self._version = version
        self._turn = threading.Lock()
        self._stopped_round = -1
        self._lease = _Stoppable(-1, CallKey(0, 0, 0), deque())

    def profile(self) -> WorkerProfile:
        """Return what the sampler has to know."""
        return self._worker.profile()

    def use_inference_rows(self, inference_rows: int) -> None:
        """Call the policy with so many rows."""
        self._worker.use_inference_rows(inference_rows)

    def run(
        self, round_number: int, call: CallKey, indices: list[int], update: Update, content: bytes | None
    ) -> Outcome:
        """Run episodes, with the updates in `content` first where they are new."""
        with self._turn:  # a run that is not wanted any more may still be ending
            is_old = round_number <= self._stopped_round or round_number < self._lease.round_number
            try:
                is_ready = not is_old and self._catch_up(update, content)
            except Exception as error:  # noqa: BLE001 - it is raised again in the sampler
                return Outcome(self._version, failure=describe(None, error))
            return self._run(round_number, call, indices) if is_ready else Outcome(self._version)

    def _catch_up(self, update: Update, content: bytes | None) -> bool:
        """Bring the worker to the version of `update`; return whether that was possible."""
        if update.version == self._version:
            return True
        if content is None or not (update.is_whole or update.version == self._version + 1):
            return False  # the sampler does not know yet that an update failed here
        self._version = UNKNOWN
        if update.is_whole:
            unpacked(content).apply(self._worker)
        else:
            agent_update, env_update = unpacked(content)
            self._worker.update_agent(agent_update)
            self._worker.update_env(env_update)
        self._version = update.version
        return True

    def _run(self, round_number: int, call: CallKey, indices: list[int]) -> Outcome:
        self._lease = _Stoppable(round_number, call, deque(indices), steps=self.steps_taken(round_number))
        self._lease.is_stopped = round_number <= self._stopped_round
        outcome = Outcome(self._version)
        try:
            outcome.chunks.extend(self._worker.run(self._lease))
        except EpisodeError as error:
            return Outcome(self._version, outcome.chunks, describe(round_number, error))
        except Exception as error:  # noqa: BLE001 - it is raised again in the sampler
            return Outcome(self._version, outcome.chunks, describe(None, error))
        return outcome

    def stop(self, round_number: int) -> None:
        """Drop what is under way in that round; what comes after it is left alone."""
        self._stopped_round = max(self._stopped_round, round_number)
        if self._lease.round_number <= round_number:
            self._lease.is_stopped = True

    def steps_taken(self, round_number: int) -> int:
        """Return the number of steps taken in that round, as a sign of life."""
        return self._lease.steps if self._lease.round_number == round_number else 0

    def live_state(self) -> list[bytes]:
        """Return what goes on beyond an episode."""
        return self._worker.live_state()

    def load_live_state(self, states: list[bytes]) -> None:
        """Continue from what `live_state` returned."""
        self._worker.load_live_state(states)

    def close(self) -> None:
        """Close the environments."""
        self._worker.shutdown()
