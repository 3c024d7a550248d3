"""A torch policy: the same bits from every sampler, and actions drawn without torch's generator."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sampler_worlds import Walk, make_factory

from rlx_sampler import (
    DefaultWorker,
    LocalSampler,
    MultiprocessingSampler,
    VecWorker,
    sample_distribution,
)

torch: Any = pytest.importorskip("torch", reason="torch is not installed")


class Net:
    """Two layers of 64, whose actions come from a torch distribution."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        layers = (torch.nn.Linear(3, 64), torch.nn.Tanh(), torch.nn.Linear(64, 64), torch.nn.Tanh())
        self.net = torch.nn.Sequential(*layers, torch.nn.Linear(64, 3))

    def get_actions(self, observations: Any, *, rngs: Sequence[np.random.Generator]) -> tuple[Any, Any]:
        with torch.no_grad():
            mean = self.net(torch.as_tensor(observations))
        normal = torch.distributions.Independent(torch.distributions.Normal(mean, 0.3), 1)
        return sample_distribution(normal, rngs), {"mean": mean}

    def get_param_values(self) -> Any:
        return self.net.state_dict()

    def set_param_values(self, values: Any) -> None:
        self.net.load_state_dict(values)


def test_gives_the_same_bits_everywhere() -> None:
    """One environment, many, or several processes: matrix products do not tell them apart."""
    policy = Net()
    update = {name: value + 0.01 for name, value in policy.get_param_values().items()}
    samplers = [
        LocalSampler(make_factory(worker_class=DefaultWorker), policy, Walk()),
        LocalSampler(make_factory(worker_class=VecWorker, worker_args={"n_envs": 5}), policy, Walk()),
        LocalSampler(make_factory(worker_class=VecWorker, worker_args={"n_envs": 40}), policy, Walk()),
        MultiprocessingSampler(make_factory(n_workers=3), policy, Walk()),
        MultiprocessingSampler(make_factory(n_workers=2), policy, Walk(), shared_memory=False),
    ]
    digests = list[list[str]]()
    for sampler in samplers:
        batches = [sampler.obtain_samples(0, 150, change) for change in (None, update, None)]
        digests.append([batch.digest() for batch in batches])
        sampler.shutdown_worker()
    assert digests == [digests[0]] * len(samplers)


def test_does_not_depend_on_the_number_of_threads() -> None:
    """Inference uses one thread, and torch's setting is put back afterwards."""
    threads = torch.get_num_threads()
    digests = set[str]()
    for number in (1, 3):
        torch.set_num_threads(number)
        digests.add(LocalSampler(make_factory(), Net(), Walk()).obtain_samples(0, 60, None).digest())
        assert torch.get_num_threads() == number
    torch.set_num_threads(threads)
    assert len(digests) == 1


class GlobalNet(Net):
    """The same, drawing from torch's generator."""

    def get_actions(self, observations: Any) -> tuple[Any, Any]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        mean = self.net(torch.as_tensor(observations)).detach()
        return torch.normal(mean, 0.3), {}


def test_may_draw_from_torchs_generator() -> None:
    """The generator is seeded for each episode and put back."""
    policy = GlobalNet()
    state = torch.get_rng_state()
    batch = LocalSampler(make_factory(), policy, Walk()).obtain_samples(0, 60, None)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    sampler = MultiprocessingSampler(make_factory(n_workers=2), GlobalNet(), Walk())
    assert sampler.obtain_samples(0, 60, None).digest() == batch.digest()
    sampler.shutdown_worker()


class TestDistributions:
    def test_rows_draw_from_their_own_generators(self) -> None:
        """Row i is what generator i gives it, whatever the other rows are."""
        for distribution, narrow in _pairs():
            rngs = [np.random.default_rng(seed) for seed in range(4)]
            drawn = sample_distribution(distribution, rngs)
            alone = sample_distribution(narrow, [np.random.default_rng(3)])
            assert torch.equal(drawn[3:], alone)

    @pytest.mark.parametrize("number", range(5))
    def test_have_the_right_moments(self, number: int) -> None:
        """The mean of many draws is the distribution's."""
        distribution = _pairs()[number][0]
        rng = np.random.default_rng(1)
        draws = torch.stack([sample_distribution(distribution, rng).double() for _ in range(3000)])
        reference = torch.stack([distribution.sample().double() for _ in range(3000)])
        assert torch.allclose(draws.mean(0), reference.mean(0), atol=0.12)

    def test_unknown_ones_are_named(self) -> None:
        """A distribution of another kind is refused."""
        with pytest.raises(TypeError, match="Poisson is no distribution"):
            sample_distribution(torch.distributions.Poisson(torch.ones(2)), np.random.default_rng(0))


def _pairs() -> list[tuple[Any, Any]]:
    """Return distributions of four rows, each with its last row alone."""
    known = torch.distributions
    weights = torch.linspace(-1, 1, 12).reshape(4, 3)

    def build(rows: Any) -> list[Any]:
        normal = known.Normal(rows, torch.full_like(rows, 0.5))
        return [
            known.Categorical(logits=rows),
            known.Bernoulli(probs=torch.sigmoid(rows)),
            known.Independent(normal, 1),
            known.MultivariateNormal(rows, torch.eye(3)),
            known.TransformedDistribution(normal, [known.TanhTransform()]),
        ]

    return list(zip(build(weights), build(weights[3:]), strict=True))
