"""The command line."""

import csv
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_logging import JournalLogger, TensorboardLogger, read_metrics
from rlx_logging._cli import main
from rlx_logging._journal.tail import JournalTail
from rlx_logging._metrics.plot import short_names, smooth, sparkline, step_tags


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return the folder of a run of twenty epochs."""
    logger = JournalLogger(tmp_path / "run", update_interval=1)
    for epoch in range(20):
        logger.log_update_data({"loss": 1 / (epoch + 1)}, epoch * 10)
        logger.write("info/epoch", epoch, {"AverageReturn": float(epoch), "odd": math.nan})
    logger.finalize()
    return tmp_path / "run"


def test_show(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Last, least and greatest value of every tag."""
    assert main(["show", str(run), "-t", "info/*"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["info/AverageReturn", "19", "19", "0", "19", "20"] in lines
    assert not any("update/loss" in line for line in lines)


def test_what_the_output_cannot_spell_is_escaped(run: Path) -> None:
    """A terminal or file without the bars of a curve gets their numbers."""
    program = "import sys; from rlx_logging._cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "plot", str(run)],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u2588" in done.stdout


def test_tail(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last rows, one a line."""
    assert main(["tail", str(run), "-n", "2", "--no-follow"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "update/gradient_step 190  loss=0.05",
        "info/epoch 19  AverageReturn=19  odd=nan",
    ]


def test_tail_shows_the_wanted_tags(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of each row the values that a pattern fits; rows without one are passed over, and do not count."""
    assert main(["tail", str(run), "-n", "2", "--no-follow", "-t", "*Return"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "info/epoch 18  AverageReturn=18",
        "info/epoch 19  AverageReturn=19",
    ]


def test_tail_says_what_it_waits_for(tmp_path: Path) -> None:
    """A slip in the name of a run does not look like a run that has nothing to say."""
    program = "import sys; from rlx_logging._cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", program, "tail", str(tmp_path / "rnu")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        process.kill()
    assert said == f"rlx-logging: waiting for {tmp_path / 'rnu' / 'metrics.rlxj'}\n"


def test_a_tail_follows_a_journal_through_growth_and_cuts(tmp_path: Path) -> None:
    """Each row is given once; rows that were cut off and written again are given again."""
    tail = JournalTail(tmp_path)
    assert tail.new_rows() == []
    logger = JournalLogger(tmp_path)
    logger.write("info/epoch", 0, {"r": 0.0})
    assert [row.step for row in tail.new_rows()] == [0]
    state = logger.state_dict()
    logger.write("info/epoch", 1, {"r": 1.0})
    logger.write("info/epoch", 2, {"r": 2.0})
    assert [row.values for row in tail.new_rows()] == [(1.0,), (2.0,)]
    assert tail.new_rows() == []
    logger.load_state_dict(state)
    assert tail.new_rows() == []
    logger.write("info/epoch", 1, {"r": 5.0})
    assert [row.values for row in tail.new_rows()] == [(5.0,)]
    logger.finalize()


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_plot_makes_a_picture(run: Path, ending: str) -> None:
    """One panel a tag; steps themselves are not drawn."""
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    picture = run / f"curves.{ending}"
    assert main(["plot", str(run), str(run), "-o", str(picture), "-s", "0.6"]) == 0
    assert main(["plot", str(run), "-o", str(picture), "--time", "-t", "info/AverageReturn"]) == 0
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG" if ending == "png" else b"<?xml")
    assert len(content) > 5000


def test_a_curve_that_runs_along_the_steps_is_drawn(run: Path, tmp_path: Path) -> None:
    """Only the steps themselves are left out: of each scope the tag that names them."""
    matplotlib: Any = pytest.importorskip("matplotlib", reason="needs matplotlib")
    metrics = read_metrics(run)
    assert (metrics["info/AverageReturn"].values == metrics["info/AverageReturn"].steps).all()
    assert sorted(step_tags(metrics)) == ["info/epoch", "update/gradient_step"]
    picture = tmp_path / "curves.svg"
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        assert main(["plot", str(run), "-o", str(picture)]) == 0
    drawn = picture.read_text(encoding="utf-8")
    assert [tag for tag in metrics if f">{tag}<" in drawn] == [
        "update/loss",
        "info/AverageReturn",
        "info/odd",
    ]


def test_steps_are_no_curves(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the terminal, too, what only counts the steps is left out, unless it is asked for."""
    main(["plot", str(run)])
    tags = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert tags == ["update/loss", "info/AverageReturn", "info/odd"]
    main(["plot", str(run), "-t", "info/epoch"])
    assert "info/epoch" in capsys.readouterr().out


def test_plot_in_the_terminal(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line of bars a tag."""
    assert main(["plot", str(run), "-t", "info/AverageReturn"]) == 0
    out = capsys.readouterr().out
    assert "▁" in out
    assert "█" in out
    assert out.rstrip().endswith("0 → 19")


def test_sparklines() -> None:
    """The least value is the lowest bar; what is not finite is a gap."""
    assert sparkline(np.array([0.0, 7.0, np.nan, 3.0]), 10) == "▁█ ▄"
    assert sparkline(np.array([1.0, 1.0]), 10) == "▁▁"
    assert sparkline(np.arange(100.0), 4) == "▁▃▆█"
    assert sparkline(np.array([np.inf]), 10) == " "


def test_smoothing_is_corrected_for_its_start() -> None:
    """The average of a constant is the constant, from the first value on and over gaps."""
    assert smooth(np.array([2.0, np.nan, 2.0, np.inf]), 0.9).tolist() == pytest.approx([2.0] * 4)
    assert smooth(np.array([1.0, 5.0]), 0.0).tolist() == [1.0, 5.0]


def test_export_to_csv(run: Path, tmp_path: Path) -> None:
    """All values exactly, one a line."""
    table = tmp_path / "all.csv"
    assert main(["export", str(run), "-o", str(table), "-t", "update/loss"]) == 0
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["tag"], int(row["step"]), float(row["value"])) for row in rows] == [
        ("update/loss", epoch * 10, 1 / (epoch + 1)) for epoch in range(20)
    ]
    assert rows[0]["run"] == str(run)


def test_export_to_parquet(run: Path, tmp_path: Path) -> None:
    """The same as Parquet."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
    table = tmp_path / "all.parquet"
    assert main(["export", str(run), "-o", str(table)]) == 0
    read = parquet.read_table(table).to_pydict()
    losses = [value for tag, value in zip(read["tag"], read["value"], strict=True) if tag == "update/loss"]
    assert losses == [1 / (epoch + 1) for epoch in range(20)]
    (tmp_path / "metrics.rlxj").write_bytes(b"")
    assert main(["export", str(tmp_path), "-o", str(table)]) == 0
    assert parquet.read_table(table).num_rows == 0


def test_data_frames(run: Path) -> None:
    """A long pandas table."""
    pytest.importorskip("pandas", reason="needs pandas")
    frame = read_metrics(run).to_pandas()
    assert frame.columns.tolist() == ["tag", "step", "value", "wall_time"]
    assert frame[frame.tag == "info/AverageReturn"].value.tolist() == list(range(20))


def test_event_files_are_read_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without a journal."""
    logger = TensorboardLogger(tmp_path)
    logger.write("info/epoch", 3, {"r": 0.5})
    logger.finalize()
    assert main(["show", str(tmp_path)]) == 0
    assert "info/r" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "nowhere"], "there is no file or folder nowhere."),
        (["show", "."], "neither a journal (metrics.rlxj) nor a TensorBoard event file in ."),
        (["show", "RUN/.."], "there are runs below it: name them, as 'RUN/../*'"),
        (["plot", "RUN", "-o", "x.png", "-t", "nothing"], "no tag matches"),
        (["plot", "RUN", "-o", "x.png", "-s", "1"], "smoothing must be"),
        (["export", "RUN", "-o", "x.xlsx"], "export to a .csv or .parquet file"),
    ],
)
def test_errors_are_one_line(
    run: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """Exit status 1 and what is wrong."""
    assert main([argument.replace("RUN", str(run)) for argument in arguments]) == 1
    error = capsys.readouterr().err.replace(str(run), "RUN")
    assert error.startswith("rlx-logging: ")
    assert message in error
    assert error.count("\n") == 1


def test_wrong_usage_is_status_two(capsys: pytest.CaptureFixture[str]) -> None:
    """As argparse has it."""
    with pytest.raises(SystemExit, match="2"):
        main(["shout"])
    assert "invalid choice" in capsys.readouterr().err


def test_show_passes_over_what_is_not_finite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One NaN does not hide the least and greatest of all other values."""
    logger = JournalLogger(tmp_path)
    for epoch, value in enumerate((3.0, math.nan, -1.0, math.inf)):
        logger.write("info/epoch", epoch, {"v": value, "never": math.nan})
    logger.finalize()
    assert main(["show", str(tmp_path)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["info/v", "3", "inf", "-1", "3", "4"] in lines
    assert ["info/never", "3", "nan", "nan", "nan", "4"] in lines


@pytest.mark.parametrize("command", ["show", "plot"])
def test_a_pattern_that_fits_nothing(run: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    """A slip in a pattern is said, rather than an empty table shown."""
    assert main([command, str(run), "-t", "infos/*"]) == 1
    assert "no tag matches infos/*; there are: update/gradient_step, update/loss" in capsys.readouterr().err


def test_tail_of_a_journal_by_its_name(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the other commands take it."""
    assert main(["tail", str(run / "metrics.rlxj"), "-n", "1", "--no-follow"]) == 0
    assert capsys.readouterr().out.startswith("info/epoch 19")


def test_tail_of_nothing(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without following, a journal must be there; what is no journal is never followed."""
    assert main(["tail", str(tmp_path / "nowhere"), "--no-follow"]) == 1
    assert "there is no journal (metrics.rlxj) in" in capsys.readouterr().err
    (tmp_path / "plain.txt").write_text("hello")
    assert main(["tail", str(tmp_path / "plain.txt")]) == 1
    assert "is no journal; only journals can be followed" in capsys.readouterr().err


def test_runs_are_told_apart_by_what_differs() -> None:
    """The folders that all runs are in stand in no legend."""
    assert short_names(["data/ppo_0", "data/ppo_1"]) == ["ppo_0", "ppo_1"]
    assert short_names(["data/a/run", "data/b/run"]) == [str(Path("a/run")), str(Path("b/run"))]
    assert short_names(["data/run"]) == ["run"]
    assert short_names(["run", "run"]) == ["run", "run"]


def test_an_axis_has_the_name_of_its_step(run: Path, tmp_path: Path) -> None:
    """Also where the step itself is not among the tags that are drawn."""
    matplotlib: Any = pytest.importorskip("matplotlib", reason="needs matplotlib")
    picture = tmp_path / "curves.svg"
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        assert main(["plot", str(run), "-t", "update/loss", "-o", str(picture)]) == 0
    assert "gradient step" in picture.read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("columns", [44, 80, 120])
@pytest.mark.parametrize("command", ["show", "plot"])
def test_no_line_is_wider_than_the_terminal(tmp_path: Path, columns: int, command: str) -> None:
    """Long tags are cut short in their midst, and a table keeps its first columns."""
    import pty

    logger = JournalLogger(tmp_path)
    logger.write("info/epoch", 1, {"AverageReturnOfTheEvaluation" * 2: 123.456789, "kl": 1e-9})
    logger.finalize()
    reader, terminal = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns)}
    arguments = [sys.executable, "-m", "rlx_logging", command, "."]
    subprocess.run(arguments, stdout=terminal, env=environment, cwd=tmp_path, check=True, timeout=120)
    os.close(terminal)
    lines = os.read(reader, 100_000).decode().splitlines()
    os.close(reader)
    assert len(lines) >= 3
    assert max(map(len, lines)) <= columns
