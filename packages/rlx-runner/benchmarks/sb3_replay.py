"""How long a save holds up SAC of Stable-Baselines3 with a million transitions in its own ReplayBuffer.

Run it from the root of the repository, in an environment with stable-baselines3 and gymnasium::

    python packages/rlx-runner/benchmarks/sb3_replay.py

Between two saves `STEPS` transitions are added. Both ways take turns; prints the median and the best of `REPEATS`
in milliseconds, and the ratio of the medians. The first save of ours, which copies everything, is printed apart.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import SAC

from rlx_runner.sb3._run import Run

TRANSITIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
STEPS = 1000
REPEATS = 7


def make_model() -> Any:
    """Return SAC whose buffer is full of random transitions."""
    torch.set_num_threads(1)
    model = SAC("MlpPolicy", "HalfCheetah-v5", buffer_size=TRANSITIONS, device="cpu", seed=1)
    buffer: Any = model.replay_buffer
    dice = np.random.default_rng(1)
    for array in (buffer.observations, buffer.next_observations, buffer.actions, buffer.rewards):
        array[...] = dice.standard_normal(array.shape, np.float32)
    model.env.reset()
    buffer.full = True
    return model


def add(model: Any, steps: int) -> None:
    """Add transitions, as training does."""
    observation = np.zeros((1, *model.observation_space.shape))
    action, reward, done = np.zeros((1, *model.action_space.shape)), np.zeros(1), np.zeros(1)
    for _ in range(steps):
        model.replay_buffer.add(observation, observation, action, reward, done, [{}])
    model.num_timesteps += steps


def milliseconds(act: Callable[[], object]) -> float:
    """Return how long `act` takes."""
    began = time.perf_counter()
    act()
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        model = make_model()
        run = Run(Path(folder) / "ours", model, [], progress=False)
        run.checkpoint.restore()

        def ours() -> None:
            run.calls.note(model.num_timesteps, 0)
            run.save()

        def theirs() -> None:
            model.save(Path(folder) / "model.zip")
            model.save_replay_buffer(Path(folder) / "buffer.pkl")

        first = milliseconds(ours)
        run.checkpoint.wait()
        times: dict[str, list[float]] = {"rlx": [], "model.save + save_replay_buffer": []}
        for _ in range(REPEATS):
            for name, save in zip(times, (ours, theirs), strict=True):
                add(model, STEPS)
                times[name].append(milliseconds(save))
                run.checkpoint.wait()
        print(f"{TRANSITIONS} transitions; first save of a run {first:.0f} ms")
        for name, each in times.items():
            print(f"{name}: median {statistics.median(each):.1f} ms, best {min(each):.1f} ms")
        mine, others = (statistics.median(each) for each in times.values())
        print(f"ratio of the medians: 1/{others / mine:.0f}")


if __name__ == "__main__":
    main()
