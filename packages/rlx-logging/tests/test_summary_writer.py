"""The calls of torch's SummaryWriter on loggers of ours."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_logging import CsvLogger, DroppedRowsWarning, SummaryWriter, read_metrics


@pytest.fixture
def writer(tmp_path: Path) -> SummaryWriter:
    """Return a writer over the journal alone."""
    return SummaryWriter(tmp_path, logger="journal")


def test_scalars_keep_their_tags_and_steps(tmp_path: Path, writer: SummaryWriter) -> None:
    """Also those of several parts, without a slash, without a step, and of tensors' types."""
    writer.add_scalar("charts/episodic_return", np.float32(1.5), 10)
    writer.add_scalar("losses/a/b", 2, global_step=np.int64(20))  # type: ignore[arg-type]
    writer.add_scalar("plain", np.array(3.0))
    writer.close()
    metrics = read_metrics(tmp_path)
    points = {tag: (series.steps.tolist(), series.values.tolist()) for tag, series in metrics.items()}
    assert points == {
        "charts/global_step": ([10], [10.0]),
        "charts/episodic_return": ([10], [1.5]),
        "losses/global_step": ([20], [20.0]),
        "losses/a/b": ([20], [2.0]),
        "info/global_step": ([0], [0.0]),
        "info/plain": ([0], [3.0]),
    }


def test_a_scalar_called_as_the_step_is(tmp_path: Path, writer: SummaryWriter) -> None:
    """The step takes another name then."""
    writer.add_scalar("charts/global_step", 7.0, 3)
    writer.close()
    assert read_metrics(tmp_path)["charts/global_step"].values.tolist() == [7.0]


@pytest.mark.parametrize("tag", ["losses", "losses/sub"])
def test_several_scalars_are_one_row(tmp_path: Path, writer: SummaryWriter, tag: str) -> None:
    """Each under the main tag."""
    writer.add_scalars(tag, {"pi": 1.0, "v": 2.0}, 5)
    writer.flush()
    metrics = read_metrics(tmp_path)
    assert set(metrics) == {"losses/global_step", f"{tag}/pi", f"{tag}/v"}
    assert metrics[f"{tag}/v"].steps.tolist() == [5]
    writer.close()


def test_histograms_texts_and_arguments(tmp_path: Path, writer: SummaryWriter) -> None:
    """The journal has them as they were."""
    writer.add_histogram("weights/layer", [[1, 2], [3, 4]], 1)
    writer.add_text("hyperparameters", "|param|value|")
    writer.add_hparams({"lr": 0.1}, {"hparam/return": 5.0})
    writer.close()
    metrics = read_metrics(tmp_path)
    ((step, array),) = metrics.arrays["weights/layer"]
    assert (step, array.tolist()) == (1, [1, 2, 3, 4])
    assert metrics.texts["hyperparameters"] == [(0, "|param|value|")]
    assert metrics.hparams == {"lr": 0.1}
    assert metrics["hparam/return"].values.tolist() == [5.0]


def test_tensors_that_need_gradients(tmp_path: Path, writer: SummaryWriter) -> None:
    """As histograms and as pictures, of any type."""
    torch: Any = pytest.importorskip("torch", reason="needs torch")
    writer.add_histogram("w/grad", torch.ones(3, requires_grad=True), 1)
    writer.add_histogram("w/half", torch.ones(3, dtype=torch.bfloat16), 1)
    writer.add_image("w/picture", torch.zeros(3, 4, 5, requires_grad=True), 1)
    writer.close()
    assert [array.tolist() for _, array in read_metrics(tmp_path).arrays["w/half"]] == [[1.0, 1.0, 1.0]]


class Shown(CsvLogger):
    """A logger that keeps what it is to show."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.shown: dict[str, Any] = {}

    def write_media(self, tag: str, step: int, media: Any) -> None:
        """Keep it."""
        self.shown[tag] = media


@pytest.mark.parametrize(
    ("layout", "shape", "expected"),
    [
        ("CHW", (3, 4, 5), (4, 5, 3)),
        ("HWC", (4, 5, 3), (4, 5, 3)),
        ("HW", (4, 5), (4, 5, 1)),
        ("NCHW", (2, 3, 4, 5), (4, 10, 3)),
        ("NHWC", (2, 4, 5, 1), (4, 10, 1)),
    ],
)
def test_pictures_in_every_layout(
    tmp_path: Path, layout: str, shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    """Several stand side by side."""
    logger = Shown(tmp_path)
    SummaryWriter(logger=logger).add_image("x/y", np.zeros(shape, np.uint8), 1, dataformats=layout)
    assert logger.shown["x/y"].pixels.shape == expected


def test_a_picture_of_another_shape_is_refused(writer: SummaryWriter) -> None:
    """The message names both."""
    with pytest.raises(ValueError, match="dataformats must name the 2 dimensions of the picture, not 'CHW'"):
        writer.add_image("x/y", np.zeros((4, 5)))


def test_films_and_figures(tmp_path: Path) -> None:
    """Films stand side by side; a figure is closed, as torch does."""
    pyplot: Any = pytest.importorskip("matplotlib.pyplot", reason="needs matplotlib")
    pyplot.switch_backend("agg")
    logger = Shown(tmp_path)
    writer = SummaryWriter(logger=logger)
    writer.add_video("x/film", np.zeros((2, 6, 3, 4, 5), np.uint8), 1, fps=8)
    writer.add_figure("x/figure", pyplot.figure(), 1)
    writer.add_figure("x/figures", [pyplot.figure(), pyplot.figure()], 1, close=False)
    assert (logger.shown["x/film"].frames.shape, logger.shown["x/film"].fps) == ((6, 4, 10, 3), 8)
    assert {"x/figure", "x/figures/0", "x/figures/1"} < logger.shown.keys()
    assert len(pyplot.get_fignums()) == 2
    pyplot.close("all")


def add_graph_twice(writer: SummaryWriter) -> None:
    """Add a graph, as scripts do."""
    writer.add_graph(object())
    writer.add_graph(object(), verbose=True)


def test_what_no_logger_keeps_is_named_once(writer: SummaryWriter) -> None:
    """A script with a graph runs."""
    with pytest.warns(DroppedRowsWarning, match="add_graph does nothing") as caught:
        add_graph_twice(writer)
    assert len(caught) == 1
    with pytest.raises(AttributeError, match="'SummaryWriter' object has no attribute 'write'"):
        _ = writer.write


def test_the_folder_is_torchs_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below ``runs``, with the comment at its end; a logger of its own has its own."""
    monkeypatch.chdir(tmp_path)
    with SummaryWriter(comment="_mine", logger="journal") as writer:
        writer.add_scalar("a/b", 1.0, 1)
    assert Path(writer.get_logdir()).parent == Path("runs")
    assert writer.log_dir.endswith("_mine")
    assert read_metrics(writer.log_dir)["a/b"].values.tolist() == [1.0]
    assert SummaryWriter(logger=CsvLogger(tmp_path / "x")).log_dir == str(tmp_path / "x")


def test_a_closed_writer_is_opened_again_and_cut(tmp_path: Path, writer: SummaryWriter) -> None:
    """A resumed script continues with the rows of its snapshot."""
    writer.add_scalar("a/b", 1.0, 1)
    state = writer.logger.state_dict()
    writer.add_scalar("a/b", 2.0, 2)
    writer.close()
    again = SummaryWriter(tmp_path, logger="journal")
    again.logger.load_state_dict(state)
    again.add_scalar("a/b", 3.0, 2)
    again.close()
    assert read_metrics(tmp_path)["a/b"].values.tolist() == [1.0, 3.0]
