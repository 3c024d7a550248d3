"""What a person sees while training runs."""

import sys
import time
from contextlib import suppress
from importlib import import_module
from typing import Any, Protocol, TextIO

from rlx_runner._progress import Progress

LINE_EVERY_S = 1.0


class Display(Protocol):
    """Shows progress."""

    def start(self, progress: Progress, n_epochs: int) -> None:
        """Begin to show a run of `n_epochs`."""
        ...

    def update(self, progress: Progress, n_epochs: int) -> None:
        """Show that an epoch has ended."""
        ...

    def say(self, text: str) -> None:
        """Show a sentence."""
        ...

    def close(self) -> None:
        """Stop showing; leave the screen tidy."""
        ...


class SilentDisplay:
    """Shows nothing."""

    def start(self, progress: Progress, n_epochs: int) -> None:
        """Do nothing."""

    def update(self, progress: Progress, n_epochs: int) -> None:
        """Do nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Pace:
    """Environment steps a second and the time that is left, from what this process has done."""

    def __init__(self) -> None:
        self._first: Progress | None = None

    def start(self, progress: Progress) -> None:
        """Measure from here."""
        self._first = progress

    def steps_per_second(self, progress: Progress) -> float:
        """Return environment steps a second of training time."""
        first = self._first or Progress()
        seconds = progress.elapsed - first.elapsed
        return (progress.env_steps - first.env_steps) / seconds if seconds > 0 else 0.0

    def seconds_left(self, progress: Progress, n_epochs: int) -> float:
        """Return the training time that the remaining epochs will take at the mean pace so far."""
        first = self._first or Progress()
        done = progress.epoch - first.epoch
        return (progress.elapsed - first.elapsed) / done * (n_epochs - progress.epoch) if done else 0.0


def summary(progress: Progress, n_epochs: int, pace: Pace) -> str:
    """Return one line on where the run is."""
    average = "none yet" if progress.average_return is None else f"{progress.average_return:.1f}"
    left = duration(pace.seconds_left(progress, n_epochs))
    return (
        f"epoch {progress.epoch}/{n_epochs}  return {average}  env steps {progress.env_steps:,}  "
        f"{pace.steps_per_second(progress):,.0f} steps/s  {left} left"
    )


def duration(seconds: float) -> str:
    """Return `seconds` as people read them: 45 s, 3:20 min, 2:05 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


class PlainDisplay:
    """Writes a line an epoch, at most one a second, for files and for terminals without rich."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._pace = Pace()
        self._written = -LINE_EVERY_S

    def start(self, progress: Progress, n_epochs: int) -> None:
        """Begin to measure the pace."""
        del n_epochs
        self._pace.start(progress)

    def update(self, progress: Progress, n_epochs: int) -> None:
        """Write a line, unless one was written within the last second."""
        now = time.monotonic()
        if progress.epoch >= n_epochs or now - self._written >= LINE_EVERY_S:
            self._written = now
            self.say(summary(progress, n_epochs, self._pace))

    def say(self, text: str) -> None:
        """Write a line, if somebody still reads: a pipe's reader may have gone, by the same Ctrl-C for one."""
        with suppress(OSError):
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Do nothing: every line is already out."""


class RichDisplay:
    """Draws a progress bar with rich."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)
        self._pace = Pace()
        self._bar: Any = None
        self._task: Any = None

    def start(self, progress: Progress, n_epochs: int) -> None:
        """Draw the bar."""
        from rich import progress as bars
        from rich.table import Column

        self._pace.start(progress)
        self._bar = bars.Progress(
            bars.TextColumn(
                "[bold]epoch {task.completed:.0f}/{task.total:.0f}",
                table_column=Column(no_wrap=True, min_width=len(f"epoch {n_epochs}/{n_epochs}")),
            ),
            bars.BarColumn(),
            bars.TextColumn("{task.description}"),
            console=self._console,
        )
        self._task = self._bar.add_task("", total=n_epochs, completed=progress.epoch)
        self._bar.start()

    def update(self, progress: Progress, n_epochs: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            words = summary(progress, n_epochs, self._pace).partition("  ")[2]
            self._bar.update(self._task, completed=progress.epoch, description=words)

    def say(self, text: str) -> None:
        """Write a line above the bar, if the terminal is still there."""
        with suppress(OSError):
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Leave the bar as it is and the cursor below it."""
        if self._bar is not None:
            with suppress(OSError):
                self._bar.stop()
            self._bar = None


class NotebookDisplay:
    """Shows a bar and a line in the output of a notebook's cell, replaced as epochs end."""

    def __init__(self) -> None:
        self._display: Any = import_module(f"{sys.modules['IPython'].__name__}.display")
        self._pace = Pace()
        self._handle: Any = None

    def start(self, progress: Progress, n_epochs: int) -> None:
        """Show the bar."""
        self._pace.start(progress)
        self._handle = self._display.display(self._bar(progress, n_epochs), raw=True, display_id=True)

    def update(self, progress: Progress, n_epochs: int) -> None:
        """Move the bar."""
        if self._handle is not None:
            self._handle.update(self._bar(progress, n_epochs), raw=True)

    def say(self, text: str) -> None:
        """Write a line below the bar."""
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._handle = None

    def _bar(self, progress: Progress, n_epochs: int) -> dict[str, str]:
        line = summary(progress, n_epochs, self._pace)
        bar = f'<progress max="{n_epochs}" value="{progress.epoch}" style="width: 16em"></progress>'
        return {"text/html": f"<div>{bar} {line}</div>", "text/plain": line}


def in_notebook() -> bool:
    """Return whether a kernel of Jupyter runs this process; imports nothing to find out."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and "ipykernel" in sys.modules and ipython.get_ipython() is not None


def choose_display(wanted: bool | None) -> Display:
    """Return the display for `wanted`.

    Args:
        wanted: False: silent; True or None: a bar in a notebook and at a terminal that has rich, else plain lines.
    """
    if wanted is False:
        return SilentDisplay()
    if in_notebook():
        return NotebookDisplay()
    if sys.stderr.isatty():
        try:
            return RichDisplay()
        except ModuleNotFoundError:
            return PlainDisplay()
    return PlainDisplay()
