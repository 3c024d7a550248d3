"""The contract of a logger: four gated scopes over one `write`."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

from rlx_logging._scopes import INFO_STEP, TEST_STEP, TRAIN_STEP, TRAINING_STEP, UPDATE_STEP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rlx_logging._rows.media import Media
    from rlx_logging._scopes import LogValue, RestoredData


class BaseLogger(ABC):
    """The base class of every logger; a trainer talks to this.

    A scope is written only when at least its interval has passed since the step it
    was last written at; `write` itself is never gated. The last steps are the plain
    attributes ``last_log_<scope>_step``, -1 before the first row.

    Args:
        train_interval: Environment steps between two rows of `log_train_data`.
        test_interval: Environment steps between two rows of `log_test_data`.
        update_interval: Gradient steps between two rows of `log_update_data`.
        info_interval: Epochs between two rows of `log_info_data`.
        exclude_arrays: Leave numpy arrays out of what is logged.
        training_interval: What tianshou 2 calls `train_interval`; stronger than that.

    Raises:
        TypeError: If an interval is no number.
        ValueError: If one is negative.
    """

    def __init__(
        self,
        train_interval: int = 1000,
        test_interval: int = 1,
        update_interval: int = 1000,
        info_interval: int = 1,
        exclude_arrays: bool = True,
        *,
        training_interval: int | None = None,
    ) -> None:
        if training_interval is not None:
            train_interval = training_interval
        check_interval("train_interval", train_interval)
        check_interval("test_interval", test_interval)
        check_interval("update_interval", update_interval)
        check_interval("info_interval", info_interval)
        self.train_interval = train_interval
        self.test_interval = test_interval
        self.update_interval = update_interval
        self.info_interval = info_interval
        self.exclude_arrays = exclude_arrays
        self.last_log_train_step = -1
        self.last_log_test_step = -1
        self.last_log_update_step = -1
        self.last_log_info_step = -1

    @abstractmethod
    def write(self, step_type: str, step: int, data: Mapping[str, Any]) -> None:
        """Log one row, whatever the intervals say.

        Args:
            step_type: Namespace and name of the step, exactly ``"scope/name"``.
            step: Where the row stands; logged itself under `step_type`.
            data: Values by key; each is logged as ``scope/key``.
        """

    @abstractmethod
    def prepare_dict_for_logging(self, log_data: dict[str, Any]) -> dict[str, LogValue]:
        """Return the part of a nested dict that can be logged, flattened."""

    @abstractmethod
    def finalize(self) -> None:
        """Write out what is pending and close. Calling it twice is allowed."""

    @abstractmethod
    def save_data(
        self,
        epoch: int,
        env_step: int,
        gradient_step: int,
        save_checkpoint_fn: Callable[[int, int, int], str] | None = None,
    ) -> None:
        """Call a trainer's checkpoint hook and record where training stood.

        Args:
            epoch: The epoch in the trainer.
            env_step: The environment step in the trainer.
            gradient_step: The gradient step in the trainer.
            save_checkpoint_fn: Called with the three numbers; see the trainer's documentation.
        """

    @abstractmethod
    def restore_data(self) -> tuple[int, int, int]:
        """Restore the last logged steps and return epoch, env_step and gradient_step of the last `save_data`.

        ``(0, 0, 0)`` where nothing is found or it cannot be read.
        """

    @staticmethod
    @abstractmethod
    def restore_logged_data(log_path: str) -> RestoredData:
        """Read back everything that was logged under `log_path`, nested by ``/``."""

    def log_train_data(self, log_data: dict[str, Any], step: int) -> None:
        """Log what the collector returned in training, `step` in environment steps."""
        if step - self.last_log_train_step >= self.train_interval:
            self.write(TRAIN_STEP, step, self.prepare_dict_for_logging(log_data))
            self.last_log_train_step = step

    def log_training_data(self, log_data: dict[str, Any], step: int) -> None:
        """Log what the collector returned, as tianshou 2 calls it and under its tags: ``training/...``."""
        if step - self.last_log_train_step >= self.train_interval:
            self.write(TRAINING_STEP, step, self.prepare_dict_for_logging(log_data))
            self.last_log_train_step = step

    def log_test_data(self, log_data: dict[str, Any], step: int) -> None:
        """Log what the collector returned in evaluation, `step` in environment steps."""
        if step - self.last_log_test_step >= self.test_interval:
            self.write(TEST_STEP, step, self.prepare_dict_for_logging(log_data))
            self.last_log_test_step = step

    def log_update_data(self, log_data: dict[str, Any], step: int) -> None:
        """Log what a policy update returned, `step` in gradient steps."""
        if step - self.last_log_update_step >= self.update_interval:
            self.write(UPDATE_STEP, step, self.prepare_dict_for_logging(log_data))
            self.last_log_update_step = step

    def log_info_data(self, log_data: dict[str, Any], step: int) -> None:
        """Log the summary of an epoch, `step` in epochs."""
        if step - self.last_log_info_step >= self.info_interval:
            self.write(INFO_STEP, step, self.prepare_dict_for_logging(log_data))
            self.last_log_info_step = step

    # What only some loggers do; the others accept the call and do nothing.

    def write_media(self, tag: str, step: int, media: Media) -> None:
        """Log a picture, film or text under its full name, where the logger can."""

    def write_image(self, tag: str, step: int, image: NDArray[Any]) -> None:
        """Log a picture: (height, width) or (height, width, 1, 3 or 4), uint8 or floats in 0 to 1."""
        from rlx_logging._rows.media import Image

        self.write_media(tag, step, Image.of(image))

    def write_figure(self, tag: str, step: int, figure: Any) -> None:
        """Log a matplotlib figure as a picture; it stays open, as it was."""
        from rlx_logging._rows.media import Image

        self.write_media(tag, step, Image.of_figure(figure))

    def write_video(self, tag: str, step: int, frames: NDArray[Any], *, fps: float = 30.0) -> None:
        """Log a film: (time, height, width, 3), uint8."""
        from rlx_logging._rows.media import Video

        self.write_media(tag, step, Video.of(frames, fps))

    def write_text(self, tag: str, step: int, text: str) -> None:
        """Log a text; TensorBoard shows it as Markdown."""
        from rlx_logging._rows.media import Text

        self.write_media(tag, step, Text(text))

    def log_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Log the arguments of the run."""

    def flush(self) -> None:
        """Hand everything that is pending to the operating system."""

    def committed(self, epoch: int) -> None:
        """Learn that the snapshot taken after `epoch` is durable."""

    def state_dict(self) -> dict[str, Any]:
        """Flush, and return the last logged steps and the position of every file, as plain values."""
        return {"gates": self.last_logged_steps}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Cut every log back to `state`; an empty one means that nothing was committed."""
        self.last_logged_steps = state.get("gates", {})

    def fork_from(self, from_dir: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
        """Continue from another run's `state`; a logger with files begins with a copy of the other's."""
        del from_dir
        self.load_state_dict(state)

    @property
    def training_interval(self) -> int:
        """What tianshou 2 calls `train_interval`."""
        return self.train_interval

    @training_interval.setter
    def training_interval(self, interval: int) -> None:
        self.train_interval = interval

    @property
    def last_log_training_step(self) -> int:
        """What tianshou 2 calls `last_log_train_step`."""
        return self.last_log_train_step

    @last_log_training_step.setter
    def last_log_training_step(self, step: int) -> None:
        self.last_log_train_step = step

    @property
    def last_logged_steps(self) -> dict[str, int]:
        """The step each scope was last written at, -1 before the first."""
        return {
            "train": self.last_log_train_step,
            "test": self.last_log_test_step,
            "update": self.last_log_update_step,
            "info": self.last_log_info_step,
        }

    @last_logged_steps.setter
    def last_logged_steps(self, steps: Mapping[str, int]) -> None:
        self.last_log_train_step = steps.get("train", -1)
        self.last_log_test_step = steps.get("test", -1)
        self.last_log_update_step = steps.get("update", -1)
        self.last_log_info_step = steps.get("info", -1)


def check_interval(name: str, interval: object) -> None:
    """Refuse what cannot be compared with a number of steps, and what lets every row pass by mistake.

    Raises:
        TypeError: If `interval` is no number.
        ValueError: If it is negative or NaN.
    """
    if not isinstance(interval, Real):
        raise TypeError(f"{name} must be a number of steps; got {interval!r}.")
    if not float(interval) >= 0:
        raise ValueError(f"{name} must not be negative; got {interval!r}.")
