"""Snapshots at URLs, through fsspec."""

import getpass
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_servers import free_port, make_key, s3_server, sftp_server

from rlx_snapshot import (
    DamagedSnapshotError,
    SnapshotFallbackWarning,
    SnapshotNotFoundError,
    Snapshotter,
    StoreOutageWarning,
)
from rlx_snapshot._storage import outages
from rlx_snapshot._storage.multipart import PART, spans_of
from rlx_snapshot._storage.remote_folder import RemoteFolder

fsspec: Any = pytest.importorskip("fsspec", reason="needs fsspec")


@pytest.fixture(scope="session")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a folder behind OpenSSH's server."""
    pytest.importorskip("paramiko", reason="needs paramiko")
    folder, port = tmp_path_factory.mktemp("sftp"), free_port()
    options = {"key_filename": str(make_key(folder)), "look_for_keys": False, "allow_agent": False}
    with sftp_server(folder, port), pytest.MonkeyPatch.context() as patch:
        patch.setitem(fsspec.config.conf, "sftp", options)
        yield f"sftp://{getpass.getuser()}@127.0.0.1:{port}{folder}"


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The URL of a bucket in an object store."""
    pytest.importorskip("s3fs", reason="needs s3fs")
    pytest.importorskip("moto.server", reason="needs moto[server]")
    port = free_port()
    options = {"endpoint_url": f"http://127.0.0.1:{port}", "key": "x", "secret": "x"}
    with s3_server(port), pytest.MonkeyPatch.context() as patch:
        patch.setitem(fsspec.config.conf, "s3", options)
        fsspec.filesystem("s3").mkdir("bucket")
        yield "s3://bucket"


@pytest.fixture(params=["memory", "file", "sftp", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh place in memory, on the disk through fsspec, on another host, or in an object store."""
    if request.param in {"sftp", "s3"}:
        return f"{request.getfixturevalue(request.param)}/{uuid.uuid4().hex}/run"
    return f"memory://{uuid.uuid4().hex}/run" if request.param == "memory" else f"file://{tmp_path}/run"


def names_at(url: str) -> list[str]:
    """Names of all files at a URL, sorted."""
    files, root = fsspec.core.url_to_fs(url)
    return sorted(path.rpartition("/")[2] for path in files.ls(root, detail=False))


def test_saves_and_loads_by_number(url: str) -> None:
    """All iterations are uploaded, and found by number, 'first' and 'last'."""
    snapshotter = Snapshotter(url, "all")
    for itr in range(9, 12):
        snapshotter.save_itr_params(itr, {"itr": itr})
    assert snapshotter.snapshot_dir == url
    assert names_at(url) == ["itr_10.pkl", "itr_11.pkl", "itr_9.pkl"]
    loaded = [Snapshotter(url, "none").load(url, itr)["itr"] for itr in ("first", "10", "last")]
    assert loaded == [9, 10, 11]


def test_background_and_keep_work_remotely(url: str) -> None:
    """The thread uploads; older files are removed once the newer one is there."""
    with Snapshotter(url, "all", background=True, keep=2) as snapshotter:
        for itr in range(5):
            snapshotter.save_itr_params(itr, bytearray(100_000))
    assert names_at(url) == ["itr_3.pkl", "itr_4.pkl"]
    assert snapshotter.last_committed == 4


def test_latest_file_is_replaced(url: str) -> None:
    """In mode last there is one file, also found by the iteration inside."""
    snapshotter = Snapshotter(url)
    for itr in range(3):
        snapshotter.save_itr_params(itr, itr)
    assert names_at(url) == ["params.pkl"]
    assert (snapshotter.load(url), snapshotter.load(url, 2)) == (2, 2)


def test_missing_iteration_says_what_is_there(url: str) -> None:
    """The error names the place and the files."""
    snapshotter = Snapshotter(url, "all")
    snapshotter.save_itr_params(3, 3)
    with pytest.raises(SnapshotNotFoundError, match=r"iteration 7 in .*itr_3\.pkl"):
        snapshotter.load(url, 7)


def test_damaged_newest_falls_back(url: str) -> None:
    """An older file is downloaded where the newest is damaged."""
    snapshotter = Snapshotter(url, "all")
    for itr in range(3):
        snapshotter.save_itr_params(itr, itr)
    files, root = fsspec.core.url_to_fs(url)
    files.pipe_file(f"{root}/itr_2.pkl", files.cat_file(f"{root}/itr_2.pkl")[:-1])
    with pytest.warns(SnapshotFallbackWarning, match=r"itr_1\.pkl"):
        assert snapshotter.load(url) == 1


