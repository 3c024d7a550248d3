"""An output format of Stable-Baselines3's loggers that writes to any logger of this package."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from rlx_logging._base import BaseLogger
from rlx_logging._clients.arrays import to_array, to_film, to_picture
from rlx_logging._clients.tags import Tag, step_type
from rlx_logging._missing import require
from rlx_logging._offers import shape_of

STEP: Final = "timesteps"
NAME: Final = "rlx"  # for `exclude=` of SB3's `record`


def sb3_writer(logger: BaseLogger) -> Any:
    """Return an output format for a logger of Stable-Baselines3.

    Tags are SB3's: at every dump the keys of one scope (``train``, ``rollout`` ...) are one row over
    ``<scope>/timesteps``; a key without a slash is in the scope ``info``. Texts, pictures, figures, films
    and arguments are logged as such. Values recorded with ``exclude="rlx"`` are left out. Closing SB3's
    logger finalizes `logger`, whose state the format offers too, for a resume.

    Args:
        logger: Where rows go.

    Raises:
        MissingBackendError: If Stable-Baselines3 is not installed.

    Example::

        logger = stable_baselines3.common.logger.configure("run", ["stdout"])
        logger.output_formats.append(sb3_writer(make_logger("csv, wandb", log_dir="run")))
        model.set_logger(logger)
    """
    sb3 = require("stable_baselines3.common.logger", package="stable-baselines3", used_by="sb3_writer")

    class Writer(sb3.KVWriter):  # type: ignore[misc, name-defined]
        """Writes the key-values of a dump."""

        def write(
            self, key_values: Mapping[str, Any], key_excluded: Mapping[str, Any], step: int = 0
        ) -> None:
            """Log one dump."""
            kept = {
                key: value for key, value in key_values.items() if NAME not in (key_excluded.get(key) or ())
            }
            _Dump(logger, sb3, step).write(kept)

        def close(self) -> None:
            """Finalize the logger."""
            logger.finalize()

        def __getattr__(self, name: str) -> Any:
            """Offer what the logger offers: its state, for one."""
            return getattr(logger, name)

    return Writer()


def _is_array(value: object) -> bool:
    return bool(math.prod(shape_of(value) or ()) != 1)


class _Dump:
    """What is logged at one step."""

    def __init__(self, logger: BaseLogger, sb3: Any, step: int) -> None:
        self._logger = logger
        self._sb3 = sb3
        self._step = step

    def write(self, values: Mapping[str, Any]) -> None:
        rows: dict[str, dict[str, Any]] = {}
        for tag, value in values.items():
            if not self._write_media(tag, value):
                scope, key = Tag.parse(tag)
                rows.setdefault(scope, {})[key] = to_array(value) if _is_array(value) else value
        for scope, row in rows.items():
            self._logger.write(step_type(scope, STEP, row), self._step, row)

    def _write_media(self, tag: str, value: Any) -> bool:
        """Log what is no number; return whether it was such."""
        sb3, logger, step = self._sb3, self._logger, self._step
        if isinstance(value, str):
            logger.write_text(tag, step, value)
        elif isinstance(value, sb3.Figure):
            logger.write_figure(tag, step, value.figure)
            if value.close:
                require("matplotlib.pyplot", extra="plot", used_by="logging a figure").close(value.figure)
        elif isinstance(value, sb3.Image):
            logger.write_image(tag, step, to_picture(value.image, value.dataformats))
        elif isinstance(value, sb3.Video):
            logger.write_video(tag, step, to_film(value.frames), fps=value.fps)
        elif isinstance(value, sb3.HParam):
            logger.log_hparams(value.hparam_dict)
        else:
            return False
        return True
