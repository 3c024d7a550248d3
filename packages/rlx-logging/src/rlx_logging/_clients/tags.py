"""Tags of other libraries as this package's scopes and keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

SCOPE: Final = "info"  # of a tag without a slash


class Tag(NamedTuple):
    """A tag taken apart: ``losses/policy`` is the key ``policy`` of the scope ``losses``."""

    scope: str
    key: str

    @classmethod
    def parse(cls, tag: object) -> Tag:
        """Split a tag at its first slash; one without a slash belongs to the scope ``info``."""
        scope, slash, key = str(tag).lstrip("/").partition("/")
        return cls(scope, key) if slash and scope else cls(SCOPE, scope)


def step_type(scope: str, name: str, data: Mapping[str, Any]) -> str:
    """Return the step type of a row; its step has another name where `data` has a value of that name."""
    return f"{scope}/{'step' if name in data else name}"
