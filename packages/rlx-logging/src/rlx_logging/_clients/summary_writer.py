"""torch's SummaryWriter, over any logger of this package."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeGuard

from rlx_logging._base import BaseLogger
from rlx_logging._clients.arrays import to_array, to_film, to_picture
from rlx_logging._clients.tags import Tag, step_type
from rlx_logging._errors import DroppedRowsWarning
from rlx_logging._missing import require
from rlx_logging._registry import make_logger
from rlx_logging._run_logger import RunLogger
from rlx_logging._warn import warn

STEP: Final = "global_step"


def _are_several(figure: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(figure, Sequence)


class SummaryWriter:
    """Takes the calls that scripts make on torch's class of this name, and logs rows.

    The tag ``losses/policy`` is logged as such; one without a slash is in the scope ``info``. Each call is
    a row, with `global_step` (0 by default) as ``<scope>/global_step``, and is with its backend when it
    returns. Wall times are those of the calls. What no logger keeps, as graphs, costs one warning.

    Args:
        log_dir: The folder; ``runs/<time>_<host><comment>`` by default, as torch's.
        comment: Ends the name of that folder.
        purge_step: Not used: a resume cuts the logs (``writer.logger.load_state_dict``).
        max_queue: Not used: nothing is queued.
        flush_secs: Not used.
        filename_suffix: Not used.
        logger: Names of backends for `make_logger`, or a logger.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
        *,
        logger: BaseLogger | str | Sequence[str] = "tensorboard",
    ) -> None:
        del purge_step, max_queue, flush_secs, filename_suffix
        if log_dir is None and isinstance(logger, RunLogger):
            log_dir = logger.folder.path
        elif log_dir is None:
            log_dir = Path("runs") / f"{time.strftime('%b%d_%H-%M-%S')}_{socket.gethostname()}{comment}"
        self.log_dir = os.fspath(log_dir)
        self.logger = logger if isinstance(logger, BaseLogger) else make_logger(logger, log_dir=log_dir)
        self._named: set[str] = set()

    def get_logdir(self) -> str:
        """Return the folder."""
        return self.log_dir

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """Log a number."""
        del walltime, new_style, double_precision
        parsed = Tag.parse(tag)
        self._write(parsed, global_step, {parsed.key: scalar_value})

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, Any],
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Log several numbers in one row, each under ``<main_tag>/<its name>``."""
        del walltime
        parsed = Tag.parse(f"{main_tag}/")
        data = {f"{parsed.key}{key}": value for key, value in tag_scalar_dict.items()}
        self._write(parsed, global_step, data)

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: int | None = None,
        bins: Any = "tensorflow",
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """Log an array; backends choose the bins."""
        del bins, walltime, max_bins
        parsed = Tag.parse(tag)
        self._write(parsed, global_step, {parsed.key: to_array(values).reshape(-1)})

    def add_text(
        self, tag: str, text_string: str, global_step: int | None = None, walltime: float | None = None
    ) -> None:
        """Log a text."""
        del walltime
        self.logger.write_text(tag, global_step or 0, text_string)

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """Log a picture."""
        del walltime
        self.logger.write_image(tag, global_step or 0, to_picture(img_tensor, dataformats))

    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Log pictures side by side."""
        self.add_image(tag, img_tensor, global_step, walltime, dataformats)

    def add_figure(
        self,
        tag: str,
        figure: Any,
        global_step: int | None = None,
        close: bool = True,
        walltime: float | None = None,
    ) -> None:
        """Log a matplotlib figure, or several under numbered tags, and close what pyplot has of them."""
        del walltime
        figures: dict[str, Any] = {tag: figure}
        if _are_several(figure):
            figures = {f"{tag}/{number}": one for number, one in enumerate(figure)}
        for name, one in figures.items():
            self.logger.write_figure(name, global_step or 0, one)
            if close:
                require("matplotlib.pyplot", extra="plot", used_by="logging a figure").close(one)

    def add_video(
        self,
        tag: str,
        vid_tensor: Any,
        global_step: int | None = None,
        fps: float = 4,
        walltime: float | None = None,
    ) -> None:
        """Log films (N, time, channels, height, width) side by side."""
        del walltime
        self.logger.write_video(tag, global_step or 0, to_film(vid_tensor), fps=fps)

    def add_hparams(
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Any],
        hparam_domain_discrete: Mapping[str, Any] | None = None,
        run_name: str | None = None,
        global_step: int | None = None,
    ) -> None:
        """Log the arguments of the run, and its results as numbers; both belong to this run, not to a new one."""
        del hparam_domain_discrete, run_name
        self.logger.log_hparams(hparam_dict)
        for tag, value in metric_dict.items():
            self.add_scalar(tag, value, global_step)

    def flush(self) -> None:
        """Hand what is pending to the operating system."""
        self.logger.flush()

    def close(self) -> None:
        """Finalize the logger; a later call opens it again."""
        self.logger.finalize()

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Return a call that does nothing for what torch's writer can add and no logger keeps."""
        if not name.startswith("add_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

        def drop(*_arguments: object, **_options: object) -> None:
            if name not in self._named:
                self._named.add(name)
                warn(
                    f"{name} does nothing: no logger of rlx keeps what it adds; torch's SummaryWriter does.",
                    DroppedRowsWarning,
                )

        return drop

    def _write(self, tag: Tag, step: int | None, data: Mapping[str, Any]) -> None:
        self.logger.write(step_type(tag.scope, STEP, data), 0 if step is None else step, data)
