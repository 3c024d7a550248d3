"""What torch's states may hold: whatever is saved is restored, and what could not be is refused by its key."""

import collections
import enum
import pickle
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch
from torch import nn

from rlx_persistence import (
    DtypeWarning,
    FolderWorld,
    OptimizerPersistence,
    PersistEvent,
    PolicyPersistence,
    ReplayBufferPersistence,
    RestoreEvent,
)

Mode = PolicyPersistence.Mode
safetensors: Any = import_module("safetensors.torch")  # its annotations are not complete


class Phase(enum.IntEnum):
    """A number with a name."""

    WARM_UP = 1


class Schedule(NamedTuple):
    """A pair with names."""

    start: float
    end: float


class Holder:
    """A policy whose state is whatever it is given."""

    def __init__(self, **state: Any) -> None:
        self.state: Mapping[Any, Any] = state

    def state_dict(self) -> Mapping[Any, Any]:
        """Return the state."""
        return self.state

    def load_state_dict(self, state: Mapping[Any, Any]) -> None:
        """Take the state."""
        self.state = state


@pytest.fixture
def world(tmp_path: Path) -> FolderWorld:
    """Return a folder."""
    return FolderWorld(tmp_path, tmp_path)


def through(mode: PolicyPersistence.Mode, world: FolderWorld, policy: Any, into: Any) -> Any:
    """Persist `policy`, restore it into another, and return that."""
    PolicyPersistence(mode=mode).persist(policy, world)
    PolicyPersistence(mode=mode).restore(into, world, "cpu")
    return into


class TestStateDictsOfPlainValues:
    @pytest.mark.parametrize(
        ("value", "plain"),
        [
            (np.float64(0.1), 0.1),
            (np.float32(0.1), float(np.float32(0.1))),
            (np.complex128(1 + 2j), 1 + 2j),
            (np.bool_(True), True),
            (np.int64(3), 3),
            (np.str_("adam"), "adam"),
            ({np.int64(1): [np.float64(2)]}, {1: [2.0]}),
            ((np.int8(1), "a"), (1, "a")),
            (collections.Counter("aab"), collections.Counter("aab")),
        ],
    )
    def test_numbers_of_numpy_become_plain(self, value: Any, plain: Any, world: FolderWorld) -> None:
        """NumPy's scalars, as keys too, are stored as the numbers that they are, whose types torch reads."""
        restored = through(Mode.POLICY_STATE_DICT, world, Holder(x=value), Holder(x=0)).state["x"]
        assert (restored, type(restored)) == (plain, type(plain))

    @pytest.mark.parametrize(
        ("value", "place"),
        [
            (Phase.WARM_UP, "['x'] is a Phase"),
            (Schedule(1.0, 0.1), "['x'] is a Schedule"),
            ([collections.defaultdict(int, a=1)], "['x'][0] is a defaultdict"),
            ({Phase.WARM_UP: 1}, "['x']: the key <Phase.WARM_UP: 1> is a Phase"),
            (np.longdouble(1), "['x'] is a longdouble"),
            (np.datetime64("2020-01-01"), "['x'] is a datetime64"),
            ({"deep": np.zeros(2)}, "['x']['deep'] is a ndarray"),
            (torch.zeros(2, device="meta"), "['x'] has no values"),
        ],
    )
    def test_what_torch_refuses_is_named_at_the_save(
        self, value: Any, place: str, world: FolderWorld
    ) -> None:
        """What weights_only=True would refuse is refused before it is written, by its place in the tree."""
        with pytest.raises(TypeError, match=re.escape(place)):
            PolicyPersistence(mode=Mode.POLICY_STATE_DICT).persist(Holder(w=torch.ones(1), x=value), world)
        assert not list(Path(world.persist_directory).iterdir())

    def test_what_the_user_allows(self, world: FolderWorld) -> None:
        """A class that the program declared safe to torch is saved and restored."""
        with torch.serialization.safe_globals([Phase]):
            policy = through(Mode.POLICY_STATE_DICT, world, Holder(x=Phase.WARM_UP), Holder(x=0))
        assert policy.state["x"] is Phase.WARM_UP

    def test_arrays_travel_as_tensors(self, world: FolderWorld) -> None:
        """An array of the policy is stored as a tensor, and comes back as an array."""
        policy = through(Mode.POLICY_STATE_DICT, world, Holder(x=np.arange(3)), Holder(x=np.zeros(3, int)))
        assert isinstance(policy.state["x"], np.ndarray)
        assert policy.state["x"].tolist() == [0, 1, 2]

    def test_optimizer_with_numbers_of_numpy(self, world: FolderWorld) -> None:
        """A learning rate that NumPy computed is restored as the same number."""
        weights = [nn.Parameter(torch.zeros(1))]
        rate: Any = np.geomspace(1e-4, 1e-2, 3)[1]
        OptimizerPersistence(torch.optim.Adam(weights, lr=rate)).persist(PersistEvent.PERSIST_POLICY, world)
        optimizer = torch.optim.Adam(weights, lr=1.0)
        OptimizerPersistence(optimizer).restore(RestoreEvent.RESTORE_POLICY, world)
        assert optimizer.param_groups[0]["lr"] == rate


