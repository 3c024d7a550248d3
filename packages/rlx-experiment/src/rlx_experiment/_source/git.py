"""What plain ``git`` says about a working tree; no repository is ever changed, not even its index."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

RUNS_FOLDER: Final = "data/local"
"""Where runs go by default, relative to the repository; never part of its source."""
STORE_FOLDER: Final = ".source"
"""Where archives of source code go, beside the runs."""


def default_store(log_dir: Path | None) -> Path:
    """Return the folder of source archives: one for all below ``data/local``, else beside `log_dir`."""
    runs = Path(RUNS_FOLDER).absolute()
    outside = log_dir is not None and not log_dir.is_relative_to(runs)
    return (log_dir.parent if log_dir is not None and outside else runs) / STORE_FOLDER


class WorkingTree(NamedTuple):
    """State of a repository's files. Paths are relative to `root`, with forward slashes, links not followed."""

    root: Path
    commit: str | None
    """None before the first commit."""
    branch: str | None = None
    """None with a detached head."""
    changed: tuple[str, ...] = ()
    """Tracked files whose content or mode differs from the commit, added ones included."""
    deleted: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    """Neither tracked nor ignored; a name that ends in ``/`` is a repository of its own."""

    @property
    def dirty(self) -> bool:
        """Whether anything differs from the commit."""
        return bool(self.changed or self.deleted or self.untracked)


def find_root(folder: Path) -> Path | None:
    """Return the innermost folder at or above `folder` that is a git working tree."""
    for candidate in (folder, *folder.parents):
        if (candidate / ".git").exists():
            return candidate
    return None


def read_tree(root: Path) -> WorkingTree | None:
    """Return the state of the working tree `root` from one git process; None if git is absent or fails."""
    output = run_git(
        root,
        ("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--no-renames"),
        ("--", ".", f":(exclude){RUNS_FOLDER}"),
    )
    return None if output is None else _parse_status(root, output.split(b"\0"))


def complaint(root: Path) -> str:
    """Return in one line why git cannot tell the state of `root`."""
    try:
        result = subprocess.run(
            ("git", "status", "--porcelain"), cwd=root, env=_environment(), capture_output=True, check=False
        )
    except OSError as error:
        return f"git cannot be run ({error})"
    return in_words(root, result.stderr.decode(errors="replace"))


def in_words(root: Path, complaint: str) -> str:
    """Return in one line what git says of `root` on standard error, with the way out where git distrusts its owner."""
    if "dubious ownership" in complaint:
        return f"git does not trust {root}, which another user owns: git config --global --add safe.directory {root}"
    return (complaint.strip().splitlines() or ["git failed"])[0]


def run_git(root: Path, command: Sequence[str], paths: Sequence[str] = ()) -> bytes | None:
    """Return the output of a git command that only reads; None if git is absent or fails."""
    try:
        result = subprocess.run(
            ("git", "-c", "core.quotepath=off", *command, *paths),
            cwd=root,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # `complaint` asks for it
            check=False,
        )
    except OSError:
        return None
    return result.stdout if result.returncode == 0 else None


def _environment() -> dict[str, str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return environment | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


def list_files(root: Path) -> list[str]:
    """Return the tracked and untracked, not ignored files of `root`, those of submodules included, sorted."""
    return sorted(set(_walk_files(root)))


def list_ignored(root: Path) -> list[str]:
    """Return the ignored files of `root`; a folder that is ignored as a whole is one name that ends in ``/``."""
    listing = run_git(
        root,
        ("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory"),
        ("--", ".", f":(exclude){RUNS_FOLDER}", f":(exclude,glob)**/{STORE_FOLDER}/**"),
    )
    return sorted(os.fsdecode(name) for name in (listing or b"").split(b"\0") if name)


def _walk_files(root: Path) -> Iterator[str]:
    listing = run_git(
        root,
        ("ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        ("--", ".", f":(exclude){RUNS_FOLDER}"),
    )
    for raw in (listing or b"").split(b"\0"):
        name = os.fsdecode(raw).rstrip("/")
        path = root / name
        if not name or not os.path.lexists(path):
            continue
        if path.is_dir() and not path.is_symlink():  # a submodule, or a repository inside this one
            yield from (f"{name}/{inner}" for inner in list_files(path) if (path / ".git").exists())
        else:
            yield name


def _parse_status(root: Path, entries: list[bytes]) -> WorkingTree:
    commit = branch = None
    changed: list[str] = []
    deleted: list[str] = []
    untracked: list[str] = []
    for entry in entries:
        kind, _, rest = entry.partition(b" ")
        if entry.startswith(b"# branch.oid "):
            commit = None if entry.endswith(b"(initial)") else os.fsdecode(entry.split(b" ")[2])
        elif entry.startswith(b"# branch.head "):
            branch = None if entry.endswith(b"(detached)") else os.fsdecode(entry.split(b" ", 2)[2])
        elif kind in (b"1", b"u"):
            path = os.fsdecode(rest.split(b" ", 7 if kind == b"1" else 9)[-1])
            (changed if os.path.lexists(root / path) else deleted).append(path)
        elif kind == b"?":
            untracked.append(os.fsdecode(rest))
    return WorkingTree(
        root=root,
        commit=commit,
        branch=branch,
        changed=tuple(changed),
        deleted=tuple(deleted),
        untracked=tuple(untracked),
    )
