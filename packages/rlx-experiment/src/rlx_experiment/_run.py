"""A run folder, read."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from rlx_experiment import _record
from rlx_experiment._status import RunStatus, read_status


class Run:
    """A recorded run: what it was called with, what it ran on, how it stands.

    Args:
        path: The run folder; absolute paths stay right when the working directory changes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Return the run in `folder`.

        Raises:
            FileNotFoundError: There is none.
        """
        path = Path(folder).absolute()
        if _record.read_arguments(path) is None:
            raise FileNotFoundError(f"no run in {path}: it has no {_record.ARGUMENTS_FILE} of a run")
        return cls(path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def status(self) -> RunStatus:
        """How the run stands at this moment."""
        return read_status(self.path)

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """All arguments of the latest attempt, defaults included, as JSON has them."""
        recorded = _record.read_arguments(self.path)
        return recorded[0] if recorded else {}

    @cached_property
    def experiment(self) -> str:
        """The experiment that this is a run of: ``file.py:function``."""
        recorded = _record.read_arguments(self.path)
        return str(recorded[1]["experiment"]) if recorded else ""

    @cached_property
    def variant(self) -> dict[str, Any]:
        """The arguments that were passed, as JSON has them."""
        return self._read_json(_record.VARIANT_FILE)

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """Code, program, machine and libraries of the latest attempt."""
        return self._read_json(_record.METADATA_FILE)

    @property
    def attempts(self) -> list[dict[str, Any]]:
        """Starts and ends of all attempts, oldest first."""
        return _record.read_attempts(self.path)

    def _read_json(self, name: str) -> dict[str, Any]:
        try:
            return dict(json.loads((self.path / name).read_bytes()))
        except FileNotFoundError:
            return {}
