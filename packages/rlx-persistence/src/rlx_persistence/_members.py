"""Optimisers and replay buffers kept with a policy, and the base class of all that keeps something in a file."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, Protocol

from rlx_persistence._errors import PolicyNotFoundError
from rlx_persistence._events import Persistence, PersistEvent, RestoreEvent
from rlx_persistence._files import read_info, write_sealed
from rlx_persistence._forms.pickled import read_object, write_object
from rlx_persistence._forms.state_dicts import read_state_dict, write_state_dict
from rlx_persistence._in_place import copy_state, refuse_immutable
from rlx_persistence._optional import TDevice
from rlx_persistence._record import PolicyInfo
from rlx_persistence._seal import SealingFile
from rlx_persistence._world import World


class FilePersistence(Persistence):
    """Keeps something in one sealed file; inherit and say how it is written and read.

    Args:
        filename: Name of the file in the world's folders.
        kind: What the file's record calls its content.
    """

    def __init__(self, filename: str, kind: str) -> None:
        self.filename = filename
        self.kind = kind

    def persist(self, event: PersistEvent, world: World) -> None:
        """Replace the file."""
        write_sealed(world.persist_path(self.filename), PolicyInfo(self.kind), self.write)

    def restore(self, event: RestoreEvent, world: World) -> None:
        """Check the file and read it.

        Raises:
            FileNotFoundError: If there is none.
            DamagedFileError: If it is not what was written.
        """
        path = world.restore_path(self.filename)
        if not Path(path).exists():
            raise PolicyNotFoundError(path)
        read_info(path)
        self.read(path)

    @abstractmethod
    def write(self, file: SealingFile) -> None:
        """Write the content."""

    @abstractmethod
    def read(self, path: str) -> None:
        """Read the content of the file `path`, which has been checked."""


class HasStateDict(Protocol):
    """A torch optimiser or scheduler, or anything else with a state dict."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """Take the state."""


class OptimizerPersistence(FilePersistence):
    """Keeps an optimiser's (or a scheduler's) state dict; reading it executes nothing.

    Args:
        optimizer: A torch optimiser. Restore the policy first: its parameters stay the optimiser's.
        filename: Give each its own if there are several.
        device: Where tensors are put on the way.
    """

    def __init__(
        self, optimizer: HasStateDict, filename: str = "optimizer.pt", *, device: TDevice = "cpu"
    ) -> None:
        super().__init__(filename, "optimizer")
        self._optimizer = optimizer
        self._device: TDevice = device

    def write(self, file: SealingFile) -> None:
        """Write the state dict as torch does."""
        write_state_dict(self._optimizer.state_dict(), file)

    def read(self, path: str) -> None:
        """Load the state dict."""
        self._optimizer.load_state_dict(dict(read_state_dict(path, self._device)))


class ReplayBufferPersistence(FilePersistence):
    """Keeps a replay buffer, or any other picklable object, as a pickle.

    Restoring executes code that the file names: only for files that you trust.

    Args:
        buffer: The buffer, whose content is replaced in place: an object with
            attributes, a deque, a list, an array or a tensor.
        filename: Name of the file.

    Raises:
        TypeError: If objects like `buffer` cannot be changed in place.
    """

    def __init__(self, buffer: object, filename: str = "replay_buffer.pkl") -> None:
        super().__init__(filename, "replay_buffer")
        refuse_immutable(buffer)
        self._buffer = buffer

    def write(self, file: SealingFile) -> None:
        """Pickle the buffer."""
        write_object(self._buffer, file)

    def read(self, path: str) -> None:
        """Give the buffer the state of the pickled one."""
        copy_state(read_object(path, "cpu"), self._buffer, path)
