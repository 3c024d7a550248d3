"""Training: the order of the beats, what comes back, what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_protocols.testing import CountingEnv, CountingSampler, MemoryLogger, MemorySnapshotStore
from rlx_runner import LocalRunner, NotSetupError
from rlx_snapshot import SnapshotConfig


def test_yields_every_epoch_once(make_run: Any, averaging: Any) -> None:
    """An algorithm sees the epochs from 0 on, in order."""
    seen: list[int] = []
    make_run().setup(averaging(on_epoch=seen.append)).train(3, batch_size=10)
    assert seen == [0, 1, 2]


def test_returns_what_the_algorithm_returns(make_run: Any, averaging: Any) -> None:
    """The algorithm's value is the value of train."""
    assert make_run().setup(averaging(result="trained")).train(2, batch_size=10) == "trained"


def test_returns_last_average_return_where_the_algorithm_returns_none(make_run: Any) -> None:
    """Each of five steps is rewarded with the number of the call: the second epoch's return is 10."""
    assert make_run().setup().train(2, batch_size=10) == 10.0


def test_logs_one_row_an_epoch_with_the_runners_numbers(make_run: Any) -> None:
    """A row holds return, lengths, steps, times and what the algorithm logged."""
    run = make_run()
    run.setup().train(2, batch_size=10)
    step_type, step, row = run.logger.rows[1]
    assert (step_type, step) == ("info/epoch", 1)
    expected = {
        "AverageReturn": 10.0,
        "EpisodeLength/mean": 5.0,
        "EpisodeLength/min": 5,
        "EpisodeLength/max": 5,
    }
    assert expected.items() <= row.items()
    assert row["TotalEnvSteps"] == 20
    assert row.keys() >= {"EpochTime", "TotalTime", "Total"}


def test_row_is_written_before_its_snapshot(make_run: Any, averaging: Any) -> None:
    """A snapshot's log position covers the row of its own epoch."""
    store = MemorySnapshotStore()
    make_run(snapshotter=store).setup().train(2, batch_size=10)
    assert [store.states[epoch]["exact"]["logger"]["rows"] for epoch in (0, 1)] == [1, 2]


def test_counts_env_steps_of_all_batches(make_run: Any) -> None:
    """Steps add up over epochs."""
    runner = make_run().setup()
    runner.train(3, batch_size=10)
    assert runner.total_env_steps == 30


def test_trains_without_a_sampler(make_run: Any) -> None:
    """An algorithm that samples nothing is legal."""

    class Supervised:
        def train(self, loop: Any) -> list[int]:
            return list(loop.step_epochs())

    assert make_run().setup(Supervised(), sampler_cls=None).train(2) == [0, 1]


def test_shuts_workers_down_when_the_algorithm_raises(make_run: Any, averaging: Any) -> None:
    """Workers end with training, whatever ends it."""
    shut: list[CountingSampler] = []

    class Watched(CountingSampler):
        def shutdown_worker(self) -> None:
            shut.append(self)

    def fail(epoch: int) -> None:
        raise RuntimeError(f"diverged in epoch {epoch}")

    run = make_run()
    with pytest.raises(RuntimeError, match="diverged in epoch 0"):
        run.setup(averaging(on_epoch=fail), sampler_cls=Watched).train(3, batch_size=10)
    assert len(shut) == 1
    assert run.logger.finalized == 1


def test_shuts_workers_down_also_where_they_have_no_state_to_give(make_run: Any) -> None:
    """A sampler with a dead worker is closed all the same, and what was wrong first is still told."""
    shut: list[CountingSampler] = []

    class Dying(CountingSampler):
        def obtain_samples(self, *_: Any, **__: Any) -> Any:
            raise EOFError("worker 1 died")

        def state_dict(self) -> dict[str, Any]:
            raise OSError("worker 1 says nothing")

        def shutdown_worker(self) -> None:
            shut.append(self)

    with pytest.raises(OSError, match="says nothing") as raised:
        make_run(mode="none").setup(sampler_cls=Dying).train(3, batch_size=10)
    assert isinstance(raised.value.__context__, EOFError)
    assert len(shut) == 1


def test_train_before_setup_is_refused() -> None:
    """The error names the call that is missing."""
    with pytest.raises(NotSetupError, match=r"call setup\(algo, env\)"):
        LocalRunner(progress=False, snapshotter=MemorySnapshotStore()).train(1)


def test_save_before_setup_is_refused() -> None:
    """There is nothing to save."""
    with pytest.raises(NotSetupError, match=r"call setup\(algo, env\)"):
        LocalRunner(progress=False, snapshotter=MemorySnapshotStore()).save(0)


