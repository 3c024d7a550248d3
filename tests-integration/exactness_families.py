# pyright: basic
"""What becomes of one environment: copied in mid-episode, sampled in several ways, resumed in mid-episode.

``python exactness_families.py`` lists the environments of this interpreter's libraries as JSON, and
``python exactness_families.py NAME`` measures one of them.
"""

import importlib.metadata
import importlib.util
import inspect
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, cast

import numpy as np

from rlx_protocols import WorkerFactory
from rlx_runner import check_exactness
from rlx_sampler import FragmentWorker, LocalSampler, MultiprocessingSampler, VecWorker
from rlx_snapshot import exact_copy

if importlib.util.find_spec("torch") is not None:
    importlib.import_module(
        "torch"
    )  # as programs that train do: imported later, it would begin with a seed of its own

STEPS = 40
LENGTH = 60
BATCH = 150


@dataclass(frozen=True)
class Family:
    """Environments of one library.

    Args:
        name: As the table has it.
        distributions: What their numbers come from.
        environments: How each is built, by name.
    """

    name: str
    distributions: tuple[str, ...]
    environments: Mapping[str, Callable[..., Any]]


@dataclass(frozen=True)
class Found:
    """What was seen of one environment."""

    copy: str
    samplers: str
    resume: str
    said: str
    true: str


def registered(*names: str, library: str = "gymnasium", **options: Any) -> dict[str, Callable[[], Any]]:
    """Return how environments of gymnasium's registry are built, once `library` has registered them."""

    def make(name: str) -> Any:
        gymnasium: Any = importlib.import_module("gymnasium")
        module = importlib.import_module(library)
        if library != "gymnasium":
            gymnasium.register_envs(module)
        return gymnasium.make(name, **options)

    return {name: partial(make, name) for name in names}


def task_of_metaworld(name: str) -> Any:
    """Build one task of Metaworld."""
    importlib.import_module("metaworld")
    return importlib.import_module("gymnasium").make("Meta-World/MT1", env_name=name, seed=1)


def with_bonus() -> Any:
    """Build a MiniGrid whose wrapper rewards places by how often they were visited, over all episodes."""
    wrappers: Any = importlib.import_module("minigrid.wrappers")
    return wrappers.PositionBonus(importlib.import_module("gymnasium").make("MiniGrid-Empty-5x5-v0"))


def vector_of_ale() -> Any:
    """Build ALE's own vector environment."""
    importlib.import_module("ale_py")
    return importlib.import_module("ale_py.vector_env").AtariVectorEnv("pong", num_envs=2)


def vector_of_envpool(seed: int) -> Any:
    """Build a vector environment of envpool, which takes its seed now."""
    return importlib.import_module("envpool").make_gymnasium("CartPole-v1", num_envs=2, seed=seed)


def vector_of_sb3() -> Any:
    """Build one of Stable-Baselines3 that normalises."""
    gymnasium: Any = importlib.import_module("gymnasium")
    vectors: Any = importlib.import_module("stable_baselines3.common.vec_env")
    return vectors.VecNormalize(vectors.DummyVecEnv([lambda: gymnasium.make("CartPole-v1")] * 2))


def snake_of_jumanji() -> Any:
    """Build an environment of jumanji behind its own adapter."""
    adapter: Any = importlib.import_module("jumanji.wrappers").JumanjiToGymWrapper
    return adapter(importlib.import_module("jumanji").make("Snake-v1"))


def spread_of_mpe() -> Any:
    """Build a parallel environment of PettingZoo's interface, which samplers do not speak."""
    return importlib.import_module("mpe2.simple_spread_v3").parallel_env()


FAMILIES = (
    Family(
        "Gymnasium, classic control",
        ("gymnasium",),
        registered("CartPole-v1", "Pendulum-v1"),
    ),
    Family(
        "Gymnasium, toy text",
        ("gymnasium",),
        registered("Taxi-v4", "Blackjack-v1"),
    ),
    Family(
        "Gymnasium, Box2D",
        ("gymnasium", "box2d"),
        registered("LunarLander-v3", "BipedalWalker-v3", "CarRacing-v3"),
    ),
    Family(
        "Gymnasium, MuJoCo",
        ("gymnasium", "mujoco"),
        registered("Hopper-v5", "Ant-v5", "Humanoid-v5"),
    ),
    Family(
        "ALE",
        ("ale-py",),
        {
            **registered("ALE/Pong-v5", library="ale_py"),
            "AtariVectorEnv(pong)": vector_of_ale,
        },
    ),
    Family("envpool", ("envpool",), {"CartPole-v1 (envpool)": vector_of_envpool}),
    Family(
        "MiniGrid",
        ("minigrid",),
        {
            **registered("MiniGrid-DoorKey-5x5-v0", library="minigrid"),
            "PositionBonus(MiniGrid-Empty)": with_bonus,
        },
    ),
    Family(
        "highway-env",
        ("highway-env",),
        registered(
            "highway-v0", library="highway_env", config={"vehicles_count": 5, "simulation_frequency": 5}
        ),
    ),
    Family("PettingZoo, MPE", ("pettingzoo", "mpe2"), {"simple_spread_v3": spread_of_mpe}),
    Family("Stable-Baselines3", ("stable-baselines3",), {"VecNormalize(DummyVecEnv)": vector_of_sb3}),
    Family(
        "Metaworld",
        ("metaworld", "mujoco"),
        {name: partial(task_of_metaworld, name) for name in ("reach-v3", "pick-place-v3")},
    ),
    Family(
        "Gymnasium-Robotics",
        ("gymnasium-robotics", "mujoco"),
        registered("FetchReach-v4", "AdroitHandDoor-v1", library="gymnasium_robotics"),
    ),
    Family(
        "dm_control through Shimmy",
        ("dm-control", "mujoco", "shimmy"),
        registered("dm_control/walker-walk-v0", library="shimmy"),
    ),
    Family(
        "jumanji",
        ("jumanji", "jax"),
        {"Snake-v1": snake_of_jumanji},
    ),
    Family("craftax", ("craftax", "jax"), {"Craftax-Symbolic-v1": lambda: craftax("Craftax-Symbolic-v1")}),
)


