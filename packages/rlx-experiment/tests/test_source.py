"""A run's source: stored once, complete, and rebuilt byte for byte."""

import hashlib
import io
import json
import lzma
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlx_experiment._source import archive
from rlx_experiment._source.capture import capture_source
from rlx_experiment._source.git import default_store, read_tree
from rlx_experiment._source.rebuild import UnsafeArchiveError, extract_archive

Git = Callable[..., str]
RunScript = Callable[..., "subprocess.CompletedProcess[str]"]


def capture(root: Path, run: str, store: Path) -> Path:
    """Capture the source of `root` for a run beside the store; return the run folder."""
    tree = read_tree(root)
    assert tree is not None
    folder = store.parent / run
    folder.mkdir(parents=True)
    capture_source(tree, folder, store)
    return folder


def contents(root: Path) -> dict[str, tuple[str, bytes]]:
    """Return kind and content of all files below `root`, but for git's own."""
    found: dict[str, tuple[str, bytes]] = {}
    for folder, folders, names in os.walk(root):
        if ".git" in folders:
            folders.remove(".git")
        for name in [*names, *folders]:
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            if path.is_symlink():
                found[relative] = ("link", os.fsencode(path.readlink()))
            elif path.is_file() and name != ".git":
                mode = "executable" if path.stat().st_mode & stat.S_IXUSR else "file"
                found[relative] = (mode, path.read_bytes())
    return found


NAMES = st.sampled_from(["a.py", "b.py", "é ü.txt", "dir/c.py", "dir/deep/d", "x\ny", "-rf", "z"])
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("write"), NAMES, st.binary(max_size=40)),
        st.tuples(st.just("delete"), NAMES, st.just(b"")),
        st.tuples(st.just("rename"), NAMES, st.just(b"")),
        st.tuples(st.just("execute"), NAMES, st.just(b"")),
        st.tuples(st.just("link"), NAMES, st.sampled_from([b"a.py", b"nowhere", b"dir"])),
        st.tuples(st.just("add"), NAMES, st.just(b"")),
        st.tuples(st.just("commit"), NAMES, st.just(b"")),
    ),
    max_size=12,
)


def apply(git: Git, root: Path, kind: str, name: str, content: bytes) -> None:
    """Make one change to a repository; those that make no sense there do nothing."""
    path = root / name
    if kind == "write" and not path.is_symlink() and not path.is_dir():
        if any(parent.is_file() or parent.is_symlink() for parent in path.parents if parent != root):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    elif kind == "delete" and os.path.lexists(path) and not path.is_dir():
        path.unlink()
    elif kind == "rename" and path.is_file():
        path.rename(path.with_name(f"new {path.name}"))
    elif kind == "execute" and path.is_file() and not path.is_symlink():
        path.chmod(0o755)
    elif kind == "link" and not os.path.lexists(path) and path.parent.is_dir():
        path.symlink_to(os.fsdecode(content))
    elif kind == "add":
        git("add", "--all", cwd=root)
    elif kind == "commit":
        git("add", "--all", cwd=root)
        git("commit", "--quiet", "--allow-empty", "--message", "x", cwd=root)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(changes=CHANGES)
def test_any_dirty_repository_comes_back_byte_for_byte(
    git: Git, tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, str, bytes]]
) -> None:
    """Whatever was written, removed, renamed, linked, staged or committed, the rebuilt tree is the launch tree."""
    top = tmp_path_factory.mktemp("repository")
    root = top / "root"
    root.mkdir()
    git("init", "-q", cwd=root)
    store = top / "runs" / ".source"
    for number, (kind, name, content) in enumerate(changes):
        apply(git, root, kind, name, content)
        if number % 4 == 0:  # so that later archives take pieces of earlier ones
            capture(root, f"early_{number}", store)
    folder = capture(root, "last", store)
    extract_archive(folder / "launch_archive.tar.xz", top / "again")
    assert contents(top / "again") == contents(root)


def test_the_same_code_is_stored_once(git: Git, in_own_folder: Path, tmp_path: Path) -> None:
    """Runs of one code state share one archive; it takes no space of its own."""
    Path("a.py").write_text("x")
    store = tmp_path / "runs" / ".source"
    runs = [capture(in_own_folder, f"run_{i}", store) for i in range(3)]
    assert len({(run / "launch_archive.tar.xz").stat().st_ino for run in runs}) == 1
    assert len(list(store.glob("*.tar.xz"))) == 1


