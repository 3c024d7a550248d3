"""What takes more of git than the state of a tree: worktrees, patches, history."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rlx_experiment import ExperimentContext, Run, wrap_experiment
from rlx_experiment._cli import main
from rlx_experiment._source import git as plain_git
from rlx_experiment._source.capture import capture_source
from rlx_experiment._source.repository import Repository, RepositoryError
from rlx_experiment._source.tree import rebuild_tree

Git = Callable[..., str]


@wrap_experiment
def launched(ctxt: ExperimentContext, seed: int = 1) -> None:
    """Be recorded."""


@pytest.fixture
def repository(git: Git, in_own_folder: Path) -> Path:
    """A repository with one commit."""
    Path("agent.py").write_text("lr = 1\n")
    Path(".gitignore").write_text("runs\n")
    git("add", ".")
    git("commit", "-qm", "Add the agent")
    return in_own_folder


def record(root: Path, name: str) -> Run:
    """Make a run folder with the source of `root` as it is now."""
    folder = root / "runs" / name
    launched({"log_dir": str(folder)})
    tree = plain_git.read_tree(root)
    assert tree is not None
    capture_source(tree, folder, root / "runs" / ".source")
    return Run(folder)


class TestRefusals:
    @pytest.mark.parametrize("revision", ["--output=stolen", "-x", "HEAD\n--output=stolen", "no-such-branch"])
    def test_a_users_text_is_no_option(self, repository: Path, revision: str) -> None:
        """A revision that git would take for an option, or that is none, is an error that names it."""
        with pytest.raises(RepositoryError, match=r"(is '.*'; it must be a name of git's|has no commit ')"):
            Repository(repository).commit(revision)
        assert not Path("stolen").exists()

    @pytest.mark.parametrize("commit", ["--output=stolen", "HEAD", "", "0" * 39])
    def test_only_full_names_of_commits_are_compared(self, repository: Path, commit: str) -> None:
        """What a run folder calls its commit is checked before git sees it."""
        assert not Repository(repository).has(commit)
        with pytest.raises(RepositoryError, match=r"commit is '.*'; it must be a full name of git's"):
            Repository(repository).changes(commit, commit)

    def test_no_commit_yet(self, git: Git, in_own_folder: Path) -> None:
        """A repository without a commit says so."""
        with pytest.raises(RepositoryError, match="has no commit yet"):
            Repository(in_own_folder).commit("HEAD")

    def test_bare(self, git: Git, tmp_path: Path) -> None:
        """A bare repository says so, and what to do."""
        git("init", "-q", "--bare", str(tmp_path / "bare"))
        with pytest.raises(
            RepositoryError, match="is a bare repository, which has no files to run; clone it"
        ):
            Repository(tmp_path / "bare")

    def test_gone(self, tmp_path: Path) -> None:
        """A folder that is no repository, or no more, is named."""
        with pytest.raises(RepositoryError, match="is no git repository any more"):
            Repository(tmp_path / "gone")

    @pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="needs to give files away")
    def test_of_another_user(self, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A repository that git does not trust is named with the command that changes it."""
        monkeypatch.setenv("HOME", str(tmp_path))
        for path in (repository, repository / ".git"):
            os.chown(path, 12345, 12345)
        with pytest.raises(RepositoryError, match=r"git config --global --add safe\.directory"):
            Repository(repository)

    def test_no_git(self, repository: Path) -> None:
        """Where git is missing, the error says that, not where in GitPython it was noticed."""
        program = (
            "from pathlib import Path\n"
            "from rlx_experiment._source.repository import Repository\n"
            "Repository(Path('.'))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], env={"PATH": ""}, capture_output=True, text=True, check=False
        )
        assert done.stderr.splitlines()[-1].endswith("git cannot be run: install it, or put it on PATH")


