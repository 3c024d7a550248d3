"""What the runner computes: metrics, budgets, seeds, plans, grades, words."""

import random
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from rlx_protocols.testing import CountedBatch, CountingSampler
from rlx_runner import Budget, Grade, get_seed, set_seed
from rlx_runner._display import duration
from rlx_runner._exactness import Exactness, compare_machines
from rlx_runner._metrics import EpochMetrics
from rlx_runner._plan import physical_cores, plan_sampling
from rlx_runner._progress import Progress
from rlx_runner._random import capture_random, restore_random
from rlx_runner._state import by_name, from_name


@dataclass(frozen=True)
class Batch(CountedBatch):
    """A batch with infos and with fragments."""

    infos: dict[str, Any] = field(default_factory=dict[str, Any])
    complete: Any = None
    episode_infos: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def env_infos(self) -> dict[str, Any]:
        return self.infos


def batch(infos: dict[str, Any] | None = None, complete: list[bool] | None = None) -> Batch:
    """Return two episodes of three steps."""
    return Batch(2, 3, 1.0, infos or {}, complete)


class TestEpochMetrics:
    def test_no_batch_gives_no_return(self) -> None:
        """An epoch without episodes has no average return to report."""
        assert EpochMetrics().row() == {}

    def test_averages_over_episodes_of_all_batches(self) -> None:
        """Episodes count alike, whichever batch they came in."""
        metrics = EpochMetrics()
        metrics.add_batch(CountedBatch(1, 4, 1.0))
        metrics.add_batch(CountedBatch(3, 2, 1.0))
        assert metrics.average_return == pytest.approx((4 + 2 + 2 + 2) / 4)

    @pytest.mark.parametrize("key", ["success", "is_success"])
    def test_success_is_any_successful_step(self, key: str) -> None:
        """One of two episodes reaches its goal."""
        metrics = EpochMetrics()
        metrics.add_batch(batch({key: np.array([0, 0, 0, 0, 1, 0])}))
        assert metrics.row()["SuccessRate"] == 0.5

    @pytest.mark.parametrize(
        ("values", "rate"),
        [
            (np.array([np.nan, np.nan, 0.0, np.nan, np.nan, 0.0]), 0.0),
            (np.array([np.nan, np.nan, 1.0, np.nan, np.nan, 0.0]), 0.5),
            (np.array([None, None, True, None, None, False]), 0.5),
            (np.array([None, None, float("nan"), None, None, np.bool_(True)]), 0.5),
            (np.array([[np.nan], [0.0], [1.0], [np.nan], [0.0], [0.0]]), 0.5),
        ],
    )
    def test_step_without_the_info_is_no_success(self, values: Any, rate: float) -> None:
        """Infos that come with the final step alone are filled with NaN or None, which NumPy takes for True or False."""
        metrics = EpochMetrics()
        metrics.add_batch(batch({"is_success": values}))
        assert metrics.row()["SuccessRate"] == rate

    @pytest.mark.parametrize(
        "values",
        [np.array(["False"] * 6, dtype=object), {"goal": np.ones(6)}, np.ones((6, 2)), np.array([None] * 6)],
    )
    def test_info_that_is_no_truth_value_gives_no_rate(self, values: Any) -> None:
        """Words, dicts and several numbers a step do not say whether an episode succeeded."""
        metrics = EpochMetrics()
        metrics.add_batch(batch({"success": values}))
        assert "SuccessRate" not in metrics.row()

    def test_either_name_of_success_counts(self) -> None:
        """Environments of several makers in one batch report each under its own name."""
        metrics = EpochMetrics()
        none = np.nan
        first, second = [none, none, 1.0, none, none, none], [none, none, none, none, none, 1.0]
        metrics.add_batch(batch({"success": np.array(first), "is_success": np.array(second)}))
        assert metrics.row()["SuccessRate"] == 1.0

    def test_success_of_an_earlier_batch_counts(self) -> None:
        """An episode whose end alone is in the batch succeeded where the sampler remembers that it did."""
        metrics = EpochMetrics()
        totals = {"episode_success": np.array([1.0, np.nan])}
        metrics.add_batch(Batch(2, 3, 1.0, {"success": np.zeros(6)}, None, totals))
        assert metrics.row()["SuccessRate"] == 0.5

    def test_what_a_reset_claims_is_no_total(self) -> None:
        """An environment whose reset info has a name of the totals changes no return and no length."""

        class Whole(Batch):
            step_types = np.array([0, 1, 2, 0, 1, 2])

        metrics = EpochMetrics()
        metrics.add_batch(
            Whole(
                2,
                3,
                1.0,
                {},
                None,
                {"episode_return": np.array([9, 9]), "episode_length": np.array([500, np.nan])},
            )
        )
        assert (metrics.average_return, metrics.row()["EpisodeLength/max"]) == (3.0, 3)

    def test_fragments_do_not_count_as_episodes(self) -> None:
        """A cut episode says nothing about returns."""
        metrics = EpochMetrics()
        metrics.add_batch(batch(complete=[True, False]))
        metrics.add_batch(Batch(2, 9, 1.0, {}, [False, False]))
        assert metrics.row() == {
            "AverageReturn": 3.0,
            "EpisodeLength/mean": 3.0,
            "EpisodeLength/min": 3,
            "EpisodeLength/max": 3,
        }

    def test_end_of_an_episode_counts_the_whole_of_it(self) -> None:
        """A fragment that ends an episode of earlier batches stands for its whole return and length."""
        metrics = EpochMetrics()
        totals = {"episode_return": np.array([50.0, 3.0]), "episode_length": np.array([50, 3])}
        metrics.add_batch(Batch(2, 3, 1.0, {}, [True, False], totals))
        assert (metrics.average_return, metrics.row()["EpisodeLength/mean"]) == (50.0, 50.0)

    def test_algorithms_value_wins(self) -> None:
        """An algorithm may say better what its return is."""
        metrics = EpochMetrics()
        metrics.add_batch(CountedBatch(1, 4, 1.0))
        metrics.log({"AverageReturn": -7.0})
        assert metrics.row()["AverageReturn"] == -7.0


