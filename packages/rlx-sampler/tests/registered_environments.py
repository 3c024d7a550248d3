"""The environments that gymnasium knows here, and fragments of their episodes; run as a script, it goes on with some.

As a script it takes a folder with one pickled state a file, goes on from each in this fresh
process, and writes what came of it beside it.
"""

import pickle
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from rlx_sampler import FragmentWorker, LocalSampler, WorkerFactory

FAMILIES = {
    "classic control": "gymnasium.envs.classic_control",
    "toy text": "gymnasium.envs.toy_text",
    "mujoco": "gymnasium.envs.mujoco",
    "ale": "ale_py",
}
STEPS = 60


class Random:
    """A policy that acts at random, in the manner of an action space."""

    def __init__(self, space: Any) -> None:
        self.space = space

    def get_actions(self, observations: Any, *, rngs: Sequence[np.random.Generator]) -> tuple[Any, Any]:
        return np.array([self.draw(rng) for rng in rngs]), {}

    def draw(self, rng: np.random.Generator) -> Any:
        space: Any = self.space
        if type(space).__name__ == "Discrete":
            return rng.integers(int(space.n)) + int(space.start)
        low: Any = np.maximum(space.low, -3)
        high: Any = np.minimum(space.high, 3)
        return np.asarray(rng.uniform(low, high), np.float32)


def registered(family: str) -> list[str]:
    """Return the ids of a family that are of its newest version and can be made here."""
    with suppress(ImportError):
        import_module("ale_py")  # it registers what it has
    specs = [spec for spec in gymnasium.registry.values() if module_of(spec).startswith(FAMILIES[family])]
    newest: dict[str, Any] = {}
    for spec in specs:
        if spec.version is not None and spec.version >= newest.get(spec.name, spec).version:
            newest[spec.name] = spec
    return sorted(spec.id for spec in newest.values() if family != "ale" or spec.namespace == "ALE")


def module_of(spec: Any) -> str:
    """Return the module that an environment comes from."""
    entry: Any = spec.entry_point
    return entry if isinstance(entry, str) else str(getattr(entry, "__module__", ""))


def start(env_id: str) -> LocalSampler:
    """Return a sampler of fragments of an environment."""
    env = gymnasium.make(env_id)
    args = {"n_envs": 2, "timesteps_per_call": 7, "inference_rows": 1}
    factory = WorkerFactory(max_episode_length=900, seed=5, worker_class=FragmentWorker, worker_args=args)
    return LocalSampler(factory, Random(env.action_space), env)


def go_on(sampler: LocalSampler) -> list[str]:
    """Return the digests of the next batches, and end the sampler."""
    digests = [sampler.obtain_samples(0, STEPS, None).digest() for _ in range(2)]
    sampler.shutdown_worker()
    return digests


def main(folder: Path) -> None:
    """Go on from every state in `folder`."""
    for path in sorted(folder.glob("*.state")):
        env_id, state = pickle.loads(path.read_bytes())
        try:
            sampler = start(env_id)
            sampler.load_state_dict(state)
            result: Any = go_on(sampler)
        except Exception as error:  # noqa: BLE001 - it is what the test reports
            result = repr(error)
        path.with_suffix(".result").write_bytes(pickle.dumps(result))


if __name__ == "__main__":
    with suppress(ImportError):
        import_module("ale_py")  # it registers what it has
    main(Path(sys.argv[1]))
