"""Torch policies in all three modes."""

import pickle
import random
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch
from torch import nn

from rlx_persistence import (
    DamagedFileError,
    FolderWorld,
    PolicyMismatchError,
    PolicyPersistence,
    WrongModeError,
    load_policy,
    read_info,
)

Mode = PolicyPersistence.Mode
safetensors: Any = import_module("safetensors.torch")  # its annotations are not complete


class Policy(nn.Module):
    """A network with a normaliser's buffers, a frozen part and, if wanted, tied weights."""

    def __init__(self, *, tied: bool = False, size: int = 3) -> None:
        super().__init__()
        self.encoder = nn.Linear(size, size, bias=False)
        self.norm = nn.BatchNorm1d(size)
        self.decoder = nn.Linear(size, size, bias=False)
        self.mask: torch.Tensor
        self.register_buffer("mask", torch.zeros(size, dtype=torch.bool))
        if tied:
            self.decoder.weight = self.encoder.weight

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Return what the decoder says."""
        return torch.as_tensor(self.decoder(self.norm(self.encoder(observation))))


def trained(*, tied: bool = False) -> Policy:
    """Make a policy whose normaliser has seen something."""
    policy = Policy(tied=tied)
    policy(torch.randn(16, 3))  # the normaliser takes its statistics
    policy.mask[1] = True
    return policy


def same(one: nn.Module, other: nn.Module) -> bool:
    """Whether two modules have the same state, bit for bit."""
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.fixture
def world(tmp_path: Path) -> FolderWorld:
    """Return a folder."""
    return FolderWorld(tmp_path, tmp_path)


@pytest.mark.parametrize("mode", Mode)
class TestEveryMode:
    def test_parameters_and_buffers_come_back(self, mode: PolicyPersistence.Mode, world: FolderWorld) -> None:
        """Weights, running statistics and integer and boolean buffers are restored bit for bit."""
        policy, other = trained(), Policy()
        persistence = PolicyPersistence(mode=mode)
        persistence.persist(policy, world)
        persistence.restore(other, world, "cpu")
        assert same(policy, other)
        assert other.norm.num_batches_tracked == 1

    def test_parameters_stay_the_same_objects(self, mode: PolicyPersistence.Mode, world: FolderWorld) -> None:
        """An optimiser that holds the parameters continues holding the right ones."""
        persistence = PolicyPersistence(mode=mode)
        persistence.persist(trained(), world)
        policy = Policy()
        before = [id(parameter) for parameter in policy.parameters()]
        persistence.restore(policy, world, torch.device("cpu"))
        assert [id(parameter) for parameter in policy.parameters()] == before

    def test_tied_weights(self, mode: PolicyPersistence.Mode, world: FolderWorld) -> None:
        """Tied weights are restored, and are tied as the policy ties them."""
        policy, other = trained(tied=True), Policy(tied=True)
        persistence = PolicyPersistence(mode=mode)
        persistence.persist(policy, world)
        persistence.restore(other, world, "cpu")
        assert same(policy, other)
        assert other.encoder.weight is other.decoder.weight

    def test_misfit_is_listed_and_changes_nothing(
        self, mode: PolicyPersistence.Mode, world: FolderWorld
    ) -> None:
        """Missing, unexpected and misshapen keys are listed; not a single weight moves."""
        PolicyPersistence(mode=mode).persist(trained(), world)
        policy = Policy(size=4)
        del policy.decoder
        policy.head = nn.Linear(4, 1)
        before = {key: value.clone() for key, value in policy.state_dict().items()}
        with pytest.raises(PolicyMismatchError, match="does not fit") as caught:
            PolicyPersistence(mode=mode).restore(policy, world, "cpu")
        assert caught.value.missing == ("head.bias", "head.weight")
        assert caught.value.unexpected == ("decoder.weight",)
        assert "encoder.weight (3, 3) instead of (4, 4)" in caught.value.misshapen
        assert all(torch.equal(before[key], value) for key, value in policy.state_dict().items())

    def test_device_is_honoured(self, mode: PolicyPersistence.Mode, world: FolderWorld) -> None:
        """A device that is not there is an error: tensors are really put on it."""
        PolicyPersistence(mode=mode).persist(trained(), world)
        with pytest.raises((RuntimeError, NotImplementedError), match=r"(?i)cuda"):
            PolicyPersistence(mode=mode).restore(Policy(), world, "cuda:97")

    def test_damage_is_found(self, mode: PolicyPersistence.Mode, world: FolderWorld) -> None:
        """A flipped bit anywhere in the file is an error that names the file, and changes nothing."""
        policy = Policy()
        PolicyPersistence(mode=mode).persist(trained(), world)
        path = Path(world.persist_path(mode.get_filename()))
        whole = path.read_bytes()
        before = {key: value.clone() for key, value in policy.state_dict().items()}
        for place in random.Random(0).sample(range(len(whole)), 60):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << (place % 8)
            path.write_bytes(damaged)
            with pytest.raises(DamagedFileError, match=path.name):
                PolicyPersistence(mode=mode).restore(policy, world, "cpu")
        assert all(torch.equal(before[key], value) for key, value in policy.state_dict().items())

    def test_truncation_is_found(self, mode: PolicyPersistence.Mode, world: FolderWorld) -> None:
        """A file cut short anywhere is an error that names the file."""
        PolicyPersistence(mode=mode).persist(trained(), world)
        path = Path(world.persist_path(mode.get_filename()))
        whole = path.read_bytes()
        for size in (0, 1, 8, 60, len(whole) // 2, len(whole) - 30, len(whole) - 1):
            path.write_bytes(whole[:size])
            with pytest.raises(DamagedFileError, match=path.name):
                PolicyPersistence(mode=mode).restore(Policy(), world, "cpu")


class TestStateDicts:
    def test_torch_reads_it(self, world: FolderWorld) -> None:
        """The sealed file is a torch file to everyone else."""
        policy = trained()
        PolicyPersistence(mode=Mode.POLICY_STATE_DICT).persist(policy, world)
        state = torch.load(world.persist_path("policy_state_dict.pt"), weights_only=True)
        assert torch.equal(state["encoder.weight"], policy.encoder.weight)

    @pytest.mark.parametrize("zipped", [True, False])
    def test_reads_torch_files(self, world: FolderWorld, zipped: bool) -> None:
        """Files that torch.save wrote are restored, the old form before zip archives too."""
        policy, other = trained(), Policy()
        path = world.persist_path("policy_state_dict.pt")
        torch.save(policy.state_dict(), path, _use_new_zipfile_serialization=zipped)
        PolicyPersistence(mode=Mode.POLICY_STATE_DICT).restore(other, world, "cpu")
        assert same(policy, other)
        assert read_info(path) is None

    def test_executes_nothing(self, world: FolderWorld) -> None:
        """A file that would call a function is refused, and the function is not called."""
        mark = Path(world.persist_path("called"))

        class Bomb:
            def __reduce__(self) -> tuple[object, ...]:
                return Path.touch, (mark,)

        torch.save({"encoder.weight": Bomb()}, world.persist_path("policy_state_dict.pt"))
        with pytest.raises(pickle.UnpicklingError, match=r"(?i)weights"):
            PolicyPersistence(mode=Mode.POLICY_STATE_DICT).restore(Policy(), world, "cpu")
        assert not mark.exists()

    def test_what_could_not_be_read_is_not_written(self, world: FolderWorld) -> None:
        """A value that weights_only would refuse is refused when saving, by its place in the tree."""

        class Odd(Policy):
            def get_extra_state(self) -> object:
                return {"schedule": [1, object()]}

        with pytest.raises(TypeError, match=r"\['_extra_state'\]\['schedule'\]\[1\] is a object"):
            PolicyPersistence(mode=Mode.POLICY_STATE_DICT).persist(Odd(), world)
        assert not list(Path(world.persist_directory).iterdir())

    @pytest.mark.skipif(sys.platform != "linux", reason="looks at the mappings that Linux tells")
    def test_nothing_hangs_on_the_file(self, world: FolderWorld) -> None:
        """Tensors that a policy keeps as they come (its optimiser's, say) are in memory, not in the mapped file."""

        class WithOptimizer(Policy):
            def __init__(self) -> None:
                super().__init__()
                self.moments = {"step": torch.ones(2)}

            def state_dict(self, *_: Any, **__: Any) -> Any:
                return {**super().state_dict(), "optimizer": self.moments}

            def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
                self.moments = state_dict["optimizer"]

        PolicyPersistence(mode=Mode.POLICY_STATE_DICT).persist(WithOptimizer(), world)
        policy = WithOptimizer()
        PolicyPersistence(mode=Mode.POLICY_STATE_DICT).restore(policy, world, "cpu")
        assert torch.equal(policy.moments["step"], torch.ones(2))
        assert f"{world.persist_directory}/policy_state_dict.pt" not in Path("/proc/self/maps").read_text()

    @pytest.mark.skipif(sys.platform != "linux", reason="looks at the mappings that Linux tells")
    def test_nothing_of_another_kind_of_policy_hangs_on_the_file(self, world: FolderWorld) -> None:
        """A policy that is no module may keep the very tensors that it is given."""

        class Linear:
            def __init__(self) -> None:
                self.weights: Any = {"w": torch.ones(2)}

            def state_dict(self) -> Any:
                return self.weights

            def load_state_dict(self, state_dict: Any) -> None:
                self.weights = state_dict

        PolicyPersistence(mode=Mode.POLICY_STATE_DICT).persist(Linear(), world)
        policy = Linear()
        PolicyPersistence(mode=Mode.POLICY_STATE_DICT).restore(policy, world, "cpu")
        assert torch.equal(policy.weights["w"], torch.ones(2))
        assert f"{world.persist_directory}/policy_state_dict.pt" not in Path("/proc/self/maps").read_text()

    def test_module_versions_are_kept(self, world: FolderWorld) -> None:
        """The versions that modules write into a state dict reach `load_state_dict`."""
        PolicyPersistence(mode=Mode.POLICY_STATE_DICT).persist(trained(), world)
        seen: list[object] = []

        class Watching(Policy):
            def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
                seen.append(state_dict._metadata["norm"]["version"])
                return super().load_state_dict(state_dict, strict, assign)

        PolicyPersistence(mode=Mode.POLICY_STATE_DICT).restore(Watching(), world, "cpu")
        assert seen == [2]


class TestWholePolicies:
    def test_loads_without_one(self, world: FolderWorld) -> None:
        """A whole policy is loaded from its file alone."""
        policy = trained()
        PolicyPersistence().persist(policy, world)
        loaded = load_policy(world.persist_path("policy.pt"))
        assert isinstance(loaded, Policy)
        assert same(policy, loaded)

    def test_reads_torch_files(self, world: FolderWorld) -> None:
        """A whole policy that torch.save wrote is restored."""
        policy, other = trained(), Policy()
        torch.save(policy, world.persist_path("policy.pt"))
        PolicyPersistence().restore(other, world, "cpu")
        assert same(policy, other)


class TestWrongMode:
    def test_state_dict_as_policy(self, world: FolderWorld) -> None:
        """A state dict of another program under a policy's name is recognised."""
        torch.save(trained().state_dict(), world.persist_path("policy.pt"))
        with pytest.raises(WrongModeError, match=r"holds a state dict: .*Mode\.POLICY_STATE_DICT"):
            PolicyPersistence().restore(Policy(), world, "cpu")

    @pytest.mark.parametrize("zipped", [True, False])
    def test_policy_as_state_dict(self, world: FolderWorld, zipped: bool) -> None:
        """A whole policy of another program under a state dict's name is recognised, not executed."""
        path = world.persist_path("policy_state_dict.pt")
        torch.save(trained(), path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(WrongModeError, match=r"holds a whole policy: .*Mode\.POLICY$"):
            PolicyPersistence(mode=Mode.POLICY_STATE_DICT).restore(Policy(), world, "cpu")

    def test_plain_dict_counts_as_state_dict(self, world: FolderWorld) -> None:
        """A state dict need not be an OrderedDict."""
        torch.save(dict(trained().state_dict()), world.persist_path("policy.pt"))
        with pytest.raises(WrongModeError, match="holds a state dict"):
            PolicyPersistence().restore(Policy(), world, "cpu")


class TestSafetensors:
    def test_views_of_one_memory(self, world: FolderWorld) -> None:
        """Tensors that are different windows into one memory are stored each for itself."""

        class Windows(Policy):
            def state_dict(self, *_: Any, **__: Any) -> Any:
                memory = torch.arange(6.0)
                return {"low": memory[:4], "high": memory[2:], "turned": memory.view(2, 3).T}

        PolicyPersistence(mode=Mode.SAFETENSORS).persist(Windows(), world)
        loaded = safetensors.load_file(world.persist_path("policy.safetensors"))
        assert torch.equal(loaded["low"], torch.arange(4.0))
        assert torch.equal(loaded["high"], torch.arange(2.0, 6.0))
        assert torch.equal(loaded["turned"], torch.arange(6.0).view(2, 3).T)

    @pytest.mark.parametrize(
        "dtype",
        [torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.uint8, torch.bool],
    )
    def test_every_dtype(self, world: FolderWorld, dtype: torch.dtype) -> None:
        """The library itself reads each dtype bit for bit, scalars and empty tensors too."""
        values = torch.arange(6).to(dtype).view(2, 3)

        class Typed(Policy):
            def state_dict(self, *_: Any, **__: Any) -> Any:
                return {
                    "odd": torch.ones(3, dtype=torch.int8),
                    "one": values[1, 1],
                    "some": values,
                    "no": values[:0],
                }

        PolicyPersistence(mode=Mode.SAFETENSORS).persist(Typed(), world)
        loaded = safetensors.load_file(world.persist_path("policy.safetensors"))
        assert torch.equal(loaded["some"].view(torch.uint8), values.view(torch.uint8))
        assert (loaded["one"].shape, loaded["no"].shape) == ((), (0, 3))

    def test_tied_weights_are_stored_once(self, world: FolderWorld) -> None:
        """Of tied tensors the file holds one; safetensors' own load_model reads it."""
        policy, other = trained(tied=True), Policy(tied=True)
        PolicyPersistence(mode=Mode.SAFETENSORS).persist(policy, world)
        path = world.persist_path("policy.safetensors")
        assert len(safetensors.load_file(path)) == len(policy.state_dict()) - 1
        safetensors.load_model(other, path)
        assert same(policy, other)

    def test_reads_files_of_save_model(self, world: FolderWorld) -> None:
        """A file of safetensors' own save_model restores, tied weights included."""
        policy, other = trained(tied=True), Policy(tied=True)
        safetensors.save_model(policy, world.persist_path("policy.safetensors"))
        PolicyPersistence(mode=Mode.SAFETENSORS).restore(other, world, "cpu")
        assert same(policy, other)
