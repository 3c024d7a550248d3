"""Evidence that a checkpoint has everything: the same steps twice, from one saved state, must come to the same."""

import re
import types
from collections.abc import Generator, Mapping
from typing import Any

from rlx_runner._checkpoint.attributes import is_tuple
from rlx_runner._checkpoint.compare import differences
from rlx_runner._checkpoint.content import Content
from rlx_runner._checkpoint.kinds import kind_of
from rlx_runner._checkpoint.loop_variables import carried
from rlx_runner._errors import IncompleteCheckpointError
from rlx_snapshot import UnpicklableStateError, exact_copy

_OF_NETS = re.compile(r"\._(?:modules|parameters|buffers)\['(\w+)'\]")


class Witness:
    """Remembers the variables of a loop, to say later which have changed without being in the snapshot.

    Args:
        frame: Where the loop runs.
        whole: Objects that are in the snapshot with all that they refer to.
        known: Objects of which the snapshot has what they say of themselves.
        ignore: Variables that need not be in the snapshot.
    """

    def __init__(
        self, frame: types.FrameType, whole: list[Any], known: list[Any], ignore: tuple[str, ...]
    ) -> None:
        self._frame = frame
        self._whole = whole
        self._known = {id(part) for part in known}
        self._ignore = ignore
        inside = self._inside_now()
        variables = self._variables()
        self._inside = {name: value for name, value in variables.items() if id(value) in inside}
        self._before = {name: _copy(value) for name, value in variables.items() if name not in self._inside}

    def changed(self) -> list[str]:
        """Return the names of variables that are state of the loop, have changed, and are not in the snapshot."""
        inside = self._inside_now()
        return sorted(
            name
            for name, value in self._variables().items()
            if id(value) not in inside and self._is_changed(name, value)
        )

    def _is_changed(self, name: str, value: Any) -> bool:
        if name in self._before:
            return next(differences("", self._before[name], _copy(value)), None) is not None
        return self._inside.get(name) is not value

    def _inside_now(self) -> set[int]:
        return self._known | _reachable(self._whole)

    def _variables(self) -> dict[str, Any]:
        return {name: value for name, value in carried(self._frame).items() if name not in self._ignore}


def do_twice(steps: range, content: Content, witness: Witness) -> Generator[int, None, str]:
    """Yield `steps` twice from one saved state, and compare what both passes come to.

    Returns:
        What was found, in words.

    Raises:
        IncompleteCheckpointError: If the passes differ; names what differs, and what was not passed.
        ValueError: If the variables cannot be set for the second pass.
    """
    if content.variables is not None and not content.names:
        raise ValueError(
            "carry must be given a list of names, as lambda: (observation, done), for steps to be checked."
        )
    before = exact_copy(content.state(steps.start))
    yield from steps
    once = exact_copy(content.values())
    content.return_to(before)
    yield from steps
    outside = compare(once, exact_copy(content.values()), witness)
    message = f"Checked: {len(steps)} steps, done twice from one saved state, came to the same."
    if not outside:
        return message
    return f"{message} Not in the snapshot, though they change: {', '.join(outside)}; harmless where each step sets them."


def compare(once: Mapping[str, Any], again: Mapping[str, Any], witness: Witness) -> list[str]:
    """Compare what two passes over the same steps came to.

    Returns:
        Variables that change from step to step and are not in the snapshot, although these steps did not depend on them.

    Raises:
        IncompleteCheckpointError: If they differ; names what differs, and what was not passed.
    """
    found = {name: sorted(differences(name, once[name], again[name])) for name in once}
    outside = witness.changed()
    if not any(found.values()):
        return outside
    different = ", ".join(described(paths) for paths in found.values() if paths)
    suspects = (
        f"These changed and are not in the snapshot: {', '.join(outside)}; hand objects over to Checkpoint, and variables "
        "by carry(lambda: (...))."
        if outside
        else "No variable of the loop is missing: look for state in modules and classes, and for readings of clocks."
    )
    raise IncompleteCheckpointError(
        f"the same steps, done twice from one saved state, ended differently: {different}. {suspects}",
        outside,
    )


def described(paths: list[str]) -> str:
    """Name the first of `paths`, and how many more there are."""
    first = _OF_NETS.sub(r".\1", paths[0])
    return f"{first} and {len(paths) - 1} more" if len(paths) > 1 else first


def _copy(value: Any) -> Any:
    try:
        return exact_copy(value)
    except UnpicklableStateError:
        return None


def _reachable(whole: list[Any]) -> set[int]:
    found, waiting = set[int](), list(whole)
    while waiting:
        part = waiting.pop()
        if id(part) in found:
            continue
        kind = kind_of(part)
        if kind is not None:  # numbers and the like may be the same object by chance
            found.add(id(part))
            waiting.extend(kind.references(part))
        elif is_tuple(part):
            waiting.extend(part)
    return found
