"""Saving only what changed: the file is always the whole state, whatever happened to the memory.

Where the disk is not the subject nothing is fsynced, which would take most of the time.
"""

import contextlib
import gc
import mmap
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlx_snapshot import Snapshotter, verify
from rlx_snapshot._format.stream import capture
from rlx_snapshot._saving.arena import Arena
from rlx_snapshot._saving.background import Background
from rlx_snapshot._saving.dirty_pages import ChangeTracker, KernelTracker, NoTracker, Piece, Range
from rlx_snapshot._saving.slots import Slots

np: Any = pytest.importorskip("numpy", reason="needs numpy")

MIB = 1 << 20


def kernel_tracker() -> KernelTracker:
    """A tracker, or a skipped test where the kernel has none."""
    try:
        return KernelTracker()
    except (OSError, KeyError, AttributeError) as error:
        pytest.skip(f"needs userfaultfd with WP_ASYNC (Linux 6.7): {error}")


def piece(array: Any) -> Piece:
    """Address and length of an array's memory."""
    return array.ctypes.data, array.nbytes


def whole(ranges: list[Range] | None, length: int) -> bool:
    """Whether everything counts as changed."""
    return ranges is None or sum(last - first for first, last in ranges) == length


def saved_bytes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by the bytes written for each newest snapshot."""
    written: list[int] = []
    original: Callable[..., int] = Slots.write

    def write(self: Slots, *arguments: Any) -> int:
        written.append(original(self, *arguments))
        return written[-1]

    monkeypatch.setattr(Slots, "write", write)
    return written


class TestKernelTracker:
    def test_written_pages_are_found(self) -> None:
        """A changed byte marks its page, and only once."""
        tracker = kernel_tracker()
        array = np.zeros(16 * MIB, dtype="u1")
        assert whole(tracker.changes([piece(array)])[0], array.nbytes)
        tracker.changes([piece(array)])
        array[5_000_000] = 1
        (ranges,) = tracker.changes([piece(array)])
        assert ranges is not None
        assert any(first <= 5_000_000 < last for first, last in ranges)
        assert sum(last - first for first, last in ranges) <= 3 * 4096
        tracker.close()

    def test_writes_by_the_kernel_are_found(self, tmp_path: Path) -> None:
        """Reading a file into an array changes it too."""
        tracker = kernel_tracker()
        array = np.zeros(4 * MIB, dtype="u1")
        tracker.changes([piece(array)])
        (tmp_path / "f").write_bytes(b"x" * 4096)
        with (tmp_path / "f").open("rb", buffering=0) as file:
            file.readinto(memoryview(array)[2 * MIB : 2 * MIB + 4096])
        (ranges,) = tracker.changes([piece(array)])
        assert ranges is not None
        assert any(first <= 2 * MIB < last for first, last in ranges)
        tracker.close()

    def test_dropped_pages_are_found(self) -> None:
        """Pages given back to the kernel read as zeros, which is a change."""
        tracker = kernel_tracker()
        memory = mmap.mmap(-1, 4 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        array = np.frombuffer(memory, dtype="u1")
        array[:] = 7
        tracker.changes([piece(array)])
        memory.madvise(mmap.MADV_DONTNEED, 40960, 4096)
        (ranges,) = tracker.changes([piece(array)])
        assert ranges == [(40960, 45056)]
        tracker.close()

    def test_memory_mapped_anew_is_changed_whole(self) -> None:
        """Another array at the address of a freed one is a new array."""
        tracker = kernel_tracker()
        array = np.zeros(64 * MIB, dtype="u1")
        tracker.changes([piece(array)])
        address = array.ctypes.data
        del array
        array = np.ones(64 * MIB, dtype="u1")
        if array.ctypes.data != address:
            pytest.skip("the allocator chose another address")
        assert whole(tracker.changes([piece(array)])[0], array.nbytes)
        tracker.close()

    def test_pieces_that_overlap_all_learn_of_a_change(self) -> None:
        """An array and views of it are told of the same write, each counted from its own start."""
        tracker = kernel_tracker()
        array = np.zeros(8 * MIB, dtype="u1")
        pieces = [piece(array[MIB : 6 * MIB]), piece(array), piece(array[5 * MIB :]), piece(array)]
        tracker.changes(pieces)
        array[3 * MIB] = 1
        answers = tracker.changes(pieces)
        places = (2 * MIB, 3 * MIB, None, 3 * MIB)
        for place, ranges in zip(places, answers, strict=True):
            assert ranges is not None
            assert sum(last - first for first, last in ranges) <= 3 * 4096
            assert place is None or any(first <= place < last for first, last in ranges)
        tracker.close()

    def test_shared_memory_is_never_trusted(self) -> None:
        """Memory that other processes can write is unknown, however often one asks."""
        tracker = kernel_tracker()
        array = np.frombuffer(mmap.mmap(-1, 4 * MIB), dtype="u1")
        array[:] = 1
        assert [tracker.changes([piece(array)]) for _ in range(3)] == [[None]] * 3
        tracker.close()

    def test_two_trackers_do_not_confuse_each_other(self) -> None:
        """Memory that one tracks is unknown to the other, and stays known to the first."""
        first, second = kernel_tracker(), kernel_tracker()
        array = np.zeros(4 * MIB, dtype="u1")
        first.changes([piece(array)])
        array[MIB] = 1
        assert [second.changes([piece(array)]) for _ in range(2)] == [[None]] * 2
        (ranges,) = first.changes([piece(array)])
        assert ranges is not None
        assert any(start <= MIB < end for start, end in ranges)
        first.close()
        second.close()

    def test_child_process_knows_nothing(self) -> None:
        """After a fork the descriptors show the parent's memory, so they are not asked."""
        tracker = kernel_tracker()
        array = np.zeros(4 * MIB, dtype="u1")
        tracker.changes([piece(array)])
        child = os.fork()
        if child == 0:
            os._exit(0 if tracker.changes([piece(array)]) == [None] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        tracker.close()


class TestArena:
    @settings(max_examples=25)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["write", "fill", "replace", "resize", "nothing"]), st.integers(0, 1 << 30)
            ),
            max_size=10,
        )
    )
    def test_copy_is_the_state_after_any_changes(self, changes: list[tuple[str, int]]) -> None:
        """Whatever happens to arrays between two copies, the copy equals the state."""
        tracker: ChangeTracker = kernel_tracker()
        arena = Arena(tracker)
        state = [np.arange(3 * MIB // 4 + 100, dtype="i4"), np.zeros(2 * MIB, dtype="u1"), np.ones(20_000)]
        state += [state[0][1000:], state[0]]
        for action, seed in changes:
            _change(state, action, seed)
            copied = arena.copy_of(capture(state))
            stream = b"".join(copied.captured.parts)
            assert all(np.array_equal(a, b) for a, b in zip(pickle.loads(stream), state, strict=True))
        tracker.close()

    def test_closing_lets_others_track(self) -> None:
        """Memory is tracked by one snapshotter at a time; one that is closed or forgotten lets go of it."""
        array = np.zeros(4 * MIB, dtype="u1")
        for _ in range(3):
            tracker = kernel_tracker()
            assert tracker.changes([piece(array)]) != [None]
            del tracker
            gc.collect()

    def test_read_only_memory_is_copied_whole(self) -> None:
        """An array over constant bytes has no writable memory to track."""
        arena = Arena(NoTracker())
        constant = np.frombuffer(bytes(2 * MIB), dtype="u1")
        assert [arena.copy_of(capture(constant)).changed for _ in range(2)] == [[[(0, 2 * MIB)]]] * 2


class TestSlots:
    def test_only_changes_are_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """From the third save on the bytes written are about twice the bytes changed."""
        kernel_tracker().close()
        written = saved_bytes(monkeypatch)
        replay = np.zeros(16 * MIB, dtype="u1")
        with Snapshotter(tmp_path, background=True, durability="rename") as snapshotter:
            for itr in range(6):
                replay[itr * MIB : (itr + 1) * MIB] = itr + 1
                snapshotter.save_itr_params(itr, {"replay": replay, "itr": itr})
                snapshotter.wait()
                _check(tmp_path, replay, itr)
        assert max(written[2:]) < 2.1 * MIB
        assert [path.name for path in tmp_path.iterdir()] == ["params.pkl"]

    def test_never_writes_everything(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """With incremental='never' each save is a new file."""
        written = saved_bytes(monkeypatch)
        with Snapshotter(tmp_path, background=True, incremental="never", durability="rename") as snapshotter:
            for itr in range(3):
                snapshotter.save_itr_params(itr, np.full(16 * MIB, itr, dtype="u1"))
        assert written == []

    @pytest.mark.parametrize("readable", ["mapped", "open", "linked"])
    def test_file_in_use_is_never_patched(self, tmp_path: Path, readable: str) -> None:
        """A file that is mapped, open or has another name keeps its contents for good."""
        replay = np.zeros(16 * MIB, dtype="u1")
        held: list[Any] = []
        path = tmp_path / "run/params.pkl"
        with Snapshotter(tmp_path / "run", background=True, durability="rename") as snapshotter:
            for itr in range(8):
                replay[itr * MIB] = itr + 1
                snapshotter.save_itr_params(itr, {"replay": replay, "itr": itr})
                snapshotter.wait()
                held.append((replay.copy(), _held(path, readable, tmp_path / f"backup-{itr}")))
        for expected, contents in held:
            assert np.array_equal(contents()["replay"], expected)

    def test_the_check_above_can_fail(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Patching without looking who has the file mapped changes what was loaded."""
        kernel_tracker().close()
        monkeypatch.setattr("rlx_snapshot._saving.slot.Slot.is_ours_alone", _yes)
        with pytest.raises(AssertionError, match="array_equal"):
            self.test_file_in_use_is_never_patched(tmp_path, "mapped")

    def test_without_memory_for_a_copy_it_saves_at_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where the copy does not fit, the state is written in the foreground, and later in the background again."""
        replay = np.zeros(16 * MIB, dtype="u1")
        with Snapshotter(tmp_path, background=True, durability="rename") as snapshotter:
            for itr in range(6):
                replay[itr * MIB : (itr + 1) * MIB] = itr + 1
                with monkeypatch.context() as patch:
                    if itr in {0, 3}:
                        patch.setattr(Arena, "copy_of", _full)
                    snapshotter.save_itr_params(itr, {"replay": replay, "itr": itr})
                if itr in {0, 3}:
                    assert snapshotter.last_committed == itr
                snapshotter.wait()
                _check(tmp_path, replay, itr)

    def test_restored_arrays_are_tracked_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A resumed run, whose arrays are mapped from its snapshot, writes only changes again."""
        kernel_tracker().close()
        Snapshotter(tmp_path, durability="rename").save_itr_params(
            0, {"replay": np.ones(16 * MIB, dtype="u1"), "itr": 0}
        )
        state = Snapshotter(tmp_path).load(tmp_path, verify="index")
        written = saved_bytes(monkeypatch)
        with Snapshotter(tmp_path, background=True, durability="rename") as snapshotter:
            for itr in range(1, 7):
                state["replay"][itr * MIB : (itr + 1) * MIB] = itr
                state["itr"] = itr
                snapshotter.save_itr_params(itr, state)
                snapshotter.wait()
                _check(tmp_path, state["replay"], itr)
        assert max(written[2:]) < 2.1 * MIB

    def test_changing_layouts_and_sizes_stay_whole(self, tmp_path: Path) -> None:
        """Arrays that come, go, grow and are replaced, and small parts of any length."""
        chance = random.Random(3)
        state: dict[str, Any] = {"replay": np.zeros(12 * MIB, dtype="u1"), "text": ""}
        with Snapshotter(tmp_path, background=True, durability="rename") as snapshotter:
            for itr in range(25):
                _change_state(state, chance)
                snapshotter.save_itr_params(itr, state)
                expected = pickle.dumps(state)
                state["replay"][:100] += 1
                snapshotter.wait()
                state["replay"][:100] -= 1
                verify(tmp_path / "params.pkl")
                assert pickle.dumps(Snapshotter(tmp_path).load(tmp_path)) == expected

    def test_failed_save_is_followed_by_a_whole_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After an error in the middle of a patch nothing stale is left in the next file."""
        replay = np.zeros(16 * MIB, dtype="u1")
        with Snapshotter(tmp_path, background=True) as snapshotter:
            for itr in range(10):
                replay[itr * MIB : (itr + 1) * MIB] = itr + 1
                with monkeypatch.context() as patch:
                    if itr in {3, 5, 6}:
                        patch.setattr(os, "fsync", _full)
                    snapshotter.save_itr_params(itr, {"replay": replay, "itr": itr})
                    _wait_for_error(snapshotter, expected=itr in {3, 5, 6})
                newest = itr - (itr in {3, 5, 6}) - (itr == 6)
                assert Snapshotter(tmp_path).load(tmp_path)["itr"] == newest
            _check(tmp_path, replay, 9)

    @pytest.mark.parametrize("error", [KeyboardInterrupt("stop"), RuntimeError("no thread: stop")])
    def test_copy_that_is_never_saved_hides_no_change(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
    ) -> None:
        """What changed before an interrupt between copying and saving is in the next file all the same."""
        replay = np.zeros(16 * MIB, dtype="u1")
        with Snapshotter(tmp_path, background=True, durability="rename") as snapshotter:
            for itr in range(8):
                replay[itr * MIB : (itr + 1) * MIB] = itr + 1
                if itr == 4:
                    with monkeypatch.context() as patch:
                        patch.setattr(Background, "submit", _raiser(error))
                        with pytest.raises(type(error), match="stop"):
                            snapshotter.save_itr_params(itr, {"replay": replay, "itr": itr})
                    continue
                snapshotter.save_itr_params(itr, {"replay": replay, "itr": itr})
                snapshotter.wait()
                _check(tmp_path, replay, itr)

    def test_failed_numbered_file_leaves_nothing_stale(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In mode gap_and_last an error before params.pkl's turn does not hide changes from its next save."""
        replay = np.zeros(16 * MIB, dtype="u1")
        with Snapshotter(tmp_path, "gap_and_last", 4, background=True, durability="rename") as snapshotter:
            for itr in range(8):
                replay[itr * MIB : (itr + 1) * MIB] = itr + 1
                with monkeypatch.context() as patch:
                    if itr == 4:
                        patch.setattr(os, "writev", _full)
                    snapshotter.save_itr_params(itr, {"replay": replay, "itr": itr})
                    _wait_for_error(snapshotter, expected=itr == 4)
                if itr != 4:
                    _check(tmp_path, replay, itr)

    def test_error_of_closing_the_replaced_file_costs_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What the kernel says when the older file is let go of never costs the newer one."""
        replay = np.zeros(16 * MIB, dtype="u1")
        with Snapshotter(tmp_path, background=True, durability="rename") as snapshotter:
            for itr in range(4):
                replay[:] = itr
                snapshotter.save_itr_params(itr, {"replay": replay, "itr": itr})
                with monkeypatch.context() as patch, contextlib.suppress(OSError):
                    patch.setattr("rlx_snapshot._saving.slot.os.close", _full)
                    snapshotter.wait()
                _check(tmp_path, replay, itr)

    def test_without_links_and_leases_every_save_is_whole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """File systems without hard links, and systems without leases, get new files."""
        monkeypatch.setattr(os, "link", _full)
        replay = np.zeros(16 * MIB, dtype="u1")
        with Snapshotter(tmp_path, background=True, durability="rename") as snapshotter:
            for itr in range(4):
                replay[itr] = 1
                snapshotter.save_itr_params(itr, {"replay": replay, "itr": itr})
                snapshotter.wait()
                _check(tmp_path, replay, itr)


def _check(directory: Path, replay: Any, itr: int) -> None:
    verify(directory / "params.pkl")
    with (directory / "params.pkl").open("rb") as file:
        plain = pickle.load(file)
    assert plain["itr"] == itr
    assert np.array_equal(plain["replay"], replay)


def _held(path: Path, how: str, backup: Path) -> Callable[[], Any]:
    if how == "mapped":
        state = Snapshotter(backup).load(path.parent, verify="index")
        return lambda: state
    if how == "open":
        file = path.open("rb")

        def read() -> Any:
            with file:
                return pickle.load(file)

        return read
    backup.hardlink_to(path)
    return lambda: pickle.loads(backup.read_bytes())


def _change(state: list[Any], action: str, seed: int) -> None:
    chance = random.Random(seed)
    number = chance.randrange(len(state))
    array = state[number]
    if action == "write":
        array[chance.randrange(len(array))] += 1
    elif action == "fill":
        array[:] = chance.randrange(100)
    elif action == "replace":
        state[number] = array.copy()
    elif action == "resize":
        state[number] = np.resize(array, max(1, len(array) + chance.randrange(-5000, 5000)))


def _change_state(state: dict[str, Any], chance: random.Random) -> None:
    state["text"] = "x" * chance.randrange(60_000)
    state["replay"][chance.randrange(MIB) :: 4 * MIB] += 1
    action = chance.randrange(6)
    if action == 0:
        state["replay"] = state["replay"].copy()
    elif action == 1:
        state["extra"] = np.full(chance.randrange(3 * MIB), 3, dtype="u1")
    elif action == 2:
        state.pop("extra", None)


def _raiser(error: BaseException) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


def _yes(_: object) -> bool:
    return True


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def _wait_for_error(snapshotter: Snapshotter, *, expected: bool) -> None:
    if not expected:
        return snapshotter.wait()
    with pytest.raises(OSError, match="No space left"):
        snapshotter.wait()
    return None
