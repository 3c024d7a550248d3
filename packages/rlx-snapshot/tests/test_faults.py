"""Kills, errors and power cuts at every system call of a save.

The injector is strace: it counts the system calls of real saves, then kills the
process, or lets a call fail, at each of them. Writers with a known mistake prove that it
would notice.
"""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest

from rlx_snapshot import Snapshotter

pytestmark = pytest.mark.processes

WRITER = Path(__file__).with_name("fault_writer.py")
CALLS = (
    "openat,write,writev,pwrite64,pwritev,fsync,fdatasync,rename,link,linkat,unlink,flock,ftruncate,fallocate,close,"
    "getdents64,newfstatat,fstat"
)
ERRORS = ("ENOSPC", "EIO", "EDQUOT", "EROFS", "EACCES", "EINTR", "EMFILE")
MODES = ("last", "all", "gap", "gap_and_last", "gap_overwrite")

needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None or not sys.platform.startswith("linux"), reason="needs strace"
)


class Call(NamedTuple):
    """The n-th system call of one name."""

    name: str
    number: int


class Report(NamedTuple):
    """What the writer told its caller."""

    acked: list[int]
    failed: list[int]


def run_writer(directory: Path, writer: str, mode: str, *options: str) -> Report:
    """Run the writing program, with strace attached after its first save, and collect what it reported."""
    program = subprocess.Popen(
        [sys.executable, str(WRITER), str(directory), writer, mode], stderr=subprocess.DEVNULL
    )
    os.waitpid(program.pid, os.WUNTRACED)
    command = ["strace", "-f", "-y", "-s", "0", "-e", f"trace={CALLS},mkdir", *options]
    command += ["-o", str(directory.with_suffix(".trace")), "-p", str(program.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        attached = tracer.stderr.readline() if tracer.stderr else ""
        os.kill(program.pid, signal.SIGCONT)
        program.wait(timeout=60)
        tracer.communicate(timeout=60)
    assert "attached" in attached
    return Report(*(sorted(_reported(directory, word)) for word in ("acked", "failed")))


def calls_of_a_save(tmp_path: Path, writer: str, mode: str) -> list[Call]:
    """Every counted system call of two saves, in order, of a run without faults."""
    report = run_writer(tmp_path / "dry", writer, mode)
    assert report.acked == [1, 2, 3]
    counts: dict[tuple[str, str], int] = {}
    found: list[Call] = []
    for thread, line in _lines(tmp_path / "dry.trace"):
        name = line.partition("(")[0]
        if name in CALLS.split(","):
            counts[thread, name] = counts.get((thread, name), 0) + 1
            found.append(Call(name, counts[thread, name]))
    return list(dict.fromkeys(found))


def problem_after(directory: Path, report: Report) -> str | None:
    """What is wrong with a directory whose writer reported this, None if all promises were kept."""
    newest = max(report.acked)
    try:
        state = Snapshotter(directory.with_name("reader")).load(directory)
        itr = int(state["itr"])
        whole = state["text"] == str(itr) * 2000 and bytes(state["buffer"]) == bytes([itr]) * 70_000
    except Exception as error:  # noqa: BLE001 - whatever loading raises, the promise is broken
        return f"iteration {newest} does not load: {error!r}"
    if not whole:
        return "iterations are mixed"
    if itr < newest:
        return f"iteration {newest} was reported as saved, {itr} is there"
    return None


def problem_with_fault(tmp_path: Path, writer: str, mode: str, fault: str) -> str | None:
    """What goes wrong when `fault` is injected, None if nothing does."""
    directory = tmp_path / re.sub(r"\W", "_", fault)
    report = run_writer(directory, writer, mode, "-e", f"inject={fault}")
    problem = problem_after(directory, report)
    if problem is None:
        problem = _problem_recovering(directory, mode)
    for path in tmp_path.glob(f"{directory.name}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return problem


def _problem_recovering(directory: Path, mode: str) -> str | None:
    snapshotter = Snapshotter(directory, mode)
    snapshotter.save_itr_params(9, "recovered")
    left = [
        path.name for path in directory.iterdir() if not re.fullmatch(r"params\.pkl|itr_\d+\.pkl", path.name)
    ]
    if snapshotter.load(directory) != "recovered":
        return "a later save did not recover"
    return f"left behind: {left}" if left else None


def power_cut_problem(trace: list[tuple[str, str]], directory: Path) -> str | None:
    """What a power cut could have destroyed at some moment of a traced run.

    Until its file is fsynced, what was written may be lost; until the directory is
    fsynced, a name may mean the old file or the new one. So: no name of a snapshot may
    ever mean a file with unsynced contents, and a save may only be reported when
    its name is safe.
    """
    disk = _Disk(str(directory))
    for _, line in trace:
        problem = disk.after(line)
        if problem:
            return f"{problem}: {line}"
    return None


class _Disk:
    """Which files are synced, and which names are, from the lines of a trace."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._unsynced: set[int] = set()
        self._names: dict[str, int] = {}
        self._open: dict[str, int] = {}
        self._names_synced = True
        self._files = 0

    def after(self, line: str) -> str | None:
        """Follow one system call; says what it made unsafe."""
        if " = -1" in line:
            return None
        name = line.partition("(")[0]
        step = self._STEPS.get(name)
        return step(self, line) if step else None

    def _opened(self, line: str) -> str | None:
        match = re.search(r'"([^"]+)", (\S+?)(?:, \d+)?\) = (\d+)', line)
        if match is None or not match[1].startswith(self._directory + "/") or "O_RDONLY" in match[2]:
            return None
        path = match[1]
        if path not in self._names:
            self._files += 1
            self._names[path] = self._files
        self._open[path] = self._names[path]
        return self._written(line, path) if "O_TRUNC" in match[2] else None

    def _written(self, line: str, path: str | None = None) -> str | None:
        path = path or _path_of_descriptor(line)
        if path not in self._open:
            return None
        self._unsynced.add(self._open[path])
        return "a snapshot is changed in place" if _is_snapshot(path) else None

    def _synced(self, line: str) -> str | None:
        path = _path_of_descriptor(line)
        if path == self._directory:
            self._names_synced = True
        elif path in self._open:
            self._unsynced.discard(self._open[path])
        return None

    def _renamed(self, line: str) -> str | None:
        old, new = re.findall(r'"([^"]+)"', line)
        if not new.startswith(self._directory):
            return None
        self._names[new] = self._names.pop(old)
        self._names_synced = False
        return "a snapshot gets contents that may be lost" if self._names[new] in self._unsynced else None

    def _unlinked(self, line: str) -> str | None:
        (path,) = re.findall(r'"([^"]+)"', line)
        self._names.pop(path, None)
        return "the newest snapshot is removed" if path.endswith("params.pkl") else None

    def _made(self, line: str) -> str | None:
        if ".acked-" in line and not self._names_synced:
            return "success is reported while the name may be lost"
        return None

    _STEPS: ClassVar["dict[str, Callable[[_Disk, str], str | None]]"] = {
        "openat": _opened,
        "write": _written,
        "writev": _written,
        "pwrite64": _written,
        "ftruncate": _written,
        "fsync": _synced,
        "rename": _renamed,
        "unlink": _unlinked,
        "mkdir": _made,
    }


def _is_snapshot(path: str) -> bool:
    return re.search(r"/(params|itr_\d+)\.pkl$", path) is not None


def _path_of_descriptor(line: str) -> str:
    match = re.search(r"\(\d+<([^>]*)>", line)
    return match[1] if match else ""


def _lines(trace: Path) -> list[tuple[str, str]]:
    matches = (re.match(r"(\d+) +(\w+\(.*)", line) for line in trace.read_text().splitlines())
    return [(match[1], match[2]) for match in matches if match]


def _reported(directory: Path, word: str) -> list[int]:
    return [int(path.name.rpartition("-")[2]) for path in directory.parent.glob(f"{directory.name}.{word}-*")]


def _traced(tmp_path: Path, writer: str, mode: str = "last") -> str | None:
    run_writer(tmp_path / "dry", writer, mode)
    return power_cut_problem(_lines(tmp_path / "dry.trace"), tmp_path / "dry")


@needs_strace
class TestPowerCut:
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("writer", ["proper", "background"])
    def test_nothing_reported_can_be_lost(self, tmp_path: Path, writer: str, mode: str) -> None:
        """File, then name, then directory reach the disk before success is reported."""
        assert _traced(tmp_path, writer, mode) is None

    @pytest.mark.parametrize(
        ("writer", "problem"),
        [
            ("in_place", "changed in place"),
            ("without_fsync", "contents that may be lost"),
            ("without_directory_fsync", "name may be lost"),
            ("unlink_first", "newest snapshot is removed"),
            ("fixed_name", "contents that may be lost"),
        ],
    )
    def test_wrong_writer_is_caught(self, tmp_path: Path, writer: str, problem: str) -> None:
        """Each classic mistake is noticed."""
        assert problem in str(_traced(tmp_path, writer))


@needs_strace
class TestKill:
    @pytest.mark.parametrize("writer", ["proper", "background"])
    def test_last_reported_snapshot_survives_a_kill(self, tmp_path: Path, writer: str) -> None:
        """A kill at every few system calls of a save costs at most the save that was under way."""
        calls = calls_of_a_save(tmp_path, writer, "last")
        problems = {call: _killed(tmp_path, writer, "last", call) for call in calls[len(writer) % 3 :: 5]}
        assert {call: problem for call, problem in problems.items() if problem} == {}

    @pytest.mark.slow
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("writer", ["proper", "background"])
    def test_last_reported_snapshot_survives_every_kill(self, tmp_path: Path, writer: str, mode: str) -> None:
        """A kill at each system call of a save costs at most the save that was under way."""
        problems = {
            call: _killed(tmp_path, writer, mode, call) for call in calls_of_a_save(tmp_path, writer, mode)
        }
        assert {call: problem for call, problem in problems.items() if problem} == {}

    @pytest.mark.parametrize("writer", ["in_place", "unlink_first", "fixed_name"])
    def test_wrong_writer_is_caught(self, tmp_path: Path, writer: str) -> None:
        """A writer that loses its only copy is noticed at one of the calls."""
        calls = calls_of_a_save(tmp_path, writer, "last")
        wanted = [call for call in calls if call.name in {"write", "rename"}]
        assert any(_killed(tmp_path, writer, "last", call) for call in wanted)


@needs_strace
class TestErrors:
    def test_errors_reach_the_caller_and_cost_nothing(self, tmp_path: Path) -> None:
        """A failing call, once or for ever, is reported; the last reported snapshot stays."""
        calls = calls_of_a_save(tmp_path, "proper", "last")
        faults = [
            f"{call.name}:error={ERRORS[n % len(ERRORS)]}:when={call.number}" for n, call in enumerate(calls)
        ]
        faults = [fault + "+" * (n % 2) for n, fault in enumerate(faults)][::4]
        problems = {fault: problem_with_fault(tmp_path, "proper", "last", fault) for fault in faults}
        assert {fault: problem for fault, problem in problems.items() if problem} == {}

    @pytest.mark.slow
    @pytest.mark.parametrize("error", ERRORS)
    @pytest.mark.parametrize("for_ever", ["", "+"])
    @pytest.mark.parametrize("writer", ["proper", "background"])
    def test_every_error_at_every_call(self, tmp_path: Path, writer: str, error: str, for_ever: str) -> None:
        """Each error at each system call, once and for ever."""
        calls = calls_of_a_save(tmp_path, writer, "last")
        faults = [f"{call.name}:error={error}:when={call.number}{for_ever}" for call in calls]
        problems = {fault: problem_with_fault(tmp_path, writer, "last", fault) for fault in faults}
        assert {fault: problem for fault, problem in problems.items() if problem} == {}

    def test_swallowed_error_is_caught(self, tmp_path: Path) -> None:
        """A writer that reports success after a failed write is noticed."""
        calls = [
            call for call in calls_of_a_save(tmp_path, "swallowed_error", "last") if call.name == "writev"
        ]
        fault = f"writev:error=ENOSPC:when={calls[0].number}+"
        assert "was reported as saved" in str(problem_with_fault(tmp_path, "swallowed_error", "last", fault))


class TestWithoutStrace:
    @pytest.mark.parametrize(
        "code", [errno.ENOSPC, errno.EIO, errno.EDQUOT if hasattr(errno, "EDQUOT") else errno.EIO]
    )
    def test_failing_fsync_is_reported(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
    ) -> None:
        """An error of fsync, where late write errors appear, raises and leaves the old snapshot alone."""
        snapshotter = Snapshotter(tmp_path)
        snapshotter.save_itr_params(1, "old")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", _failing(code))
            with pytest.raises(OSError, match=re.escape(os.strerror(code))):
                snapshotter.save_itr_params(2, "new")
        assert (snapshotter.load(tmp_path), snapshotter.last_committed) == ("old", 1)
        assert [path.name for path in tmp_path.iterdir()] == ["params.pkl"]

    @pytest.mark.skipif(sys.platform == "win32", reason="file size limits are a POSIX thing")
    def test_file_size_limit_of_every_size(self, tmp_path: Path) -> None:
        """However few bytes fit, the save raises and the old snapshot stays whole."""
        code = (
            "import resource, signal, sys; from pathlib import Path; from rlx_snapshot import Snapshotter\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "s = Snapshotter(sys.argv[1]); s.save_itr_params(1, 'old')\n"
            "size = Path(sys.argv[1], 'params.pkl').stat().st_size\n"
            "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
            "for limit in range(size):\n"
            "    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))\n"
            "    try: s.save_itr_params(2, 'new'); sys.exit(f'{limit} bytes were enough')\n"
            "    except OSError: pass\n"
            "    finally: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
            "    assert s.load(sys.argv[1]) == 'old', limit\n"
            "s.save_itr_params(3, 'new'); print(s.load(sys.argv[1]), len(list(Path(sys.argv[1]).iterdir())))\n"
        )
        command = [sys.executable, "-c", code, str(tmp_path)]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        assert result.stdout.strip() == "new 1"

    def test_two_writers_in_one_directory_never_mix(self, tmp_path: Path) -> None:
        """Processes that save to one file at once leave one whole snapshot and no temporary file."""
        code = (
            "import sys; from rlx_snapshot import Snapshotter\n"
            "s = Snapshotter(sys.argv[1], durability='rename')\n"
            "for itr in range(150): s.save_itr_params(itr, [sys.argv[2]] * 500)\n"
        )
        processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in "ab"]
        assert [process.wait() for process in processes] == [0, 0]
        assert Snapshotter(tmp_path).load(tmp_path) in (["a"] * 500, ["b"] * 500)
        assert [path.name for path in tmp_path.iterdir()] == ["params.pkl"]


def _killed(tmp_path: Path, writer: str, mode: str, call: Call) -> str | None:
    return problem_with_fault(tmp_path, writer, mode, f"{call.name}:signal=KILL:when={call.number}")


def _failing(code: int) -> Callable[[Any], None]:
    def fail(_: Any) -> None:
        raise OSError(code, os.strerror(code))

    return fail
