"""Arrays, pictures and films as other libraries pass them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlx_logging._offers import method_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def to_array(values: Any) -> NDArray[Any]:
    """Return a numpy array of an array, a list or a tensor, wherever that is and whether it needs gradients."""
    import numpy as np

    for name in ("detach", "cpu"):
        method = method_of(values, name)
        values = values if method is None else method()
    try:
        return np.asarray(values)
    except TypeError:  # a type that numpy does not know, as bfloat16
        return np.asarray(values.float())


def to_picture(pixels: Any, layout: str) -> NDArray[Any]:
    """Return pixels as (height, width, channels); those of several pictures stand side by side.

    Args:
        pixels: An array or tensor.
        layout: What its dimensions are, as ``"CHW"``, ``"HW"`` or ``"NHWC"``.

    Raises:
        ValueError: If the array has another number of dimensions than `layout`.
    """
    import numpy as np

    array, names = to_array(pixels), layout.upper()
    if array.ndim != len(names) or set(names) - set("NHWC") or not {"H", "W"} <= set(names):
        raise ValueError(f"dataformats must name the {array.ndim} dimensions of the picture, not {layout!r}.")
    for name in set("NC") - set(names):
        array, names = array[None], name + names
    ordered = np.transpose(array, [names.index(name) for name in "NHWC"])
    return np.concatenate(list(ordered), axis=1)


def to_film(frames: Any) -> NDArray[Any]:
    """Return films (N, time, channels, height, width) as one (time, height, width, channels), side by side.

    Raises:
        ValueError: If the array has another number of dimensions.
    """
    import numpy as np

    array = to_array(frames)
    if array.ndim != 5:
        raise ValueError(f"a film must be (N, time, channels, height, width), not {array.shape}.")
    return np.concatenate(list(np.transpose(array, (0, 1, 3, 4, 2))), axis=2)