LAUNCHES = """
from rlx_experiment import wrap_experiment

@wrap_experiment
def exp(ctxt):
    pass

for _ in range(100):
    exp()
"""


def test_a_hundred_launches_take_the_space_of_one_archive(git: Git, run_script: RunScript) -> None:
    """On disk they are one archive and at most 8 KiB a run beside it."""
    for number in range(20):
        Path(f"module_{number}.py").write_bytes(hashlib.sha256(bytes([number])).digest() * 500)
    assert run_script(LAUNCHES).returncode == 0
    runs = Path("data/local")
    assert len(list(runs.glob("experiment/*/launch_archive.tar.xz"))) == 100
    (archive,) = runs.glob(".source/*.tar.xz")
    files = {path.stat().st_ino: path.stat().st_size for path in runs.rglob("*") if path.is_file()}
    assert sum(files.values()) <= 1.02 * archive.stat().st_size + 100 * 8192


@pytest.mark.parametrize("change", ["content", "mode", "new", "deleted", "link"])
def test_each_change_is_another_state(git: Git, in_own_folder: Path, tmp_path: Path, change: str) -> None:
    """A change of content, mode, or of what exists, is not taken for the state before."""
    for name in ("a.py", "b.py"):
        Path(name).write_text("x")
    git("add", ".")
    git("commit", "-qm", "x")
    store = tmp_path / "runs" / ".source"
    capture(in_own_folder, "before", store)
    if change == "content":
        Path("a.py").write_text("y")
    elif change == "mode":
        Path("a.py").chmod(0o755)
    elif change == "new":
        Path("c.py").touch()
    else:
        Path("a.py").unlink()
        if change == "link":
            Path("a.py").symlink_to("b.py")
    after = capture(in_own_folder, "after", store)
    assert len(list(store.glob("*.tar.xz"))) == 2
    extract_archive(after / "launch_archive.tar.xz", tmp_path / "again")
    assert contents(tmp_path / "again") == contents(in_own_folder)


def test_a_run_folder_copied_alone_is_whole(git: Git, in_own_folder: Path, tmp_path: Path) -> None:
    """Without the store the archive is still there."""
    Path("a.py").write_text("x")
    store = tmp_path / "runs" / ".source"
    run = capture(in_own_folder, "run", store)
    for path in store.iterdir():
        path.unlink()
    extract_archive(run / "launch_archive.tar.xz", tmp_path / "again")
    assert contents(tmp_path / "again") == contents(in_own_folder)


def test_what_is_left_out_is_listed(git: Git, in_own_folder: Path, tmp_path: Path) -> None:
    """Large files with size and digest, secrets by path alone, ignored files, and links that lead out."""
    Path(".env").write_text("PASSWORD=x")
    Path(".gitignore").write_text("*.tmp\n")
    Path("a.tmp").touch()
    Path("out").symlink_to("/etc")
    with Path("large").open("wb") as file:
        file.truncate(8 * 2**20)
    with pytest.warns(UserWarning, match="archive_launch_repo"):
        run = capture(in_own_folder, "run", tmp_path / "runs" / ".source")
    left_out = {item["path"]: item for item in json.loads((run / "source.json").read_text())["left_out"]}
    assert left_out[".env"] == {"path": ".env", "reason": "secret"}
    assert left_out["large"]["size"] == 8 * 2**20
    assert len(left_out["large"]["sha256"]) == 64
    assert left_out["a.tmp"]["reason"] == "ignored"
    assert left_out["out"]["target"] == "/etc"
    listing = subprocess.run(
        ("tar", "-tf", str(run / "launch_archive.tar.xz")), check=True, capture_output=True, text=True
    )
    assert listing.stdout.split() == [".gitignore"]


