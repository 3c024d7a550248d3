"""The tree that a run was launched from: rebuilt as a worktree of its repository, or from its archive alone."""

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from rlx_experiment._source.files import ARCHIVE_FILE, LFS_POINTER, leads_out
from rlx_experiment._source.rebuild import extract_archive
from rlx_experiment._source.repository import Repository, RepositoryError
from rlx_experiment._terminal import notify

_FROM_THE_COMMIT: Final = ("large", "secret")
"""Why an archive leaves out files that the commit may have."""


def rebuild_tree(run_folder: Path, source: Mapping[str, Any], tree: Path) -> Repository | None:
    """Write the launch tree of a run into `tree`, a new or empty folder.

    Where the repository is still there and has the commit, the tree is a worktree of it: git shows in it what was not
    committed, and files that are too large for an archive come from the commit.

    Args:
        run_folder: The run.
        source: What it recorded about its source.
        tree: Where to write.

    Returns:
        The repository that `tree` is a worktree of; None if it is none.

    Raises:
        FileNotFoundError: The run kept no source.
        FileExistsError: `tree` holds something.
        UnsafeArchiveError: The archive holds what a launch archive never holds.
    """
    archive = run_folder / ARCHIVE_FILE
    if not archive.exists():
        raise FileNotFoundError(
            f"{run_folder} has no {ARCHIVE_FILE}: it was launched outside of a git repository, "
            "or with archive_launch_repo=False"
        )
    tree.mkdir(parents=True, exist_ok=True)
    if any(tree.iterdir()):
        raise FileExistsError(f"{tree} is not empty; choose a new folder")
    repository = _add_worktree(source, tree)
    extract_archive(archive, tree)
    if repository is not None:
        _check_out(repository, source, tree)
    _tell_pointers(source, tree)
    return repository


def _add_worktree(source: Mapping[str, Any], tree: Path) -> Repository | None:
    root, commit = str(source.get("root", "")), str(source.get("commit"))
    try:
        repository = Repository(Path(root))
        if not repository.has(commit):
            return None
        repository.add_worktree(tree, commit)
    except RepositoryError:  # the archive is whole by itself
        return None
    return repository


def _check_out(repository: Repository, source: Mapping[str, Any], tree: Path) -> None:
    """Take from the commit what the archive left out, and remove again what is not as it was at the launch."""
    differs = {*source.get("changed", ()), *source.get("untracked", ()), *source.get("deleted", ())}
    left_out = {
        str(item["path"]): item.get("sha256")
        for item in source.get("left_out", ())
        if item.get("reason") in _FROM_THE_COMMIT
        and item["path"] not in differs
        and _is_inside(str(item["path"]))
    }
    repository.check_out(tree, [name for name in left_out if not (tree / name).exists()])
    for name, digest in left_out.items():
        path = tree / name
        if digest and path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            path.unlink()


def _is_inside(name: str) -> bool:
    return not leads_out("x", name) and ".git" not in PurePosixPath(name.lower()).parts


def _tell_pointers(source: Mapping[str, Any], tree: Path) -> None:
    pointers = [str(item["path"]) for item in source.get("left_out", ()) if item.get("reason") == LFS_POINTER]
    if pointers:
        notify(
            f"{len(pointers)} files of Git LFS were pointers when the run was launched, as {pointers[0]}: "
            f"if the code needs them, run 'git lfs pull' in {tree} first"
        )