def test_resume_before_restore_is_refused(make_run: Any) -> None:
    """A run that was only set up has nothing to continue with."""
    with pytest.raises(NotSetupError, match=r"call restore\(from_dir\)"):
        make_run().setup().resume()


def test_setup_names_everything_that_is_missing(make_run: Any) -> None:
    """Policy and episode length are asked for in one error."""
    with pytest.raises(ValueError, match=r"(?s)policy.*max_episode_length"):
        make_run().setup(object())


def test_make_sampler_takes_the_episode_length_from_its_argument(make_run: Any) -> None:
    """An algorithm without max_episode_length can be sampled for by hand."""

    class Unlimited:
        policy = object()

    runner = make_run().setup(Unlimited(), sampler_cls=None)
    assert runner.make_sampler(CountingSampler, max_episode_length=7).episode_length == 7


def test_exploration_policy_wins_over_policy(make_run: Any, averaging: Any) -> None:
    """Where an algorithm explores with another policy, that one is sampled with."""
    algo = averaging()
    algo.exploration_policy = type(algo.policy)(2.5)
    store = MemorySnapshotStore()
    given: list[Any] = []

    class Watched(CountingSampler):
        def obtain_samples(
            self, itr: int, num_samples: int, agent_update: Any, env_update: Any = None
        ) -> Any:
            given.append(agent_update)
            return super().obtain_samples(itr, num_samples, agent_update)

    make_run(snapshotter=store).setup(algo, sampler_cls=Watched).train(1, batch_size=10)
    assert float(given[0]["value"]) == 2.5


def test_sampling_without_a_batch_size_is_refused(make_run: Any) -> None:
    """The error names both places where it could be given."""
    with pytest.raises(ValueError, match=r"batch_size \(pass it to train or to obtain_episodes\)"):
        make_run().setup().obtain_episodes(0)


def test_sampling_without_a_sampler_is_refused(make_run: Any) -> None:
    """The error names sampler_cls, and the batch size that is missing too."""
    with pytest.raises(ValueError, match=r"(?s)sampler_cls.*batch_size"):
        make_run().setup(sampler_cls=None).obtain_episodes(0)


@pytest.mark.parametrize("size", [0, -5])
def test_empty_batches_are_refused(make_run: Any, size: int) -> None:
    """A batch of no steps is an error, not a default."""
    with pytest.raises(ValueError, match=f"batch_size is {size}"):
        make_run().setup().obtain_episodes(0, size)


def test_obtain_samples_gives_a_list_of_episodes(make_run: Any) -> None:
    """One dict an episode."""
    episodes = make_run().setup().obtain_samples(0, 12)
    assert [len(episode["rewards"]) for episode in episodes] == [5, 5, 5]


def test_negative_epochs_are_refused(make_run: Any) -> None:
    """The error names the value."""
    with pytest.raises(ValueError, match="n_epochs is -1"):
        make_run().setup().train(-1)


def test_epoch_metrics_ignore_earlier_epochs(make_run: Any) -> None:
    """The second epoch's average return is not mixed with the first's."""
    run = make_run()
    run.setup().train(2, batch_size=10)
    assert [row["AverageReturn"] for _, _, row in run.logger.rows] == [5.0, 10.0]


def test_env_copy_is_independent_and_in_the_same_state(make_run: Any) -> None:
    """A copy in mid-episode continues like the original, and apart from it."""
    env = CountingEnv()
    runner = make_run().runner
    runner.setup(object(), env)
    env.reset(seed=1)
    env.step(0)
    copy = runner.get_env_copy()
    after = env.step(0)[0]
    assert np.array_equal(copy.step(0)[0], after)


class _Gated(MemoryLogger):
    """A logger with tianshou's gate for epochs."""

    info_interval = 3

    def __init__(self) -> None:
        super().__init__()
        self.last_log_info_step = -1

    def log_info_data(self, log_data: dict[str, Any], step: int) -> None:
        """Write a row if the interval is over."""
        if step - self.last_log_info_step >= self.info_interval:
            self.write("info/epoch", step, log_data)
            self.last_log_info_step = step


def test_rows_of_epochs_keep_to_the_loggers_interval(tmp_path: Path, averaging: Any) -> None:
    """A second run with the same logger begins with its first epoch again."""
    logger = _Gated()
    for name in ("one", "two"):
        config = SnapshotConfig(str(tmp_path / name), "none", 1)
        runner = LocalRunner(config, logger=logger, snapshotter=MemorySnapshotStore(), progress=False)
        runner.setup(averaging(), CountingEnv(), sampler_cls=CountingSampler, n_workers=1)
        runner.train(7, batch_size=4)
    epochs = [step for step_type, step, _ in logger.rows if step_type == "info/epoch"]
    assert epochs == [2, 5, 2, 5]
