"""What a snapshot holds: one record for saving and restoring, so that the two cannot drift apart."""

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from types import SimpleNamespace
from typing import Any, cast

from rlx_runner._commit import known
from rlx_runner._offers import offered
from rlx_runner._records import ExperimentStats, SetupArgs, TrainArgs


@dataclass(frozen=True, kw_only=True)
class RunState:
    """A whole run between two epochs.

    On disk this is a plain dict, its records are plain namespaces, so that a snapshot loads
    without this package; classes that can be imported are kept by name.
    """

    setup_args: SetupArgs
    train_args: TrainArgs
    stats: ExperimentStats
    env: Any
    algo: Any
    n_workers: int | None
    worker_class: Any
    worker_args: dict[str, Any] | None
    exact: Mapping[str, Any] | None

    def to_snapshot(self) -> dict[str, Any]:
        """Return the dict that goes to disk."""
        sampler_cls = by_name(self.setup_args.sampler_cls)
        return {
            "setup_args": SimpleNamespace(**vars(self.setup_args) | {"sampler_cls": sampler_cls}),
            "train_args": SimpleNamespace(**vars(self.train_args)),
            "stats": SimpleNamespace(**vars(self.stats)),
            "env": self.env,
            "algo": self.algo,
            "n_workers": self.n_workers,
            "worker_class": by_name(self.worker_class),
            "worker_args": self.worker_args,
            "exact": self.exact,
        }

    @classmethod
    def from_snapshot(cls, saved: Any) -> "RunState":
        """Read the dict of a snapshot: ours, an older one, or one of garage's shape.

        Raises:
            ValueError: If it is none of these; names what is missing.
        """
        wanted = ("setup_args", "train_args", "stats", "env", "algo")
        if not isinstance(saved, Mapping):
            raise ValueError(
                f"the snapshot holds a {type(saved).__name__}, not the dict of a run ({', '.join(wanted)})."
            )
        state = cast("Mapping[str, Any]", saved)
        missing = [key for key in wanted if key not in state]
        if missing:
            raise ValueError(
                f"the snapshot is not of a run: it lacks {', '.join(missing)}; it has {sorted(state)}."
            )
        setup_args, train_args, stats = (_fields(key, state[key]) for key in wanted[:3])
        return cls(
            setup_args=SetupArgs(
                sampler_cls=from_name(setup_args.get("sampler_cls")),
                sampler_args=setup_args.get("sampler_args"),
                seed=setup_args.get("seed"),
            ),
            train_args=_train_args(train_args),
            stats=_stats(stats),
            env=state["env"],
            algo=state["algo"],
            n_workers=state.get("n_workers"),
            worker_class=from_name(state.get("worker_class")),
            worker_args=state.get("worker_args"),
            exact=known(state.get("exact")),
        )


def by_name(cls: Any) -> Any:
    """Return "module:name" of a class that can be imported; else the class itself.

    The module is the outermost one that has the class, so that a snapshot outlives a library's moving it about inside.
    """
    if not isinstance(cls, type) or cls.__module__ == "__main__" or "<locals>" in cls.__qualname__:
        return cls
    packages = accumulate(cls.__module__.split("."), "{}.{}".format)
    outermost = next((name for name in packages if _found_in(name, cls.__qualname__) is cls), cls.__module__)
    return f"{outermost}:{cls.__qualname__}"


def _found_in(module: str, path: str) -> Any:
    return reduce(offered, path.split("."), sys.modules.get(module))


def from_name(name: Any) -> Any:
    """Return the class that `by_name` named.

    Raises:
        ImportError: If it is not where it was.
    """
    if not isinstance(name, str):
        return name
    module, _, path = name.partition(":")
    value: Any = importlib.import_module(module)
    for part in path.split("."):
        try:
            value = getattr(value, part)
        except AttributeError as error:
            raise ImportError(
                f"the snapshot needs {path!r} of {module!r}, which is no longer there."
            ) from error
    return value


def _fields(name: str, record: Any) -> Mapping[str, Any]:
    """Return a record's fields, whether it was kept as a dict or as an object."""
    try:
        return cast("Mapping[str, Any]", record if isinstance(record, Mapping) else vars(record))
    except TypeError:
        raise ValueError(f"the snapshot is not of a run: its {name} is {record!r}.") from None


def _train_args(fields: Mapping[str, Any]) -> TrainArgs:
    return TrainArgs(
        n_epochs=fields["n_epochs"],
        batch_size=fields.get("batch_size"),
        plot=bool(fields.get("plot", False)),
        store_episodes=bool(fields.get("store_episodes", fields.get("store_paths", False))),
        pause_for_plot=bool(fields.get("pause_for_plot", False)),
        start_epoch=fields.get("start_epoch", 0),
    )


def _stats(fields: Mapping[str, Any]) -> ExperimentStats:
    return ExperimentStats(
        total_epoch=fields["total_epoch"],
        total_itr=fields.get("total_itr", 0),
        total_env_steps=fields.get("total_env_steps", 0),
        last_episode=fields.get("last_episode", fields.get("last_path")),
    )
