"""TensorBoard event files: written by us, read by TensorBoard, and the other way round."""

import math
import struct
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_logging import TensorboardLogger, read_metrics
from rlx_logging._tensorboard.crc32c import fastest_crc32c, python_crc32c
from rlx_logging._tensorboard.records import FLOAT32_MAX, long_varint, short_varint


def _accumulated(folder: Path) -> Any:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard"
    )
    reader = accumulator.EventAccumulator(
        str(folder), size_guidance={"scalars": 0, "histograms": 0, "images": 0}
    )
    reader.Reload()
    return reader


def _scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in _accumulated(folder).Scalars(tag)]


@given(st.binary(max_size=100))
def test_checksums_agree(data: bytes) -> None:
    """The pure Python checksum is the one in use."""
    assert python_crc32c(data) == fastest_crc32c()(data)


def _check_varint(data: bytes, step: int) -> None:
    assert [byte >> 7 for byte in data] == [1] * (len(data) - 1) + [0]
    value = sum((byte & 0x7F) << 7 * index for index, byte in enumerate(data))
    assert struct.unpack("<q", struct.pack("<Q", value)) == (step,)


@given(st.integers(-(2**63), 2**63 - 1))
def test_long_steps_are_varints_of_ten_bytes(step: int) -> None:
    """Nine bytes announce one more, and the seven-bit groups hold the step in two's complement."""
    data = long_varint(step)
    assert len(data) == 10
    _check_varint(data, step)


@given(st.integers(0, 2**28 - 1))
def test_short_steps_are_varints_of_four_bytes(step: int) -> None:
    """Three bytes announce one more, and the seven-bit groups hold the step."""
    _check_varint(short_varint(step).to_bytes(4, "little"), step)


def test_tensorboard_reads_every_scalar(tmp_path: Path) -> None:
    """All values of a row are under their tags, at their step."""
    logger = TensorboardLogger(tmp_path, train_interval=1)
    for step in range(100):
        logger.log_train_data({"loss": step / 4, "nested": {"flag": step % 2 == 0}}, step)
    logger.finalize()
    assert _scalars(tmp_path, "train/loss") == [(step, step / 4) for step in range(100)]
    assert _scalars(tmp_path, "train/nested/flag") == [(step, float(step % 2 == 0)) for step in range(100)]
    assert _scalars(tmp_path, "train/env_step")[-1] == (99, 99.0)


@pytest.mark.parametrize("step", [0, 1, 127, 128, 2**28 - 1, 2**28, 2**31, 2**53 + 1, 2**63 - 1, -1])
def test_tensorboard_reads_every_step(tmp_path: Path, step: int) -> None:
    """Steps are 64-bit."""
    logger = TensorboardLogger(tmp_path)
    logger.write("info/epoch", step, {"v": 1.0})
    logger.finalize()
    assert _scalars(tmp_path, "info/v") == [(step, 1.0)]
    assert read_metrics(tmp_path)["info/v"].steps.tolist() == [step]


def test_values_are_clamped_to_float32(tmp_path: Path) -> None:
    """What is too large becomes the largest; NaN and infinities stay."""
    logger = TensorboardLogger(tmp_path)
    values = [1e300, -1e300, 10**400, math.inf, -math.inf, math.nan, -0.0]
    for step, value in enumerate(values):
        logger.write("info/epoch", step, {"v": value})
    logger.finalize()
    read = [value for _, value in _scalars(tmp_path, "info/v")]
    assert read[:5] == [FLOAT32_MAX, -FLOAT32_MAX, math.inf, math.inf, -math.inf]
    assert math.isnan(read[5])
    assert math.copysign(1, read[6]) == -1


def test_a_call_that_returned_is_on_file(tmp_path: Path) -> None:
    """Nothing waits in a buffer."""
    logger = TensorboardLogger(tmp_path)
    logger.write("info/epoch", 0, {"v": 1.0})
    assert _scalars(tmp_path, "info/v") == [(0, 1.0)]
    logger.finalize()


