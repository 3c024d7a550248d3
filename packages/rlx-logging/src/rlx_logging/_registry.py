"""Backends by name: those of this package, and those that others register."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final, TypeAlias, cast

from rlx_logging._backend import Backend
from rlx_logging._base import BaseLogger
from rlx_logging._errors import DroppedRowsWarning
from rlx_logging._files.folder import LogFolder
from rlx_logging._lazy_logger import LazyLogger
from rlx_logging._options import LoggerOptions
from rlx_logging._run_logger import RunLogger
from rlx_logging._warn import warn

BackendFactory: TypeAlias = Callable[..., Backend]
GROUP: Final = "rlx_logging.backends"
NONE: Final = "none"
PRIMARY: Final = "journal"
_OWN: Final[Mapping[str, str]] = {
    "journal": "rlx_logging._journal.backend:JournalBackend",
    "csv": "rlx_logging._tables.csv:CsvBackend",
    "jsonl": "rlx_logging._tables.jsonl:JsonLinesBackend",
    "console": "rlx_logging._tables.console:make_console",
    "tensorboard": "rlx_logging._tensorboard.backend:TensorboardBackend",
    "mlflow": "rlx_logging._trackers.mlflow:make_mlflow",
    "trackio": "rlx_logging._trackers.trackio:make_trackio",
    "wandb": "rlx_logging._wandb.backend:make_wandb",
}


def make_logger(
    name_or_names: str | Sequence[str], *more: str, log_dir: str | os.PathLike[str], **options: Any
) -> BaseLogger:
    """Return a logger for the named backends; the journal is always one of them.

    Backends of others are found by entry points of the group ``rlx_logging.backends``:
    a callable that takes a `LogFolder` and keyword arguments and returns a
    `Backend`.

    Args:
        name_or_names: One name, several with commas between them, or a sequence: ``"csv"``,
            ``"jsonl"``, ``"console"``, ``"tensorboard"``, ``"wandb"``, ``"mlflow"``, ``"trackio"``, ``"journal"`` or
            a registered one. ``"none"`` alone gives a `LazyLogger`.
        more: Further names.
        log_dir: The folder of the run.
        options: Those of `RunLogger`; every other one goes to the backends that know it.

    Raises:
        ValueError: If there is no backend of a name; the message lists those there are.
        TypeError: If nobody knows an option, or a name is no text.
        MissingBackendError: If a backend's library is not installed and `on_failure` is ``"raise"``; else a
            warning names the extra, and the other backends get the rows.
    """
    names = _names([*_parts(name_or_names), *more] if more else name_or_names)
    if names == [NONE]:
        return LazyLogger(**{key: options[key] for key in options if key in _INTERVALS})
    factories = {name: _find(name) for name in dict.fromkeys([PRIMARY, *names])}
    own = {key: options.pop(key) for key in list(options) if key in LoggerOptions.__optional_keys__}
    _refuse_unknown(options, factories)
    folder = LogFolder(log_dir)
    backends = (_made(name, factory, folder, options, own) for name, factory in factories.items())
    return RunLogger(folder, [backend for backend in backends if backend is not None], **own)


def _made(
    name: str, factory: BackendFactory, folder: LogFolder, options: Mapping[str, Any], own: Mapping[str, Any]
) -> Backend | None:
    """Return a backend; a missing library or another failure costs it a warning, and the run nothing."""
    try:
        return factory(folder, **_known(factory, options))
    except (ImportError, OSError, RuntimeError) as error:
        if own.get("on_failure") == "raise":
            raise
        warn(
            f"{name}: left out, as it could not begin ({type(error).__name__}: {error}).", DroppedRowsWarning
        )
        return None


_INTERVALS: Final = frozenset(
    {"train_interval", "test_interval", "update_interval", "info_interval", "exclude_arrays"}
)


def _names(given: str | Sequence[str]) -> list[str]:
    parts = _parts(given)
    names = [part.strip() for part in parts if part.strip()]
    if not names or (NONE in names and len(names) > 1):
        raise ValueError(f"name the backends of a logger, or 'none' alone; got {given!r}.")
    return names


def _parts(given: object) -> list[str]:
    parts = given.split(",") if isinstance(given, str) else given
    if isinstance(parts, Sequence):
        every = list(cast("Sequence[object]", parts))
        texts = [part for part in every if isinstance(part, str)]
        if len(texts) == len(every):
            return texts
    raise TypeError(f"backends are named by text, as 'csv, tensorboard'; got {given!r}.")


def _find(name: str) -> BackendFactory:
    own = _OWN.get(name)
    if own is not None:
        module, _, attribute = own.partition(":")
        factory: BackendFactory = vars(import_module(module))[attribute]
        return factory
    registered = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in registered:
        known = ", ".join(sorted({*_OWN, *registered, NONE}))
        raise ValueError(f"there is no logging backend {name!r}; there are: {known}.")
    loaded: BackendFactory = registered[name].load()
    return loaded


def _parameters(factory: BackendFactory) -> Mapping[str, inspect.Parameter]:
    return dict(list(inspect.signature(factory).parameters.items())[1:])


def _takes_all(factory: BackendFactory) -> bool:
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in _parameters(factory).values())


def _known(factory: BackendFactory, options: Mapping[str, Any]) -> dict[str, Any]:
    if _takes_all(factory):
        return dict(options)
    return {key: value for key, value in options.items() if key in _parameters(factory)}


def _refuse_unknown(options: Mapping[str, Any], factories: Mapping[str, BackendFactory]) -> None:
    unknown = [key for key in options if not any(_known(factory, {key: 0}) for factory in factories.values())]
    if unknown:
        raise TypeError(f"no option of {', '.join(factories)}: {', '.join(unknown)}.")
