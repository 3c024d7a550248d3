"""How exactly a sampler's run can continue: what is known of its workers, and the grade in words."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from rlx_sampler._offers import all_attributes, is_shown, keeps_history, wrapped

KEEP_HISTORY: Final = frozenset({"NormalizeObservation", "NormalizeReward", "VecNormalize"})
"""Wrappers whose outputs depend on every step they have seen, not on the present episode alone."""

WRITE_FILES: Final = frozenset({"RecordVideo", "Monitor", "VecMonitor", "VecVideoRecorder"})
"""Wrappers whose files a second one of them would write over."""


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
    has_vector: bool = False
    """Whether the environment steps several lanes at once."""
    obstacle_to_check: str = ""
    """Why the environment must not be built once more for a check; empty where it may."""
    strayed_late: bool = False
    """Whether somebody first drew from a global generator in the middle of a fragment."""
    parted: str = ""
    """Where an environment that was run again did not come to where it was; empty where all did."""

    def with_events(self, others: Iterable["WorkerProfile"]) -> "WorkerProfile":
        """Return this profile with what has happened in any of several workers."""
        known = list(others)
        strayed_late = any(each.strayed_late for each in known)
        parted = next((each.parted for each in known if each.parted), "")
        return replace(self, strayed_late=strayed_late, parted=parted)

    @property
    def obstacle_to_rerun(self) -> str:
        """Why a check cannot run the same episode twice; empty where it can."""
        if self.unseeded:
            return f"not checked, because {self.unseeded} takes no seed for a single lane"
        if self.has_vector and self.steps_per_key is not None:
            return "not checked, because the lanes of a vector environment live on together"
        return ""

    @property
    def obstacle_to_replay(self) -> str:
        """Why an episode cannot be run again by itself; empty where it can."""
        if self.steps_per_key is not None:
            return "a fragment continues from live environments and cannot be run again alone."
        if self.unseeded:
            return f"{self.unseeded} takes no seed for a single lane: an episode cannot be run again alone."
        return ""


@dataclass(frozen=True, slots=True)
class Exactness:
    """How a resumed run compares with one that was never interrupted.

    `grade` is "A" (the same bits), "B" (the same random streams; what is not drawn from
    them may differ) or "C" (statistically the same). `reasons` say why, and `checked` what
    the evidence is.
    """

    grade: str
    reasons: tuple[str, ...]
    checked: tuple[str, ...] = field(default_factory=tuple)

    @property
    def reason(self) -> str:
        """All reasons in one line."""
        return "; ".join(self.reasons)

    def __str__(self) -> str:
        """Say the grade and the reasons."""
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


def obstacle_to_check(environment: Any) -> str:
    """Return why `environment` must not be built or run once more beside itself; empty where it may."""
    for layer in layers(environment):
        name = type(layer).__name__
        if name in WRITE_FILES or any(
            isinstance(value, io.IOBase) for value in all_attributes(layer).values()
        ):
            return f"not checked, because {name} writes files"
        if is_shown(layer):
            return f"not checked, because {name} is shown on the screen"
    return ""


def can_save_environments() -> bool:
    """Whether the library that captures live environments is installed."""
    return find_spec("rlx_snapshot") is not None


def save_exactly(value: object) -> bytes:
    """Return live environments as bytes, in the middle of whatever they are doing."""
    data: bytes = import_module("rlx_snapshot").exact_dumps(value)
    return data


def load_exactly(data: bytes) -> Any:
    """Return what `save_exactly` was given.

    Raises:
        ModuleNotFoundError: If rlx-snapshot is not installed; names the extra.
    """
    if not can_save_environments():
        raise ModuleNotFoundError(
            "the saved state holds live environments, which need rlx-snapshot: "
            "pip install 'rlx-sampler[stateful]'."
        )
    return import_module("rlx_snapshot").exact_loads(data)
