"""Curves of logged values, as pictures and in the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rlx_logging._metrics.metrics import Metrics, Series
from rlx_logging._missing import require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Okabe and Ito's colours: told apart with any colour vision, in print too.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#B8A800")
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
) -> None:
    """Draw one panel a tag with one curve a run.

    Args:
        runs: Metrics by the name of their run.
        tags: What to draw, in order.
        path: A picture file; the ending says which kind, as ``.png`` or ``.svg``.
        weight: Smoothing from 0 (none) to below 1; the raw values stay visible behind.
        over_time: Draw over the minutes since the run's first value rather than over steps.

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

    columns = min(3, len(tags))
    rows = math.ceil(len(tags) / columns)
    figure: Any = Figure(figsize=(_PANEL[0] * columns, _PANEL[1] * rows + 0.5), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    panels: Any = figure.subplots(rows, columns, squeeze=False).flat
    for panel, tag in zip(panels, tags, strict=False):
        _draw(panel, runs, tag, weight=weight, over_time=over_time)
    for panel in figure.axes[len(tags) :]:
        panel.set_visible(False)
    _add_legend(figure, short_names(list(runs)))
    figure.savefig(path, dpi=150, facecolor="white")


def _draw(panel: Any, runs: Mapping[str, Metrics], tag: str, *, weight: float, over_time: bool) -> None:
    for colour, metrics in zip(_cycle(len(runs)), runs.values(), strict=True):
        if tag in metrics:
            series = metrics[tag]
            x = _minutes(series, metrics) if over_time else series.steps
            if weight and len(series) > 2:
                panel.plot(x, series.values, color=colour, alpha=0.22, linewidth=0.9)
                panel.plot(x, smooth(series.values, weight), color=colour, linewidth=1.8)
            else:
                marker = "o" if len(series) < 3 else None
                panel.plot(x, series.values, color=colour, linewidth=1.6, marker=marker, markersize=4)
    _dress(panel, tag, "minutes" if over_time else _step_name(runs, tag))


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


def _add_legend(figure: Any, names: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    if len(names) > 1:
        handles = [Line2D([], [], color=colour, linewidth=2.4) for colour in _cycle(len(names))]
        figure.legend(
            handles, names, loc="outside upper left", ncols=min(4, len(names)), frameon=False, fontsize=9.5
        )


def short_names(names: Sequence[str]) -> list[str]:
    """Return paths without the folders that all of them are in."""
    parts = [Path(name).parts for name in names]
    shared = 0
    while len({part[: shared + 1] for part in parts}) == 1 and all(len(part) > shared + 1 for part in parts):
        shared += 1
    return [str(Path(*part[shared:])) for part in parts]


def _cycle(count: int) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(count)]


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
