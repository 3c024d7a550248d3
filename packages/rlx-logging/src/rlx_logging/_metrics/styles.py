"""How many curves are told apart: colours, strokes, and a legend that has room for their names."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

# Okabe and Ito's colours: told apart with any colour vision, in print too.
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#B8A800")
EASY: Final = len(_COLOURS)
_STROKES: Final = ("-", (0, (4, 1.5)), (0, (1, 1)))
_LIGHTNESSES: Final = (0.36, 0.52, 0.66)
_LONGEST: Final = 44  # letters of a name
_ROWS: Final = 12
_MEASURED: Final = 20  # of the longest names: it takes a millisecond each
_POINTS: Final = 8.5  # the size of its letters
_HANDLE, _LINE = 0.5, 0.19  # inches


class Style(NamedTuple):
    """How a curve is drawn.

    Attributes:
        colour: As ``#rrggbb``.
        stroke: matplotlib's line style.
        crowded: Whether there are so many that each has to be thin.
    """

    colour: str
    stroke: Any
    crowded: bool = False

    @property
    def veil(self) -> float:
        """How much of what is behind an interval it hides."""
        return 0.07 if self.crowded else 0.18

    def line(self, points: int) -> dict[str, Any]:
        """Return matplotlib's arguments for a curve of so many points."""
        marker = "o" if points < 3 else None
        return {
            "color": self.colour,
            "linestyle": self.stroke,
            "linewidth": 1.0 if self.crowded else 1.6,
            "marker": marker,
            "markersize": 4,
        }


def styles(count: int) -> list[Style]:
    """Return a style for each of `count` curves; no two have the same colour."""
    if count <= EASY:
        return [Style(colour, _STROKES[0]) for colour in _COLOURS[:count]]
    return [Style(_colour(index, count), _STROKES[index % len(_STROKES)], True) for index in range(count)]


def _colour(index: int, count: int) -> str:
    lightness = _LIGHTNESSES[index % len(_LIGHTNESSES)]
    channels = colorsys.hls_to_rgb(index / count, lightness, 0.85)
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)


def elide(name: str, length: int) -> str:
    """Return a name of at most `length` letters; of a longer one both ends, which tell it from others."""
    if len(name) <= length:
        return name
    tail = (length - 1) // 2
    return f"{name[: length - 1 - tail]}…{name[len(name) - tail :]}"


def _width(name: str) -> float:
    """Return how wide a name is in the legend, in inches."""
    from matplotlib.textpath import TextPath

    path: Any = TextPath((0, 0), name.replace("$", "S"), size=_POINTS)
    return float(path.get_extents().width) / 72


class Legend:
    """The names of curves above a figure, in as many columns as there is room for.

    Args:
        names: What the curves are called.
        width: That of the figure, in inches.
    """

    def __init__(self, names: Sequence[str], width: float) -> None:
        room, widest = width - 0.2, 0.0
        last = [f"… and {len(names)} more"] if len(names) > _ROWS else []
        for longest in range(_LONGEST, 3, -4):
            self._names = [elide(name, longest) for name in names]
            widest = max(map(_width, sorted([*self._names, *last], key=len)[-_MEASURED:]), default=0.0)
            if widest <= room - _HANDLE:
                break
        self._columns = max(1, min(len(names), int(room / (_HANDLE + widest))))
        self._shown = len(names) > 1
        most = self._columns * _ROWS
        self._left_out = len(names) > most
        if self._left_out:
            self._names[most - 1 :] = [f"… and {len(names) - most + 1} more"]

    @property
    def height(self) -> float:
        """How much room it needs, in inches."""
        return _LINE * math.ceil(len(self._names) / self._columns) if self._shown else 0.0

    def add_to(self, figure: Any, shown: Sequence[Style]) -> None:
        """Put the legend into a figure, unless there is but one curve."""
        if not self._shown:
            return
        from matplotlib.lines import Line2D

        handles = [
            Line2D([], [], color=style.colour, linestyle=style.stroke, linewidth=2.2)
            for style in shown[: len(self._names)]
        ]
        if self._left_out:
            handles[-1].set_visible(False)
        figure.legend(
            handles,
            self._names,
            loc="outside upper left",
            ncols=self._columns,
            frameon=False,
            fontsize=_POINTS,
            handlelength=2.0,
            labelspacing=0.25,
            columnspacing=1.2,
        )
