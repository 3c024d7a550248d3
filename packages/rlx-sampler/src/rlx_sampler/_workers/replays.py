"""Environments that cannot be copied in mid-episode: what rebuilds one is its seed and what it was told since."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import numpy as np

from rlx_sampler._batches.trees import leaves, map_leaves
from rlx_sampler._exactness import load_exactly, save_exactly
from rlx_sampler._workers.renewed_environment import RenewedEnvironment

DIGEST_SIZE: Final = 8


class Replay(NamedTuple):
    """An episode under way, as it can be run again: the actions since its reset, and a digest of each step."""

    seed: int | None
    actions: Sequence[Any]
    digests: Sequence[bytes]


class ReplayError(RuntimeError):
    """An environment that was built again did not come to where the first one was."""


class ReplayedEnvironment:
    """An environment that remembers what it was told since its last reset, and nothing of what it showed but digests.

    Args:
        environment: The environment, in which nothing is under way.
    """

    def __init__(self, environment: Any) -> None:
        self.env = environment
        self._name = type(
            environment.env if isinstance(environment, RenewedEnvironment) else environment
        ).__name__
        self._seed: int | None = None
        self._actions: list[Any] = []
        self._digests: list[bytes] = []

    def reset(self, *, seed: int | None = None) -> Any:
        """Begin an episode."""
        self._seed = seed
        self._actions.clear()
        self._digests.clear()
        result = self.env.reset(seed=seed)
        self._digests.append(_digest(result[0]))
        return result

    def step(self, action: Any) -> Any:
        """Take a step."""
        self._actions.append(map_leaves(np.copy, action))
        result = self.env.step(action)
        self._digests.append(_digest(result[:4]))
        return result

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def replay(self) -> Replay:
        """Return what leads to the present state."""
        return Replay(self._seed, list(self._actions), list(self._digests))

    def come_to(self, replay: Replay) -> None:
        """Run an episode again, up to where it was.

        Raises:
            ReplayError: If it is another one; names the step at which they part.
        """
        if not replay.digests:
            return
        self.reset(seed=replay.seed)
        self._compare(replay)
        for action in replay.actions:
            self.step(action)
            self._compare(replay)

    def _compare(self, replay: Replay) -> None:
        step = len(self._digests) - 1
        if self._digests[step] != replay.digests[step]:
            where = f"in step {step - 1} of its episode" if step else "in its reset"
            raise ReplayError(
                f"{self._name} cannot be copied, and run again from its seed and actions it parts "
                f"from what it was {where}"
            )


def _digest(shown: Any) -> bytes:
    digest = blake2b(digest_size=DIGEST_SIZE)
    for path, leaf in leaves(shown):
        array = np.asarray(leaf)
        digest.update(f"{path} {array.dtype.str} {array.shape}".encode())
        digest.update(repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes())
    return digest.digest()


def can_be_saved(environment: Any) -> bool:
    """Whether a copy of `environment` can be saved in mid-episode."""
    try:
        twin = load_exactly(save_exactly(environment))
        twin.reset(seed=0)
        save_exactly(twin)
    except Exception:  # noqa: BLE001 - whatever it is that refuses
        return False
    return True
