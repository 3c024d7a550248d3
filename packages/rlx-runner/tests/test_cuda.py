"""Exact resume with a CUDA device: generators, and a policy that lives there."""

from typing import Any

import pytest

from rlx_protocols import TrainingLoop
from rlx_protocols.testing import CountingSampler
from rlx_runner import set_seed
from rlx_runner._random import capture_random, restore_random

pytestmark = pytest.mark.gpu


@pytest.fixture
def cuda() -> Any:
    """Return torch where it has a CUDA device."""
    torch = pytest.importorskip("torch", reason="torch is not installed here")
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device here")
    return torch


class OnDevice:
    """Adds noise from the device's generator to weights that live there."""

    max_episode_length = 5

    def __init__(self, torch: Any) -> None:
        self.weights = torch.zeros(1000, device="cuda")
        self.policy = self

    def get_param_values(self) -> Any:
        return self.weights.cpu().numpy()

    def train(self, loop: TrainingLoop[Any], /) -> None:
        import torch

        for epoch in loop.step_epochs():
            loop.obtain_episodes(epoch)
            self.weights += torch.randn(1000, device="cuda")


def test_device_generators_are_put_back(cuda: Any) -> None:
    """The numbers drawn on the device are the same again."""
    cuda.rand(1, device="cuda")
    states = capture_random()
    drawn = cuda.rand(10, device="cuda").cpu()
    restore_random(states)
    assert cuda.equal(cuda.rand(10, device="cuda").cpu(), drawn)


def test_resumed_weights_are_bitwise_those_of_an_unbroken_run(
    cuda: Any, make_run: Any, tmp_path: Any
) -> None:
    """Weights on the device come back to it and end where they would have."""
    set_seed(5)
    unbroken = make_run("unbroken").runner
    unbroken.setup(OnDevice(cuda), None, sampler_cls=CountingSampler, n_workers=1)
    unbroken.train(6, batch_size=10)
    set_seed(5)
    first = make_run().runner
    first.setup(OnDevice(cuda), None, sampler_cls=CountingSampler, n_workers=1)
    first.train(3, batch_size=10)
    second = make_run().runner
    second.restore(str(tmp_path / "run"))
    second.resume(n_epochs=6)
    assert second.algo.weights.is_cuda
    assert cuda.equal(second.algo.weights, unbroken.algo.weights)