def test_later_snapshots_are_put_away(url: str) -> None:
    """Going back keeps what is left behind, each time in a folder of its own."""
    snapshotter = Snapshotter(url, "gap_and_last", 2)
    for attempt in (1, 2):
        for itr in range(5):
            snapshotter.save_itr_params(itr, (attempt, itr))
        assert snapshotter.discard_after(2)
        assert not snapshotter.discard_after(2)
        assert (snapshotter.load(url), names_at(f"{url}/discarded/{attempt}")) == (
            (attempt, 2),
            ["itr_4.pkl", "params.pkl"],
        )
    assert snapshotter.load(f"{url}/discarded/1") == (1, 4)


@pytest.mark.parametrize("itr", ["foo", "-1", "1.0", None, 2.0, b"last"])
def test_anything_but_a_number_first_or_last_is_a_value_error(url: str, itr: Any) -> None:
    """A URL takes what a directory takes."""
    snapshotter = Snapshotter(url, "gap_and_last", 2)
    for saved in range(3):
        snapshotter.save_itr_params(saved, saved)
    with pytest.raises(ValueError, match=r"itr is .*; it must be an iteration number, 'first' or 'last'"):
        snapshotter.load(url, itr)


def test_messages_name_the_url(url: str) -> None:
    """Errors and warnings say where the file is, not where it was copied to."""
    snapshotter = Snapshotter(url, "gap_and_last", 2)
    for saved in range(4):
        snapshotter.save_itr_params(saved, saved)
    with pytest.raises(SnapshotNotFoundError, match=f"iteration 1 in {url} "):
        snapshotter.load(url, 1)
    files, root = fsspec.core.url_to_fs(url)
    files.pipe_file(f"{root}/params.pkl", files.cat_file(f"{root}/params.pkl")[:-1])
    with pytest.warns(SnapshotFallbackWarning, match=rf"loaded {url}/itr_2\.pkl, .*{url}/params") as caught:
        assert snapshotter.load(url) == 2
    assert caught[0].filename == __file__
    files.pipe_file(f"{root}/itr_2.pkl", files.cat_file(f"{root}/itr_2.pkl")[:-1])
    with pytest.raises(DamagedSnapshotError, match=rf"{url}/itr_2\.pkl is damaged"):
        snapshotter.load(url, 2)


@pytest.mark.processes
@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_a_forked_child_that_ends_takes_nothing_away(tmp_path: Path) -> None:
    """The directory that files are uploaded from belongs to the process that made it."""
    program = f"""
import os, sys
from rlx_snapshot import Snapshotter
snapshotter = Snapshotter("file://{tmp_path}/run")
child = os.fork()
if child == 0:
    sys.exit()
os.waitpid(child, 0)
snapshotter.save_itr_params(0, 7)
print(snapshotter.load("file://{tmp_path}/run"))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("7\n", "")


def test_a_url_that_was_made_a_path_is_refused() -> None:
    """`Path("s3://bucket")` would be a folder `s3:` in the working directory."""
    with pytest.raises(ValueError, match=r"s3:/bucket.*a URL as text: a Path takes a slash away"):
        Snapshotter(Path("s3://bucket/run"))


def test_missing_fsspec_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without fsspec the error says what to install."""
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ModuleNotFoundError, match=r"rlx-snapshot\[fsspec\]"):
        Snapshotter("memory://nowhere")


SAVE_ELSEWHERE = """
import sys, fsspec
from rlx_snapshot import Snapshotter
fsspec.config.conf.update({options!r})
Snapshotter({url!r}).save_itr_params(7, "elsewhere")
"""


@pytest.mark.processes
@pytest.mark.parametrize("store", ["sftp", "s3"])
def test_what_another_process_saved_is_found(store: str, request: pytest.FixtureRequest) -> None:
    """A listing from before is not taken for what there is now."""
    parent = f"{request.getfixturevalue(store)}/{uuid.uuid4().hex}"
    snapshotter = Snapshotter(parent)
    snapshotter.save_itr_params(0, "parent")
    with pytest.raises(SnapshotNotFoundError, match="no snapshot in"):
        snapshotter.load(f"{parent}/run")
    program = SAVE_ELSEWHERE.format(options=dict(fsspec.config.conf), url=f"{parent}/run")
    subprocess.run([sys.executable, "-c", program], check=True)
    assert (snapshotter.load(f"{parent}/run"), snapshotter.load(parent)) == ("elsewhere", "parent")
    subprocess.run([sys.executable, "-c", program.replace("/run'", "'")], check=True)
    assert snapshotter.discard_after(3)


