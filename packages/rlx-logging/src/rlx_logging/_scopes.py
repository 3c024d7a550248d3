"""Where a number belongs: the four scopes of a training run and their step names."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    LogValue: TypeAlias = "float | np.number[Any] | NDArray[Any]"
    RestoredData: TypeAlias = "dict[str, NDArray[Any] | RestoredData]"


class DataScope(StrEnum):
    """What a row of numbers tells about."""

    TRAIN = "train"
    TRAINING = "training"  # what tianshou 2 calls it
    TEST = "test"
    UPDATE = "update"
    INFO = "info"


TRAIN_STEP: Final = "train/env_step"
TRAINING_STEP: Final = "training/env_step"
TEST_STEP: Final = "test/env_step"
UPDATE_STEP: Final = "update/gradient_step"
INFO_STEP: Final = "info/epoch"


class StepType(NamedTuple):
    """A parsed ``"scope/name"``: the namespace of a row and the name of its step."""

    scope: str
    name: str

    @classmethod
    def parse(cls, step_type: str) -> StepType:
        """Split `step_type`.

        Raises:
            ValueError: If it is not exactly two non-empty names around one slash.
        """
        parts = step_type.split("/")
        if len(parts) != 2 or not all(parts):
            raise ValueError(
                f"step_type must have the form 'scope/name', as 'train/env_step'; got {step_type!r}."
            )
        return cls(*parts)
