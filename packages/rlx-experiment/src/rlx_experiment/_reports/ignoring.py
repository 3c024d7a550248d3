"""What a comparison was asked to leave out."""

from collections.abc import Sequence
from fnmatch import fnmatchcase


class Ignored:
    """Patterns of names that do not count, and which names they covered.

    Args:
        patterns: As in a shell: ``*`` for anything, ``?`` for one character.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._covered: dict[str, list[str]] = {pattern: [] for pattern in patterns}

    def covers(self, name: str, inside: Sequence[str] = ()) -> bool:
        """Return whether `name`, or what it is inside of, is to be left out; remember it."""
        prefixes = {name, *inside}
        for pattern, covered in self._covered.items():
            if any(fnmatchcase(prefix, pattern) for prefix in prefixes):
                covered.append(name)
                return True
        return False

    def in_words(self) -> list[str]:
        """Return for each pattern what it covered."""
        return [
            f"{', '.join(names)} (--ignore {pattern!r})"
            if names
            else f"nothing: no difference is named {pattern!r}"
            for pattern, names in self._covered.items()
        ]
