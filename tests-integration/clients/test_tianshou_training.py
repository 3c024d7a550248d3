"""A DQN of tianshou's own, trained by tianshou's trainer, with our logger, save functions and restoring."""

import subprocess
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

try:
    TIANSHOU = version("tianshou").partition(".")[0]
except PackageNotFoundError:
    pytest.skip("tianshou is not installed", allow_module_level=True)

from rlx_persistence import PolicyPersistence, load_policy, read_info

SCRIPT = Path(__file__).with_name(f"train_tianshou_{TIANSHOU}.py")
EPOCHS = 5


def train(folder: Path) -> list[str]:
    """Train to the end and return what the script said."""
    command = [sys.executable, str(SCRIPT), str(folder), str(EPOCHS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def train_and_kill(folder: Path, env_steps: int) -> None:
    """Train until `env_steps` are done, and kill."""
    command = [sys.executable, str(SCRIPT), str(folder), str(EPOCHS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            word, *numbers = line.split()
            if word == "training" and int(numbers[1]) >= env_steps:
                break
        process.kill()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that was killed in its third epoch; it is trained once for all tests."""
    folder = tmp_path_factory.mktemp("tianshou")
    train_and_kill(folder, 2500)
    (folder / "said.txt").write_text("\n".join(train(folder)))
    return folder


class TestKilledAndResumed:
    def test_goes_on_from_the_last_checkpoint(self, folder: Path) -> None:
        """The second process continues with the counters, weights and replay buffer of epoch 2."""
        said = (folder / "said.txt").read_text().splitlines()
        assert "restored 2 2000 250 2000 True" in said
        assert said.index("restored 2 2000 250 2000 True") < said.index("training 3 2000")
        assert "training 2 1000" not in said

    def test_every_epoch_has_one_checkpoint_and_one_row(self, folder: Path) -> None:
        """TensorBoard's own reader sees each epoch saved once, and each has its file."""
        accumulator: Any = import_module("tensorboard.backend.event_processing.event_accumulator")
        events = accumulator.EventAccumulator(str(folder))
        events.Reload()
        steps = [event.step for event in events.Scalars("save/epoch")]
        assert steps == list(range(1, EPOCHS + 1))
        for epoch in steps:
            info = read_info(folder / f"policy_state_dict_epoch_{epoch}.pt")
            assert info is not None
            assert (info.epoch, info.env_step) == (epoch, 1000 * epoch)

    def test_trainer_fills_the_logs(self, folder: Path) -> None:
        """What collector, tests and updates returned is logged under the names of the tianshou that trains."""
        from rlx_logging import TensorboardLogger

        logged: Any = TensorboardLogger.restore_logged_data(str(folder))
        training = "train" if TIANSHOU == "1" else "training"
        assert {training, "test", "update", "info"} <= logged.keys()

    def test_best_policy_acts(self, folder: Path) -> None:
        """The best policy is loaded from its file alone, and chooses an action."""
        import numpy as np

        data = import_module("tianshou.data")
        loaded = load_policy(folder / "policy.pt")
        policy = loaded if TIANSHOU == "1" else loaded.policy
        batch = policy(data.Batch(obs=np.zeros((3, 4), dtype=np.float32), info=[{}] * 3))
        assert len(batch.act) == 3

    def test_best_policy_of_tianshou_itself_restores(self, folder: Path, tmp_path: Path) -> None:
        """Files that tianshou's own persistence writes are restored by ours, on today's torch."""
        import torch

        theirs = import_module("tianshou.highlevel.persistence")
        given: dict[str, Any] = {} if TIANSHOU == "1" else {"training_collector": None}
        policy = load_policy(folder / "policy.pt")
        name = "policy" if TIANSHOU == "1" else "algorithm"
        world = import_module("tianshou.highlevel.world").World(
            envs=None, logger=None, persist_directory=str(tmp_path), restore_directory=str(tmp_path),
            **{name: policy}, **given,
        )  # fmt: skip
        theirs.PolicyPersistence().persist(policy, world)
        other = load_policy(folder / "policy.pt")
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.zero_()
        PolicyPersistence().restore(other, world, "cpu")
        assert all(
            torch.equal(one, two) for one, two in zip(policy.parameters(), other.parameters(), strict=True)
        )
