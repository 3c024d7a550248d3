"""What a file says about itself: kind, epoch, steps, score, versions."""

import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Self


def versions_in_use() -> dict[str, str]:
    """Versions of Python, of this package and of those array libraries that the process has loaded."""
    loaded = {name for name in ("torch", "numpy", "jax", "safetensors") if name in sys.modules}
    found = {"python": platform.python_version()}
    for name in ("rlx-persistence", *sorted(loaded)):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a source folder that was never installed
            continue
    return found


@dataclass(frozen=True)
class PolicyInfo:
    """What is known about one persisted file.

    Args:
        kind: Value of the mode (``'policy'``, ``'policy_state_dict'``, ...), or
            what a further member keeps (``'optimizer'``, ...).
        epoch: Epoch the policy was persisted in, where the caller said so.
        env_step: Environment steps done by then.
        gradient_step: Gradient steps done by then.
        score: Score of the policy; larger is better unless a keeper says otherwise.
        saved_at: Time of writing, ISO 8601 in UTC.
        versions: Versions of Python and of the libraries in use.
    """

    kind: str
    epoch: int | None = None
    env_step: int | None = None
    gradient_step: int | None = None
    score: float | None = None
    saved_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    versions: Mapping[str, str] = field(default_factory=versions_in_use)

    def __post_init__(self) -> None:
        """Take numbers of NumPy and torch for Python's own, which JSON knows."""
        for name, plain in (("epoch", int), ("env_step", int), ("gradient_step", int), ("score", float)):
            value = vars(self)[name]
            object.__setattr__(self, name, None if value is None else plain(value))

    def to_json(self) -> dict[str, object]:
        """Return the JSON document of this record."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, object]) -> Self:
        """Build the record from its JSON document; keys of later versions are left aside."""
        known = {name: document[name] for name in cls.__dataclass_fields__ if name in document}
        return cls(**known)  # type: ignore[arg-type]  # the digest over the document has been checked
