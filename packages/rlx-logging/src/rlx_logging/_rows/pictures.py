"""Pictures and films as files: PNG and animated GIF."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from rlx_logging._missing import require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rlx_logging._rows.media import Image, Video


def png(image: Image, *, extra: str) -> bytes:
    """Return a picture as a PNG file; `extra` is what brings pillow."""
    buffer = io.BytesIO()
    _picture(image.pixels, extra).save(buffer, format="PNG")
    return buffer.getvalue()


def gif(video: Video, *, extra: str) -> bytes:
    """Return a film as an animated GIF that begins again at its end; `extra` is what brings pillow."""
    first, *others = [_picture(frame, extra) for frame in video.frames]
    buffer = io.BytesIO()
    first.save(
        buffer, format="GIF", save_all=True, append_images=others, duration=round(1000 / video.fps), loop=0
    )
    return buffer.getvalue()


def _picture(pixels: NDArray[np.uint8], extra: str) -> Any:
    module = require("PIL.Image", extra=extra, used_by="logging pictures")
    return module.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
