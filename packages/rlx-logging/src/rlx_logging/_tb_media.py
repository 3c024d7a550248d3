"""TensorBoard events that hold more than scalars, through TensorBoard's own messages."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rlx_logging._missing import require

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
    import numpy as np

    proto = _summary()
    flat = np.asarray(array, np.float64).ravel()
    flat = flat[np.isfinite(flat)]
    counts, edges = np.histogram(flat, bins=min(64, max(1, flat.size)))
    histogram = proto.HistogramProto(
        min=flat.min(initial=np.inf) if flat.size else 0.0,
        max=flat.max(initial=-np.inf) if flat.size else 0.0,
        num=flat.size,
        sum=flat.sum(),
        sum_squares=(flat**2).sum(),
        bucket_limit=[edges[0], *edges[1:]],
        bucket=[0.0, *counts],
    )
    return _event(step, time, proto.Summary(value=[proto.Summary.Value(tag=tag, histo=histogram)]))


def image_event(tag: str, step: int, time: float, image: NDArray[Any]) -> bytes:
    """Return the event of a picture, (height, width[, 1, 3 or 4])."""
    picture = _picture(image)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return _image_event(tag, step, time, picture.size, buffer.getvalue())


def video_event(tag: str, step: int, time: float, frames: NDArray[Any], fps: float) -> bytes:
    """Return the event of an animated picture of frames (time, height, width, 3)."""
    pictures = [_picture(frame) for frame in frames]
    if not pictures:
        raise ValueError(f"the film {tag!r} has no frames.")
    buffer = io.BytesIO()
    first, *others = pictures
    first.save(buffer, format="GIF", save_all=True, append_images=others, duration=round(1000 / fps), loop=0)
    return _image_event(tag, step, time, first.size, buffer.getvalue())


def _image_event(tag: str, step: int, time: float, size: tuple[int, int], encoded: bytes) -> bytes:
    proto = _summary()
    width, height = size
    image = proto.Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=encoded)
    return _event(step, time, proto.Summary(value=[proto.Summary.Value(tag=tag, image=image)]))


def _picture(image: NDArray[Any]) -> Any:
    import numpy as np

    module = require("PIL.Image", extra="tensorboard", used_by="logging pictures")
    pixels = image if image.dtype == np.uint8 else np.clip(np.asarray(image) * 255.0, 0, 255).astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    return module.fromarray(pixels)


def hparams_events(hparams: Mapping[str, Any], time: float) -> Iterable[bytes]:
    """Return the events that fill the HParams tab."""
    used_by = "logging hyperparameters to TensorBoard"
    summary = require("tensorboard.plugins.hparams.summary_v2", extra="tensorboard", used_by=used_by)
    values = {str(key): value if isinstance(value, (bool, int, float, str)) else repr(value)
              for key, value in hparams.items()}  # fmt: skip
    proto = _summary()
    pb = summary.hparams_pb(values)
    return [_event(0, time, proto.Summary.FromString(pb.SerializeToString()))]
