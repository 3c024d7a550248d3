"""A run folder, read."""

import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rlx_experiment._runs import record
from rlx_experiment._runs.files import read_object
from rlx_experiment._runs.resuming import is_of_cells, resume_in_kernel
from rlx_experiment._runs.rundir import local_path
from rlx_experiment._runs.status import RunStatus, read_status
from rlx_experiment._source.capture import SOURCE_FILE

if TYPE_CHECKING:
    from rlx_experiment._source.repository import Repository


class Run:
    """A recorded run: what it was called with, what it ran on, how it stands.

    Args:
        path: The run folder; absolute paths stay right when the working directory changes.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Return the run in `folder`.

        Raises:
            FileNotFoundError: There is none.
        """
        path = Path(folder).absolute()
        if record.read_arguments(path) is None:
            raise FileNotFoundError(f"no run in {path}: it has no {record.ARGUMENTS_FILE} of a run")
        return cls(path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def status(self) -> RunStatus:
        """How the run stands at this moment."""
        return read_status(self.path)

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """All arguments of the latest attempt, defaults included, as JSON has them."""
        recorded = record.read_arguments(self.path)
        return recorded[0] if recorded else {}

    @cached_property
    def experiment(self) -> str:
        """The experiment that this is a run of: ``file.py:function``."""
        recorded = record.read_arguments(self.path)
        return str(recorded[1]["experiment"]) if recorded else ""

    @cached_property
    def variant(self) -> dict[str, Any]:
        """The arguments that were passed, as JSON has them."""
        return record.read_variant(self.path)

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """Code, program, machine and libraries of the latest attempt."""
        return self._read_json(record.METADATA_FILE)

    @cached_property
    def source(self) -> dict[str, Any]:
        """State of the launcher's repository: commit, changed files, what was left out; empty without one."""
        return self._read_json(SOURCE_FILE)

    @property
    def attempts(self) -> list[dict[str, Any]]:
        """Starts and ends of all attempts, oldest first."""
        return record.read_attempts(self.path)

    def resume(self) -> int:
        """Continue the run in a new process, with its recorded arguments and the code as it is now.

        One whose experiment was typed into a notebook continues in this process, which must be the notebook's.

        Returns:
            The exit code: 0 finished, 75 stopped again, anything else an error.

        Raises:
            LookupError: The experiment was typed into a notebook, and its cell was not run here.
        """
        recorded = record.read_arguments(self.path)
        if recorded and is_of_cells(recorded[1]):
            return resume_in_kernel(self.path)
        return self._replay("resume", str(self.path))

    def rerun(self, log_dir: str | Path | None = None, *, tree: str | Path | None = None) -> int:
        """Start the same call again in a new process and folder, with the code as it was when the run was launched.

        Only for folders that you trust: it runs their code.

        Args:
            log_dir: Folder of the new run; that of this run by default. If it exists, a number is appended.
            tree: Where to rebuild the launch tree, and leave it; a temporary folder by default.

        Returns:
            The exit code: 0 finished, 75 stopped, anything else an error.

        Raises:
            FileNotFoundError: The run kept no source.
        """
        if tree is None:
            import tempfile

            with tempfile.TemporaryDirectory(prefix="rlx-tree-", ignore_cleanup_errors=True) as temporary:
                repository = self._rebuild(temporary)
                try:
                    return self._rerun_in(temporary, log_dir)
                finally:
                    if repository is not None:
                        repository.discard_worktree(Path(temporary))
        self._rebuild(tree)
        return self._rerun_in(tree, log_dir)

    def _rerun_in(self, tree: str | Path, log_dir: str | Path | None) -> int:
        root = str(self.source["root"])
        wanted = str(local_path(log_dir) if log_dir else self.path)
        cwd = Path(self.metadata["cwd"])
        if cwd.is_relative_to(root) and (Path(tree) / cwd.relative_to(root)).is_dir():
            cwd = Path(tree) / cwd.relative_to(root)
        options = ("--tree", str(Path(tree).absolute()), "--root", root, "--log-dir", wanted)
        return self._replay("rerun", str(self.path), *options, cwd=cwd)

    def rebuild(self, tree: str | Path) -> None:
        """Write the launch tree, as it was, into `tree`, a new or empty folder.

        Where its repository is still there, `tree` becomes a worktree of it, in which git shows what was not committed.

        Raises:
            FileNotFoundError: The run kept no source.
            UnsafeArchiveError: Its archive holds what a launch archive never holds.
        """
        self._rebuild(tree)

    def _rebuild(self, tree: str | Path) -> "Repository | None":
        from rlx_experiment._source.tree import rebuild_tree

        return rebuild_tree(self.path, self.source, Path(tree))

    def _replay(self, *arguments: str, cwd: Path | None = None) -> int:
        import subprocess

        folder = cwd or Path(self.metadata.get("cwd", "."))
        command = (sys.executable, "-m", "rlx_experiment._replay", *arguments)
        return subprocess.run(command, cwd=folder if folder.is_dir() else None, check=False).returncode

    def _read_json(self, name: str) -> dict[str, Any]:
        try:
            return read_object(self.path / name)
        except FileNotFoundError:
            return {}
