"""The archive of the launcher's repository."""

import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from rlx_experiment import make_launcher_archive

Git = Callable[..., str]


def archived(root: Path) -> list[str]:
    """Archive `root` into a folder outside of it and return the names that plain tar lists."""
    target = root.parent / "archive"
    target.mkdir(exist_ok=True)
    make_launcher_archive(git_root_path=str(root), log_dir=str(target))
    listing = subprocess.run(
        ("tar", "--list", "--file", str(target / "launch_archive.tar.xz")),
        check=True,
        capture_output=True,
        text=True,
    )
    return listing.stdout.splitlines()


def write(name: str, content: str = "x") -> None:
    """Write a file in the test's repository."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def test_takes_tracked_and_untracked_files(git: Git, in_own_folder: Path) -> None:
    """What git tracks, and what it would, is archived as it is now; ignored files are not."""
    for name in ("tracked", "sub/untracked file", "ignored.tmp"):
        write(name)
    write(".gitignore", "*.tmp")
    git("add", "tracked", ".gitignore")
    git("commit", "-qm", "x")
    write("tracked", "changed")
    assert archived(in_own_folder) == [".gitignore", "sub/untracked file", "tracked"]
    with tarfile.open(in_own_folder.parent / "archive" / "launch_archive.tar.xz") as archive:
        member = archive.extractfile("tracked")
        assert member is not None
        assert member.read() == b"changed"


def test_deleted_files_are_left_out(git: Git, in_own_folder: Path) -> None:
    """A tracked file that is gone does not fail the archive."""
    write("gone")
    git("add", ".")
    git("commit", "-qm", "x")
    Path("gone").unlink()
    write("here")
    assert archived(in_own_folder) == ["here"]


def test_large_files_are_left_out_with_a_warning(git: Git, in_own_folder: Path) -> None:
    """Files from 8 MiB up stay out, and a large repository earns a warning that names the option."""
    write("small")
    with Path("large").open("wb") as file:
        file.truncate(8 * 2**20)
    with pytest.warns(UserWarning, match="archive_launch_repo"):
        assert archived(in_own_folder) == ["small"]


def test_secrets_are_left_out(git: Git, in_own_folder: Path) -> None:
    """Credential files stay out, tracked or not."""
    for name in (".env", "a/server.pem", "code.py"):
        write(name)
    git("add", ".env")
    assert archived(in_own_folder) == ["code.py"]


def test_run_folders_are_left_out(git: Git, in_own_folder: Path) -> None:
    """Earlier runs are not archived again, wherever they lie in the repository."""
    for name in (
        "code.py",
        "data/local/experiment/a/progress.csv",
        "mine/run/run.lock",
        "mine/run/params.pkl",
    ):
        write(name)
    assert archived(in_own_folder) == ["code.py"]


def test_dangling_links_are_links(git: Git, in_own_folder: Path) -> None:
    """A link is archived as a link, wherever it points."""
    Path("dangling").symlink_to("nowhere")
    assert archived(in_own_folder) == ["dangling"]


def test_submodules_give_their_files(git: Git, in_own_folder: Path, tmp_path: Path) -> None:
    """A submodule is taken file by file, by its own rules, without its .git."""
    other = tmp_path / "other"
    other.mkdir()
    git("init", "-q", cwd=other)
    (other / "lib.py").write_text("x")
    git("add", ".", cwd=other)
    git("commit", "-qm", "x", cwd=other)
    git("submodule", "add", "-q", str(other), "dep")
    write("dep/.env")
    assert archived(in_own_folder) == [".gitmodules", "dep/lib.py"]


def test_a_repository_without_a_commit(git: Git, in_own_folder: Path) -> None:
    """Before the first commit there is still something to archive."""
    write("new.py")
    assert archived(in_own_folder) == ["new.py"]
