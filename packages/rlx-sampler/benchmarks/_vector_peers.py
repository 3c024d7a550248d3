"""Peers on gymnasium's vectorised CartPole, each through a bridge of a few lines: none takes NEXT_STEP as it is."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import gymnasium
import numpy as np
import torch

Way = Callable[[], int]


def cart_poles(n_lanes: int) -> Any:
    """Return CartPole's own vector environment."""
    return gymnasium.make_vec("CartPole-v1", num_envs=n_lanes, vectorization_mode="vector_entry_point")


def network(n_out: int = 2) -> Any:
    """Return two layers of 64."""
    layers = [torch.nn.Linear(4, 64), torch.nn.Tanh(), torch.nn.Linear(64, 64), torch.nn.Tanh()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(64, n_out))


def begin_again(env: Any, lanes: Any) -> Any:
    """Bring lanes to a beginning, as the environment itself does one step later; return all observations."""
    inner = env.unwrapped
    inner.state[:, lanes] = inner.np_random.uniform(inner.low, inner.high, (4, len(lanes)))
    inner.steps[lanes] = 0
    inner.prev_done[lanes] = False
    return inner.state.T.astype(np.float32)


def _always(*_: Any) -> bool:
    """Let collection continue."""
    return True


def _categorical(logits: Any) -> Any:
    """Return the distribution of actions."""
    return torch.distributions.Categorical(logits=logits)


def sb3(n_lanes: int, n_steps: int) -> Way:  # noqa: C901  # one bridge
    """Fill the rollout buffer of PPO, value network included."""
    module: Any = import_module("stable_baselines3")
    base: Any = import_module("stable_baselines3.common.vec_env").VecEnv
    callback: Any = import_module("stable_baselines3.common.callbacks").ConvertCallback

    class Bridge(base):  # type: ignore[misc]
        """Ended lanes begin again in the same step."""

        def __init__(self) -> None:
            self.env = cart_poles(n_lanes)
            base.__init__(self, n_lanes, self.env.single_observation_space, self.env.single_action_space)

        def reset(self) -> Any:
            return self.env.reset(seed=1)[0]

        def step_async(self, actions: Any) -> None:
            self.actions = actions

        def step_wait(self) -> Any:
            observations, rewards, ended, cut, _ = self.env.step(self.actions)
            over = ended | cut
            infos: list[dict[str, Any]] = [{} for _ in range(n_lanes)]
            lanes = np.flatnonzero(over)
            for lane in lanes.tolist():
                infos[lane] = {
                    "terminal_observation": observations[lane],
                    "TimeLimit.truncated": bool(cut[lane]),
                }
            return begin_again(self.env, lanes) if len(lanes) else observations, rewards, over, infos

        def close(self) -> None:
            self.env.close()

        def get_attr(self, attr_name: str, indices: Any = None) -> Any:
            return [None] * n_lanes

        def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None: ...
        def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> Any: ...
        def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> Any:
            return [False] * n_lanes

    shape = {"net_arch": {"pi": [64, 64], "vf": [64, 64]}}
    ppo = module.PPO("MlpPolicy", Bridge(), n_steps=n_steps, batch_size=64, policy_kwargs=shape, device="cpu")
    ppo._setup_learn(10**9, None)  # noqa: SLF001
    quiet = callback(_always)
    quiet.init_callback(ppo)

    def sample() -> int:
        ppo.collect_rollouts(ppo.env, quiet, ppo.rollout_buffer, n_steps)
        return n_steps * n_lanes

    return sample


