"""Saving by iteration and loading again."""

import importlib
import os
import pickle
import socket
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from rlx_snapshot import (
    DamagedSnapshotError,
    NotAFileError,
    SnapshotConfig,
    SnapshotNotFoundError,
    Snapshotter,
)


def saved(directory: Path, mode: str, iterations: range, gap: int = 1) -> Snapshotter:
    """A snapshotter that has saved ``{"itr": n}`` for every n of `iterations`."""
    snapshotter = Snapshotter(directory, mode, gap)
    for itr in iterations:
        snapshotter.save_itr_params(itr, {"itr": itr})
    return snapshotter


def names_in(directory: Path) -> list[str]:
    """Names of everything in `directory`, sorted."""
    return sorted(path.name for path in directory.iterdir())


class TestConfig:
    def test_fields_stand_in_the_order_of_the_arguments(self, tmp_path: Path) -> None:
        """A config unpacks into the snapshotter it describes."""
        config = SnapshotConfig(str(tmp_path), "gap", 3)
        snapshotter = Snapshotter(*config)
        shown = (snapshotter.snapshot_dir, snapshotter.snapshot_mode, snapshotter.snapshot_gap)
        assert shown == config == (str(tmp_path), "gap", 3)

    def test_default_directory_is_the_working_directory_of_the_call(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The default directory is computed and made when the snapshotter is built."""
        monkeypatch.chdir(tmp_path)
        snapshotter = Snapshotter()
        assert Path(snapshotter.snapshot_dir) == tmp_path / "data/local/experiment"
        assert Path(snapshotter.snapshot_dir).is_dir()

    def test_unknown_mode_is_refused_at_construction(self, tmp_path: Path) -> None:
        """The error names the mode and the ones there are."""
        with pytest.raises(ValueError, match=r"'bogus'; it must be one of all, last, gap"):
            Snapshotter(tmp_path, "bogus")

    @pytest.mark.parametrize("gap", [0, -1])
    def test_gap_below_one_is_refused(self, tmp_path: Path, gap: int) -> None:
        """A gap counts iterations from one snapshot to the next."""
        with pytest.raises(ValueError, match=f"snapshot_gap is {gap}"):
            Snapshotter(tmp_path, "gap", gap)

    @pytest.mark.parametrize(
        ("name", "value"), [("durability", "maybe"), ("incremental", "often"), ("keep", 0)]
    )
    def test_other_bad_settings_are_refused(self, tmp_path: Path, name: str, value: object) -> None:
        """The error names the setting and its value."""
        settings: dict[str, Any] = {name: value}
        with pytest.raises(ValueError, match=f"{name} is {value!r}"):
            Snapshotter(tmp_path, **settings)

    def test_mode_last_accepts_a_gap_and_ignores_it(self, tmp_path: Path) -> None:
        """Garage's callers pass a gap with mode last and expect every iteration saved."""
        snapshotter = saved(tmp_path, "last", range(4), gap=2)
        assert snapshotter.load(tmp_path) == {"itr": 3}


class TestSave:
    @pytest.mark.parametrize(
        ("mode", "names"),
        [
            ("all", ["itr_0.pkl", "itr_1.pkl", "itr_2.pkl", "itr_3.pkl"]),
            ("last", ["params.pkl"]),
            ("gap", ["itr_0.pkl", "itr_2.pkl"]),
            ("gap_and_last", ["itr_0.pkl", "itr_2.pkl", "params.pkl"]),
            ("gap_overwrite", ["params.pkl"]),
            ("none", []),
        ],
    )
    def test_mode_decides_the_files(self, tmp_path: Path, mode: str, names: list[str]) -> None:
        """Nothing but the promised files is left in the directory."""
        saved(tmp_path, mode, range(4), gap=2)
        assert names_in(tmp_path) == names

    def test_gap_overwrite_holds_the_last_multiple(self, tmp_path: Path) -> None:
        """Iterations between the gaps do not touch the file."""
        assert saved(tmp_path, "gap_overwrite", range(6), gap=2).load(tmp_path) == {"itr": 4}

    def test_negative_iteration_is_refused(self, tmp_path: Path) -> None:
        """Iterations count from 0."""
        with pytest.raises(ValueError, match="itr is -1"):
            Snapshotter(tmp_path).save_itr_params(-1, {})

    def test_file_is_a_plain_pickle(self, tmp_path: Path) -> None:
        """`pickle.load` reads what was saved."""
        saved(tmp_path, "last", range(1))
        with (tmp_path / "params.pkl").open("rb") as file:
            assert pickle.load(file) == {"itr": 0}

    def test_failed_save_keeps_the_one_before(self, tmp_path: Path) -> None:
        """An object that cannot be pickled raises and changes nothing on the disk."""
        snapshotter = saved(tmp_path, "last", range(1))
        with pytest.raises(TypeError, match="cannot pickle"):
            snapshotter.save_itr_params(1, {"lock": threading.Lock()})
        assert names_in(tmp_path) == ["params.pkl"]

    def test_keep_removes_the_oldest_by_number(self, tmp_path: Path) -> None:
        """With keep=2 the two newest iterations stay, 9 and 10 compared as numbers."""
        snapshotter = Snapshotter(tmp_path, "all", keep=2)
        for itr in range(8, 12):
            snapshotter.save_itr_params(itr, itr)
        assert names_in(tmp_path) == ["itr_10.pkl", "itr_11.pkl"]

    @pytest.mark.parametrize("keep", [1, 2])
    def test_keep_counts_numbered_files_alone(self, tmp_path: Path, keep: int) -> None:
        """In mode gap_and_last the saves of params.pkl between the gaps cost no numbered file."""
        snapshotter = Snapshotter(tmp_path, "gap_and_last", 5, keep=keep)
        for itr in range(13):
            snapshotter.save_itr_params(itr, itr)
        assert names_in(tmp_path) == [*["itr_10.pkl", "itr_5.pkl"][:keep], "params.pkl"]

    @pytest.mark.parametrize("background", [False, True])
    def test_a_relative_directory_stays_where_it_was(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, background: bool
    ) -> None:
        """A program that changes its working directory continues saving into the same folder."""
        monkeypatch.chdir(tmp_path)
        with Snapshotter("run", background=background) as snapshotter:
            (tmp_path / "elsewhere").mkdir()
            monkeypatch.chdir(tmp_path / "elsewhere")
            snapshotter.save_itr_params(3, {})
        assert names_in(tmp_path / "run") == ["params.pkl"]
        assert snapshotter.snapshot_dir == "run"

    def test_aliases_inside_a_state_survive(self, tmp_path: Path) -> None:
        """Two names of one object are one object again."""
        shared = [1, 2]
        snapshotter = Snapshotter(tmp_path)
        snapshotter.save_itr_params(0, {"policy": shared, "optimizer": {"of": shared}})
        state = snapshotter.load(tmp_path)
        assert state["policy"] is state["optimizer"]["of"]


class TestLoad:
    def test_first_and_last_compare_numbers(self, tmp_path: Path) -> None:
        """Of 0 to 11 the last is 11, where text would say 9."""
        snapshotter = saved(tmp_path, "all", range(12))
        assert snapshotter.load(tmp_path) == {"itr": 11}
        assert snapshotter.load(tmp_path, "first") == {"itr": 0}

    @pytest.mark.parametrize("itr", [7, "7", "07"])
    def test_number_or_digits_name_an_iteration(self, tmp_path: Path, itr: int | str) -> None:
        """A string of digits means the number."""
        assert saved(tmp_path, "all", range(12)).load(tmp_path, itr) == {"itr": 7}

    @pytest.mark.parametrize("itr", ["", "newest", "-1", "1.5", "٣"])
    def test_other_strings_are_refused(self, tmp_path: Path, itr: str) -> None:
        """Only digits, 'first' and 'last' are iterations."""
        with pytest.raises(ValueError, match="must be an iteration number, 'first' or 'last'"):
            saved(tmp_path, "all", range(1)).load(tmp_path, itr)

    def test_missing_iteration_says_what_is_there(self, tmp_path: Path) -> None:
        """The error is a FileNotFoundError that lists the iterations."""
        with pytest.raises(SnapshotNotFoundError, match=r"iteration 7 in .* \(it has 0, 2, 4\)") as caught:
            saved(tmp_path, "gap", range(5), gap=2).load(tmp_path, 7)
        assert isinstance(caught.value, FileNotFoundError)
        assert (caught.value.itr, caught.value.available) == (7, ["0", "2", "4"])

    @pytest.mark.parametrize("itr", ["first", "last", 0])
    def test_empty_or_absent_directory_is_not_found(self, tmp_path: Path, itr: int | str) -> None:
        """Nothing saved is a FileNotFoundError too."""
        with pytest.raises(FileNotFoundError, match="no snapshot in"):
            Snapshotter(tmp_path, "none").load(tmp_path / "absent", itr)

    def test_directory_in_place_of_the_file_is_not_a_file(self, tmp_path: Path) -> None:
        """A directory of the wanted name raises NotAFileError."""
        (tmp_path / "itr_3.pkl").mkdir()
        with pytest.raises(NotAFileError, match=r"itr_3\.pkl is a directory"):
            Snapshotter(tmp_path).load(tmp_path, 3)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are a POSIX thing")
    def test_pipe_in_place_of_the_file_does_not_block(self, tmp_path: Path) -> None:
        """A named pipe without a writer raises at once."""
        os.mkfifo(tmp_path / "params.pkl")
        with pytest.raises(NotAFileError, match="is a pipe"):
            Snapshotter(tmp_path).load(tmp_path)

    @pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="sockets with a name are a POSIX thing")
    def test_socket_in_place_of_the_file_is_not_a_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A socket of the wanted name raises NotAFileError."""
        monkeypatch.chdir(tmp_path)  # a socket's name may have only a hundred characters
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("itr_3.pkl")
            with pytest.raises(NotAFileError, match=r"itr_3\.pkl is a socket"):
                Snapshotter(tmp_path).load(tmp_path, 3)

    @pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
    def test_link_to_nothing_is_not_a_file(self, tmp_path: Path) -> None:
        """A dangling link exists, but holds no snapshot."""
        (tmp_path / "params.pkl").symlink_to(tmp_path / "gone")
        with pytest.raises(NotAFileError, match="link to nothing"):
            Snapshotter(tmp_path).load(tmp_path)

    def test_a_class_that_is_not_here_is_named_with_the_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The snapshot is intact: the way out is to install or bring back what it names."""
        (tmp_path / "moved_away.py").write_text("class Policy: pass\n", encoding="utf-8")
        with monkeypatch.context() as patch:
            patch.setattr(sys, "path", [str(tmp_path), *sys.path])
            module = importlib.import_module("moved_away")
            Snapshotter(tmp_path).save_itr_params(0, module.Policy())
        del sys.modules["moved_away"]
        with pytest.raises(ModuleNotFoundError, match=r"'moved_away'(.|\n)*params\.pkl is intact"):
            Snapshotter(tmp_path).load(tmp_path)

    def test_cut_file_is_damaged(self, tmp_path: Path) -> None:
        """A truncated file raises an error of pickle's own kind that names the path."""
        snapshotter = saved(tmp_path, "last", range(1))
        path = tmp_path / "params.pkl"
        path.write_bytes(path.read_bytes()[:-3])
        with pytest.raises(DamagedSnapshotError, match=r"params\.pkl is damaged") as caught:
            snapshotter.load(tmp_path)
        assert isinstance(caught.value, pickle.UnpicklingError)

    def test_file_of_another_program_loads(self, tmp_path: Path) -> None:
        """A plain pickle as garage writes it is a snapshot like any other."""
        (tmp_path / "itr_4.pkl").write_bytes(pickle.dumps({"algo": 1}, protocol=4))
        assert Snapshotter(tmp_path).load(tmp_path, "last") == {"algo": 1}

    @pytest.mark.parametrize(
        "error",
        [
            NotAFileError("a/b", "pipe"),
            SnapshotNotFoundError(3, "runs", ["1"]),
            SnapshotNotFoundError(3, "runs", [], "it is a file"),
            DamagedSnapshotError("a/b", "cut"),
        ],
    )
    def test_errors_cross_processes(self, error: Exception) -> None:
        """An error pickles with its message and attributes."""
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