def craftax(name: str) -> Any:
    """Build an environment of craftax, which is a set of pure functions."""
    return importlib.import_module("craftax.craftax_env").make_craftax_env_from_name(name, auto_reset=False)


class Uniform:
    """A policy that draws every action from the action space, with the generator of its row."""

    def __init__(self, space: Any) -> None:
        self.space = space

    def get_action(self, observation: Any, /, *, rng: np.random.Generator) -> tuple[Any, dict[str, Any]]:
        """Draw one action."""
        return drawn(self.space, rng), {}

    def get_actions(self, observations: Any, /, *, rngs: Any) -> tuple[Any, dict[str, Any]]:
        """Draw one action a row."""
        return np.stack([drawn(self.space, rng) for rng in rngs]), {}


def drawn(space: Any, rng: np.random.Generator) -> Any:
    """Return an action of `space`; unbounded sides of a box count as 1 away from 0."""
    if type(space).__name__ == "Box":
        low: Any = np.clip(space.low, -1, 1).astype("f8")
        high: Any = np.clip(space.high, -1, 1).astype("f8")
        action: Any = rng.uniform(low, high)
        return action.astype(space.dtype)
    if type(space).__name__ == "Discrete":
        start: int = space.start
        return space.dtype.type(start + int(rng.integers(space.n)))
    if type(space).__name__ == "MultiDiscrete":
        return np.asarray(rng.integers(space.nvec), space.dtype)
    raise TypeError(f"no action is drawn from a {type(space).__name__}")


class Sampling:
    """An algorithm that keeps all that it has sampled."""

    max_episode_length = LENGTH

    def __init__(self, policy: Uniform) -> None:
        self.policy = policy
        self.batches: list[tuple[bytes, ...]] = []

    def train(self, loop: Any, /) -> None:
        """Sample in every epoch."""
        for epoch in loop.step_epochs():
            self.batches.append(bits_of(loop.obtain_episodes(epoch)))


def bits_of(batch: Any) -> tuple[bytes, ...]:
    """Return every bit of a batch's observations, actions, rewards and lengths."""
    parts = (batch.observations, batch.actions, batch.rewards, batch.lengths)
    return tuple(leaf for part in parts for leaf in bits(part))


def leaves_of(tree: Any) -> Iterator[Any]:
    """Yield the arrays of a tree, clocks of episode statistics left out."""
    if isinstance(tree, Mapping):
        named: Mapping[Any, Any] = tree
        for name in sorted(named, key=repr):
            yield from leaves_of(named[name])
    elif isinstance(tree, tuple | list):
        for part in cast("list[Any]", tree):
            yield from leaves_of(part)
    else:
        yield tree