class TestBudget:
    @pytest.mark.parametrize(
        ("budget", "words"),
        [
            (Budget(env_steps=100), "100 of 100 environment steps"),
            (Budget(target_return=5.0), "average return 6 has reached 5"),
            (Budget(seconds=2.0), "3 s of training"),
        ],
    )
    def test_says_which_limit_is_reached(self, budget: Budget, words: str) -> None:
        """Each limit has its own sentence."""
        reached = budget.reached(Progress(env_steps=100, average_return=6.0, elapsed=3.0))
        assert reached is not None
        assert words in reached

    def test_leaves_room_below_the_limits(self) -> None:
        """A run below all limits continues; a return not yet known is below."""
        assert Budget(env_steps=100, target_return=5.0, seconds=9.0).reached(Progress(env_steps=99)) is None

    @pytest.mark.parametrize("limit", ["env_steps", "seconds"])
    def test_refuses_limits_that_are_not_positive(self, limit: str) -> None:
        """A budget of nothing is a mistake."""
        with pytest.raises(ValueError, match=f"{limit} is 0; it must be"):
            Budget(**{limit: 0})

    def test_ends_training_after_the_epoch_that_reaches_it(self, make_run: Any) -> None:
        """The epoch in which the limit is reached is complete, logged and saved."""
        run = make_run(budget=Budget(env_steps=25))
        run.setup().train(10, batch_size=10)
        assert [step for _, step, _ in run.logger.rows] == [0, 1, 2]


class TestSeeds:
    def test_seeds_every_global_generator(self) -> None:
        """Equal seeds give equal numbers in Python and NumPy."""
        drawn: list[tuple[float, float]] = []
        for _ in range(2):
            set_seed(7)
            drawn.append((random.random(), float(np.random.random())))
        assert drawn[0] == drawn[1]
        assert get_seed() == 7

    @pytest.mark.parametrize("seed", [-1, 2**32])
    def test_refuses_seeds_out_of_range(self, seed: int) -> None:
        """NumPy takes 32 bits: the error names the value."""
        with pytest.raises(ValueError, match=f"seed is {seed}"):
            set_seed(seed)

    def test_states_put_back_give_the_same_numbers(self) -> None:
        """Gaussian numbers too, of which NumPy and Python keep a spare."""
        random.gauss(0, 1)
        np.random.normal()
        states = capture_random()
        first = (random.gauss(0, 1), random.random(), np.random.normal(), np.random.random())
        restore_random(states)
        assert (random.gauss(0, 1), random.random(), np.random.normal(), np.random.random()) == first

    def test_torch_is_not_imported_for_it(self) -> None:
        """A run without torch does not pay for its import."""
        program = "import sys, rlx_runner; rlx_runner.set_seed(1); print('torch' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "False"

    def test_torch_states_are_put_back(self) -> None:
        """Where torch is loaded its generator is part of the state."""
        torch = pytest.importorskip("torch", reason="torch is not installed here")
        states = capture_random()
        drawn = torch.rand(3)
        restore_random(states)
        assert torch.equal(torch.rand(3), drawn)


