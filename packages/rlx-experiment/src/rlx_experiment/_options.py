"""The options of an experiment: where its runs go and what they keep."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from rlx_experiment._arguments.naming import check_name_parameters
from rlx_experiment._arguments.signature import Function
from rlx_experiment._checks import check_text
from rlx_experiment._context import check_snapshot_options
from rlx_experiment._runs.rundir import local_path
from rlx_experiment._source.git import default_store


class Options(NamedTuple):
    """The arguments of `wrap_experiment`; those of one call may differ from the template's."""

    function: Function | None
    log_dir: str | None
    name: str | None
    prefix: str
    snapshot_mode: str
    snapshot_gap: int
    archive_launch_repo: bool
    name_parameters: str | None
    use_existing_dir: bool
    source_store: str | None

    def checked(self) -> Self:
        """Return the options; TypeError if one is of the wrong kind, ValueError if it is out of range."""
        check_text("name", self.name)
        check_text("prefix", self.prefix)
        check_snapshot_options(self.snapshot_mode, self.snapshot_gap)
        check_name_parameters(self.name_parameters)
        if self.log_dir:
            local_path(self.log_dir)
        return self

    def updated(self, changes: Mapping[str, Any]) -> Self:
        """Return the options with `changes`; ValueError for a key that is none, or a value out of range."""
        unknown = sorted(set(changes) - set(self._fields))
        if unknown:
            raise ValueError(
                f"unknown option {unknown[0]!r} for wrap_experiment; known are {', '.join(self._fields)}"
            )
        return self._replace(**changes).checked()

    @property
    def store(self) -> Path:
        """Folder of source archives: beside the runs, unless another was asked for."""
        if self.source_store:
            return Path(self.source_store).absolute()
        return default_store(Path(self.log_dir).absolute() if self.log_dir else None)
