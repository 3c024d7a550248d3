"""Arguments of a model that differ from those of the saved one."""

import inspect
import warnings
from typing import Any, Final

from rlx_runner._checkpoint.attributes import dictionary_of

_PLAIN: Final = (bool, int, float, str, type(None))
_SIZES: Final = frozenset({"n_steps"})
"""Arguments that size what is not in the snapshot."""
_OF_THE_PROCESS: Final = frozenset({"tensorboard_log", "verbose", "device"})


def check_arguments(live: Any, saved: Any) -> None:
    """Compare the numbers and texts that two models were made with; the saved ones are what counts after a resume.

    Raises:
        ValueError: If the live model has other sizes; nothing was changed.
    """
    if saved is None or type(live) is not type(saved):
        return
    mine, theirs = _arguments(live), _arguments(saved)
    different = {name: value for name, value in mine.items() if name in theirs and theirs[name] != value}
    said = [
        f"{name} is {value!r} here, {theirs[name]!r} in the snapshot" for name, value in different.items()
    ]
    if _SIZES & different.keys():
        raise ValueError(
            f"the snapshot is of another run: {'; '.join(said)}. Build what the saved run had, or begin in another "
            "folder. Nothing was changed."
        )
    if said:
        warnings.warn(f"{'; '.join(said)}: the run continues with the snapshot's.", stacklevel=2)


def _arguments(model: Any) -> dict[str, Any]:
    fields = dictionary_of(model)
    names = inspect.signature(type(model).__init__).parameters.keys() - _OF_THE_PROCESS
    return {name: fields[name] for name in sorted(names) if isinstance(fields.get(name, ...), _PLAIN)}