@pytest.mark.parametrize("letters", [3, 5, 30])
def test_a_row_takes_a_head_and_nine_bytes_and_the_tag_a_scalar(tmp_path: Path, letters: int) -> None:
    """So twenty scalars with tags of eight characters are below twenty bytes each; with longer ones they cannot be."""
    logger = TensorboardLogger(tmp_path)
    row = {f"{index:02d}".rjust(letters, "k"): 0.5 for index in range(20)}
    logger.write("info/epoch", 0, row)
    (path,) = tmp_path.glob("events*")
    before = path.stat().st_size
    logger.write("info/epoch", 1, row)
    written = path.stat().st_size - before
    assert written == 33 + (9 + len("info/epoch")) + 20 * (9 + len("info/") + letters)
    assert (written < 20 * 20) == (letters == 3)
    logger.finalize()


def test_arrays_are_histograms(tmp_path: Path) -> None:
    """Elements that are not finite are left out; all others are counted."""
    logger = TensorboardLogger(tmp_path, exclude_arrays=False)
    logger.log_info_data({"w": np.array([0.0, 1.0, 2.0, np.nan, np.inf]), "none": np.array([np.nan])}, 3)
    logger.finalize()
    (event,) = _accumulated(tmp_path).Histograms("info/w")
    histogram = event.histogram_value
    assert (event.step, histogram.min, histogram.max, histogram.num, histogram.sum) == (3, 0.0, 2.0, 3, 3.0)
    assert sum(histogram.bucket) == 3


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((4, 6), "uint8"), ((4, 6, 1), "float32"), ((4, 6, 3), "uint8"), ((4, 6, 4), "float64")],
)
def test_pictures(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    """Grey, coloured and transparent pictures of bytes or floats."""
    pytest.importorskip("PIL", reason="needs pillow")
    logger = TensorboardLogger(tmp_path)
    logger.write_image("info/episode", 7, np.ones(shape, dtype))
    logger.finalize()
    (event,) = _accumulated(tmp_path).Images("info/episode")
    assert (event.step, event.height, event.width) == (7, 4, 6)
    assert event.encoded_image_string.startswith(b"\x89PNG")


def test_films(tmp_path: Path) -> None:
    """A film is an animated picture."""
    image = pytest.importorskip("PIL.Image", reason="needs pillow")
    logger = TensorboardLogger(tmp_path)
    frames = (np.arange(5 * 4 * 6 * 3) % 256).reshape(5, 4, 6, 3).astype(np.uint8)
    logger.write_video("info/episode", 7, frames, fps=10)
    logger.finalize()
    import io

    (event,) = _accumulated(tmp_path).Images("info/episode")
    with image.open(io.BytesIO(event.encoded_image_string)) as film:
        assert (film.n_frames, film.size, film.info["duration"]) == (5, (6, 4), 100)


def test_arguments_fill_the_hparams_plugin(tmp_path: Path) -> None:
    """The HParams tab finds a session start with every argument."""
    plugin_data_pb2 = pytest.importorskip(
        "tensorboard.plugins.hparams.plugin_data_pb2", reason="needs tensorboard"
    )
    logger = TensorboardLogger(tmp_path)
    logger.log_hparams({"lr": 0.1, "env": "CartPole", "anneal": True, "sizes": (64, 64), "seed": np.int64(3)})
    logger.finalize()
    content = _accumulated(tmp_path).PluginTagToContent("hparams")["_hparams_/session_start_info"]
    start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    assert start.hparams["lr"].number_value == 0.1
    assert start.hparams["env"].string_value == "CartPole"
    assert start.hparams["seed"].number_value == 3
    assert start.hparams["sizes"].string_value == "(64, 64)"


def _outcome(folder: Path) -> tuple[dict[str, float], Any]:
    """Return the arguments that the HParams tab shows, and how it says that the run ended."""
    metadata: Any = import_module("tensorboard.plugins.hparams.metadata")
    content = _accumulated(folder).PluginTagToContent("hparams")
    start = metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG])
    end = content.get(metadata.SESSION_END_INFO_TAG)
    arguments = {key: value.number_value for key, value in start.hparams.items()}
    return arguments, None if end is None else metadata.parse_session_end_info_plugin_data(end).status