class TestRebuiltTrees:
    def test_worktree_shows_what_was_not_committed(self, repository: Path, git: Git, tmp_path: Path) -> None:
        """A rebuilt tree is a worktree of the commit, with the changed, new and deleted files of the launch."""
        Path("agent.py").write_text("lr = 2\n")
        Path("new.py").write_text("")
        run = record(repository, "one")
        git("checkout", "-q", "agent.py")
        run.rebuild(tmp_path / "tree")
        assert (tmp_path / "tree" / "agent.py").read_text() == "lr = 2\n"
        assert git("status", "--short", cwd=tmp_path / "tree").split("\n") == ["M agent.py", "?? new.py"]

    @pytest.mark.filterwarnings("ignore:archiving the launch repository")
    def test_large_files_come_from_the_commit(self, repository: Path, git: Git, tmp_path: Path) -> None:
        """A file that is too large for the archive is there again where it was committed as it is."""
        Path("table.bin").write_bytes(bytes(9 * 2**20))
        git("add", ".")
        git("commit", "-qm", "Add a table")
        record(repository, "one").rebuild(tmp_path / "tree")
        assert (tmp_path / "tree" / "table.bin").stat().st_size == 9 * 2**20

    def test_archive_alone(self, repository: Path, tmp_path: Path) -> None:
        """Where the repository is gone, the files come from the run's own archive."""
        run = record(repository, "one")
        (repository / ".git").rename(repository / "moved")
        assert rebuild_tree(run.path, run.source, tmp_path / "tree") is None
        assert (tmp_path / "tree" / "agent.py").read_text() == "lr = 1\n"

    def test_hooks_do_not_run(self, repository: Path, tmp_path: Path) -> None:
        """To rebuild a tree runs no hook of the repository."""
        hook = repository / ".git" / "hooks" / "post-checkout"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
        hook.chmod(0o755)
        record(repository, "one").rebuild(tmp_path / "tree")
        assert (tmp_path / "tree" / ".git").is_file()
        assert not (tmp_path / "ran").exists()

    def test_pointers_of_lfs_are_named(
        self, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A file whose content was never fetched is listed, and named when the tree is rebuilt."""
        Path("weights.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
        run = record(repository, "one")
        assert {"path": "weights.bin", "reason": "pointer of Git LFS"} in run.source["left_out"]
        run.rebuild(tmp_path / "tree")
        assert "1 files of Git LFS were pointers when the run was launched, as weights.bin" in (
            capsys.readouterr().err
        )

    def test_temporary_worktree_is_removed(
        self, git: Git, repository: Path, run_script: Callable[..., "subprocess.CompletedProcess[str]"]
    ) -> None:
        """A rerun leaves no worktree behind."""
        script = """
            from rlx_experiment import Run, wrap_experiment

            @wrap_experiment(log_dir="runs/one")
            def train(ctxt, *, seed=1):
                print("trained")

            if __name__ == "__main__":
                train()
        """
        Path("script.py").write_text("")
        assert run_script(script).returncode == 0
        assert Run.open("runs/one").rerun("runs/two") == 0
        assert Run("runs/two").status.state == "finished"
        assert len(git("worktree", "list").splitlines()) == 1

    def test_worktree_that_a_run_has_broken_is_removed_too(
        self, repository: Path, git: Git, tmp_path: Path
    ) -> None:
        """A tree whose link to its repository is gone leaves nothing behind either."""
        run = record(repository, "one")
        kept = rebuild_tree(run.path, run.source, tmp_path / "tree")
        assert kept is not None
        (tmp_path / "tree" / ".git").unlink()
        kept.discard_worktree(tmp_path / "tree")
        assert not (tmp_path / "tree").exists()
        assert len(git("worktree", "list").splitlines()) == 1


def shown(capfdbinary: pytest.CaptureFixture[bytes], *words: str) -> bytes:
    """Run a command and return what it printed."""
    assert main(words) == 0
    return capfdbinary.readouterr().out


class TestPatches:
    def test_patch_applies(
        self, repository: Path, git: Git, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
    ) -> None:
        """In a pipe the difference of two runs' code is a patch that turns one into the other, changes in hand included."""
        old = record(repository, "old")
        Path("agent.py").write_text("lr = 2\n")
        Path("data.bin").write_bytes(b"\0\1\2")
        new = record(repository, "new")
        patch = shown(capfdbinary, "diff", str(old.path), str(new.path), "--source")
        assert b"--- a/agent.py\n+++ b/agent.py\n@@ -1 +1 @@\n-lr = 1\n+lr = 2\n" in patch
        git("checkout", "-q", "agent.py")
        Path("data.bin").unlink()
        (tmp_path / "patch").write_bytes(patch)
        git("apply", str(tmp_path / "patch"))
        assert (Path("agent.py").read_text(), Path("data.bin").read_bytes()) == ("lr = 2\n", b"\0\1\2")

    def test_same_code(self, repository: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        """Two runs of the same code have an empty patch."""
        runs = [str(record(repository, name).path) for name in ("one", "two")]
        assert shown(capfdbinary, "diff", *runs, "--source") == b""

    def test_control_characters_do_nothing_to_a_terminal(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Code that holds escape sequences is shown without them."""
        from rlx_experiment._reports.tables import print_patch

        print_patch("+\x1b[2Jgone\n")
        assert capsys.readouterr().out == "+\N{REPLACEMENT CHARACTER}[2Jgone\n"


class TestHistory:
    @pytest.fixture
    def two_commits(self, repository: Path, git: Git) -> Sequence[Run]:
        """Three runs: of one commit, of the same with a change, and of the next."""
        first = record(repository, "first")
        Path("agent.py").write_text("lr = 2\n")
        dirty = record(repository, "dirty")
        git("commit", "-qam", "Learn faster")
        return [first, dirty, record(repository, "second")]

    def test_runs_by_commit(self, two_commits: Sequence[Run], capfdbinary: Any) -> None:
        """Each commit has its runs, those with uncommitted changes marked, and what changed since the one below."""
        lines = shown(capfdbinary, "history", "runs").decode().splitlines()
        assert ["Learn faster" in lines[1], "second" in lines[1]] == [True, True]
        assert "1 file changed, 1 insertion(+), 1 deletion(-)" in lines[1]
        assert ["Add the agent" in lines[2], "dirty*" in lines[2], "first*" in lines[2]] == [
            True,
            True,
            False,
        ]

    def test_one_commit(self, two_commits: Sequence[Run], capfdbinary: Any) -> None:
        """A revision chooses one commit."""
        lines = shown(capfdbinary, "history", "runs", "--commit", "HEAD~1").decode().splitlines()
        assert len(lines) == 2
        assert "first" in lines[1]

    def test_commit_that_is_gone(self, two_commits: Sequence[Run], git: Git, capfdbinary: Any) -> None:
        """A commit that the repository has lost is listed with its runs."""
        git("checkout", "-q", "--orphan", "other")
        git("commit", "-qm", "Start again")
        git("branch", "-D", "main")
        git("reflog", "expire", "--expire=now", "--all")
        git("gc", "-q", "--prune=now")
        text = shown(capfdbinary, "history", "runs").decode()
        assert text.count("not in the repository any more") == 2

    def test_option_in_place_of_a_revision(self, two_commits: Sequence[Run], capfd: Any) -> None:
        """What looks like an option is refused by name."""
        assert main(["history", "runs", "--commit=--output=stolen"]) == 1
        assert "revision is '--output=stolen'; it must be a name of git's" in capfd.readouterr().err