def test_a_large_file_is_read_once(git: Git, in_own_folder: Path, tmp_path: Path) -> None:
    """In later states of the code a large file that did not change has the digest of the state before."""
    store = tmp_path / "runs" / ".source"
    with Path("large").open("wb") as file:
        file.truncate(8 * 2**20)
    digests: list[str] = []
    for number in range(3):
        Path("code.py").write_text(f"version = {number}")
        if number == 2:
            os.utime("large", ns=(0, 0))
        with pytest.warns(UserWarning, match="archive_launch_repo"):
            capture(in_own_folder, f"run_{number}", store)
        index = max(store.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        digests += [item["sha256"] for item in json.loads(index.read_text())["left_out"]]
        index.write_text(index.read_text().replace(digests[-1], "remembered"))
    assert digests[:2] == [hashlib.sha256(bytes(8 * 2**20)).hexdigest(), "remembered"]
    assert digests[2] == digests[0]


def test_a_changed_submodule_is_another_state(git: Git, in_own_folder: Path, tmp_path: Path) -> None:
    """A file changed inside a submodule is captured with it."""
    other = tmp_path / "other"
    other.mkdir()
    git("init", "-q", cwd=other)
    (other / "lib.py").write_text("x")
    git("add", ".", cwd=other)
    git("commit", "-qm", "x", cwd=other)
    git("submodule", "add", "-q", str(other), "dep")
    git("commit", "-qam", "x")
    store = tmp_path / "runs" / ".source"
    capture(in_own_folder, "before", store)
    Path("dep/lib.py").write_text("changed")
    after = capture(in_own_folder, "after", store)
    extract_archive(after / "launch_archive.tar.xz", tmp_path / "again")
    assert contents(tmp_path / "again") == contents(in_own_folder)
    assert (tmp_path / "again" / "dep" / "lib.py").read_text() == "changed"


class TestHostileArchives:
    @staticmethod
    def make(*members: tuple[tarfile.TarInfo, bytes]) -> Path:
        """Write an archive of `members`."""
        with tarfile.open("evil.tar.xz", "w:xz") as archive:
            for member, content in members:
                member.size = member.size or len(content)
                archive.addfile(member, io.BytesIO(content))
        return Path("evil.tar.xz")

    @staticmethod
    def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
        """Return the header of one member."""
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.size = kind, link, size
        return member

    @pytest.mark.parametrize(
        ("name", "kind", "link", "message"),
        [
            ("../out", tarfile.REGTYPE, "", "leads out of its folder"),
            ("a/../../out", tarfile.REGTYPE, "", "leads out of its folder"),
            ("/tmp/out", tarfile.REGTYPE, "", "leads out of its folder"),
            ("device", tarfile.CHRTYPE, "", "neither file nor link"),
            ("pipe", tarfile.FIFOTYPE, "", "neither file nor link"),
            ("hard", tarfile.LNKTYPE, "/etc/passwd", "neither file nor link"),
            ("soft", tarfile.SYMTYPE, "/etc", "leads out"),
            ("a/soft", tarfile.SYMTYPE, "../../etc", "leads out"),
            (".git/hooks/post-checkout", tarfile.REGTYPE, "", "git would obey"),
            ("sub/.GIT/config", tarfile.REGTYPE, "", "git would obey"),
        ],
    )
    def test_members_that_reach_out_are_refused(
        self, name: str, kind: bytes, link: str, message: str
    ) -> None:
        """Names, links and kinds that a launch archive never holds are errors, and nothing lies outside."""
        archive = self.make((self.member(name, kind, link), b""))
        with pytest.raises(UnsafeArchiveError, match=message):
            extract_archive(archive, Path("tree"))
        assert {path.name for path in Path().iterdir()} == {"evil.tar.xz", "tree"}
        assert list(Path("tree").iterdir()) == []

    def test_nothing_is_written_through_a_link(self) -> None:
        """A file below a name that was a link before lands in a plain folder, or is refused."""
        archive = self.make(
            (self.member("link", tarfile.SYMTYPE, "inside"), b""), (self.member("link/file"), b"x")
        )
        with pytest.raises(UnsafeArchiveError, match="twice"):
            extract_archive(archive, Path("tree"))

    def test_names_given_twice_are_refused(self) -> None:
        """The second of two files of one name is an error."""
        archive = self.make((self.member("a"), b"x"), (self.member("a"), b"y"))
        with pytest.raises(UnsafeArchiveError, match="twice"):
            extract_archive(archive, Path("tree"))

    def test_bombs_are_refused(self) -> None:
        """Members, headers or totals beyond what a launch archive can have are not unpacked."""
        large = self.make((self.member("zeros"), bytes(8 * 2**20)))
        with pytest.raises(UnsafeArchiveError, match="stay below 8 MiB"):
            extract_archive(large, Path("tree_1"))
        many = self.make(*((self.member(f"zeros_{i}"), bytes(2**20)) for i in range(5)))
        with pytest.raises(UnsafeArchiveError, match="more than is allowed"):
            extract_archive(many, Path("tree_2"), max_bytes=4 * 2**20)
        header = tarfile.TarInfo("pax")
        header.type, header.size = tarfile.XHDTYPE, 2**33
        Path("evil.tar.xz").write_bytes(lzma.compress(header.tobuf(tarfile.GNU_FORMAT)))
        # From Python 3.14 on, tarfile itself refuses such a header.
        with pytest.raises(
            (UnsafeArchiveError, tarfile.ReadError), match=r"more than is allowed|empty header"
        ):
            extract_archive(Path("evil.tar.xz"), Path("tree_3"))

    def test_a_damaged_archive_is_an_error(self) -> None:
        """Bytes cut off or changed are noticed."""
        data = self.make((self.member("a"), b"x" * 1000)).read_bytes()
        Path("evil.tar.xz").write_bytes(data[:-20])
        with pytest.raises((EOFError, lzma.LZMAError, tarfile.TarError), match=r"."):
            extract_archive(Path("evil.tar.xz"), Path("tree"))

    def test_a_folder_with_something_in_it_is_left_alone(self) -> None:
        """A tree is rebuilt in an empty folder only."""
        Path("tree").mkdir()
        Path("tree/mine").touch()
        with pytest.raises(FileExistsError, match="not empty"):
            extract_archive(self.make((self.member("a"), b"")), Path("tree"))


@pytest.mark.parametrize(
    ("log_dir", "store"),
    [
        (None, "data/local/.source"),
        ("data/local/experiment/run", "data/local/.source"),
        ("runs/run", "runs/.source"),
    ],
)
def test_store_is_out_of_the_way_of_the_runs(log_dir: str | None, store: str) -> None:
    """A folder below data/local holds runs and nothing else."""
    assert default_store(None if log_dir is None else Path(log_dir).absolute()) == Path(store).absolute()


def test_an_edit_while_the_source_is_kept(
    git: Git, in_own_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept under the name of a state is that state, and later runs of the earlier one get the earlier one."""
    store = tmp_path / "runs" / ".source"
    Path("train.py").write_text("lr = 1")
    write = archive.write_archive

    def edited(*arguments: Any) -> Any:
        Path("train.py").write_text("lr = 2")
        return write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(archive, "write_archive", edited)
        during = capture(in_own_folder, "during", store)
    Path("train.py").write_text("lr = 1")
    after = capture(in_own_folder, "after", store)
    for folder, text in ((during, "lr = 2"), (after, "lr = 1")):
        tree = folder / "tree"
        extract_archive(folder / "launch_archive.tar.xz", tree)
        assert (tree / "train.py").read_text() == text


def test_a_tree_that_never_holds_still(
    git: Git, in_own_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept as it was read, for this run alone, also where files vanish meanwhile."""
    store = tmp_path / "runs" / ".source"
    Path("train.py").write_text("lr = 1")
    write, sizes = archive.write_archive, iter(range(1, 100))

    def growing(*arguments: Any) -> Any:
        Path("log.txt").write_text("x" * next(sizes))
        Path("swap").unlink(missing_ok=True)
        done = write(*arguments)
        Path("swap").touch()
        return done

    monkeypatch.setattr(archive, "write_archive", growing)
    folder = capture(in_own_folder, "run", store)
    (kept,) = store.glob("*.tar.xz")
    assert kept.samefile(folder / "launch_archive.tar.xz")
    assert not list(store.glob("*.json"))
    assert json.loads((folder / "source.json").read_text())["state"] == kept.name.removesuffix(".tar.xz")


@pytest.mark.parametrize("damage", ["*.json", "*.tar.xz"])
def test_a_store_that_a_crash_left_incomplete(
    git: Git, in_own_folder: Path, tmp_path: Path, damage: str
) -> None:
    """A file that lost its content is made again; no run gets half an archive."""
    store = tmp_path / "runs" / ".source"
    Path("train.py").write_text("lr = 1")
    capture(in_own_folder, "first", store)
    (damaged,) = store.glob(damage)
    damaged.unlink()
    damaged.touch()
    second = capture(in_own_folder, "second", store)
    extract_archive(second / "launch_archive.tar.xz", second / "tree")
    assert (second / "tree" / "train.py").read_text() == "lr = 1"
