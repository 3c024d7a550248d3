"""The epochs of tianshou's trainers: one interface to those of 1.2 and of 2.0."""

import importlib
from typing import Any, Protocol

from rlx_runner._offers import offered


class Epochs(Protocol):
    """A trainer that is driven epoch by epoch."""

    @property
    def done(self) -> int:
        """Epochs done."""
        ...

    @property
    def total(self) -> int:
        """Epochs to do."""
        ...

    @property
    def is_stopped(self) -> bool:
        """Whether the trainer's own criterion has ended training."""
        ...

    def begin(self, *, reset_collectors: bool) -> None:
        """Test the untrained policy, and reset environments."""
        ...

    def do_next(self) -> None:
        """Do one epoch."""
        ...

    def info(self) -> Any:
        """Return what ``run`` of the trainer returns."""
        ...


def epochs_of(trainer: Any) -> Epochs:
    """Return the epochs of `trainer`.

    Raises:
        TypeError: If it is no trainer of tianshou.
    """
    if offered(trainer, "execute_epoch") is not None:
        return TwoEpochs(trainer)
    if offered(trainer, "__next__") is not None and offered(trainer, "max_epoch") is not None:
        return OneEpochs(trainer)
    raise TypeError(
        f"trainer is {trainer!r}; it must be a trainer of tianshou, such as algorithm.create_trainer(params)."
    )


class TwoEpochs:
    """A trainer of tianshou 2.

    Args:
        trainer: The trainer.
    """

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        self._fields: dict[str, Any] = vars(trainer)

    @property
    def done(self) -> int:
        """Epochs done."""
        return int(self._fields["_epoch"])

    @property
    def total(self) -> int:
        """Epochs to do."""
        return int(self._trainer.params.max_epochs)

    @property
    def is_stopped(self) -> bool:
        """Whether the trainer's own criterion has ended training."""
        return bool(self._fields["_stop_fn_flag"])

    def begin(self, *, reset_collectors: bool) -> None:
        """Test the untrained policy, and reset environments."""
        self._trainer.reset(reset_collectors=reset_collectors)

    def do_next(self) -> None:
        """Do one epoch."""
        self._trainer.execute_epoch()

    def info(self) -> Any:
        """Return what ``run`` of the trainer returns."""
        return self._trainer._create_info_stats()  # noqa: SLF001 - there is no public way


class OneEpochs:
    """A trainer of tianshou 1.

    Args:
        trainer: The trainer.
    """

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer

    @property
    def done(self) -> int:
        """Epochs done."""
        return int(self._trainer.epoch)

    @property
    def total(self) -> int:
        """Epochs to do."""
        return int(self._trainer.max_epoch)

    @property
    def is_stopped(self) -> bool:
        """Whether the trainer's own criterion has ended training."""
        return bool(self._trainer.stop_fn_flag)

    def begin(self, *, reset_collectors: bool) -> None:
        """Test the untrained policy, and reset environments."""
        self._trainer.reset(reset_collectors=reset_collectors)

    def do_next(self) -> None:
        """Do one epoch."""
        self._trainer.is_run = True
        try:
            next(self._trainer)
        finally:
            self._trainer.is_run = False

    def info(self) -> Any:
        """Return what ``run`` of the trainer returns."""
        trainer = self._trainer
        gather_info: Any = importlib.import_module("tianshou.trainer.utils").gather_info
        return gather_info(
            start_time=trainer.start_time,
            policy_update_time=trainer.policy_update_time,
            gradient_step=vars(trainer)["_gradient_step"],
            best_score=trainer.best_score,
            best_reward=trainer.best_reward,
            best_reward_std=trainer.best_reward_std,
            train_collector=trainer.train_collector,
            test_collector=trainer.test_collector,
        )
