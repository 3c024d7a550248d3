"""The command line: looks at snapshots, runs nothing."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rlx_snapshot import Snapshotter
from rlx_snapshot._command import main


class Policy:
    """A class of the user's own."""

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.names = ["left", "right"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A directory with iterations 9, 10 and 11."""
    snapshotter = Snapshotter(tmp_path, "all")
    for itr in (9, 10, 11):
        snapshotter.save_itr_params(itr, {"policy": Policy(itr / 10), "env": "CartPole-v1"})
    return tmp_path


def damage(path: Path) -> None:
    """Change one byte."""
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)


class TestList:
    def test_lists_by_number(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """One line each, in the order of the iterations, damage noted."""
        damage(run / "itr_10.pkl")
        assert main(["list", str(run)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines[1:]] == ["itr_9.pkl", "itr_10.pkl", "itr_11.pkl"]
        assert "is damaged" in lines[2]

    @pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
    @pytest.mark.parametrize("command", ["list", "verify"])
    def test_a_link_to_nothing_hides_no_other_file(
        self, run: Path, capsys: pytest.CaptureFixture[str], command: str
    ) -> None:
        """What cannot be opened has a line of its own."""
        (run / "params.pkl").symlink_to("gone")
        main([command, str(run)])
        *_, last_but_one, last = capsys.readouterr().out.splitlines()
        assert "itr_11.pkl" in last_but_one
        assert "is a link to nothing" in last

    def test_empty_directory_is_an_error(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Nothing to list is said, with exit status 1, and no table is begun."""
        for path, message in (
            (tmp_path, "no snapshot in"),
            (tmp_path / "nowhere", "nowhere: there is no such"),
        ):
            assert main(["list", str(path)]) == 1
            shown = capsys.readouterr()
            assert message in shown.err
            assert shown.out == ""


class TestVerify:
    def test_exit_status_says_whether_all_are_intact(
        self, run: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """0 for an intact directory, 1 once a file is damaged."""
        assert main(["verify", str(run)]) == 0
        damage(run / "itr_10.pkl")
        assert main(["verify", str(run)]) == 1
        out = capsys.readouterr().out
        assert out.count("intact") == 5
        assert out.count("itr_10.pkl is damaged") == 1

    def test_key_file_checks_signatures(
        self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """With a key an unsigned file does not pass."""
        (tmp_path / "key").write_bytes(b"secret")
        assert main(["verify", str(run), "--key-file", str(tmp_path / "key")]) == 1
        assert "not signed" in capsys.readouterr().out


class TestShow:
    def test_shows_what_is_inside_without_loading_it(
        self, run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Classes by name and leaves by value, though nothing is unpickled."""
        monkeypatch.setattr(pickle, "loads", None)
        assert main(["show", str(run / "itr_9.pkl")]) == 0
        out = capsys.readouterr().out
        assert "iteration 9, format 1" in out
        assert "  .policy: " in out
        assert "  .policy.scale: 0.9\n" in out
        assert "  .env: 'CartPole-v1'\n" in out

    def test_arrays_and_tensors_are_one_line(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """An array by shape, type and checksum."""
        np: Any = pytest.importorskip("numpy", reason="needs numpy")
        Snapshotter(tmp_path).save_itr_params(0, [np.zeros((7, 10_000)), np.ones(3, dtype="i2")])
        main(["show", str(tmp_path)])
        out = capsys.readouterr().out
        assert "[0]: array (7, 10000) f8, xxh3" in out
        assert "[1]: array (3,) i2, xxh3" in out

    def test_tensors_are_one_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A tensor by shape, type and checksum."""
        torch: Any = pytest.importorskip("torch", reason="needs torch")
        Snapshotter(tmp_path).save_itr_params(0, {"weights": torch.zeros(3, 4)})
        main(["show", str(tmp_path)])
        assert ".weights: tensor (3, 4) float32, xxh3" in capsys.readouterr().out

    def test_what_the_output_cannot_spell_is_escaped(self, tmp_path: Path) -> None:
        """Neither a letter that a file's encoding lacks nor an endless number ends the command."""
        Snapshotter(tmp_path).save_itr_params(0, {"größe": 10**5000, "set": {10**5000}})
        done = subprocess.run(
            [sys.executable, "-m", "rlx_snapshot", "show", str(tmp_path / "params.pkl")],
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "gr\\xf6\\xdfe: 0x31e2" in done.stdout

    def test_long_contents_are_cut(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """What is left out is counted."""
        Snapshotter(tmp_path).save_itr_params(0, {f"key{number}": number for number in range(100)})
        main(["show", str(tmp_path), "--lines", "11"])
        assert "... and 90 more parts" in capsys.readouterr().out

    def test_a_long_list_does_not_hide_what_follows(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Its first items stand for it, unless all are asked for."""
        Snapshotter(tmp_path).save_itr_params(0, {"weights": [0.5] * 1000, "seed": 3})
        main(["show", str(tmp_path)])
        lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
        assert lines[-5:-1] == [
            ".weights[0]: 0.5",
            ".weights[1]: 0.5",
            ".weights[2]: 0.5",
            ".weights[3:]: 997 more",
        ]
        assert lines[-1] == ".seed: 3"
        main(["show", str(tmp_path), "--all"])
        assert ".weights[999]: 0.5\n" in capsys.readouterr().out

    def test_of_a_directory_the_newest_is_shown(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """One of a hundred is enough; each can be named."""
        main(["show", str(run)])
        out = capsys.readouterr().out
        assert out.startswith(f"{run / 'itr_11.pkl'}: ")
        assert "iteration 10" not in out

    @pytest.mark.parametrize("lines", ["-1", "0", "many"])
    def test_impossible_numbers_of_lines(self, run: Path, lines: str) -> None:
        """Wrong usage."""
        with pytest.raises(SystemExit, match="2"):
            main(["show", str(run), "--lines", lines])


class TestDiff:
    def test_of_directories_the_newest_are_compared(
        self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Two runs are compared by where they ended, which the output names."""
        other = tmp_path / "other"
        Snapshotter(other).save_itr_params(4, {"policy": Policy(0.4), "env": "CartPole-v1"})
        assert main(["diff", str(run), str(other)]) == 1
        lines = capsys.readouterr().out.splitlines()
        assert lines[:2] == [f"--- {run / 'itr_11.pkl'}", f"+++ {other / 'params.pkl'}"]
        assert lines[2:5] == [".policy.scale:", "  - 1.1", "  + 0.4"]

    def test_names_the_parts_that_differ(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The path of each difference with both values; exit status 1."""
        assert main(["diff", str(run / "itr_9.pkl"), str(run / "itr_10.pkl")]) == 1
        out = capsys.readouterr().out
        assert ".policy.scale:\n  - 0.9\n  + 1.0\n1 of " in out

    def test_equal_states_have_no_difference(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A file compared with itself; exit status 0."""
        assert main(["diff", str(run / "itr_9.pkl"), str(run / "itr_9.pkl")]) == 0
        assert capsys.readouterr().out.startswith("0 of ")


@pytest.mark.parametrize(
    ("command", "problem"), [("show", "no pickle"), ("verify", "neither a snapshot nor a whole pickle")]
)
def test_files_of_another_kind_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, problem: str
) -> None:
    """A text file passes for nothing; the message names it."""
    (tmp_path / "notes.txt").write_text("remember the milk\n")
    assert main([command, str(tmp_path / "notes.txt")]) == 1
    printed = capsys.readouterr()
    assert f"notes.txt is damaged: it is {problem}" in printed.out + printed.err


def test_wrong_usage_ends_with_status_two() -> None:
    """Unknown commands are explained by the parser."""
    command = [sys.executable, "-m", "rlx_snapshot", "explode"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "invalid choice: 'explode'" in result.stderr