def test_the_hparams_tab_says_how_the_last_attempt_ended(tmp_path: Path) -> None:
    """A failure, then a resume that runs, then its success; each replaces what was said before."""
    status: Any = pytest.importorskip("tensorboard.plugins.hparams.api_pb2", reason="needs tensorboard")
    first = TensorboardLogger(tmp_path)
    first.log_hparams({"lr": 0.1})
    first.write("info/epoch", 0, {"r": 1.0})
    state = first.state_dict()
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        first.finalize()
    assert _outcome(tmp_path) == ({"lr": 0.1}, status.STATUS_FAILURE)
    second = TensorboardLogger(tmp_path)
    second.load_state_dict(state)
    assert _outcome(tmp_path) == ({"lr": 0.1}, None)
    second.write("info/epoch", 1, {"r": 1.0})
    second.finalize()
    assert _outcome(tmp_path) == ({"lr": 0.1}, status.STATUS_SUCCESS)


def test_an_argument_that_a_resume_changes_is_shown(tmp_path: Path) -> None:
    """Not the first value that TensorBoard finds, and those of later calls beside those of the first."""
    pytest.importorskip("tensorboard.plugins.hparams", reason="needs tensorboard")
    first = TensorboardLogger(tmp_path)
    first.log_hparams({"lr": 0.1})
    state = first.state_dict()
    first.finalize()
    second = TensorboardLogger(tmp_path)
    second.load_state_dict(state)
    second.log_hparams({"lr": 0.2})
    later: Any = {1: {"beta": 2}}
    second.log_hparams(later)
    second.finalize()
    assert _outcome(tmp_path)[0] == {"lr": 0.2, "1/beta": 2.0}


def test_a_summary_writer_can_be_handed_in(tmp_path: Path) -> None:
    """As with tianshou's class; the values are on file after every row."""
    tensorboard = pytest.importorskip("torch.utils.tensorboard", reason="needs torch")
    logger = TensorboardLogger(
        tensorboard.SummaryWriter(str(tmp_path)), train_interval=1, exclude_arrays=False
    )
    logger.log_train_data({"loss": 0.5, "w": np.arange(3)}, 4)
    assert _scalars(tmp_path, "train/loss") == [(4, 0.5)]
    logger.write_image("train/frame", 4, np.zeros((4, 6, 3), np.uint8))
    logger.log_hparams({"lr": 0.1})
    logger.finalize()
    reader = _accumulated(tmp_path)
    assert reader.Tags()["histograms"] == ["train/w"]
    assert reader.Tags()["images"] == ["train/frame"]


def test_a_summary_writers_log_is_cut_too(tmp_path: Path) -> None:
    """Rows after the snapshot are gone, rows after the resume are there."""
    tensorboard = pytest.importorskip("torch.utils.tensorboard", reason="needs torch")
    logger = TensorboardLogger(tensorboard.SummaryWriter(str(tmp_path)))
    logger.write("info/epoch", 0, {"v": 0.0})
    state = logger.state_dict()
    logger.write("info/epoch", 1, {"v": 1.0})
    logger.load_state_dict(state)
    logger.write("info/epoch", 1, {"v": 2.0})
    logger.finalize()
    assert read_metrics(tmp_path)["info/v"].values.tolist() == [0.0, 2.0]


