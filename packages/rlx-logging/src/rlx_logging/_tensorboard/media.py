"""TensorBoard events that hold more than scalars, through TensorBoard's own messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlx_logging._missing import require
from rlx_logging._rows.arrays import Histogram
from rlx_logging._rows.media import Image, Media, Text, Video
from rlx_logging._rows.pictures import gif, png

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _event(step: int, time: float, summary: Any) -> bytes:
    proto = require(
        "tensorboard.compat.proto.event_pb2", extra="tensorboard", used_by="logging to TensorBoard"
    )
    return bytes(proto.Event(wall_time=time, step=step, summary=summary).SerializeToString())


def _summary() -> Any:
    return require(
        "tensorboard.compat.proto.summary_pb2", extra="tensorboard", used_by="logging to TensorBoard"
    )


def histogram_event(tag: str, step: int, time: float, array: NDArray[Any]) -> bytes:
    """Return the event of a histogram; elements that are not finite are left out of it."""
    shown, proto = Histogram.of(array), _summary()
    histogram = proto.HistogramProto(
        min=shown.least,
        max=shown.greatest,
        num=shown.num,
        sum=shown.total,
        sum_squares=shown.squares,
        bucket_limit=shown.edges,
        bucket=[0.0, *shown.counts],
    )
    return _event(step, time, proto.Summary(value=[proto.Summary.Value(tag=tag, histo=histogram)]))


def media_event(tag: str, step: int, time: float, media: Media) -> bytes:
    """Return the event of a picture, of a film as an animated picture, or of a text."""
    match media:
        case Image(pixels):
            return _image_event(tag, step, time, pixels.shape, png(media, extra="tensorboard"))
        case Video(frames):
            return _image_event(tag, step, time, frames.shape[1:], gif(media, extra="tensorboard"))
        case Text(text):
            return _text_event(tag, step, time, text)


def _image_event(tag: str, step: int, time: float, shape: tuple[int, ...], encoded: bytes) -> bytes:
    proto = _summary()
    image = proto.Summary.Image(height=shape[0], width=shape[1], colorspace=3, encoded_image_string=encoded)
    return _event(step, time, proto.Summary(value=[proto.Summary.Value(tag=tag, image=image)]))


def _text_event(tag: str, step: int, time: float, text: str) -> bytes:
    plugin = require("tensorboard.plugins.text.summary_v2", extra="tensorboard", used_by="logging texts")
    return _event(step, time, _summary().Summary.FromString(plugin.text_pb(tag, text).SerializeToString()))
