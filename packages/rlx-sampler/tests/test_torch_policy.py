"""A torch policy: the same bits from every sampler, and actions drawn without torch's generator."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sampler_worlds import Walk, make_factory, make_local

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


class GradNet(Net):
    """Forgets to leave the gradient out of its infos."""

    def get_actions(self, observations: Any, *, rngs: Sequence[np.random.Generator]) -> tuple[Any, Any]:
        actions, infos = super().get_actions(observations, rngs=rngs)
        return actions, {"mean": infos["mean"] * torch.ones(1, requires_grad=True)}


def test_may_give_tensors_that_need_a_gradient() -> None:
    """Infos are recorded as numbers, whatever hangs on them."""
    batch = LocalSampler(make_factory(), GradNet(), Walk()).obtain_samples(0, 60, None)
    assert batch.digest() == LocalSampler(make_factory(), Net(), Walk()).obtain_samples(0, 60, None).digest()


class FakeDevice:
    """Stands in for the generator of a device, which torch reaches through these four functions."""

    def __init__(self) -> None:
        self.generator = torch.Generator()

    def is_initialized(self) -> bool:
        return True

    def manual_seed_all(self, seed: int) -> None:
        self.generator.manual_seed(seed)

    def get_rng_state_all(self) -> list[Any]:
        return [self.generator.get_state()]

    def set_rng_state_all(self, states: list[Any]) -> None:
        self.generator.set_state(states[0])


class DeviceNet:
    """Draws its noise from the device's generator."""

    def get_action(self, observation: Any) -> tuple[Any, Any]:
        return torch.randn(3, generator=torch.cuda.default_generators[0]), {}


def test_may_draw_from_the_generator_of_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is seeded for each episode and put back, as the one of the processor is."""
    device = FakeDevice()
    for name in ("is_initialized", "manual_seed_all", "get_rng_state_all", "set_rng_state_all"):
        monkeypatch.setattr(torch.cuda, name, getattr(device, name))
    monkeypatch.setattr(torch.cuda, "default_generators", (device.generator,))
    state = device.generator.get_state()
    batch = LocalSampler(make_factory(), DeviceNet(), Walk()).obtain_samples(0, 60, None)
    assert torch.equal(device.generator.get_state(), state)
    torch.rand(3, generator=device.generator)
    again = LocalSampler(make_factory(), DeviceNet(), Walk()).obtain_samples(0, 60, None)
    assert again.digest() == batch.digest()


@pytest.mark.gpu
class TestOnADevice:
    @pytest.fixture(autouse=True)
    def _device(self) -> None:
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device: a policy cannot run on one")

    @pytest.mark.parametrize("keyed", [True, False])
    def test_policies_give_the_same_bits_from_worker_processes(self, keyed: bool) -> None:
        """The environments are in other processes, the policies in theirs, all on one device."""
        policy = CudaNet() if keyed else CudaGlobalNet()
        wanted = LocalSampler(make_factory(), policy, Walk())
        sampler = MultiprocessingSampler(make_factory(n_workers=2), policy, Walk())
        update = {name: value + 0.01 for name, value in policy.get_param_values().items()}
        for change in (None, update):
            batch = sampler.obtain_samples(0, 100, change)
            assert batch.digest() == wanted.obtain_samples(0, 100, change).digest()
        sampler.shutdown_worker()


class CudaNet(Net):
    """The two layers on a device; its answers stay there."""

    def __init__(self) -> None:
        super().__init__()
        self.net = self.net.to("cuda")

    def get_actions(self, observations: Any, *, rngs: Sequence[np.random.Generator]) -> tuple[Any, Any]:
        return super().get_actions(torch.as_tensor(observations, device="cuda"), rngs=rngs)


class CudaGlobalNet(CudaNet):
    """The same, drawing from the device's generator."""

    def get_actions(self, observations: Any) -> tuple[Any, Any]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        with torch.no_grad():
            return torch.normal(self.net(torch.as_tensor(observations, device="cuda")), 0.3), {}


class TensorWalk(Walk):
    """Gives tensors wherever arrays are expected, in a dict."""

    def reset(self, **choices: Any) -> Any:
        observation, info = super().reset(**choices)
        return {"a": torch.from_numpy(observation)}, info

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        told = {**info, "value": torch.ones((), requires_grad=True)}
        return {"a": torch.from_numpy(observation)}, torch.tensor(reward), terminated, truncated, told


def test_environments_may_speak_in_tensors() -> None:
    """Observations, rewards and infos that are tensors, with a gradient or in a dict, are recorded as arrays."""

    class Zero:
        def get_actions(self, observations: Any, *, rngs: Any) -> tuple[Any, dict[str, Any]]:
            return np.zeros((len(rngs), 3), np.float32), {}

    batch = make_local(Zero(), TensorWalk).obtain_samples(0, 40, None)
    wanted = make_local(Zero(), Walk).obtain_samples(0, 40, None)
    assert np.array_equal(batch.observations["a"], wanted.observations)
    assert np.allclose(batch.rewards, wanted.rewards)
    assert batch.env_infos["value"].tolist() == [1.0] * batch.n_steps


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
