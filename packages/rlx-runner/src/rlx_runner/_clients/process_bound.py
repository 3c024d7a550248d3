"""What belongs to a process and not to a run: open files, pipes, paths, and the callbacks' views of running functions."""

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any, Final

from rlx_runner._checkpoint.attributes import attributes, class_of, dictionary_of, is_tuple
from rlx_runner._checkpoint.kinds import kind_of

StandIn = Callable[[Any], object]
"""Makes, from the value of an attribute, what stands in for it."""


def _none(_: Any) -> None:
    return None


def _empty(value: Any) -> object:
    return type(value)()


_FUNCTIONS: Final = (
    "train_fn",
    "training_fn",
    "test_fn",
    "stop_fn",
    "compute_score_fn",
    "_compute_score_fn",
    "save_best_fn",
    "save_checkpoint_fn",
    "reward_metric",
    "multi_agent_return_reduction",
)
_SB3: Final[Mapping[str, Mapping[str, StandIn]]] = {
    "BaseAlgorithm": {"_logger": _none, "tensorboard_log": _none},
    "OnPolicyAlgorithm": {
        "rollout_buffer": _none
    },  # emptied where a rollout begins, the only place where it counts
    "BaseCallback": {"locals": _empty, "globals": _empty},
    "CheckpointCallback": {"save_path": _none},
    "EvalCallback": {"log_path": _none, "best_model_save_path": _none},
    "ProgressBarCallback": {"pbar": _none},
    "SubprocVecEnv": {"remotes": _empty, "work_remotes": _empty, "processes": _empty},
    "Monitor": {"results_writer": _none},
    "VecMonitor": {"results_writer": _none},
}
_TIANSHOU: Final[Mapping[str, Mapping[str, StandIn]]] = {
    "Trainer": dict.fromkeys(("_logger", *_FUNCTIONS), _none),
    "TrainerParams": dict.fromkeys(("logger", "max_epochs", *_FUNCTIONS), _none),
    "BaseTrainer": dict.fromkeys(("logger", "max_epoch", *_FUNCTIONS), _none),
    "BaseVectorEnv": {"_env_fns": _none},
    "ReplayBufferManager": {},  # its children are views
    "EnvWorker": {"_env_fn": _none},
    "SubprocEnvWorker": dict.fromkeys(("parent_remote", "child_remote", "process", "buffer"), _none),
}
_BOUND: Final = {"stable_baselines3": _SB3, "tianshou": _TIANSHOU}
"""Attributes that stay with the process, by library and class, each with what stands in for it meanwhile."""


class ProcessBound:
    """Finds, in all that a run consists of, what is bound to this process.

    Args:
        roots: What the run consists of.
    """

    def __init__(self, roots: Iterable[object]) -> None:
        self._owners: list[tuple[dict[str, Any], Mapping[str, StandIn]]] = []
        self.found: list[Any] = []
        """Objects that have something of the process."""
        waiting, seen = list(roots), dict[int, object]()
        while waiting:
            part = waiting.pop()
            if id(part) not in seen:
                seen[id(part)] = part
                waiting.extend(self._visit(part))

    @property
    def writers(self) -> list[Any]:
        """What SB3's monitors write with."""
        writers = [fields.get("results_writer") for fields, _ in self._owners]
        return [writer for writer in writers if writer is not None]

    @contextmanager
    def set_aside(self) -> Generator[None]:
        """Keep it out of the run's objects meanwhile."""
        held = [(fields, {name: fields[name] for name in bound}) for fields, bound in self._owners]
        for fields, bound in self._owners:
            fields.update({name: stand_in(fields[name]) for name, stand_in in bound.items()})
        try:
            yield
        finally:
            for fields, values in held:
                fields.update(values)

    def leave_out(self, owner: object, name: str) -> None:
        """Count an attribute among what is set aside, an empty one of its class standing in for it."""
        self._owners.append((vars(owner), {name: _empty}))

    def _visit(self, part: Any) -> Iterable[Any]:
        if is_tuple(part):
            return part
        kind = kind_of(part)
        if kind is None:
            return ()
        bound = _bound_of(class_of(part))
        if bound is None:
            return kind.references(part)
        fields = attributes(part)
        here = {name: stand_in for name, stand_in in bound.items() if name in fields}
        own = dictionary_of(part)
        self._owners.append((own, here))
        self.found.append(part)
        return [value for name, value in fields.items() if name not in here]


def _bound_of(cls: type) -> dict[str, StandIn] | None:
    known = [_BOUND.get(base.__module__.partition(".")[0], {}).get(base.__name__) for base in cls.__mro__]
    if not any(each is not None for each in known):
        return None
    return {name: stand_in for each in known if each for name, stand_in in each.items()}
