"""A policy that learns on a device while worker processes act on CPUs: a resumed run ends like an unbroken one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rlx_runner import LocalRunner, set_seed
from rlx_sampler import MultiprocessingSampler
from rlx_snapshot import SnapshotConfig

torch = pytest.importorskip("torch", reason="No module named 'torch': the policy learns with it")
gymnasium = pytest.importorskip("gymnasium", reason="No module named 'gymnasium': the policy acts in it")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A device to learn on, with the deterministic algorithms that exactness needs there."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no CUDA device here")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    yield request.param
    torch.use_deterministic_algorithms(False)


def new_run(folder: Path, device: str) -> LocalRunner:
    """Set a run up, with two worker processes."""
    from device_run import Reinforce

    set_seed(5)
    runner = LocalRunner(SnapshotConfig(str(folder), "last", 1), progress=False)
    env = gymnasium.make("CartPole-v1")
    runner.setup(Reinforce(device), env, sampler_cls=MultiprocessingSampler, n_workers=2)
    return runner


def test_learning_on_a_device_resumes_exactly(device: str, tmp_path: Path) -> None:
    """Weights and optimiser come back to the device and end bit for bit where they would have."""
    unbroken = new_run(tmp_path / "unbroken", device)
    unbroken.train(6, batch_size=200)
    new_run(tmp_path / "run", device).train(3, batch_size=200)
    set_seed(99)
    resumed = LocalRunner(SnapshotConfig(str(tmp_path / "run"), "last", 1), progress=False)
    resumed.restore(str(tmp_path / "run"))
    resumed.resume(n_epochs=6)
    for left, right in zip(unbroken.algo.policy.parameters(), resumed.algo.policy.parameters(), strict=True):
        assert right.device.type == device
        assert torch.equal(left, right)


def test_workers_act_on_the_cpu(device: str, tmp_path: Path) -> None:
    """What a snapshot holds of the acting policy is on the CPU, and equals what has been learnt."""
    runner = new_run(tmp_path / "run", device)
    runner.train(2, batch_size=200)
    acting, learnt = runner.algo.exploration_policy.state_dict(), runner.algo.policy.state_dict()
    assert {value.device.type for value in acting.values()} == {"cpu"}
    assert all(torch.equal(value, learnt[name].cpu()) for name, value in acting.items())
