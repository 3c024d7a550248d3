"""Pictures, figures, films and texts: who holds them, and what is refused."""

import io
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_logging import (
    ConsoleLogger,
    Image,
    JournalLogger,
    LazyLogger,
    TensorboardLogger,
    Text,
    make_logger,
    read_metrics,
)


def _accumulated(folder: Path) -> Any:
    module = "tensorboard.backend.event_processing.event_accumulator"
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    reader = import_module(module).EventAccumulator(str(folder), size_guidance={"images": 0, "tensors": 0})
    reader.Reload()
    return reader


def _decoded(event: Any) -> Any:
    image = pytest.importorskip("PIL.Image", reason="needs pillow")
    with image.open(io.BytesIO(event.encoded_image_string)) as picture:
        return np.asarray(picture)


def test_tensorboard_reads_texts(tmp_path: Path) -> None:
    """TensorBoard's own reader finds a text under its tag, for the plugin that shows texts."""
    logger = TensorboardLogger(tmp_path)
    for step in range(3):
        logger.write_text("info/note", step, f"**epoch** {step}\n\nñ ü 漢")
    logger.finalize()
    reader = _accumulated(tmp_path)
    assert reader.SummaryMetadata("info/note").plugin_data.plugin_name == "text"
    assert [
        (event.step, event.tensor_proto.string_val[0].decode()) for event in reader.Tensors("info/note")
    ] == [(step, f"**epoch** {step}\n\nñ ü 漢") for step in range(3)]


def test_a_figure_is_a_picture_of_its_size(tmp_path: Path) -> None:
    """What TensorBoard shows is the figure as matplotlib draws it; the figure keeps its canvas."""
    figures: Any = pytest.importorskip("matplotlib.figure", reason="needs matplotlib")
    figure = figures.Figure(figsize=(3, 2), dpi=50, facecolor="red")
    canvas = figure.canvas
    logger = TensorboardLogger(tmp_path)
    logger.write_figure("info/curve", 4, figure)
    logger.finalize()
    assert figure.canvas is canvas
    (event,) = _accumulated(tmp_path).Images("info/curve")
    assert (event.step, event.width, event.height) == (4, 150, 100)
    assert (_decoded(event) == [255, 0, 0, 255]).all()


def test_pixels_are_those_that_were_logged(tmp_path: Path) -> None:
    """Bytes as they are; floats and bools scaled, what is outside of 0 to 1 clipped, NaN black."""
    logger = TensorboardLogger(tmp_path)
    colours = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    logger.write_image("info/bytes", 0, colours)
    logger.write_image("info/floats", 0, np.array([[0.0, 0.5, 1.0, 7.0, -1.0, np.nan]]))
    logger.write_image("info/bools", 0, np.array([[True, False]]))
    colours[:] = 0
    logger.finalize()
    reader = _accumulated(tmp_path)
    pictures = {tag: _decoded(reader.Images(f"info/{tag}")[0]) for tag in ("bytes", "floats", "bools")}
    assert pictures["bytes"].ravel().tolist() == list(range(72))
    assert pictures["floats"].tolist() == [[0, 127, 255, 255, 0, 0]]
    assert pictures["bools"].tolist() == [[255, 0]]


def test_texts_are_in_journal_and_json_lines(tmp_path: Path) -> None:
    """The primary store has them, beside the numbers."""
    logger = make_logger("jsonl", log_dir=tmp_path)
    logger.write("info/epoch", 0, {"r": 1.0})
    logger.write_text("info/note", 0, "line\nline")
    logger.write_text("info/note", np.int64(2), "")  # type: ignore[arg-type]
    logger.write("info/epoch", 1, {"r": 2.0})
    logger.finalize()
    metrics = read_metrics(tmp_path)
    assert metrics.texts == {"info/note": [(0, "line\nline"), (2, "")]}
    assert metrics["info/r"].steps.tolist() == [0, 1]
    assert metrics.damaged == 0
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    texts = [(line["tag"], line["step"], line["text"]) for line in lines if "text" in line]
    assert texts == [("info/note", 0, "line\nline"), ("info/note", 2, "")]