def copied(env: Any) -> str:
    """Say whether a copy in mid-episode continues with the same bits."""
    begin(env, 1)
    rng = np.random.default_rng(1)
    actions = [actions_for(env, rng) for _ in range(2 * STEPS)]
    vector = hasattr(env, "num_envs")  # one that resets its lanes by itself
    for action in actions[: STEPS // 2]:
        if ends(env.step(action)) and not vector:
            begin(env, 2)
    twin = exact_copy(env)
    for step, action in enumerate(actions[STEPS // 2 :]):
        one, other = env.step(action), twin.step(action)
        names = (
            ("observation", "reward", "end", "end", "info")
            if len(one) == 5
            else ("observation", "reward", "end", "info")
        )
        for name, left, right in zip(names, one, other, strict=True):
            if bits(left) != bits(right):
                return f"no: {name} differs at step {step}"
        if ends(one) and not vector:
            break
    return "yes"


def begin(env: Any, seed: int) -> None:
    """Reset an environment, one of Stable-Baselines3 in its own way."""
    if hasattr(env, "env_method"):
        env.seed(seed)
        env.reset()
    else:
        env.reset(seed=seed)


def actions_for(env: Any, rng: np.random.Generator) -> Any:
    """Return an action, of a parallel environment one an agent."""
    if hasattr(env, "possible_agents"):
        return {agent: drawn(env.action_space(agent), rng) for agent in env.possible_agents}
    if hasattr(env, "num_envs"):
        space = action_space_of_a_lane(env)
        return np.stack([drawn(space, rng) for _ in range(env.num_envs)])
    return drawn(env.action_space, rng)


def action_space_of_a_lane(env: Any) -> Any:
    """Return what one action is drawn from."""
    return getattr(env, "single_action_space", env.action_space)


def ends(result: Any) -> bool:
    """Return whether a step was the last one of its episode."""
    return any(bool(np.any(leaf)) for part in result[2:-1] for leaf in leaves_of(part))


def bits(value: Any) -> list[bytes]:
    """Return every bit of an observation, a reward or an info."""
    return [
        array.tobytes() if array.dtype != object else repr(array.tolist()).encode()
        for leaf in leaves_of(value)
        for array in (np.asarray(leaf),)
    ]


def sampled_alike(make: Callable[..., Any], policy: Uniform, *, vector: bool) -> str:
    """Say whether one batch is the same from one process, from lanes and from two processes, and which grade they claim."""
    ways: list[tuple[str, Any, int, Any]] = [("one process", LocalSampler, 1, VecWorker if vector else None)]
    if not vector:
        ways.append(("lanes", LocalSampler, 1, VecWorker))
    ways.append(("two processes", MultiprocessingSampler, 2, VecWorker if vector else None))
    batches: dict[str, tuple[bytes, ...]] = {}
    said: dict[str, Any] = {}
    for name, sampler_cls, n_workers, worker_class in ways:
        factory = WorkerFactory(
            seed=3, max_episode_length=LENGTH, n_workers=n_workers, worker_class=worker_class
        )
        sampler = sampler_cls.from_worker_factory(factory, agents=policy, envs=make)
        try:
            batches[name] = bits_of(sampler.obtain_samples(0, BATCH, None))
            said[name] = sampler.exactness()
        finally:
            sampler.shutdown_worker()
    other = [name for name, batch in batches.items() if batch != batches["one process"]]
    if not other:
        return "yes"
    return "no: " + "; ".join(f"{name} differ, {promised(said['one process'], said[name])}" for name in other)


def promised(*said: Any) -> str:
    """Return the worst of some grades, or that the environment's history was named, which other lanes do not have."""
    if any("history" in each.reason for each in said):
        return "as the history that was named"
    return f"grade {max(each.grade for each in said)}"


def attempted(measure: Callable[[], str]) -> str:
    """Return what `measure` says, or why it cannot say anything."""
    try:
        return measure()
    except Exception as error:  # noqa: BLE001 - whatever a library raises is what the table says
        return refused(error)


def refused(error: Exception) -> str:
    """Say why nothing was found."""
    reason = (str(error).strip().splitlines() or [""])[-1]
    return f"refused: {reason[:160]}"


def measured(make: Callable[..., Any]) -> Found:
    """Measure one environment in all ways."""
    env = make(seed=1) if "seed" in inspect.signature(make).parameters else make()
    copy = attempted(lambda: copied(env))
    if not hasattr(env, "action_space") or hasattr(env, "possible_agents"):
        return Found(copy, "no such interface", "no such interface", "", "")
    vector = hasattr(env, "num_envs")
    policy = Uniform(action_space_of_a_lane(env))
    samplers = attempted(lambda: sampled_alike(make, policy, vector=vector))
    claimed = "grade A" in samplers
    try:
        verdict = check_exactness(
            Sampling(policy),
            make if vector else env,
            LocalSampler,
            worker_class=FragmentWorker,
            batch_size=BATCH,
            n_epochs=2,
        )
    except Exception as error:  # noqa: BLE001 - as above
        return Found(copy, samplers, refused(error), "none", "**no**" if claimed else "yes")
    grade = verdict.said.split(" ")[1]
    resume = "yes" if verdict.exact else f"no: `{verdict.differences[0].split(':')[0]}`"
    true = (
        "**no**"
        if claimed or (grade == "A" and not verdict.exact)
        else "yes"
        if verdict.exact == (grade == "A")
        else "cautious"
    )
    return Found(copy, samplers, resume, verdict.said.removeprefix("grade "), true)


def version(distribution: str) -> str | None:
    """Return the version that is installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def main(arguments: list[str]) -> None:
    """List the environments, or measure one."""
    warnings.simplefilter("ignore")
    if not arguments:
        versions = {family.name: [version(each) for each in family.distributions] for family in FAMILIES}
        rows = {
            family.name: {
                "versions": dict(zip(family.distributions, versions[family.name], strict=True)),
                "environments": list(family.environments) if all(versions[family.name]) else [],
            }
            for family in FAMILIES
        }
        print(json.dumps(rows))
        return
    (make,) = (f.environments[arguments[0]] for f in FAMILIES if arguments[0] in f.environments)
    print("\n" + json.dumps(asdict(measured(make))))


if __name__ == "__main__":
    main(sys.argv[1:])
