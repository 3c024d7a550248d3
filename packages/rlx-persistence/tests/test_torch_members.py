"""Members that keep torch's things."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch
from torch import nn

from rlx_persistence import (
    FolderWorld,
    OptimizerPersistence,
    PersistenceGroup,
    PersistEvent,
    PolicyPersistence,
    RestoreEvent,
)


@pytest.fixture
def world(tmp_path: Path) -> FolderWorld:
    """Return a folder."""
    return FolderWorld(tmp_path, tmp_path)


def step(policy: nn.Module, optimizer: torch.optim.Optimizer, observation: torch.Tensor) -> None:
    """Take one step of training."""
    optimizer.zero_grad()
    loss: Any = torch.square(policy(observation)).sum()
    loss.backward()
    optimizer.step()


class TestOptimizer:
    def test_training_goes_on_as_if_nothing_had_happened(self, world: FolderWorld) -> None:
        """Policy and optimiser restored together take the very step that the originals take."""
        observation = torch.randn(5, 3)
        policy, other = nn.Linear(3, 2), nn.Linear(3, 2)
        adam, restored = torch.optim.Adam(policy.parameters()), torch.optim.Adam(other.parameters())
        for _ in range(3):
            step(policy, adam, observation)
        PolicyPersistence(OptimizerPersistence(adam)).persist(policy, world)
        PolicyPersistence(OptimizerPersistence(restored)).restore(other, world, "cpu")
        step(policy, adam, observation)
        step(other, restored, observation)
        assert torch.equal(policy.weight, other.weight)

    def test_several_optimizers(self, world: FolderWorld) -> None:
        """Two optimisers keep two files."""
        actor, critic = nn.Linear(1, 1), nn.Linear(1, 1)
        group = PersistenceGroup(
            OptimizerPersistence(torch.optim.SGD(actor.parameters(), lr=0.1), "actor_optimizer.pt"),
            OptimizerPersistence(torch.optim.SGD(critic.parameters(), lr=0.2), "critic_optimizer.pt"),
        )
        group.persist(PersistEvent.PERSIST_POLICY, world)
        optimizer = torch.optim.SGD(critic.parameters(), lr=9.0)
        OptimizerPersistence(optimizer, "critic_optimizer.pt").restore(RestoreEvent.RESTORE_POLICY, world)
        assert optimizer.param_groups[0]["lr"] == 0.2