def torchrl(n_lanes: int, n_steps: int) -> Way:
    """Fill batches of (lanes, steps) with torchrl's collector."""
    collectors: Any = import_module("torchrl.collectors")
    wrapper: Any = import_module("torchrl.envs").GymWrapper
    modules: Any = import_module("torchrl.modules")
    from_dict: Any = import_module("tensordict.nn").TensorDictModule
    same_step = gymnasium.vector.AutoresetMode.SAME_STEP

    class Bridge(gymnasium.vector.VectorEnv):
        """Ended lanes begin again in the same step."""

        def __init__(self) -> None:
            self.env = cart_poles(n_lanes)
            self.num_envs, self.spec = n_lanes, self.env.spec
            self.autoreset_mode = same_step
            self.metadata = {**self.env.metadata, "autoreset_mode": same_step}
            self.single_observation_space = self.env.single_observation_space
            self.single_action_space = self.env.single_action_space
            self.observation_space, self.action_space = self.env.observation_space, self.env.action_space

        def reset(self, *, seed: Any = None, options: Any = None) -> Any:
            return self.env.reset(seed=seed)

        def step(self, actions: Any) -> Any:
            observations, rewards, ended, cut, infos = self.env.step(actions)
            over = ended | cut
            if over.any():
                final = np.full(n_lanes, None, object)
                for lane in np.flatnonzero(over).tolist():
                    final[lane] = observations[lane].copy()
                observations = begin_again(self.env, np.flatnonzero(over))
                infos = {"final_obs": final, "_final_obs": over}
            return observations, rewards, ended, cut, infos

    actor = modules.ProbabilisticActor(
        from_dict(network(), ["observation"], ["logits"]),
        in_keys=["logits"],
        distribution_class=torch.distributions.Categorical,
    )
    env = wrapper(Bridge(), categorical_action_encoding=True)
    batches = iter(collectors.Collector(env, actor, frames_per_batch=n_steps * n_lanes, total_frames=-1))
    return lambda: int(next(batches).numel())


def tianshou(n_lanes: int, n_steps: int) -> Way:  # noqa: C901  # one bridge
    """Fill the replay buffer of tianshou's collector."""
    data: Any = import_module("tianshou.data")
    base: Any = import_module("tianshou.env.venvs").BaseVectorEnv
    reinforce: Any = import_module("tianshou.algorithm.modelfree.reinforce")
    discrete: Any = import_module("tianshou.utils.net.discrete")
    common: Any = import_module("tianshou.utils.net.common")

    class Bridge(base):  # type: ignore[misc]
        """Ended lanes begin again when the collector says so."""

        def __init__(self) -> None:
            self.env = cart_poles(n_lanes)
            self.env_num, self.is_async, self.is_closed = n_lanes, False, False
            self.workers = [None] * n_lanes

        def __len__(self) -> int:
            return n_lanes

        def __getattribute__(self, name: str) -> Any:
            return object.__getattribute__(self, name)

        @property
        def action_space(self) -> Any:
            return [self.env.single_action_space] * n_lanes

        @property
        def observation_space(self) -> Any:
            return [self.env.single_observation_space] * n_lanes

        def reset(self, env_id: Any = None, **_: Any) -> Any:
            lanes = np.arange(n_lanes) if env_id is None else np.atleast_1d(env_id)
            whole = len(lanes) == n_lanes
            observations = self.env.reset()[0] if whole else begin_again(self.env, lanes)[lanes]
            return observations, np.array([{"env_id": lane} for lane in lanes.tolist()])

        def step(self, action: Any, id: Any = None) -> Any:  # noqa: A002  # the name is theirs
            lanes = np.arange(n_lanes) if id is None else np.asarray(id)
            actions = np.zeros(n_lanes, np.int64)
            actions[lanes] = action
            observations, rewards, ended, cut, _ = self.env.step(actions)
            infos = np.array([{"env_id": lane} for lane in lanes.tolist()])
            return observations[lanes], rewards[lanes], ended[lanes], cut[lanes], infos

        def seed(self, seed: Any = None) -> Any:
            return [None] * n_lanes

        def close(self) -> None:
            self.env.close()

    body = common.Net(state_shape=(4,), hidden_sizes=[64, 64], activation=torch.nn.Tanh)
    policy = reinforce.ProbabilisticActorPolicy(
        actor=discrete.DiscreteActor(preprocess_net=body, action_shape=2, softmax_output=False),
        dist_fn=_categorical,
        action_space=gymnasium.spaces.Discrete(2),
        action_scaling=False,
    )
    collector = data.Collector(policy, Bridge(), data.VectorReplayBuffer(2 * n_steps * n_lanes, n_lanes))
    collector.reset()

    def sample() -> int:
        with torch.no_grad():
            return int(collector.collect(n_step=n_steps * n_lanes).n_collected_steps)

    return sample