def test_texts_are_cut_like_rows(tmp_path: Path) -> None:
    """A resumed run has each text once."""
    logger = JournalLogger(tmp_path)
    logger.write_text("info/note", 0, "kept")
    state = logger.state_dict()
    logger.write_text("info/note", 1, "lost")
    logger.load_state_dict(state)
    logger.write_text("info/note", 1, "again")
    logger.finalize()
    assert read_metrics(tmp_path).texts == {"info/note": [(0, "kept"), (1, "again")]}


def test_the_console_prints_texts(tmp_path: Path) -> None:
    """With tag and step before it; pictures are passed over."""
    stream = io.StringIO()
    logger = ConsoleLogger(tmp_path, stream=stream)
    logger.write_text("info/note", 3, "halved the rate")
    logger.write_image("info/picture", 3, np.zeros((2, 2)))
    logger.finalize()
    assert stream.getvalue() == "info/note 3: halved the rate\n"


def test_a_summary_writer_takes_pictures_and_texts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Torch's writer, in torch's way of naming texts; films are left out, which is said once."""
    tensorboard = pytest.importorskip("torch.utils.tensorboard", reason="needs torch")
    logger = TensorboardLogger(tensorboard.SummaryWriter(str(tmp_path)))
    logger.write_text("info/note", 1, "hello")
    logger.write_image("info/grey", 1, np.full((2, 3), 7, np.uint8))
    logger.write_image("info/clear", 1, np.full((2, 3, 4), 7, np.uint8))
    for step in (1, 2):
        logger.write_video("info/film", step, np.zeros((2, 4, 4, 3), np.uint8))
    logger.log_hparams({"lr": 0.1})
    logger.finalize()
    assert [record.getMessage() for record in caplog.records if record.name == "rlx_logging"] == [
        "not logged: the film 'info/film'; hand in a folder rather than a SummaryWriter"
    ]
    reader = _accumulated(tmp_path)
    assert reader.Tensors("info/note/text_summary")[0].tensor_proto.string_val == [b"hello"]
    arguments = reader.Tensors("hparams/text_summary")[0].tensor_proto.string_val
    assert arguments == [b"|argument|value|\n|---|---|\n|lr|0.1|"]
    assert sorted(reader.Tags()["images"]) == ["info/clear", "info/grey"]


def test_media_go_to_loggers_that_are_backends(tmp_path: Path) -> None:
    """To each of them."""
    logger = JournalLogger(tmp_path / "a")
    logger.add_backend(JournalLogger(tmp_path / "b"))
    logger.write_text("info/note", 0, "hello")
    logger.finalize()
    for name in "ab":
        assert read_metrics(tmp_path / name).texts == {"info/note": [(0, "hello")]}


@pytest.mark.parametrize("shape", [(3,), (3, 64, 64), (4, 4, 2), (0, 4), (2, 4, 4, 3)])
def test_a_picture_of_another_shape(shape: tuple[int, ...]) -> None:
    """The error says which shapes there are."""
    with pytest.raises(ValueError, match=r"a picture must be \(height, width\).*; got \("):
        LazyLogger().write_image("info/picture", 0, np.zeros(shape, np.uint8))


def test_pixels_of_another_type() -> None:
    """Whole numbers wider than a byte could mean 0 to 1 or 0 to 255: nothing is guessed."""
    with pytest.raises(ValueError, match=r"pixels must be uint8, or floats in 0 to 1; got int64"):
        LazyLogger().write_image("info/picture", 0, np.zeros((2, 2), np.int64))


@pytest.mark.parametrize(("shape", "fps"), [((0, 4, 4, 3), 30), ((4, 4, 3), 30), ((1, 3, 64, 64), 30)])
def test_a_film_of_another_shape(shape: tuple[int, ...], fps: float) -> None:
    """The error says what a film is."""
    with pytest.raises(ValueError, match=r"a film must be \(time, height, width, 3\)"):
        LazyLogger().write_video("info/film", 0, np.zeros(shape, np.uint8), fps=fps)


def test_a_film_without_speed() -> None:
    """Frames a second are above zero."""
    with pytest.raises(ValueError, match="fps must be above zero; got 0"):
        LazyLogger().write_video("info/film", 0, np.zeros((1, 4, 4, 3), np.uint8), fps=0)


def test_media_are_plain_values() -> None:
    """A backend of one's own can match on them."""
    assert Image.of(np.ones((2, 3))).pixels.shape == (2, 3, 1)
    assert Text("a") == Text("a")
