"""What is logged beside numbers: pictures, films and texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from rlx_logging._missing import require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CHANNELS: Final = (1, 3, 4)


class Image(NamedTuple):
    """A picture: `pixels` are (height, width, 1, 3 or 4), uint8."""

    pixels: NDArray[np.uint8]

    @classmethod
    def of(cls, image: Any) -> Image:
        """Return the picture of an array: (height, width[, 1, 3 or 4]), uint8, bool or floats in 0 to 1.

        Raises:
            ValueError: If the array has another shape or type.
        """
        import numpy as np

        array = np.asarray(image)
        if array.ndim == 2:
            array = array[:, :, None]
        if array.ndim != 3 or array.shape[2] not in _CHANNELS or not array.size:
            raise ValueError(
                f"a picture must be (height, width) or (height, width, 1, 3 or 4); got {np.shape(image)}."
            )
        return cls(_as_bytes(array))

    @classmethod
    def of_figure(cls, figure: Any) -> Image:
        """Return the picture of a matplotlib figure; the figure stays as it was, and open.

        Raises:
            MissingBackendError: If matplotlib is not installed.
        """
        import numpy as np

        agg = require("matplotlib.backends.backend_agg", extra="plot", used_by="logging a figure")
        shown_on = figure.canvas
        try:
            canvas = agg.FigureCanvasAgg(figure)  # which makes itself the figure's
            canvas.draw()
            return cls(np.array(canvas.buffer_rgba()))
        finally:
            figure.set_canvas(shown_on)


class Video(NamedTuple):
    """A film: `frames` are (time, height, width, 1, 3 or 4), uint8; `fps` of them a second."""

    frames: NDArray[np.uint8]
    fps: float

    @classmethod
    def of(cls, frames: Any, fps: float) -> Video:
        """Return the film of an array.

        Raises:
            ValueError: If the array has another shape or type, or `fps` is not above zero.
        """
        import numpy as np

        array = np.asarray(frames)
        if array.ndim != 4 or array.shape[3] not in _CHANNELS or not array.size:
            raise ValueError(
                f"a film must be (time, height, width, 3) with a frame at least; got {array.shape}."
            )
        if not fps > 0:
            raise ValueError(f"fps must be above zero; got {fps!r}.")
        return cls(_as_bytes(array), fps)


class Text(NamedTuple):
    """A text; TensorBoard shows it as Markdown."""

    text: str


Media: TypeAlias = Image | Video | Text


def _as_bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a copy in uint8: the caller may use its array again."""
    import numpy as np

    if array.dtype.kind == "f":
        array = np.nan_to_num(array) * 255.0
    elif array.dtype.kind == "b":
        array = array * 255
    elif array.dtype != np.uint8:
        raise ValueError(
            f"pixels must be uint8, or floats in 0 to 1; got {array.dtype}. Numbers in 0 to 255: .astype('uint8')."
        )
    return np.array(np.clip(array, 0, 255), np.uint8)
