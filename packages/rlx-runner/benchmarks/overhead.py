"""What a run costs beyond its algorithm, with PPO on CartPole-v1.

Run it from the root of the repository, in an environment with torch and gymnasium::

    python packages/rlx-runner/benchmarks/overhead.py

Prints, each as a median of `REPEATS` runs that take turns:

- an epoch under `LocalRunner` (journal, CSV, a snapshot after each epoch) against the same algorithm and
  sampler in a loop that neither logs nor saves, in CPU seconds of the process and on the clock;
- a snapshot against a cloudpickle of algorithm and environment, as garage writes it, in CPU time and bytes;
- a resumed process from its start to its first new environment step, against one that imports torch.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import gymnasium
import torch

from rlx_logging import make_logger
from rlx_protocols import WorkerFactory
from rlx_protocols.testing import ScriptedLoop
from rlx_runner import LocalRunner, set_seed
from rlx_sampler import LocalSampler
from rlx_snapshot import SnapshotConfig, Snapshotter

EXAMPLES = Path(__file__).parents[3] / "examples"
sys.path.insert(0, str(EXAMPLES))
from ppo_cartpole import PPO, CategoricalPolicy, network  # noqa: E402

REPEATS = 3
PAIRS = 12
"""Between the third and the third last of twelve lies the median with 96 % (binomial)."""
N_EPOCHS = 4
BATCH_SIZE = 2048

FIRST_STEP = """
import os, sys, time, psutil
sys.path.insert(0, {examples!r})
import gymnasium, ppo_cartpole
import gymnasium.envs.classic_control.cartpole as cartpole
original = cartpole.CartPoleEnv.step
def first(self, action):
    used = os.times()
    print(time.time() - psutil.Process().create_time(), used.user + used.system, flush=True)
    os._exit(0)
cartpole.CartPoleEnv.step = first
ppo_cartpole.ppo_cartpole.main(["--log-dir", {folder!r}, "--resume", "--n-epochs", "99"])
"""
IMPORT_TORCH = """
import os, time, psutil, torch, gymnasium
used = os.times()
print(time.time() - psutil.Process().create_time(), used.user + used.system)
"""


def make_algorithm() -> PPO:
    """Return an untrained PPO; equal calls give equal ones."""
    set_seed(1)
    return PPO(CategoricalPolicy(network(4, 2, last_gain=0.01)), network(4, 1, last_gain=1.0))


def bare(folder: Path) -> None:
    """Train without a runner."""
    del folder
    algo = make_algorithm()
    factory = WorkerFactory(max_episode_length=algo.max_episode_length, seed=1)
    sampler = LocalSampler.from_worker_factory(factory, algo.policy, gymnasium.make("CartPole-v1"))
    loop = ScriptedLoop(sampler, n_epochs=N_EPOCHS, batch_size=BATCH_SIZE)
    algo.train(loop)
    sampler.shutdown_worker()


def recorded(folder: Path) -> None:
    """Train under the runner, with logs and a snapshot an epoch."""
    logger = make_logger("csv", log_dir=folder)
    runner = LocalRunner(SnapshotConfig(str(folder), "last", 1), logger=logger, progress=False)
    runner.setup(make_algorithm(), gymnasium.make("CartPole-v1"), sampler_cls=LocalSampler, n_workers=1)
    runner.train(N_EPOCHS, batch_size=BATCH_SIZE)


def cost(train: Callable[[Path], None]) -> tuple[float, float]:
    """Return CPU and clock seconds of one training."""
    with tempfile.TemporaryDirectory() as folder:
        cpu, clock = time.process_time(), time.perf_counter()
        train(Path(folder))
        return time.process_time() - cpu, time.perf_counter() - clock


def compare_epochs() -> None:
    """Print what the runner adds to an epoch: the median over pairs, and an interval for it."""
    cost(bare)
    pairs = [(cost(bare), cost(recorded)) for _ in range(PAIRS)]
    for index, unit in enumerate(("CPU", "clock")):
        alone = statistics.median(pair[0][index] for pair in pairs) / N_EPOCHS
        added = sorted(whole[index] / bare_[index] - 1 for bare_, whole in pairs)
        print(
            f"epoch, {unit}: {alone * 1e3:.1f} ms alone; under the runner {statistics.median(added):+.1%} "
            f"(96 % interval of the median {added[2]:+.1%} to {added[-3]:+.1%}, {PAIRS} pairs)"
        )


def compare_snapshots() -> None:
    """Print what a snapshot costs beyond a cloudpickle of algorithm and environment."""
    algo, env = make_algorithm(), gymnasium.make("CartPole-v1")
    env.reset(seed=1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        logger = make_logger("csv", log_dir=folder)
        store = Snapshotter(str(folder), background=True)
        runner = LocalRunner(logger=logger, snapshotter=store, progress=False)
        runner.setup(algo, env, sampler_cls=LocalSampler, n_workers=1)
        runner.train(1, batch_size=64)
        garage = _cpu(
            lambda: (folder / "garage.pkl").write_bytes(cloudpickle.dumps({"algo": algo, "env": env}))
        )
        ours = _cpu(lambda: (runner.save(0), store.wait()))
        sizes = (folder / "garage.pkl").stat().st_size, (folder / "params.pkl").stat().st_size
    print(
        f"snapshot, CPU: {garage * 1e3:.2f} ms garage's pickle, {ours * 1e3:.2f} ms ours: {(ours - garage) * 1e3:+.2f} ms"
    )
    print(
        f"snapshot, bytes: {sizes[0]:,} garage's pickle, {sizes[1]:,} ours: {(sizes[1] - sizes[0]) / 1e3:+.1f} kB"
    )


def _cpu(call: Callable[[], Any]) -> float:
    call()
    times: list[float] = []
    for _ in range(50):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return statistics.median(times)


def compare_starts() -> None:
    """Print how long a resumed process takes to its first new step."""
    with tempfile.TemporaryDirectory() as name:
        folder = str(Path(name) / "run")
        program = [sys.executable, str(EXAMPLES / "ppo_cartpole.py"), "--log-dir", folder, "--n-epochs", "1"]
        subprocess.run(program, check=True, capture_output=True)
        resume = FIRST_STEP.format(examples=str(EXAMPLES), folder=folder)
        runs = [(_seconds(IMPORT_TORCH), _seconds(resume)) for _ in range(REPEATS)]
    for index, unit in enumerate(("clock", "CPU")):
        imports = statistics.median(pair[0][index] for pair in runs)
        first = statistics.median(pair[1][index] for pair in runs)
        print(
            f"start to first step of a resume, {unit}: {first:.2f} s, "
            f"import torch and gymnasium: {imports:.2f} s: {first - imports:+.2f} s"
        )


def _seconds(program: str) -> list[float]:
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()[-2:]]


if __name__ == "__main__":
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    compare_epochs()
    compare_snapshots()
    compare_starts()
