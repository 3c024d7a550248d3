"""Errors of this package; each is also the builtin that callers already catch.

- PolicyNotFoundError (FileNotFoundError)
- DamagedFileError (ValueError)
- WrongModeError (ValueError)
- PolicyMismatchError (RuntimeError)
- MissingLibraryError (ImportError)
- DtypeWarning (UserWarning)
"""

import os
from collections.abc import Sequence
from pathlib import Path


class PolicyNotFoundError(FileNotFoundError):
    """No policy file of the wanted mode; `path` and `others` (files of other modes) are attributes."""

    def __init__(self, path: str, others: Sequence[str] = ()) -> None:
        self.path = path
        self.others = tuple(others)
        message = f"no {Path(path).name} in {Path(path).parent}"
        if self.others:
            message += f", but there is {' and '.join(self.others)}"
        super().__init__(message)


class DamagedFileError(ValueError):
    """A file is not what was written; `path` is an attribute."""

    def __init__(self, path: str | os.PathLike[str], what: str) -> None:
        self.path = os.fspath(path)
        super().__init__(
            f"{self.path} is damaged: {what}. Restore another checkpoint or a copy of this file."
        )


class WrongModeError(ValueError):
    """A file was written in another mode than the one it is read in; `path` is an attribute."""

    def __init__(self, path: str | os.PathLike[str], holds: str, mode: str) -> None:
        self.path = os.fspath(path)
        super().__init__(f"{self.path} holds {holds}: restore it with mode=PolicyPersistence.Mode.{mode}")


class PolicyMismatchError(RuntimeError):
    """A file does not fit the policy; `missing`, `unexpected` and `misshapen` list the keys.

    Nothing of the policy has been changed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        missing: Sequence[str] = (),
        unexpected: Sequence[str] = (),
        misshapen: Sequence[str] = (),
    ) -> None:
        self.path = os.fspath(path)
        self.missing = tuple(missing)
        self.unexpected = tuple(unexpected)
        self.misshapen = tuple(misshapen)
        parts = [
            f"{label}: {', '.join(keys)}"
            for label, keys in (
                ("missing in the file", missing),
                ("not in the policy", unexpected),
                ("of another shape", misshapen),
            )
            if keys
        ]
        super().__init__(
            f"{self.path} does not fit the policy ({'; '.join(parts)}). "
            f"Build the policy as it was when it was persisted; it has not been changed."
        )


class MissingLibraryError(ImportError):
    """An optional library is not installed; the message names the extra that brings it."""

    def __init__(self, used_by: str, library: str, extra: str) -> None:
        super().__init__(
            f"{used_by} needs {library}, which is not installed: pip install 'rlx-persistence[{extra}]'",
            name=library,
        )


class DtypeWarning(UserWarning):
    """A file is restored into a policy of other dtypes; the message names keys and dtypes."""