NARROW = [
    "complex64",
    "float4_e2m1fn_x2",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
    "uint16",
    "uint32",
    "uint64",
]


def of_dtype(name: str, byte: int) -> torch.Tensor:
    """Make a tensor of sixteen bytes of the dtype, or skip the test where torch has none of that name."""
    dtype = vars(torch).get(name)
    if not isinstance(dtype, torch.dtype):
        pytest.skip(f"this torch has no {name}")
    return torch.full((2, 8), byte, dtype=torch.uint8).view(dtype)


@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("mode", Mode)
def test_every_dtype_comes_back(mode: PolicyPersistence.Mode, name: str, world: FolderWorld) -> None:
    """Tensors of the rarer dtypes, in a policy that is no module, come back bit for bit in every mode."""
    saved = of_dtype(name, 0x3C)
    policy = through(mode, world, Holder(w=saved), Holder(w=of_dtype(name, 0)))
    assert (policy.state["w"].dtype, policy.state["w"].shape) == (saved.dtype, saved.shape)
    assert torch.equal(policy.state["w"].view(torch.uint8), saved.view(torch.uint8))


class TestSafetensors:
    @pytest.mark.parametrize(
        ("value", "what"),
        [
            (torch.eye(2).to_sparse(), "torch.sparse_coo, not a dense tensor"),
            (torch.zeros(2, device="meta"), "on the device 'meta' and has no values"),
            (nn.parameter.UninitializedParameter(), "a parameter that is not initialised"),
            (torch.zeros(2, dtype=torch.complex128), "dtype torch.complex128"),
            (np.zeros(2), "a ndarray, not a torch.Tensor"),
        ],
    )
    def test_what_the_format_cannot_hold(self, value: Any, what: str, world: FolderWorld) -> None:
        """What would lose something, or cannot be read again, is refused by its key."""
        with pytest.raises(TypeError, match=rf"\['x'\] (is|has) {re.escape(what)}"):
            PolicyPersistence(mode=Mode.SAFETENSORS).persist(Holder(w=torch.ones(1), x=value), world)
        assert not list(Path(world.persist_directory).iterdir())

    def test_conjugated_tensor(self, world: FolderWorld) -> None:
        """A tensor that torch conjugates lazily is stored with its values, not taken for tied with its source."""
        source = torch.tensor([1 + 2j])
        policy = through(
            Mode.SAFETENSORS,
            world,
            Holder(a=source, b=source.conj()),
            Holder(a=torch.zeros_like(source), b=torch.zeros_like(source)),
        )
        assert policy.state["b"].tolist() == [1 - 2j]

    def test_tied_tensor_under_its_other_name(self, world: FolderWorld) -> None:
        """A file that holds a tied tensor under its other name only, as transformers writes it, is restored."""
        saved, encoder, decoder = (nn.Linear(2, 2, bias=False) for _ in range(3))
        decoder.weight = encoder.weight
        policy = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
        path = world.persist_path("policy.safetensors")
        safetensors.save_file({"decoder.weight": saved.weight.detach()}, path)
        PolicyPersistence(mode=Mode.SAFETENSORS).restore(policy, world, "cpu")
        assert torch.equal(encoder.weight, saved.weight)

    def test_library_noted_by_another_writer(self, world: FolderWorld) -> None:
        """What transformers notes of its format is no tied tensor, also where a parameter is called as the format is."""
        path = world.persist_path("policy.safetensors")
        safetensors.save_file({"pt": torch.ones(2)}, path, metadata={"format": "pt"})
        policy = Holder(pt=torch.zeros(2))
        PolicyPersistence(mode=Mode.SAFETENSORS).restore(policy, world, "cpu")
        assert list(policy.state) == ["pt"]


