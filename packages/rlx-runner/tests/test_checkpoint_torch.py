"""Nets, optimizers and schedulers of torch continue in place."""

from pathlib import Path
from typing import Any

import pytest

from rlx_runner import Checkpoint

torch: Any = pytest.importorskip("torch")


class Parts:
    """A net with dropout and running statistics, its optimizer, its schedule, a generator."""

    def __init__(self, width: int = 6) -> None:
        torch.manual_seed(3)
        nn = torch.nn
        self.net = nn.Sequential(
            nn.Linear(3, width), nn.BatchNorm1d(width), nn.Dropout(0.3), nn.Linear(width, 1)
        )
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=0.1)
        self.schedule = torch.optim.lr_scheduler.StepLR(self.optimizer, 3, 0.5)
        self.generator = torch.Generator().manual_seed(4)

    def train(self, folder: Path, n: int) -> Checkpoint:
        """Train up to step `n`."""
        run = Checkpoint(folder, progress=False, **vars(self))
        for _ in run.steps(n):
            inputs = torch.randn(5, 3, generator=self.generator)
            loss = self.net(inputs).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
        return run

    def outcome(self) -> dict[str, Any]:
        """Return everything that must be the same."""
        moments = [value for state in self.optimizer.state.values() for value in state.values()]
        return {
            **self.net.state_dict(),
            **{f"moment {number}": value for number, value in enumerate(moments)},
            "generator": self.generator.get_state(),
            "noise": torch.get_rng_state(),
            "rate": torch.tensor(self.optimizer.param_groups[0]["lr"]),
        }


def save(folder: Path, **parts: Any) -> None:
    """Make a snapshot of `parts` after one step."""
    run = Checkpoint(folder, progress=False, **parts)
    run.save(1)
    run.wait()


def test_a_net_and_its_optimizer_continue_in_place(tmp_path: Path) -> None:
    """Ten steps in two lives are ten steps in one; the optimizer still points at the net's parameters."""
    unbroken = Parts()
    unbroken.train(tmp_path / "unbroken", 10)
    Parts().train(tmp_path / "run", 4)
    resumed = Parts()
    weight = resumed.net[0].weight
    run = resumed.train(tmp_path / "run", 10)
    assert run.exactness.grade == "A"
    assert resumed.net[0].weight is weight
    assert resumed.optimizer.param_groups[0]["params"][0] is weight
    left, right = unbroken.outcome(), resumed.outcome()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []


def test_the_mode_of_a_net_comes_back(tmp_path: Path) -> None:
    """What is no tensor is part of a net's state: its mode and its attributes."""
    net = torch.nn.Dropout(0.5).eval()
    net.epsilon = 0.3
    save(tmp_path, net=net)
    again = torch.nn.Dropout(0.5)
    Checkpoint(tmp_path, progress=False, net=again).restore()
    assert (again.training, again.epsilon) == (False, 0.3)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (
            lambda: torch.nn.Sequential(torch.nn.Linear(3, 9)),
            r"net\._modules\['0'\].*has shape \(9, 3\) here, \(5, 3\)",
        ),
        (lambda: torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh()), "net.1 is not in the snapshot"),
        (
            lambda: torch.nn.Sequential(torch.nn.Bilinear(3, 3, 5)),
            "is a Bilinear here, a Linear in the snapshot",
        ),
    ],
    ids=["shape", "layers", "class"],
)
def test_another_net_is_refused(tmp_path: Path, other: Any, named: str) -> None:
    """Layers and shapes are compared before a weight is written."""
    save(tmp_path, net=torch.nn.Sequential(torch.nn.Linear(3, 5)))
    net = other()
    before = [parameter.clone() for parameter in net.parameters()]
    with pytest.raises(ValueError, match=named):
        Checkpoint(tmp_path, progress=False, net=net).restore()
    assert all(torch.equal(one, other) for one, other in zip(before, net.parameters(), strict=True))
