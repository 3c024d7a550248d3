"""What an experiment is known by: to its runs, and to other processes that should find it."""

import functools
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from rlx_experiment._arguments.signature import Function, unwrap
from rlx_experiment._notebook import UNKNOWN, definition_digest, executed_cells, is_cell, notebook_name
from rlx_experiment._runs import record


class Origin(NamedTuple):
    """Where an experiment's function was written."""

    experiment: str
    """``file.py:function``, by which runs of the same experiment know each other wherever the file lies."""
    place: Mapping[str, object]
    """Module, name and file of the function, by which another process finds it; of a main module also its package."""
    definition: str = ""
    """What tells this definition from another one, of a function that was typed into a notebook or a shell."""
    cells: str = ""
    """Code of the cells of that session, up to now."""


def find_origin(function: Function) -> Origin:
    """Return where `function` was written. In a notebook that is the notebook, whichever cell and however often edited."""
    file, name = _file(function), qualified_name(function)
    if is_cell(file):
        place = {"module": function.__module__, "function": name, "file": "", "package": ""}
        return Origin(
            f"{notebook_name()}:{name}", place, definition_digest(unwrap(function)), executed_cells()
        )
    place = {
        "module": function.__module__,
        "function": name,
        "file": str(Path(file).absolute()) if file else "",
        "package": main_package() if function.__module__ == "__main__" else "",
    }
    return Origin(f"{Path(file).name}:{name}", place)


def is_same_experiment(one: str, other: str) -> bool:
    """Return whether two identities are of one experiment; a kernel may not know the name of its notebook."""
    (file, _, name), (other_file, _, other_name) = one.rpartition(":"), other.rpartition(":")
    if one == other or name != other_name or UNKNOWN not in (file, other_file):
        return one == other
    return all(known == UNKNOWN or known.endswith(".ipynb") for known in (file, other_file))


def main_package() -> str:
    """Return the package of a program that was started as ``python -m package.module``; empty for a script."""
    return str(vars(sys.modules["__main__"]).get("__package__") or "")


def recorded_place(run_folder: Path) -> dict[str, object]:
    """Return where the function of an earlier run was; a rebuilt tree of it is gone after the run."""
    recorded = record.read_arguments(run_folder)
    known = ("module", "function", "file", "package")
    return {key: recorded[1][key] for key in known if key in recorded[1]} if recorded else {}


def holds_run_of(folder: Path, experiment: str) -> bool:
    """Return whether `folder` holds a run of `experiment`."""
    recorded = record.read_arguments(folder)
    return recorded is not None and is_same_experiment(str(recorded[1].get("experiment")), experiment)


def check_same_experiment(folder: Path, experiment: str) -> bool:
    """Return whether `folder` holds a run of `experiment`; False where it holds none at all.

    Raises:
        ForeignRunError: It holds another experiment's run, or files of a run that is not ours.
    """
    recorded = record.read_arguments(folder)
    if recorded is None:
        found = record.signs_of_a_run(folder)
        if found:
            raise record.ForeignRunError(
                f"{folder} holds {', '.join(found)} of a run that was not recorded by rlx; "
                "choose another folder"
            )
        return False
    if not is_same_experiment(str(recorded[1].get("experiment")), experiment):
        raise record.ForeignRunError(
            f"{folder} holds a run of {recorded[1].get('experiment')!r}, not of {experiment!r}; choose another folder"
        )
    return True


def qualified_name(function: Function) -> str:
    """Return the name of `function` with those of what it is defined in; that of its class where it has none."""
    try:
        return function.__qualname__
    except AttributeError:  # a partial, or an object with __call__
        return type(function).__qualname__


def find(module: str, qualname: str) -> object:
    """Return what an imported module has under a qualified name; None if nothing."""
    found: object = sys.modules.get(module)
    try:
        return functools.reduce(getattr, qualname.split("."), found)
    except AttributeError:
        return None


def is_importable(function: Function, template: object) -> bool:
    """Return whether another process finds `template`, made of `function`, by module and name."""
    module, file = function.__module__, _file(function)
    if module == "__main__" and not Path(file).is_file():  # typed into a notebook or a shell
        return False
    return find(module, qualified_name(function)) is template


def _file(function: Function) -> str:
    """Return the file in which `function` itself was written, whatever decorates it; empty if unknown."""
    inner = unwrap(function)
    if isinstance(inner, types.FunctionType):
        return inner.__code__.co_filename
    import inspect

    try:
        return inspect.getfile(inner)
    except (TypeError, OSError):
        return ""
