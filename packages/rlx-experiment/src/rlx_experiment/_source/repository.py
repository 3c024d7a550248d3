"""Repositories through GitPython: what takes more of git than to ask for the state of a tree.

GitPython is imported when it is needed, which a launch is not. No text of a user reaches git where it could be
taken for an option.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rlx_experiment._source.git import in_words

if TYPE_CHECKING:
    import git

_COMMIT: Final = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_ENVIRONMENT: Final[Mapping[str, str]] = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}
_QUIET: Final = (
    "-c",
    "core.hooksPath=/dev/null",
)  # a tree that is rebuilt is no occasion for the user's hooks


class RepositoryError(ValueError):
    """A repository cannot be read: git or the repository is missing, or git refuses it."""


class Commit(NamedTuple):
    """One commit, for people."""

    name: str
    when: datetime
    subject: str


class Repository:
    """A repository with a working tree.

    Args:
        root: Its folder.

    Raises:
        RepositoryError: There is no git, no repository, a bare one, or one that git refuses.
    """

    def __init__(self, root: Path) -> None:
        self._git: Any = _import_git()
        self._root = root
        try:
            self._repo: git.Repo = self._git.Repo(root)
        except (self._git.InvalidGitRepositoryError, self._git.NoSuchPathError) as error:
            raise RepositoryError(f"{root} is no git repository any more") from error
        if self._repo.bare:
            raise RepositoryError(f"{root} is a bare repository, which has no files to run; clone it")
        self._run("rev-parse", "--git-dir")  # one of another user, say

    def has(self, commit: str) -> bool:
        """Return whether the repository still has the commit of that full name."""
        if not _COMMIT.fullmatch(commit):
            return False
        with suppress(RepositoryError):
            self._run("cat-file", "-e", f"{commit}^{{commit}}")
            return True
        return False

    def commit(self, revision: str) -> Commit:
        """Return the commit that `revision` (a name, a tag, a branch) means.

        Raises:
            RepositoryError: There is none.
        """
        if revision.startswith("-") or not revision.isprintable():
            raise RepositoryError(f"revision is {revision!r}; it must be a name of git's")
        try:
            found = self._repo.commit(revision)
            return Commit(found.hexsha, found.committed_datetime, str(found.summary))
        except (ValueError, IndexError, self._git.BadName, self._git.GitCommandError) as error:
            if not self._repo.head.is_valid():
                raise RepositoryError(f"{self._root} has no commit yet") from error
            raise RepositoryError(f"{self._root} has no commit {revision!r}") from error

    def newest_first(self, commits: Sequence[str]) -> list[str]:
        """Return commits by their dates, newest first, and none before one that builds on it."""
        listed = (
            self._run("rev-list", "--date-order", *map(_checked, commits), "--").split() if commits else []
        )
        return [name for name in listed if name in set(commits)]

    def changes(self, old: str, new: str) -> str:
        """Return how much two commits differ, as ``3 files changed, 10 insertions(+)``; empty if in nothing."""
        return self._run("diff", "--shortstat", "--no-ext-diff", _checked(old), _checked(new), "--").strip()

    def add_worktree(self, tree: Path, commit: str) -> None:
        """Make `tree`, a new or empty folder, a worktree whose head is `commit`, without any file of it yet."""
        self._run(
            *_QUIET,
            "worktree",
            "add",
            "--quiet",
            "--detach",
            "--no-checkout",
            str(tree.absolute()),
            _checked(commit),
        )
        self._run("-C", str(tree.absolute()), "read-tree", "HEAD")

    def check_out(self, tree: Path, names: Sequence[str]) -> None:
        """Write files of the worktree's commit that are not there; those that it does not have are passed over."""
        for name in names:
            with suppress(RepositoryError):
                self._run(
                    *_QUIET, "-C", str(tree.absolute()), "checkout", "--quiet", "--", f":(literal){name}"
                )

    def discard_worktree(self, tree: Path) -> None:
        """Remove a worktree with all that is in it; where git cannot, its folder goes all the same, and git forgets it."""
        with suppress(RepositoryError):
            self._run("worktree", "remove", "--force", "--force", str(tree.absolute()))
            return
        shutil.rmtree(tree, ignore_errors=True)
        with suppress(RepositoryError):
            self._run("worktree", "prune")

    def _run(self, *words: str) -> str:
        try:
            return str(self._repo.git.execute(["git", *words], env=_ENVIRONMENT))
        except self._git.GitCommandError as error:
            raise RepositoryError(_in_words(self._root, str(error.stderr))) from error


def difference(folder: Path, old: str, new: str) -> bytes:
    """Return in what two folders inside `folder` differ, as a patch that ``git apply`` and ``patch -p1`` take."""
    library = _import_git()
    words = [
        "git",
        "-c",
        "core.quotepath=off",
        "diff",
        "--no-index",
        "--no-color",
        "--binary",
        "--no-ext-diff",
        "--no-textconv",
        "-M",
    ]
    status, output, complaint = library.Git(str(folder)).execute(
        [*words, "--no-prefix", "--", old, new],
        with_extended_output=True,
        with_exceptions=False,
        stdout_as_string=False,
        strip_newline_in_stdout=False,
        env=_ENVIRONMENT,
    )
    if status not in (0, 1):
        raise RepositoryError(_in_words(folder, str(complaint)))
    return bytes(output)


def _import_git() -> Any:
    try:
        import git
    except ModuleNotFoundError:
        raise
    except ImportError as error:  # GitPython looks for the program as it is imported
        raise RepositoryError("git cannot be run: install it, or put it on PATH") from error
    return git


def _checked(commit: str) -> str:
    if not _COMMIT.fullmatch(commit):
        raise RepositoryError(f"commit is {commit!r}; it must be a full name of git's")
    return commit


def _in_words(root: Path, complaint: str) -> str:
    return in_words(root, complaint.strip().removeprefix("stderr:").strip().strip("'"))