class TestBackground:
    def test_later_changes_do_not_reach_the_file(self, tmp_path: Path) -> None:
        """The file holds the state as it was when save_itr_params returned."""
        state = {"weights": bytearray(1 << 20)}
        with Snapshotter(tmp_path, background=True) as snapshotter:
            snapshotter.save_itr_params(0, state)
            state["weights"][:] = b"\xff" * (1 << 20)
        assert snapshotter.load(tmp_path)["weights"] == bytes(1 << 20)

    def test_wait_makes_it_committed(self, tmp_path: Path) -> None:
        """After wait the newest iteration is on the disk and reported."""
        snapshotter = Snapshotter(tmp_path, "all", background=True)
        before = snapshotter.last_committed
        for itr in range(3):
            snapshotter.save_itr_params(itr, itr)
        snapshotter.wait()
        assert (before, snapshotter.last_committed, len(names_in(tmp_path))) == (None, 2, 3)
        snapshotter.close()

    def test_an_interrupt_of_waiting_does_not_end_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who was interrupted and saves again still waits for the thread, whose copy would change under its hands."""
        go_on = threading.Event()

        def slowly(*_: object) -> None:
            go_on.wait(60)

        def interrupted(_: object) -> None:
            raise KeyboardInterrupt("stop")

        monkeypatch.setattr("rlx_snapshot._saving.store.sweep_abandoned", slowly)
        with Snapshotter(tmp_path, "all", background=True) as snapshotter:
            snapshotter.save_itr_params(0, 0)
            with monkeypatch.context() as patch:
                patch.setattr(Future, "exception", interrupted)
                patch.setattr(Future, "result", interrupted)
                with pytest.raises(KeyboardInterrupt, match="stop"):
                    snapshotter.save_itr_params(1, 1)
            waiting = threading.Thread(target=snapshotter.wait)
            waiting.start()
            waiting.join(0.05)
            still_waiting = waiting.is_alive()
            go_on.set()
            waiting.join()
        assert (still_waiting, snapshotter.last_committed) == (True, 0)

    def test_error_of_the_thread_is_raised_by_the_next_call_once(self, tmp_path: Path) -> None:
        """A background failure reaches the caller, and saving works again afterwards."""
        directory = tmp_path / "run"
        snapshotter = Snapshotter(directory, background=True)
        directory.rmdir()
        snapshotter.save_itr_params(0, 0)
        with pytest.raises(FileNotFoundError, match="run"):
            snapshotter.save_itr_params(1, 1)
        directory.mkdir()
        snapshotter.save_itr_params(2, 2)
        snapshotter.close()
        assert (snapshotter.load(directory), snapshotter.last_committed) == (2, 2)
