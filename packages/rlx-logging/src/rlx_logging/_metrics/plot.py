"""Curves of logged values, as pictures and in the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rlx_logging._metrics.groups import Band, Curve, group_runs
from rlx_logging._metrics.metrics import Metrics, Series
from rlx_logging._metrics.styles import EASY, Legend, Style, styles
from rlx_logging._missing import require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BARS: Final = "▁▂▃▄▅▆▇█"
_GREY: Final = "#5A5A5A"
_PANEL: Final = (4.2, 2.7)  # inches
_ROUND: Final = (1, 2, 2.5, 5, 10)  # what distances of ticks begin with
_MANY: Final = 10_000  # from here on an axis counts in k, M and so on


def smooth(values: NDArray[Any], weight: float) -> NDArray[np.float64]:
    """Return the exponential moving average, corrected for its start; NaN and infinities are passed over."""
    import numpy as np

    averages = np.empty(len(values))
    total = share = 0.0
    for index, value in enumerate(values.tolist()):
        if math.isfinite(value):
            total = weight * total + (1 - weight) * value
            share = weight * share + (1 - weight)
        averages[index] = total / share if share else math.nan
    return averages


def plot(
    runs: Mapping[str, Metrics],
    tags: Sequence[str],
    path: Path,
    *,
    weight: float = 0.0,
    over_time: bool = False,
    grouped: bool | None = None,
) -> None:
    """Draw one panel a tag, with a curve for each run or for each group of runs that differ in their seed.

    Args:
        runs: Metrics by the name of their run.
        tags: What to draw, in order.
        path: A picture file; the ending says which kind, as ``.png`` or ``.svg``.
        weight: Smoothing from 0 (none) to below 1; the raw values of runs stay visible behind.
        over_time: Draw over the minutes since the run's first value rather than over steps.
        grouped: Whether to draw groups, each as the mean of its runs in its 95 % confidence interval (of
            three runs at least); by default where there are more runs than colours that are easily told apart.

    Raises:
        ValueError: If there is no tag to draw, or the weight is out of range.
        MissingBackendError: If matplotlib is not installed.
    """
    if not tags:
        raise ValueError("there is nothing to plot: no tag matches.")
    if not 0 <= weight < 1:
        raise ValueError(f"smoothing must be at least 0 and below 1; got {weight}.")
    require("matplotlib", extra="plot", used_by="plotting")
    from matplotlib.figure import Figure

    runs = dict(zip(short_names(list(runs)), runs.values(), strict=True))
    groups = group_runs(list(runs)) if grouped or (grouped is None and len(runs) > EASY) else {}
    drawing = Drawing(runs, groups, weight=weight, over_time=over_time)
    columns = min(3, len(tags))
    rows = math.ceil(len(tags) / columns)
    legend = Legend(drawing.names, _PANEL[0] * columns)
    size = (_PANEL[0] * columns, _PANEL[1] * rows + 0.3 + legend.height)
    figure: Any = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    panels: Any = figure.subplots(rows, columns, squeeze=False).flat
    for panel, tag in zip(panels, tags, strict=False):
        drawing.draw(panel, tag)
        _dress(panel, tag, "minutes" if over_time else _step_name(runs, tag))
    for panel in figure.axes[len(tags) :]:
        panel.set_visible(False)
    legend.add_to(figure, drawing.styles)
    figure.savefig(path, dpi=150, facecolor="white")


class Drawing:
    """Draws the curves of one tag after the other, each run or group in its own style.

    Args:
        runs: Metrics by the name of their run.
        groups: Names of runs by that of their group; empty to draw each run.
        weight: Smoothing.
        over_time: Draw over minutes.
    """

    def __init__(
        self,
        runs: Mapping[str, Metrics],
        groups: Mapping[str, Sequence[str]],
        *,
        weight: float,
        over_time: bool,
    ) -> None:
        self._runs = runs
        self._groups = groups
        self._weight = weight
        self._over_time = over_time
        self.names = [f"{group} ({len(names)})" for group, names in groups.items()] or list(runs)
        self.styles = styles(len(self.names))

    def draw(self, panel: Any, tag: str) -> None:
        """Draw a tag."""
        if self._groups:
            for style, names in zip(self.styles, self._groups.values(), strict=True):
                self._draw_group(panel, tag, style, names)
        else:
            for style, metrics in zip(self.styles, self._runs.values(), strict=True):
                self._draw_run(panel, tag, style, metrics)

    def _draw_group(self, panel: Any, tag: str, style: Style, names: Sequence[str]) -> None:
        curves = [
            Curve(self._x(metrics, tag), smooth(metrics[tag].values, self._weight))
            for metrics in map(self._runs.__getitem__, names)
            if tag in metrics
        ]
        if curves:
            band = Band.of(curves)
            panel.fill_between(band.x, band.low, band.high, color=style.colour, alpha=style.veil, linewidth=0)
            panel.plot(band.x, band.mean, **style.line(len(band.x)))

    def _draw_run(self, panel: Any, tag: str, style: Style, metrics: Metrics) -> None:
        if tag not in metrics:
            return
        x, values = self._x(metrics, tag), metrics[tag].values
        if self._weight and len(values) > 2:
            panel.plot(x, values, color=style.colour, alpha=0.22, linewidth=0.9)
            values = smooth(values, self._weight)
        panel.plot(x, values, **style.line(len(values)))

    def _x(self, metrics: Metrics, tag: str) -> NDArray[Any]:
        return _minutes(metrics[tag], metrics) if self._over_time else metrics[tag].steps


def _dress(panel: Any, tag: str, x_label: str) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    panel.set_title(tag, loc="left", fontsize=10.5, fontweight="bold", color="#222222")
    panel.set_xlabel(x_label, fontsize=9, color=_GREY)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color("#BBBBBB")
    panel.tick_params(colors=_GREY, labelsize=8.5, length=3)
    panel.grid(visible=True, color="#E6E6E6", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.margins(x=0.02)
    panel.xaxis.set_major_locator(MaxNLocator(6, steps=_ROUND, integer=x_label != "minutes"))
    panel.yaxis.set_major_locator(MaxNLocator(6, steps=_ROUND))
    if x_label != "minutes":
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    low, high = panel.get_ylim()
    if max(-low, high) >= _MANY:
        panel.yaxis.set_major_formatter(EngFormatter(sep=""))


def short_names(names: Sequence[str]) -> list[str]:
    """Return paths without the folders that all of them are in."""
    parts = [Path(name).parts for name in names]
    shared = 0
    while len({part[: shared + 1] for part in parts}) == 1 and all(len(part) > shared + 1 for part in parts):
        shared += 1
    return [str(Path(*part[shared:])) for part in parts]


def _minutes(series: Series, metrics: Metrics) -> NDArray[np.float64]:
    start = min(float(other.wall_times[0]) for other in metrics.values() if len(other))
    minutes: NDArray[np.float64] = (series.wall_times - start) / 60
    return minutes


def _step_name(runs: Mapping[str, Metrics], tag: str) -> str:
    """Return the name of the step of a tag's scope."""
    scope = tag.partition("/")[0]
    for metrics in runs.values():
        for other in step_tags(metrics):
            if other.startswith(f"{scope}/"):
                return other.removeprefix(f"{scope}/").replace("_", " ")
    return "step"


def step_tags(metrics: Metrics) -> list[str]:
    """Return the tags of the steps: of each scope the first that was logged, if its values are its steps."""
    first = {tag.partition("/")[0]: tag for tag in reversed(list(metrics)) if "/" in tag}
    return [tag for tag in first.values() if (metrics[tag].steps == metrics[tag].values).all()]


def sparkline(values: NDArray[Any], width: int) -> str:
    """Return values as bars of text, averaged to at most `width` of them; gaps where none is finite."""
    import numpy as np

    parts = [part[np.isfinite(part)] for part in np.array_split(values, min(width, len(values)))]
    means = [float(part.mean()) if len(part) else math.nan for part in parts]
    finite = [mean for mean in means if math.isfinite(mean)]
    if not finite:
        return " " * len(means)
    low, high = min(finite), max(finite)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((mean - low) * scale)] if math.isfinite(mean) else " " for mean in means)