def test_a_misspelt_bucket_is_not_made(s3: str) -> None:
    """Training would fill a bucket that nobody looks into."""
    del s3
    with pytest.raises(FileNotFoundError, match=r"no bucket 'bukcet' .*make the bucket first"):
        Snapshotter("s3://bukcet/run")
    assert not fsspec.filesystem("s3").exists("bukcet")
    with pytest.raises(SnapshotNotFoundError, match="no snapshot in s3://bukcet/run"):
        Snapshotter("memory://x").load("s3://bukcet/run")


@given(
    digests=st.lists(st.integers(0, 1), min_size=1, max_size=40).map(
        lambda kinds: [bytes([kind]) for kind in kinds]
    ),
    before=st.lists(st.integers(0, 1), max_size=40).map(lambda kinds: [bytes([kind]) for kind in kinds]),
    missing=st.integers(0, PART - 1),
)
def test_spans_cover_a_file_once_and_hold_what_is_the_same(
    digests: list[bytes], before: list[bytes], missing: int
) -> None:
    """In order, without gaps; a span is copied exactly where every part of it is what it was."""
    size = len(digests) * PART - missing
    spans = list(spans_of(digests, size, PART, before))
    assert [span.start for span in spans] == [0, *(span.stop for span in spans[:-1])]
    assert spans[-1].stop == size
    for start, stop, held in spans:
        numbers = range(start // PART, -(-stop // PART))
        assert {digests[n : n + 1] == before[n : n + 1] for n in numbers} == {held}


class TestMultipart:
    """Uploads of which the server copies what did not change."""

    @pytest.fixture
    def calls(self, s3: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
        """What was asked of the server by the multipart upload, and how many bytes went along."""
        del s3
        kind: Any = fsspec.get_filesystem_class("s3")
        whole: Callable[..., Any] = kind.call_s3
        made: list[tuple[str, int]] = []

        def call(files: Any, method: str, **options: Any) -> Any:
            made.append((method, len(options.get("Body", b""))))
            return whole(files, method, **options)

        monkeypatch.setattr(kind, "call_s3", call)
        return made

    @pytest.fixture
    def place(self, s3: str) -> str:
        """A fresh folder of the object store."""
        return f"{s3}/{uuid.uuid4().hex}"

    @staticmethod
    def state() -> dict[str, Any]:
        """Bytes of which every part is another one."""
        return {"replay buffer": bytearray(os.urandom(5 * PART)), "position": 0}

    @pytest.mark.parametrize("mode", ["last", "all"])
    def test_only_what_changed_travels(self, place: str, calls: list[tuple[str, int]], mode: Any) -> None:
        """To the same name or to another; what is loaded is what was saved."""
        snapshotter, state = Snapshotter(place, mode), self.state()
        for itr in range(3):
            state["replay buffer"][itr * PART + 5] ^= 1
            state["position"] = itr
            calls.clear()
            snapshotter.save_itr_params(itr, state)
            sent = sum(size for _, size in calls)
            assert sent > 5 * PART if itr == 0 else sent <= 3 * PART
            assert snapshotter.load(place) == state
        assert {name for name, _ in calls} >= {"upload_part", "upload_part_copy", "complete_multipart_upload"}

    @pytest.mark.parametrize("harm", ["replaced", "removed"])
    def test_an_object_that_others_changed_is_not_copied_from(
        self, place: str, calls: list[tuple[str, int]], harm: str
    ) -> None:
        """The whole file travels instead."""
        snapshotter, state = Snapshotter(place), self.state()
        snapshotter.save_itr_params(0, state)
        files, root = fsspec.core.url_to_fs(f"{place}/params.pkl")
        if harm == "removed":
            files.rm_file(root)
        else:
            files.pipe_file(root, bytes(6 * PART))
        calls.clear()
        snapshotter.save_itr_params(1, state)
        assert "upload_part_copy" in dict(calls)
        assert sum(size for _, size in calls) > 5 * PART
        assert snapshotter.load(place) == state

    @pytest.mark.parametrize("broken", ["upload_part", "upload_part_copy", "complete_multipart_upload"])
    def test_what_fails_leaves_the_object_before_and_no_part(
        self, place: str, calls: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch, broken: str
    ) -> None:
        """Nobody pays for parts of an upload that was given up."""
        monkeypatch.setattr(outages, "WAITS", ())
        snapshotter, state = Snapshotter(place), self.state()
        snapshotter.save_itr_params(0, state)
        before = {**state, "replay buffer": bytes(state["replay buffer"])}
        kind: Any = fsspec.get_filesystem_class("s3")
        counted: Callable[..., Any] = kind.call_s3

        def call(files: Any, method: str, **options: Any) -> Any:
            if method in (broken, "upload_part"):  # without which no whole file travels either
                raise ConnectionResetError("gone")
            return counted(files, method, **options)

        calls.clear()
        with monkeypatch.context() as patch:
            patch.setattr(kind, "call_s3", call)
            state["replay buffer"][5] ^= 1
            with pytest.raises(ConnectionResetError, match="gone"):
                snapshotter.save_itr_params(1, state)
        assert [name for name, _ in calls].count("create_multipart_upload") == 2
        files = fsspec.filesystem("s3")
        assert "Uploads" not in files.call_s3("list_multipart_uploads", Bucket="bucket")
        assert snapshotter.load(place) == before
        snapshotter.save_itr_params(2, state)
        assert snapshotter.load(place) == state


class TestOutages:
    @pytest.fixture(autouse=True)
    def no_waiting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Try again at once."""
        monkeypatch.setattr(outages, "WAITS", (0.0,) * 5)

    @pytest.fixture
    def cut(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Exception], None]:
        """Return a function that lets the next uploads fail."""

        def cut(times: int, error: Exception) -> None:
            whole: Callable[..., None] = vars(RemoteFolder)["_upload"]
            left = [error] * times

            def upload(folder: RemoteFolder, source: Path, target: str) -> None:
                if left:
                    raise left.pop()
                whole(folder, source, target)

            monkeypatch.setattr(RemoteFolder, "_upload", upload)

        return cut

    def test_are_waited_for_with_a_word(self, url: str, cut: Callable[[int, Exception], None]) -> None:
        """A store that does not answer for some seconds costs a warning and no snapshot."""
        snapshotter = Snapshotter(url)
        cut(3, ConnectionResetError("gone"))
        with pytest.warns(StoreOutageWarning, match=r"uploading params\.pkl at .* failed .*gone.*again in"):
            snapshotter.save_itr_params(0, "state")
        assert snapshotter.load(url) == "state"

    def test_end_with_the_error_of_the_store(self, url: str, cut: Callable[[int, Exception], None]) -> None:
        """The waiting is bounded."""
        snapshotter = Snapshotter(url)
        cut(6, ConnectionResetError("gone for good"))
        with (
            pytest.warns(StoreOutageWarning, match="trying again"),
            pytest.raises(ConnectionResetError, match="gone for good"),
        ):
            snapshotter.save_itr_params(0, "state")

    @pytest.mark.parametrize("error", [PermissionError("read only"), FileNotFoundError("no bucket")])
    def test_answers_are_no_outages(
        self, error: Exception, url: str, cut: Callable[[int, Exception], None]
    ) -> None:
        """What the store refuses it would refuse again."""
        snapshotter = Snapshotter(url)
        cut(1, error)
        with pytest.raises(type(error), match=str(error)):
            snapshotter.save_itr_params(0, "state")

    def test_a_server_that_comes_back_is_found_again(self, tmp_path: Path) -> None:
        """A connection that broke is opened again; the snapshot is whole."""
        pytest.importorskip("paramiko", reason="needs paramiko")
        port = free_port()
        options = {"key_filename": str(make_key(tmp_path)), "look_for_keys": False, "allow_agent": False}
        place = f"sftp://{getpass.getuser()}@127.0.0.1:{port}{tmp_path}/run"
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(fsspec.config.conf, "sftp", options)
            with sftp_server(tmp_path, port):
                snapshotter = Snapshotter(place)
                snapshotter.save_itr_params(0, "before")
            with sftp_server(tmp_path, port):
                with pytest.warns(StoreOutageWarning, match="failed"):
                    snapshotter.save_itr_params(1, "after")
                assert snapshotter.load(place) == "after"
