"""What belongs to a process and not to a run: open files, pipes, paths, and the callbacks' views of running functions."""

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any, Final

from rlx_runner._checkpoint.attributes import attributes, class_of, is_tuple
from rlx_runner._checkpoint.kinds import kind_of


def _none() -> None:
    return None


_BOUND: Final[Mapping[str, Mapping[str, Callable[[], object]]]] = {
    "BaseAlgorithm": {"_logger": _none, "tensorboard_log": _none},
    "OnPolicyAlgorithm": {
        "rollout_buffer": _none
    },  # emptied where a rollout begins, the only place where it counts
    "BaseCallback": {"locals": dict, "globals": dict},
    "CheckpointCallback": {"save_path": _none},
    "EvalCallback": {"log_path": _none, "best_model_save_path": _none},
    "ProgressBarCallback": {"pbar": _none},
    "SubprocVecEnv": {"remotes": tuple, "work_remotes": tuple, "processes": list},
    "Monitor": {"results_writer": _none},
    "VecMonitor": {"results_writer": _none},
}
"""Attributes of SB3's classes that stay with the process, each with what stands in for it meanwhile."""


class ProcessBound:
    """Finds, in all that a run consists of, what is bound to this process.

    Args:
        roots: What the run consists of.
    """

    def __init__(self, roots: Iterable[object]) -> None:
        self._owners: list[tuple[dict[str, Any], Mapping[str, Callable[[], object]]]] = []
        self.writers: list[Any] = []
        self.vec_envs: list[Any] = []
        waiting, seen = list(roots), dict[int, object]()
        while waiting:
            part = waiting.pop()
            if id(part) not in seen:
                seen[id(part)] = part
                waiting.extend(self._visit(part))

    @contextmanager
    def set_aside(self) -> Generator[None]:
        """Keep it out of the run's objects meanwhile."""
        held = [(fields, {name: fields[name] for name in bound}) for fields, bound in self._owners]
        for fields, bound in self._owners:
            fields.update({name: stand_in() for name, stand_in in bound.items()})
        try:
            yield
        finally:
            for fields, values in held:
                fields.update(values)

    def _visit(self, part: Any) -> Iterable[Any]:
        if is_tuple(part):
            return part
        kind = kind_of(part)
        if kind is None:
            return ()
        bound = _bound_of(class_of(part))
        if not bound:
            return kind.references(part)
        fields = attributes(part)
        here = {name: stand_in for name, stand_in in bound.items() if name in fields}
        own: dict[str, Any] = vars(part)
        self._owners.append((own, here))
        if fields.get("results_writer") is not None:
            self.writers.append(fields["results_writer"])
        if "remotes" in here:
            self.vec_envs.append(part)
        return [value for name, value in fields.items() if name not in here]


def _bound_of(cls: type) -> dict[str, Callable[[], object]]:
    known = [
        base.__name__
        for base in cls.__mro__
        if base.__name__ in _BOUND and base.__module__.partition(".")[0] == "stable_baselines3"
    ]
    return {name: stand_in for base in known for name, stand_in in _BOUND[base].items()}
