"""Where policies are written to and read from."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class World(Protocol):
    """The folders of one experiment; tianshou's high-level ``World`` is one."""

    @property
    def persist_directory(self) -> str:
        """Folder that is written to."""
        ...

    @property
    def restore_directory(self) -> str | None:
        """Folder that is read from, None where nothing is to be restored."""
        ...

    def persist_path(self, filename: str) -> str:
        """Return the path of `filename` in the folder that is written to."""
        ...

    def restore_path(self, filename: str) -> str:
        """Return the path of `filename` in the folder that is read from.

        Raises:
            ValueError: If there is no such folder.
        """
        ...


class HasPolicy(Protocol):
    """A world that knows the policy in training (tianshou 1.x)."""

    @property
    def policy(self) -> object:
        """The policy in training."""
        ...


class HasAlgorithm(Protocol):
    """A world that knows the algorithm in training, its policy inside (tianshou 2.x)."""

    @property
    def algorithm(self) -> object:
        """The algorithm in training."""
        ...


@dataclass(init=False)
class FolderWorld:
    """A world that is nothing but folders, for people who have no framework.

    Args:
        persist_directory: Folder to write to; made when something is written.
        restore_directory: Folder to read from; often the same one.
        policy: The policy in training. Checkpoint functions and
            `PolicyPersistence.as_persistence` need it, `persist` and
            `restore` do not.
    """

    persist_directory: str
    restore_directory: str | None
    policy: object

    def __init__(
        self,
        persist_directory: str | os.PathLike[str],
        restore_directory: str | os.PathLike[str] | None = None,
        policy: object = None,
    ) -> None:
        # Absolute from here on: they stay where they were meant to be, wherever the program goes.
        self.persist_directory = str(Path(persist_directory).absolute())
        self.restore_directory = (
            None if restore_directory is None else str(Path(restore_directory).absolute())
        )
        self.policy = policy

    def persist_path(self, filename: str) -> str:
        """Return the absolute path of `filename` in the folder that is written to."""
        return str(Path(self.persist_directory) / filename)

    def restore_path(self, filename: str) -> str:
        """Return the absolute path of `filename` in the folder that is read from."""
        if self.restore_directory is None:
            raise ValueError(
                f"cannot restore {filename!r}: this world has no restore_directory. "
                f"Use FolderWorld({self.persist_directory!r}, restore_directory=...)."
            )
        return str(Path(self.restore_directory) / filename)
