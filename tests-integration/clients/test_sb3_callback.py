"""The callback that makes Stable-Baselines3's learning resumable: where it continues, and what it refuses."""

import importlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if find_spec("stable_baselines3") is None:
    pytest.skip("stable-baselines3 is not installed", allow_module_level=True)

from rlx_logging import make_logger, read_metrics, sb3_writer
from rlx_runner import Grade, IncompleteCheckpointError, TrainingStopped
from rlx_runner.sb3 import ResumableCallback, resume

sb3: Any = importlib.import_module("stable_baselines3")
callbacks: Any = importlib.import_module("stable_baselines3.common.callbacks")
loggers: Any = importlib.import_module("stable_baselines3.common.logger")
make_vec_env: Any = importlib.import_module("stable_baselines3.common.env_util").make_vec_env
vec_env: Any = importlib.import_module("stable_baselines3.common.vec_env")
torch: Any = importlib.import_module("torch")

TOTAL = 192


def make(cls: Any = None, *, n_envs: int = 1, width: int = 8, env: Any = None, **options: Any) -> Any:
    """Return an untrained model on CartPole."""
    net = {"policy_kwargs": {"net_arch": [width]}, "device": "cpu", "seed": 3}
    if env is None:
        env = make_vec_env("CartPole-v1", n_envs=n_envs, seed=5)
    if cls is None:
        cls, options = sb3.PPO, {"n_steps": 32, "batch_size": 16, "n_epochs": 1} | options
    return cls("MlpPolicy", env, **net, **options)


def saving(folder: Path, **options: Any) -> ResumableCallback:
    """Return a silent callback that saves at every rollout."""
    return ResumableCallback(folder, every=1, progress=False, **options)


def after(n: int) -> Callable[[], bool]:
    """Return what asks for a stop when it is asked for the `n`-th time."""
    asked = iter(range(n))
    return lambda: next(asked, None) is None


def learn_until_stopped(folder: Path, n: int = 3, model: Any = None, check: int = 0, **options: Any) -> None:
    """Learn some rollouts, and stop as a run does that is asked to."""
    with pytest.raises(TrainingStopped, match="resumes"):
        (model or make()).learn(
            TOTAL, callback=saving(folder, stop_requested=after(n), check=check), **options
        )