@pytest.mark.parametrize("writer_kind", ["torch", "torch double", "torch new style", "tensorboardX"])
def test_files_of_others_are_read_whole(tmp_path: Path, writer_kind: str) -> None:
    """No point of a foreign file is dropped, however it holds its numbers."""
    module = "tensorboardX" if writer_kind == "tensorboardX" else "torch.utils.tensorboard"
    writer = pytest.importorskip(module, reason=f"needs {module}").SummaryWriter(str(tmp_path))
    style: dict[str, Any] = {
        "torch double": {"double_precision": True},
        "torch new style": {"new_style": True},
    }.get(writer_kind, {})
    for step in range(300):
        writer.add_scalar("a", step / 8, step, walltime=1000.0 + step, **style)
        if step % 7 == 0:
            writer.add_scalar("b/c", -1.5, step)
            writer.add_histogram("h", np.arange(4.0), step)
    writer.close()
    metrics = read_metrics(tmp_path)
    assert metrics.damaged == 0
    assert metrics["a"].steps.tolist() == list(range(300))
    assert metrics["a"].values.tolist() == [step / 8 for step in range(300)]
    assert metrics["a"].wall_times.tolist() == [1000.0 + step for step in range(300)]
    assert metrics["b/c"].steps.tolist() == list(range(0, 300, 7))


def _points(path: Path, data: bytes) -> set[tuple[str, int, float]]:
    path.write_bytes(data)
    return {
        (tag, int(step), float(value))
        for tag, series in read_metrics(path).items()
        for step, value in zip(series.steps, series.values, strict=True)
    }


def test_damage_to_any_byte_costs_at_most_its_record(tmp_path: Path) -> None:
    """Whichever byte is flipped, one row at most is lost and no wrong point appears."""
    logger = TensorboardLogger(tmp_path / "run")
    for step in range(12):
        logger.write("info/epoch", step, {"a": step / 4, "b": 1.0})
    logger.finalize()
    (path,) = (tmp_path / "run").glob("events*")
    data = path.read_bytes()
    damaged = tmp_path / "tfevents.damaged"
    whole = _points(damaged, data)
    assert len(whole) == 36
    for position in range(len(data)):
        spoiled = bytearray(data)
        spoiled[position] ^= 0xFF
        points = _points(damaged, bytes(spoiled))
        assert points <= whole
        assert len(whole - points) <= 3


def test_nothing_to_read(tmp_path: Path) -> None:
    """An empty folder is an error that says what was looked for."""
    with pytest.raises(FileNotFoundError, match="neither a journal"):
        read_metrics(tmp_path)


def test_records_of_several_lengths_in_turn(tmp_path: Path) -> None:
    """Short and long runs of equal records are told apart, and damage within a run costs one of them."""
    logger = TensorboardLogger(tmp_path)
    expected: dict[str, list[int]] = {"a": [], "longer": []}
    step = 0
    for length in (1, 2, 7, 8, 9, 63, 64, 65, 130, 400, 3):
        for key, steps in expected.items():
            for _ in range(length):
                logger.write("info/epoch", step, {key: float(step)})
                steps.append(step)
                step += 1
    logger.finalize()
    (path,) = tmp_path.glob("events*")
    metrics = read_metrics(path)
    assert {key: metrics[f"info/{key}"].values.tolist() for key in expected} == expected
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    metrics = read_metrics(path)
    assert sum(len(metrics[f"info/{key}"]) for key in expected) == step - 1
    assert metrics.damaged == 1


def test_a_later_file_sorts_after_all_that_are_there(tmp_path: Path) -> None:
    """Readers take files by name: attempts within one second, or before the clock was set back, stay in order."""
    (tmp_path / "events.out.tfevents.8999999998.host.99999.0").write_bytes(b"")
    (tmp_path / "events.out.tfevents.notes").write_bytes(b"")
    for step in range(3):
        logger = TensorboardLogger(tmp_path)
        logger.write("info/epoch", step, {"v": 1.0})
        logger.finalize()
    assert read_metrics(tmp_path)["info/v"].steps.tolist() == [0, 1, 2]
    names = sorted(path.name for path in tmp_path.glob("events.out.tfevents.*"))
    assert [name.split(".")[3] for name in names] == [
        "8999999998",
        "8999999999",
        "9000000000",
        "9000000001",
        "notes",
    ]
