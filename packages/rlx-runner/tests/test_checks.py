"""Wrong arguments: each message has the argument's name and its value."""

import warnings
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import pytest

from rlx_protocols import TrainingLoop
from rlx_protocols.testing import CountingSampler, MemoryLogger, SteadyPolicy
from rlx_runner import Budget, Evaluation, LocalRunner, set_seed
from rlx_snapshot import SnapshotConfig


@pytest.mark.parametrize(
    ("option", "value"), [("n_epochs", 1.5), ("n_epochs", "3"), ("batch_size", "10"), ("batch_size", 2.5)]
)
def test_counts_are_whole_numbers(make_run: Any, option: str, value: Any) -> None:
    """Neither text nor a fraction counts epochs or steps."""
    arguments: dict[str, Any] = {"n_epochs": 1, "batch_size": 10, option: value}
    with pytest.raises(TypeError, match=f"{option} is {value!r}; it must be a whole number"):
        make_run().setup().train(**arguments)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("sampler_cls", "local", "sampler_cls is 'local', which has no from_worker_factory"),
        ("sampler_args", 3, "sampler_args is 3; it must be a dict"),
        ("worker_args", [1], r"worker_args is \[1\]; it must be a dict"),
        ("n_workers", "2", "n_workers is '2'; it must be a whole number"),
        ("worker_class", 3, "worker_class is 3; it must be a class"),
    ],
)
def test_setup_names_the_wrong_argument(make_run: Any, option: str, value: Any, words: str) -> None:
    """What cannot work is refused by setup, not in mid-training."""
    with pytest.raises(TypeError, match=words):
        make_run().setup(**{option: value})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"snapshot_config": ("runs", "last", 1)},
            "snapshot_config is .*no snapshot_dir.*pass a SnapshotConfig",
        ),
        ({"logger": "csv"}, "logger is 'csv', which has no write, finalize"),
        ({"snapshotter": 3}, "snapshotter is 3, which has no save_itr_params, load"),
        ({"evaluation": 3}, r"evaluation is 3; pass Evaluation\(every=10\), or None"),
        ({"budget": 1_000}, "budget is 1000; pass Budget"),
        ({"stop_requested": True}, "stop_requested is True; it must be a function"),
        ({"on_durable": 3}, "on_durable is 3; it must be a function of the epoch"),
    ],
)
def test_runner_names_the_wrong_part(
    arguments: Any, words: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that does not fit is refused when it is given."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match=words):
        LocalRunner(**arguments)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Evaluation(every="2"), "an evaluation's every is '2'; it must be a whole number"),  # type: ignore[arg-type]
        (lambda: set_seed("1"), "seed is '1'; it must be a whole number"),  # type: ignore[arg-type]
        (lambda: Evaluation(every=2, on_best=1), "an evaluation's on_best is 1; it must be a function"),  # type: ignore[arg-type]
        (lambda: Budget(env_steps=1.5), "a budget's env_steps is 1.5; it must be a whole number"),  # type: ignore[arg-type]
        (lambda: Budget(seconds="60"), "a budget's seconds is '60'; it must be a number"),  # type: ignore[arg-type]
        (lambda: Budget(target_return="good"), "a budget's target_return is 'good'; pass a number"),  # type: ignore[arg-type]
    ],
)
def test_watching_parts_name_the_wrong_argument(make: Any, words: str) -> None:
    """Neither text nor a fraction is taken for a count."""
    with pytest.raises(TypeError, match=words):
        make()


def test_what_is_logged_must_have_names(make_run: Any) -> None:
    """A bare number is refused where the algorithm passes it."""

    class Nameless:
        def train(self, loop: TrainingLoop[Any], /) -> None:
            for _ in loop.step_epochs():
                loop.log(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    with pytest.raises(TypeError, match="what is logged is 3; it must be a dict of numbers by name"):
        make_run().setup(Nameless(), sampler_cls=None).train(1)


def test_algorithm_without_train_is_refused(make_run: Any) -> None:
    """The message says what an algorithm has."""
    runner = make_run().setup(SimpleNamespace(policy=SteadyPolicy(), max_episode_length=5))
    with pytest.raises(TypeError, match=r"has no train; pass an algorithm with train\(loop\)"):
        runner.train(1)


def test_policy_may_be_none_until_something_is_sampled(make_run: Any, averaging: Any) -> None:
    """Then the message says what is missing; a missing batch size is named first, as in garage."""
    runner, algo = make_run().runner, averaging()
    algo.policy = None
    runner.setup(algo, None, sampler_cls=CountingSampler, n_workers=1)
    with pytest.raises(ValueError, match="batch_size"):
        runner.train(1)
    with pytest.raises(ValueError, match="nothing can be sampled without a policy"):
        runner.train(1, batch_size=10)


def test_setup_refuses_the_class_of_an_algorithm(make_run: Any) -> None:
    """An algorithm that is not built yet is refused by setup, not by train."""
    with pytest.raises(TypeError, match="algo is the class Budget; pass an object of it"):
        make_run().runner.setup(Budget, None)


def test_train_refuses_what_is_no_algorithm(make_run: Any) -> None:
    """What has no `train` may be sampled for, but not be trained."""
    runner = make_run().runner
    runner.setup(None, None)
    with pytest.raises(TypeError, match="algo is None, which has no train; pass an algorithm"):
        runner.train(1)


def test_evaluation_refuses_the_id_of_an_environment() -> None:
    """An evaluation is given an environment, not its name."""
    with pytest.raises(
        TypeError, match="env is 'CartPole-v1', which has no reset, step; pass an environment"
    ):
        Evaluation(every=1, env="CartPole-v1")


@pytest.mark.parametrize("restore", ["restore", "try_restore"])
def test_restore_refuses_what_is_no_path(make_run: Any, restore: str) -> None:
    """None is no folder, and none of that name is looked for."""
    with pytest.raises(TypeError, match="from_dir is None; it must be the path of a folder"):
        getattr(make_run().runner, restore)(None)


def test_iterations_are_whole_numbers(make_run: Any) -> None:
    """What is no number cannot count iterations."""
    with pytest.raises(TypeError, match="step_itr is 'one'; it must be a whole number"):
        make_run().runner.step_itr = "one"


def test_looking_at_a_part_leaves_the_filters_of_warnings_alone(tmp_path: Path) -> None:
    """The filters belong to the whole process, where other threads may change them at the same time."""
    before, seen = warnings.filters, list[bool]()

    class Watching(MemoryLogger):
        def __getattr__(self, name: str) -> Any:
            seen.append(warnings.filters is before)
            raise AttributeError(name)

    LocalRunner(SnapshotConfig(str(tmp_path), "last", 1), logger=Watching(), progress=False)
    assert seen
    assert all(seen)


def test_attributes_within_old_wrappers_are_found_without_a_warning(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """Wrappers of old Gymnasium, which warn of what they pass on, are not asked for it."""
    passes_on = "__getattr__" in vars(gymnasium.Wrapper)

    class Logging(gymnasium.Wrapper[Any, Any, Any, Any]):
        def write(self, tag: str, step: int, values: Any) -> None:
            """Be found through the wrapper."""

        def finalize(self) -> None:
            """Be found too."""

    wrapped: Any = gymnasium.Wrapper(Logging(gymnasium.make("CartPole-v1")))
    recwarn.clear()
    with nullcontext() if passes_on else pytest.raises(TypeError, match="which has no write, finalize"):
        LocalRunner(SnapshotConfig(str(tmp_path), "last", 1), logger=wrapped, progress=False)
    assert not recwarn.list
