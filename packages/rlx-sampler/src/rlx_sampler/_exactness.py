"""How exactly a sampler's run can go on: what is known of its workers, and the grade that follows."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from rlx_sampler._offers import keeps_history, wrapped

KEEP_HISTORY: Final = frozenset({"NormalizeObservation", "NormalizeReward", "VecNormalize"})
"""Wrappers whose outputs depend on every step they have seen, not on the present episode alone."""


@dataclass(frozen=True, slots=True)
class WorkerProfile:
    """What a sampler has to know of its workers."""

    n_lanes: int = 1
    """Episodes that a worker runs side by side."""
    inference_rows: int | None = None
    """Rows of every call of the policy; None while that is not known, or no matter."""
    steps_per_key: int | None = None
    """Steps of a fragment; None for workers that run whole episodes."""
    histories: tuple[str, ...] = ()
    """Environments and wrappers whose history reaches beyond an episode."""
    unseeded: str = ""
    """A vector environment whose lanes cannot be seeded one by one."""
    n_live: int = 1
    """Parts in which a worker saves what lives on between calls."""
    unsaved: str = ""
    """A vector environment that lives on and cannot be saved."""

    @property
    def obstacle_to_replay(self) -> str:
        """Why an episode cannot be run again by itself; empty where it can."""
        if self.steps_per_key is not None:
            return "a fragment goes on from live environments and cannot be run again alone."
        if self.unseeded:
            return f"{self.unseeded} takes no seed for a single lane: an episode cannot be run again alone."
        return ""


@dataclass(frozen=True, slots=True)
class Exactness:
    """How a resumed run compares with one that was never interrupted.

    `grade` is "A" (the same bits), "B" (the same random streams; what is not drawn from
    them may differ) or "C" (statistically the same); `reason` says why.
    """

    grade: str
    reason: str

    def __str__(self) -> str:
        """Say both."""
        return f"{self.grade}: {self.reason}"


def histories_of(environment: Any) -> tuple[str, ...]:
    """Return the names of all layers of `environment` that keep a history.

    An environment of one's own says so with an attribute `keeps_history = True`.
    """
    return tuple(
        type(layer).__name__
        for layer in layers(environment)
        if type(layer).__name__ in KEEP_HISTORY or keeps_history(layer)
    )


def layers(environment: Any) -> Iterator[Any]:
    """Yield `environment` and, from the outside in, what it wraps."""
    while environment is not None:
        yield environment
        environment = wrapped(environment)


def can_save_environments() -> bool:
    """Whether the library that captures live environments is installed."""
    return find_spec("rlx_snapshot") is not None


def save_exactly(value: object) -> bytes:
    """Return live environments as bytes, in the middle of whatever they are doing."""
    data: bytes = import_module("rlx_snapshot").exact_dumps(value)
    return data


def load_exactly(data: bytes) -> Any:
    """Return what :func:`save_exactly` was given.

    Raises:
        ModuleNotFoundError: If rlx-snapshot is not installed; names the extra.
    """
    if not can_save_environments():
        raise ModuleNotFoundError(
            "the saved state holds live environments, which need rlx-snapshot: "
            "pip install 'rlx-sampler[stateful]'."
        )
    return import_module("rlx_snapshot").exact_loads(data)


def judge(profile: WorkerProfile, *, in_process: bool, is_global: bool, lost: bool) -> Exactness:
    """Return the grade of a sampler with such workers."""
    names = ", ".join(profile.histories)
    is_live = profile.steps_per_key is not None
    if (is_live or names) and not can_save_environments():
        return Exactness(
            "C",
            "live environments cannot be saved without rlx-snapshot: pip install 'rlx-sampler[stateful]'",
        )
    if profile.unsaved:
        return Exactness(
            "C",
            f"{profile.unsaved} cannot be saved in mid-episode, so that its lanes begin again where a run "
            f"resumes; VecWorker, whose episodes are whole, needs no saved environments",
        )
    if names and not in_process and not is_live:
        return Exactness(
            "C",
            f"{names} learns from every step, so that a batch depends on which worker ran what before; "
            f"normalise in the policy, or sample in one process",
        )
    if profile.unseeded and not in_process:
        return Exactness(
            "C",
            f"{profile.unseeded} takes no seed for a single lane, so that a batch depends on which worker "
            f"ran what; sample in one process, or with a SyncVectorEnv of gymnasium 1.1 or later",
        )
    if lost:
        return Exactness("C", "a worker died with live environments, whose episodes began anew")
    if is_global:
        return Exactness(
            "B",
            "the policy takes no `rng`: global generators are seeded for each episode, one of its own is not",
        )
    if names:
        return Exactness("A", f"the history of {names} is saved with the sampler")
    if profile.unseeded:
        return Exactness("A", f"all lanes of {profile.unseeded} are seeded together in every call")
    return Exactness("A", "live environments are saved with the sampler" if is_live else "episodes are keyed")
