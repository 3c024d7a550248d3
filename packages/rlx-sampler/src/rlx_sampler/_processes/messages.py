"""What a sampler and its worker processes tell each other."""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Protocol

import numpy as np

from rlx_sampler._batches.layouts import Layout
from rlx_sampler._exactness import WorkerProfile
from rlx_sampler._keys import CallKey

NUMBERS: Final = b"n"
OBJECT: Final = b"o"


class Kind(IntEnum):
    """What a message of plain numbers means; nothing is pickled for one."""

    LEASE = 0
    """To a worker: indices of episodes to run in the present call."""
    STOP = 1
    """To a worker: drop everything that is under way."""
    EXIT = 2
    """To a worker: close the environments and end."""
    MORE = 3
    """From a worker: the number of a round, in which it has nothing left to start."""
    CHUNK = 4
    """From a worker: episodes that lie in its shared memory."""
    ALIVE = 5
    """From a worker without shared memory: it is not stuck."""


@dataclass(frozen=True, slots=True)
class StartCall:
    """To a worker: a call begins, with the first indices to run."""

    round_number: int
    """Tells a call from the same one before it, which failed or was interrupted."""
    key: CallKey
    indices: list[int]
    has_parameters: bool
    """Whether there are new parameters in the shared block, to be taken first."""


@dataclass(frozen=True, slots=True)
class Change:
    """To a worker: updates of policy and environment, as a packed pair."""

    updates: bytes


@dataclass(frozen=True, slots=True)
class UseRows:
    """To a worker: call the policy with so many rows."""

    inference_rows: int


@dataclass(frozen=True, slots=True)
class ParameterLayout:
    """To a worker: how the shared parameters lie in their block."""

    skeleton: bytes
    """The tree without its arrays."""
    specs: list[tuple[str, tuple[int, ...], bool]]
    """Dtype and shape of each array, and whether it is a tensor of torch."""


@dataclass(frozen=True, slots=True)
class Ready:
    """From a worker: it is built."""

    profile: WorkerProfile


@dataclass(frozen=True, slots=True)
class AskProfile:
    """To a worker: send what is known of it by now."""


@dataclass(frozen=True, slots=True)
class PresentProfile:
    """From a worker: what is known of it by now."""

    profile: WorkerProfile


@dataclass(frozen=True, slots=True)
class SaveLive:
    """To a worker: send the live environments."""


@dataclass(frozen=True, slots=True)
class Live:
    """Either way: live environments."""

    states: list[bytes]


@dataclass(frozen=True, slots=True)
class NewLayout:
    """From a worker: episodes that name layout `number` are laid out like this."""

    number: int
    layout: Layout


@dataclass(frozen=True, slots=True)
class PickledChunk:
    """From a worker: episodes that cannot lie in shared memory."""

    round_number: int
    chunk: bytes


class Pipe(Protocol):
    """One end of a connection between two processes."""

    def send_bytes(self, buf: bytes, /) -> None:
        """Send one message."""
        ...

    def recv_bytes(self) -> bytes:
        """Return the next message; EOFError if the other end is gone."""
        ...

    def close(self) -> None:
        """Close this end."""
        ...


def send_numbers(connection: Pipe, kind: Kind, numbers: Sequence[int] = ()) -> None:
    """Send a message of plain numbers."""
    connection.send_bytes(NUMBERS + np.array([kind, *numbers], np.int64).tobytes())


def send_object(connection: Pipe, message: object) -> None:
    """Send one of the message classes of this module."""
    connection.send_bytes(encoded(message))


def encoded(message: object) -> bytes:
    """Return one of the message classes of this module as bytes."""
    return OBJECT + pickle.dumps(message, protocol=5)


def receive(connection: Pipe) -> Any:
    """Return the next message: a kind with its numbers, or an object of a class of this module.

    Raises:
        EOFError: If the other side is gone.
    """
    data = connection.recv_bytes()
    if data[:1] == OBJECT:
        return pickle.loads(memoryview(data)[1:])
    kind, *numbers = np.frombuffer(data, np.int64, offset=1).tolist()
    return Kind(kind), numbers