def weights(model: Any) -> dict[str, Any]:
    """Return the weights of the policy."""
    return {name: value.clone() for name, value in model.policy.state_dict().items()}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two policies have the same weights."""
    return all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.fixture(scope="module")
def unbroken() -> dict[str, Any]:
    """Return the weights of a run without a callback of ours."""
    model = make()
    model.learn(TOTAL)
    return weights(model)


class TestContinuing:
    def test_a_stopped_run_ends_like_one_without_the_callback(
        self, tmp_path: Path, unbroken: dict[str, Any]
    ) -> None:
        """The callback changes nothing, and the resumed run has the weights of a run that nobody disturbed."""
        learn_until_stopped(tmp_path)
        model = make()
        model.learn(TOTAL, callback=saving(tmp_path))
        assert model.num_timesteps == TOTAL
        assert same(weights(model), unbroken)

    def test_a_finished_run_is_left_as_it_is(self, tmp_path: Path, unbroken: dict[str, Any]) -> None:
        """Started again, it has its weights at once and learns nothing."""
        make().learn(TOTAL, callback=saving(tmp_path))
        model = make()
        model.learn(TOTAL, callback=saving(tmp_path))
        assert model.num_timesteps == TOTAL
        assert same(weights(model), unbroken)

    def test_a_finished_run_can_be_longer(self, tmp_path: Path, unbroken: dict[str, Any]) -> None:
        """With a larger total it continues from its end."""
        make().learn(TOTAL // 2, callback=saving(tmp_path))
        model = make()
        model.learn(TOTAL, callback=saving(tmp_path))
        assert model.num_timesteps == TOTAL
        assert same(weights(model), unbroken)

    @pytest.mark.parametrize("stop", [1, 4])
    def test_two_calls_of_learn(self, tmp_path: Path, unbroken: dict[str, Any], stop: int) -> None:
        """A script with two calls continues in the one that was interrupted, with that one's total."""

        def script(**options: Any) -> Any:
            model, callback = make(), saving(tmp_path, **options)
            model.learn(TOTAL // 2, callback=callback)
            model.learn(TOTAL // 2, callback=callback, reset_num_timesteps=False)
            return model

        with pytest.raises(TrainingStopped, match="resumes"):
            script(stop_requested=after(stop))
        model = script()
        assert model.num_timesteps == TOTAL
        assert same(weights(model), unbroken)

    def test_a_run_that_a_callback_has_ended_stays_ended(self, tmp_path: Path) -> None:
        """What stopped early has stopped for good: started again, it learns no further."""

        def learn() -> Any:
            model = make()
            enough = callbacks.StopTrainingOnMaxEpisodes(max_episodes=3)
            model.learn(TOTAL, callback=[enough, saving(tmp_path)])
            return model

        first, again = learn(), learn()
        assert first.num_timesteps == again.num_timesteps < TOTAL
        assert same(weights(first), weights(again))

    def test_the_total_may_be_given_as_what_is_left(self, tmp_path: Path, unbroken: dict[str, Any]) -> None:
        """`resume` says how far the run is, and learn() is given the rest."""
        learn_until_stopped(tmp_path)
        model = make()
        done = resume(model, tmp_path, progress=False) or 0
        assert 0 < done < TOTAL
        model.learn(TOTAL - done, callback=saving(tmp_path), reset_num_timesteps=False)
        assert same(weights(model), unbroken)

    def test_memory_of_hindsight_replay_is_restored(self, tmp_path: Path) -> None:
        """A buffer that leaves its environment out of its pickles is saved with all that it holds."""
        gymnasium: Any = importlib.import_module("stable_baselines3.common.envs")

        def learn(folder: Path, **options: Any) -> Any:
            env = gymnasium.BitFlippingEnv(n_bits=4, max_steps=4)
            buffer = sb3.HerReplayBuffer
            model = sb3.DQN(
                "MultiInputPolicy", env, replay_buffer_class=buffer, seed=3, device="cpu", learning_starts=8
            )
            model.learn(48, callback=saving(folder, **options))
            return model

        with pytest.raises(TrainingStopped, match="resumes"):
            learn(tmp_path / "run", stop_requested=after(6))
        assert same(weights(learn(tmp_path / "run")), weights(learn(tmp_path / "unbroken")))


class TestFiles:
    def test_zip_files_stay_usable(self, tmp_path: Path) -> None:
        """A model that was given its state is saved and loaded by SB3 itself, and acts the same."""
        learn_until_stopped(tmp_path)
        model = make()
        resume(model, tmp_path, progress=False)
        model.save(tmp_path / "model.zip")
        loaded = sb3.PPO.load(tmp_path / "model.zip")
        observations = np.random.default_rng(1).normal(size=(20, 4)).astype(np.float32)
        assert same(weights(loaded), weights(model))
        actions = [each.predict(observations, deterministic=True)[0].tolist() for each in (model, loaded)]
        assert actions[0] == actions[1]

    def test_no_snapshot_yet(self, tmp_path: Path) -> None:
        """`resume` says so with None, and leaves the model alone."""
        model = make()
        before = weights(model)
        assert resume(model, tmp_path, progress=False) is None
        assert same(weights(model), before)

    def test_tensorboard_continues_in_its_folder(self, tmp_path: Path) -> None:
        """SB3 numbers a second process as a second run; the events are those of one run all the same."""
        for n in (2, 1, 100):
            model = make(tensorboard_log=str(tmp_path / "events"))
            if n == 100:
                model.learn(TOTAL, callback=saving(tmp_path / "run"))
            else:
                learn_until_stopped(tmp_path / "run", n, model)
        assert [path.name for path in (tmp_path / "events").iterdir()] == ["PPO_1"]
        series = read_metrics(tmp_path / "events" / "PPO_1")["train/loss"]
        assert series.steps.tolist() == list(range(64, TOTAL + 1, 32))

    def test_rows_of_our_loggers_are_cut(self, tmp_path: Path) -> None:
        """An output format of a logger that can go back does so, by itself."""

        def learn(crash_at: int) -> None:
            model, Crash.step = make(), crash_at
            ours = make_logger("csv", log_dir=tmp_path / "logs")
            model.set_logger(loggers.Logger(None, [sb3_writer(ours)]))
            model.learn(TOTAL, callback=[Crash(), saving(tmp_path / "run")])
            model.logger.close()

        with pytest.raises(RuntimeError, match="as planned"):
            learn(150)
        learn(TOTAL + 1)
        steps = read_metrics(tmp_path / "logs")["train/loss"].steps.tolist()
        assert steps == list(range(64, TOTAL + 1, 32))

    def test_a_format_without_a_way_back_is_told(self, tmp_path: Path) -> None:
        """The grade names the output whose rows will be there twice."""

        class Remote(loggers.KVWriter):  # type: ignore[misc]
            def write(self, key_values: Any, key_excluded: Any, step: int = 0) -> None:
                """Send a row."""

            def close(self) -> None:
                """Send no more."""

        def learn(**options: Any) -> ResumableCallback:
            model, callback = make(), saving(tmp_path, **options)
            model.set_logger(loggers.Logger(None, [Remote()]))
            model.learn(TOTAL, callback=callback)
            return callback

        with pytest.raises(TrainingStopped, match="resumes"):
            learn(stop_requested=after(1))
        exactness = learn().exactness
        assert exactness.grade is Grade.SAME_STREAMS
        assert "Remote has no position" in str(exactness)


class Crash(callbacks.BaseCallback):  # type: ignore[misc]
    """Ends learning with an error at a step, which no snapshot brings back: it belongs to the class."""

    step = 0

    def _on_step(self) -> bool:
        if self.num_timesteps >= self.step:
            raise RuntimeError("as planned")
        return True


class Drift(callbacks.BaseCallback):  # type: ignore[misc]
    """Shifts a weight by what it has counted outside of itself."""

    rollouts = 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        Drift.rollouts += 1
        with torch.no_grad():
            next(self.model.policy.parameters()).add_(Drift.rollouts * 1e-3)


class TestChecking:
    def test_a_checked_run_is_the_unchecked_one(self, tmp_path: Path, unbroken: dict[str, Any]) -> None:
        """Rollouts done twice leave no trace in the weights, the count of timesteps and the log."""
        model = make(tensorboard_log=str(tmp_path / "events"))
        model.learn(TOTAL, callback=saving(tmp_path / "run", check=2))
        assert model.num_timesteps == TOTAL
        assert same(weights(model), unbroken)
        steps = read_metrics(tmp_path / "events" / "PPO_1")["train/loss"].steps.tolist()
        assert steps == list(range(64, TOTAL + 1, 32))

    def test_state_outside_of_the_snapshot_is_found(self, tmp_path: Path) -> None:
        """A callback that counts in its class changes the weights: the error names what differs."""
        with pytest.raises(IncompleteCheckpointError, match=r"2 steps, .* ended differently: model\.policy"):
            make().learn(TOTAL, callback=[Drift(), saving(tmp_path, check=2)])

    @pytest.mark.parametrize(
        ("check", "words"), [(0, "not checked for state outside"), (2, "2 rollouts done twice")]
    )
    def test_the_grade_says_what_was_checked(self, tmp_path: Path, check: int, words: str) -> None:
        """The snapshot knows it: the process that continues says it, too."""
        learn_until_stopped(tmp_path, check=check)
        callback = saving(tmp_path)
        make().learn(TOTAL, callback=callback)
        assert callback.exactness.grade is Grade.BITWISE
        assert words in str(callback.exactness)


class TestRefusing:
    @pytest.mark.parametrize(
        ("other", "words"),
        [
            pytest.param(
                {"cls": "A2C"},
                "model is a stable_baselines3:A2C here, a stable_baselines3:PPO",
                id="algorithm",
            ),
            pytest.param({"width": 9}, r"policy_net.*has shape \(9, 4\) here, \(8, 4\)", id="net"),
            pytest.param({"n_envs": 2}, "num_envs is 2 here, 1 in the snapshot", id="number of environments"),
            pytest.param({"workers": True}, "SubprocVecEnv here, a DummyVecEnv", id="kind of environments"),
            pytest.param({"name": "Acrobot-v1"}, "AcrobotEnv here, a CartPoleEnv", id="environment"),
        ],
    )
    def test_another_model(self, tmp_path: Path, other: dict[str, Any], words: str) -> None:
        """The names of what differs are told, and neither the model nor the folder is changed."""
        learn_until_stopped(tmp_path)
        kind = vec_env.SubprocVecEnv if other.pop("workers", False) else None
        name, n_envs = other.pop("name", "CartPole-v1"), other.pop("n_envs", 1)
        env = make_vec_env(name, n_envs=n_envs, seed=5, vec_env_cls=kind)
        cls = other.pop("cls", None)
        model = make(cls and getattr(sb3, cls), env=env, **other)
        before, files = weights(model), (tmp_path / "params.pkl").read_bytes()
        with pytest.raises(ValueError, match=words):
            model.learn(TOTAL, callback=saving(tmp_path))
        env.close()
        assert same(weights(model), before)
        assert (tmp_path / "params.pkl").read_bytes() == files

    def test_other_environments_in_workers(self, tmp_path: Path) -> None:
        """Workers are asked what they hold before anything is changed."""

        def learn(name: str, **options: Any) -> None:
            env = make_vec_env(name, n_envs=2, vec_env_cls=vec_env.SubprocVecEnv)
            try:
                make(env=env).learn(128, callback=saving(tmp_path, **options))
            finally:
                env.close()

        with pytest.raises(TrainingStopped, match="resumes"):
            learn("CartPole-v1", stop_requested=after(1))
        with pytest.raises(ValueError, match=r"environment 0 in workers is a .*AcrobotEnv here"):
            learn("Acrobot-v1")

    def test_other_callbacks(self, tmp_path: Path) -> None:
        """A callback whose state nobody has cannot continue; both lists are named."""
        learn_until_stopped(tmp_path)
        more = callbacks.StopTrainingOnMaxEpisodes(max_episodes=3)
        with pytest.raises(ValueError, match="StopTrainingOnMaxEpisodes here, none in the snapshot"):
            make().learn(TOTAL, callback=[more, saving(tmp_path)])

    def test_a_callback_of_a_callback(self, tmp_path: Path) -> None:
        """Where rollouts begin is not said to it: it would save nothing."""
        event = callbacks.EveryNTimesteps(10, saving(tmp_path))
        with pytest.raises(ValueError, match="not to EveryNTimesteps"):
            make().learn(TOTAL, callback=event)

    def test_other_arguments_are_told(self, tmp_path: Path) -> None:
        """The snapshot's count, with a warning; one that sizes a buffer is refused."""
        learn_until_stopped(tmp_path)
        model = make(gamma=0.5)
        with pytest.warns(UserWarning, match=r"gamma is 0.5 here, 0.99 in the snapshot"):
            resume(model, tmp_path, progress=False)
        assert model.gamma == 0.99
        with pytest.raises(ValueError, match="n_steps is 64 here, 32 in the snapshot"):
            resume(make(n_steps=64), tmp_path, progress=False)

    def test_rare_saves(self, tmp_path: Path) -> None:
        """Fewer than one step between saves is refused at construction."""
        with pytest.raises(ValueError, match="every is 0"):
            ResumableCallback(tmp_path, every=0)


def test_noise_of_several_environments_comes_back(tmp_path: Path) -> None:
    """State-dependent exploration draws for one environment until a rollout begins; a finished run is looked at before."""

    def exploring() -> Any:
        env = make_vec_env("Pendulum-v1", n_envs=2, seed=5)
        return make(sb3.PPO, env=env, n_steps=32, batch_size=16, n_epochs=1, use_sde=True)

    model, other = exploring(), exploring()
    model.learn(TOTAL, callback=saving(tmp_path))
    assert resume(other, tmp_path, progress=False) == TOTAL
    noise, again = (each.policy.action_dist.exploration_matrices for each in (model, other))
    assert torch.equal(noise, again)