class TestOtherDtypes:
    @pytest.mark.parametrize("mode", Mode)
    def test_cast_is_told(self, mode: PolicyPersistence.Mode, world: FolderWorld) -> None:
        """A restore into another dtype warns, naming keys and dtypes."""
        with pytest.warns(
            DtypeWarning, match="weight from float32 to bfloat16, bias from float32 to bfloat16"
        ):
            through(mode, world, nn.Linear(3, 2), nn.Linear(3, 2).to(torch.bfloat16))

    def test_integers_too(self, world: FolderWorld) -> None:
        """A counter that does not fit any more is told as well."""
        saved, policy = nn.Module(), nn.Module()
        saved.register_buffer("steps", torch.tensor(300))
        policy.register_buffer("steps", torch.tensor(0, dtype=torch.int8))
        with pytest.warns(DtypeWarning, match="steps from int64 to int8"):
            through(Mode.POLICY_STATE_DICT, world, saved, policy)


class TestObjectsThatHoldTensors:
    def test_plain_object(self, world: FolderWorld) -> None:
        """A policy that is no module but holds tensors is written by torch, which can move them between devices."""
        through(Mode.POLICY, world, Holder(w=torch.ones(2)), other := Holder(w=torch.zeros(2)))
        assert other.state["w"].tolist() == [1.0, 1.0]
        assert Path(world.persist_path("policy.pt")).read_bytes().startswith(b"PK")

    def test_object_without_tensors(self, world: FolderWorld) -> None:
        """A policy without tensors stays a plain pickle, also where torch is loaded."""
        PolicyPersistence().persist(Holder(w=1.0), world)
        with Path(world.persist_path("policy.pt")).open("rb") as file:
            assert pickle.load(file).state == {"w": 1.0}

    def test_tensor_as_replay_buffer(self, world: FolderWorld) -> None:
        """A tensor takes the values where it is."""
        ReplayBufferPersistence(torch.arange(4.0)).persist(PersistEvent.PERSIST_POLICY, world)
        memory = torch.zeros(4)
        ReplayBufferPersistence(memory).restore(RestoreEvent.RESTORE_POLICY, world)
        assert torch.equal(memory, torch.arange(4.0))

    def test_deque_of_tensors(self, world: FolderWorld) -> None:
        """The usual buffer of a DQN, a deque of tuples with tensors, comes back in place."""
        full = collections.deque([(torch.ones(2, dtype=torch.float8_e4m3fn), 1.0)], maxlen=3)
        ReplayBufferPersistence(full).persist(PersistEvent.PERSIST_POLICY, world)
        buffer: collections.deque[Any] = collections.deque(maxlen=3)
        ReplayBufferPersistence(buffer).restore(RestoreEvent.RESTORE_POLICY, world)
        assert buffer[0][0].float().tolist() == [1.0, 1.0]
