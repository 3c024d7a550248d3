"""The records that a run carries: plain, mutable values."""

from dataclasses import dataclass
from typing import Any

from rlx_runner._checks import check_count


@dataclass
class ExperimentStats:
    """How far a run has come.

    Args:
        total_epoch: Last epoch that was completed.
        total_itr: Iterations, as the algorithm counts them.
        total_env_steps: Environment steps collected.
        last_episode: Newest batch, where the run stores episodes.
    """

    total_epoch: int
    total_itr: int
    total_env_steps: int
    last_episode: Any


@dataclass
class SetupArgs:
    """How a run's sampler is made.

    Args:
        sampler_cls: Sampler class; None for an algorithm that samples nothing.
        sampler_args: Further keyword arguments for the sampler.
        seed: Root seed of the run.
    """

    sampler_cls: Any
    sampler_args: dict[str, Any] | None
    seed: int | None


@dataclass
class TrainArgs:
    """What ``train`` or ``resume`` was asked for.

    Args:
        n_epochs: Epochs in all, those before a resume included.
        batch_size: Environment steps of a batch.
        plot: Whether an episode is rendered after each epoch.
        store_episodes: Whether the newest batch goes into the snapshot.
        pause_for_plot: Whether to wait for Enter after each plot.
        start_epoch: First epoch to be done.

    Raises:
        ValueError: If `n_epochs` is negative or `batch_size` is below 1.
        TypeError: If one of them is no whole number.
    """

    n_epochs: int
    batch_size: int | None
    plot: bool
    store_episodes: bool
    pause_for_plot: bool
    start_epoch: int

    def __post_init__(self) -> None:
        check_count("n_epochs", self.n_epochs, least=0)
        if self.batch_size is not None:
            check_count("batch_size", self.batch_size, least=1)


def changes_of(
    n_epochs: int | None,
    batch_size: int | None,
    plot: bool | None,
    store_episodes: bool | None,
    pause_for_plot: bool | None,
) -> dict[str, Any]:
    """Return the arguments that are given: None means as before, 0 and False are values."""
    given = {
        "n_epochs": n_epochs,
        "batch_size": batch_size,
        "plot": plot,
        "store_episodes": store_episodes,
        "pause_for_plot": pause_for_plot,
    }
    return {name: value for name, value in given.items() if value is not None}