class TestPlan:
    def test_workers_default_to_physical_cores(self) -> None:
        """The number is found when asked for, and is at least 1."""
        algo = type("Algo", (), {"policy": 1, "max_episode_length": 5})()
        assert plan_sampling(algo, CountingSampler, seed=1).factory.n_workers == physical_cores() >= 1

    def test_zero_workers_are_refused_not_defaulted(self) -> None:
        """0 is a value, and a wrong one."""
        algo = type("Algo", (), {"policy": 1, "max_episode_length": 5})()
        with pytest.raises(ValueError, match="n_workers is 0"):
            plan_sampling(algo, CountingSampler, seed=1, n_workers=0)

    def test_finds_what_a_torch_module_serves(self) -> None:
        """Attributes that come from __getattr__ count, as those of torch modules do."""

        class Served:
            def __getattr__(self, name: str) -> int:
                if name in ("policy", "max_episode_length"):
                    return 5
                raise AttributeError(name)

        assert plan_sampling(Served(), CountingSampler, seed=1).factory.max_episode_length == 5


class TestGrades:
    def test_same_machine_is_bitwise(self) -> None:
        """Nothing stands against the same bits."""
        machine = {"python": "3.11.7", "torch threads": 1}
        assert compare_machines(machine, machine, {}) == Exactness(Grade.BITWISE)

    def test_other_versions_keep_the_streams(self) -> None:
        """The reason names both values."""
        found = compare_machines({"numpy": "1.26", "cpu": "x"}, {"numpy": "2.4", "cpu": "x"}, {})
        assert (found.grade, found.reasons) == (Grade.SAME_STREAMS, ("numpy was 1.26, is 2.4",))

    def test_other_version_of_a_library_in_the_state_keeps_the_streams(self) -> None:
        """What the machine's description says already is not said again."""
        changed = {"mujoco": ("3.17.0", "4.0.0"), "numpy": ("1.26", "2.4")}
        found = compare_machines({"numpy": "1.26"}, {"numpy": "2.4"}, changed)
        assert found.grade is Grade.SAME_STREAMS
        assert found.reasons == ("numpy was 1.26, is 2.4", "mujoco was 3.17.0, is 4.0.0")

    def test_another_number_of_threads_is_none_once_it_is_matched(self) -> None:
        """A resume sets the saved one before anything is computed."""
        assert compare_machines({"torch threads": 1}, {"torch threads": 2}, {}) == Exactness(Grade.BITWISE)

    def test_crossing_to_another_device_is_statistical(self) -> None:
        """CPU and GPU do not add in the same order."""
        assert compare_machines({"device": "CPU"}, {"device": "H200"}, {}).grade is Grade.STATISTICAL

    def test_worst_reason_decides(self) -> None:
        """A grade never rises by one more reason."""
        found = Exactness().lowered(Grade.STATISTICAL, "a").lowered(Grade.SAME_STREAMS, "b")
        assert (found.grade, found.reasons) == (Grade.STATISTICAL, ("a", "b"))

    def test_reads_as_a_sentence(self) -> None:
        """The text is what people see at a resume."""
        text = str(compare_machines({"numpy": "1.26"}, {"numpy": "2.4"}, {}))
        assert text == "grade B (same random streams, last bits may differ): numpy was 1.26, is 2.4"


class TestNames:
    def test_class_goes_there_and_back(self) -> None:
        """A class that can be imported is kept by name."""
        assert from_name(by_name(CountingSampler)) is CountingSampler
        assert by_name(CountingSampler) == "rlx_protocols.testing:CountingSampler"
        assert CountingSampler.__module__ != "rlx_protocols.testing"

    def test_local_class_is_kept_itself(self) -> None:
        """A class without an importable name travels by value."""

        class Local:
            pass

        assert by_name(Local) is Local

    def test_vanished_class_is_named(self) -> None:
        """The error says what is no longer where."""
        with pytest.raises(ImportError, match=r"'Gone' of 'random'"):
            from_name("random:Gone")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (200, "3:20 min"), (7500, "2:05 h")]
)
def test_durations_read_like_clocks(seconds: float, text: str) -> None:
    """Seconds, minutes and hours as people write them."""
    assert duration(seconds) == text


def test_stop_signals_are_the_usual_ones() -> None:
    """Ctrl-C and what schedulers send, where the platform has it."""
    from rlx_runner._stop import STOP_SIGNALS

    assert {number.name for number in STOP_SIGNALS} - {"SIGUSR1", "SIGUSR2"} == {"SIGINT", "SIGTERM"}
