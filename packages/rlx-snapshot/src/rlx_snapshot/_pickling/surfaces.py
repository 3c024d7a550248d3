"""What an environment draws on and with: pictures by their pixels, clocks and fonts as new ones.

Some environments keep images that they never load again, so a picture is part of
the state. The window itself is not: the next ``render`` opens it.
"""

import importlib
import operator
from typing import Any, Final

from rlx_snapshot._pickling.calls import NOTHING, Call, Reduced, Reducer, built_then, class_of, method

_BITS_WITH_PALETTE: Final = 8
_PYGAME: Final = Call(importlib.import_module, "pygame")


def surface_reducer(cls: type) -> Reducer | None:
    """The reducer for instances of this class, None where it is not for drawing."""
    return _REDUCERS.get((cls.__module__.partition(".")[0], cls.__name__))


def _surface(surface: Any) -> Reduced:
    pygame: Any = importlib.import_module("pygame")
    if surface is pygame.display.get_surface():
        return NOTHING
    size, bits, masks = surface.get_size(), surface.get_bitsize(), surface.get_masks()
    flags = surface.get_flags() & pygame.SRCALPHA
    steps = [
        method("set_colorkey", surface.get_colorkey()),
        method("set_alpha", surface.get_alpha()),
        method("set_clip", tuple(surface.get_clip())),
    ]
    if bits == _BITS_WITH_PALETTE:
        steps.append(method("set_palette", [tuple(color) for color in surface.get_palette()]))
    calls = [Call(step, surface) for step in steps]
    pixels = surface.copy().get_buffer().raw  # whose rows are as far apart as those of a new one
    if pixels:
        calls.append(Call(method("write", pixels, 0), Call(method("get_buffer"), surface)))
    return built_then(class_of(surface), (size, flags, bits, masks), calls)


def _clock(clock: object) -> Reduced:
    return class_of(clock), ()


def _font(font: Any) -> Reduced:
    """The default font in its size; of another one the file is not known, and None is loaded."""
    pygame: Any = importlib.import_module("pygame")
    if not pygame.font.get_init():
        return NOTHING
    try:
        size, is_default = font.point_size, pygame.font.Font(None, 1).name == font.name
    except AttributeError:  # pygame; pygame-ce can tell
        return NOTHING
    if not is_default:
        return NOTHING
    nothing = Call(method("init"), Call(operator.attrgetter("font"), _PYGAME))  # is to be called first
    return built_then(class_of(font), (nothing, size), [Call(method("set_point_size", size), font)])


def _empty(_: object) -> Reduced:
    return NOTHING


_REDUCERS: Final[dict[tuple[str, str], Reducer]] = {
    ("pygame", "Surface"): _surface,
    ("pygame", "Clock"): _clock,
    ("pygame", "Font"): _font,
    ("gymnasium", "OffScreenViewer"): _empty,
    ("gymnasium", "WindowViewer"): _empty,
}
