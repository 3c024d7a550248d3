"""The environments that live in the workers of SubprocVecEnv, as a part of the run."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rlx_runner.sb3._worker import NAME, StateAccess


class Workers:
    """Asks every worker for its state, while the environments stay where they are."""

    def __init__(self) -> None:
        self._pipes: list[Any] = []

    def attach(self, vec_envs: Iterable[Any]) -> None:
        """Take the environments of `vec_envs` for those of the run."""
        self._pipes = [pipe for vec_env in vec_envs for pipe in vec_env.remotes]
        self._ask([("set_attr", (NAME, StateAccess()))] * len(self._pipes))

    def state_dict(self) -> dict[str, Any]:
        """Return the classes and the states of the environments.

        Raises:
            ValueError: If one cannot be saved; says why.
        """
        states = self._request("state")
        wrong = [
            f"environment {number}: {state}" for number, state in enumerate(states) if isinstance(state, str)
        ]
        if wrong:
            raise ValueError(f"environments in workers cannot be saved: {'; '.join(wrong)}")
        return {"classes": self._request("classes"), "states": states}

    def disagreements(self, state: Mapping[str, Any]) -> Iterator[str]:
        """Say which environments are of another make than the saved ones; nothing is changed."""
        here, there = self._request("classes"), state["classes"]
        if len(here) != len(there):
            yield f"{len(here)} environments in workers here, {len(there)} in the snapshot"
        for number, (mine, other) in enumerate(zip(here, there, strict=False)):
            if mine != other:
                yield f"environment {number} in workers is a {mine} here, a {other} in the snapshot"

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Give every environment its state.

        Raises:
            ValueError: If one does not take it; says why.
        """
        wrong = [answer for answer in self._request("load", state["states"]) if answer]
        if wrong:
            raise ValueError(f"environments in workers do not take their states: {'; '.join(wrong)}")

    def _request(self, name: str, arguments: Iterable[Any] | None = None) -> list[Any]:
        each = [()] * len(self._pipes) if arguments is None else [(argument,) for argument in arguments]
        return self._ask([("env_method", (NAME, (name, *more), {})) for more in each])

    def _ask(self, commands: list[tuple[str, Any]]) -> list[Any]:
        for pipe, command in zip(self._pipes, commands, strict=True):
            pipe.send(command)
        return [pipe.recv() for pipe in self._pipes]
