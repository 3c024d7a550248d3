"""The environments that live in worker processes, as a part of the run."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rlx_runner._clients.worker import Request


class Workers:
    """Asks every worker for its state, while the environments stay where they are."""

    def __init__(self) -> None:
        self._pipes: list[Any] = []
        self._command = ""

    def attach(self, pipes: Iterable[Any], command: str) -> None:
        """Take the environments at the other ends of `pipes` for those of the run.

        Args:
            pipes: To the workers, each of which waits for a command.
            command: What a worker calls the command that reads an attribute of its environment.
        """
        self._pipes, self._command = list(pipes), command

    def state_dict(self) -> dict[str, Any]:
        """Return the classes and the states of the environments.

        Raises:
            ValueError: If one cannot be saved; says why.
        """
        states = self._request("state")
        wrong = [
            f"environment {number}: {state}"
            for number, state in enumerate(states)
            if not isinstance(state, bytes)
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
        for pipe, more in zip(self._pipes, each, strict=True):
            pipe.send((self._command, Request(name, *more)))
        return [pipe.recv() for pipe in self._pipes]
