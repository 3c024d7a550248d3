"""What continues a recorded run: its arguments, and the kernel of a notebook, where no file has its experiment."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from rlx_experiment._arguments.decode import from_json
from rlx_experiment._arguments.signature import declared_types
from rlx_experiment._notebook import shell
from rlx_experiment._runs import record
from rlx_experiment._runs.identity import is_same_experiment
from rlx_experiment._secrets import SECRET_MARKER

if TYPE_CHECKING:
    from rlx_experiment._arguments.signature import Function
    from rlx_experiment._options import Options
    from rlx_experiment._runs.attempt import Outcome

_STOPPED: Final = 75


class _Launches(Protocol):
    """What a run asks of its experiment."""

    @property
    def identity(self) -> str: ...

    @property
    def options(self) -> "Options": ...

    @property
    def wrapped(self) -> "Function": ...

    def launch(self, options: "Options", kwargs: Mapping[str, Any], /) -> "Outcome": ...


def is_of_cells(identity: Mapping[str, Any]) -> bool:
    """Return whether a run's experiment was typed into a notebook or a shell, so that no file holds it."""
    return identity.get("file") == ""


def resume_in_kernel(folder: Path) -> int:
    """Continue the run in `folder` in this process, where its cells were run; return 0, or 75 if it stopped again.

    Raises:
        LookupError: Its experiment is not defined here.
        ValueError: An argument was not recorded, as a credential is not.
    """
    arguments, identity = record.read_arguments(folder) or ({}, {})
    template = _defined_here(str(identity.get("function")), str(identity.get("experiment")))
    if template is None:
        notebook, _, name = str(identity.get("experiment")).rpartition(":")
        raise LookupError(
            f"{folder} was launched from a cell of {notebook}, and no experiment {name} is defined here: "
            f"run that cell there, and then Run.open({str(folder)!r}).resume()"
        )
    options = template.options.updated(
        {
            **{key: identity[key] for key in ("snapshot_mode", "snapshot_gap")},
            "log_dir": str(folder),
            "use_existing_dir": True,
        }
    )
    outcome = template.launch(options, recorded_arguments(folder, arguments, template.wrapped))
    return 0 if outcome.state == "finished" else _STOPPED


def _defined_here(name: str, experiment: str) -> _Launches | None:
    current = shell()
    found = cast("Any", None if current is None else current.user_ns.get(name))
    try:
        same = is_same_experiment(str(found.identity), experiment)
    except AttributeError:  # something else has the name, or nothing
        return None
    return found if same else None


def recorded_arguments(folder: Path, arguments: Mapping[str, Any], function: "Function") -> dict[str, Any]:
    """Return the recorded arguments as the values they were: from their pickle, or from JSON by declared type.

    Raises:
        ValueError: One cannot be built from its record, as a credential, which is not recorded.
    """
    secret = [name for name, value in arguments.items() if isinstance(value, dict) and SECRET_MARKER in value]
    if secret:
        raise ValueError(
            f"argument {secret[0]!r} looked like a credential and was not recorded; start the script itself, with "
            f"--resume --log-dir {folder}, and give it again"
        )
    pickled = folder / record.PICKLED_ARGUMENTS_FILE
    if pickled.exists():
        values: dict[str, Any] = pickle.loads(pickled.read_bytes())
        return values
    hints = declared_types(function)
    return {key: from_json(value, hints.get(key, Any)) for key, value in arguments.items()}
