"""Policies without torch: any picklable object, NumPy state dicts, hooks, errors."""

import io
import json
import pickle
import re
import threading
from collections import OrderedDict
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from rlx_persistence import (
    DamagedFileError,
    FolderWorld,
    Persistence,
    PersistEvent,
    PolicyMismatchError,
    PolicyNotFoundError,
    PolicyPersistence,
    RestoreEvent,
    World,
    WrongModeError,
    load_policy,
    read_info,
)

Mode = PolicyPersistence.Mode
OLD_SAFETENSORS = tuple(map(int, version("safetensors").split(".")[:2])) < (0, 7)


class LinearPolicy:
    """A NumPy policy without a state dict."""

    def __init__(self, scale: float = 1.0) -> None:
        self.weights = np.arange(6.0).reshape(2, 3) * scale
        self.count = 0


class SlotPolicy:
    """A policy whose attributes are slots."""

    __slots__ = ("weights",)

    def __init__(self, weights: list[float]) -> None:
        self.weights = weights


class RandomPolicy:
    """A policy without any state."""


class FrozenPolicy(NamedTuple):
    """A policy that cannot be changed in place, as JAX people have them."""

    weights: tuple[float, ...]


class ArrayPolicy:
    """A NumPy policy with a state dict."""

    def __init__(self, **arrays: NDArray[Any]) -> None:
        self.arrays = arrays

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Return the arrays."""
        return OrderedDict(self.arrays)

    def load_state_dict(self, state: dict[str, NDArray[Any]]) -> None:
        """Take the arrays."""
        self.arrays = dict(state)


class Calls(Persistence):
    """Counts its events."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def persist(self, event: PersistEvent, world: World) -> None:
        """Count it."""
        self.events.append(event)

    def restore(self, event: RestoreEvent, world: World) -> None:
        """Count it."""
        self.events.append(event)


@pytest.fixture
def world(tmp_path: Path) -> FolderWorld:
    """Return a folder that does not exist yet."""
    return FolderWorld(tmp_path / "run", tmp_path / "run")


class TestWholePolicies:
    def test_object_comes_back_in_place(self, world: FolderWorld) -> None:
        """Restoring changes the given object, so that others who hold it see the new state."""
        PolicyPersistence().persist(LinearPolicy(scale=2.0), world)
        policy = LinearPolicy()
        PolicyPersistence().restore(policy, world, "cpu")
        assert np.array_equal(policy.weights, np.arange(6.0).reshape(2, 3) * 2)

    def test_slots(self, world: FolderWorld) -> None:
        """Attributes in slots are restored as others are."""
        PolicyPersistence().persist(SlotPolicy([1.0]), world)
        policy = SlotPolicy([])
        PolicyPersistence().restore(policy, world, "cpu")
        assert policy.weights == [1.0]

    def test_immutable_policy_is_loaded_instead(self, world: FolderWorld) -> None:
        """What cannot change in place is refused with the way out, which works."""
        PolicyPersistence().persist(FrozenPolicy((1.0, 2.0)), world)
        with pytest.raises(TypeError, match=r"FrozenPolicy cannot be changed in place: use load_policy"):
            PolicyPersistence().restore(FrozenPolicy(()), world, "cpu")
        assert load_policy(world.persist_path("policy.pt")) == FrozenPolicy((1.0, 2.0))

    def test_policy_without_state(self, world: FolderWorld) -> None:
        """A policy that has no attributes is restored as any other."""
        PolicyPersistence().persist(RandomPolicy(), world)
        PolicyPersistence().restore(RandomPolicy(), world, "cpu")

    def test_function_without_a_name(self, world: FolderWorld) -> None:
        """A policy that holds a lambda is written too, and a plain pickle reads it."""
        PolicyPersistence().persist({"act": lambda: 2}, world)
        with Path(world.persist_path("policy.pt")).open("rb") as file:
            assert pickle.load(file)["act"]() == 2

    def test_other_class(self, world: FolderWorld) -> None:
        """A policy of another class is refused by name."""
        PolicyPersistence().persist(LinearPolicy(), world)
        with pytest.raises(TypeError, match="holds a LinearPolicy, not a SlotPolicy"):
            PolicyPersistence().restore(SlotPolicy([]), world, "cpu")

    def test_attribute_missing_in_the_file(self, world: FolderWorld) -> None:
        """An attribute that the file does not know is listed; the policy stays as it is."""
        PolicyPersistence().persist(LinearPolicy(scale=2.0), world)
        policy = LinearPolicy()
        vars(policy)["bias"] = 1.0
        with pytest.raises(PolicyMismatchError, match="missing in the file: bias") as caught:
            PolicyPersistence().restore(policy, world, "cpu")
        assert caught.value.missing == ("bias",)
        assert policy.weights[0, 1] == 1.0

    def test_plain_pickle_reads_it(self, world: FolderWorld) -> None:
        """The file is a pickle to everyone else."""
        PolicyPersistence().persist(SlotPolicy([3.0]), world)
        with Path(world.persist_path("policy.pt")).open("rb") as file:
            assert pickle.load(file).weights == [3.0]

    def test_plain_pickle_is_read(self, world: FolderWorld) -> None:
        """A pickle of another program restores, unchecked."""
        path = Path(world.persist_path("policy.pt"))
        path.parent.mkdir()
        path.write_bytes(pickle.dumps(SlotPolicy([4.0])))
        policy = SlotPolicy([])
        PolicyPersistence().restore(policy, world, "cpu")
        assert policy.weights == [4.0]
        assert read_info(path) is None

    def test_unpicklable_policy_leaves_the_old_file(self, world: FolderWorld) -> None:
        """A failed save is an error, and the file before it stays."""
        PolicyPersistence().persist(SlotPolicy([1.0]), world)
        with pytest.raises(TypeError, match=r"cannot pickle '_thread\.lock' object"):
            PolicyPersistence().persist({"lock": threading.Lock()}, world)
        assert load_policy(world.persist_path("policy.pt")).weights == [1.0]
        assert not list(Path(world.persist_directory).glob(".*"))


class TestSafetensors:
    def test_arrays(self, world: FolderWorld) -> None:
        """A NumPy state dict goes through safetensors bit for bit, also what is not contiguous."""
        weights = np.random.default_rng(0).normal(size=(4, 3)).T
        PolicyPersistence(mode=Mode.SAFETENSORS).persist(ArrayPolicy(w=weights, n=np.array(3)), world)
        policy = ArrayPolicy(w=np.zeros((3, 4)), n=np.array(0))
        PolicyPersistence(mode=Mode.SAFETENSORS).restore(policy, world, "cpu")
        assert np.array_equal(policy.arrays["w"], weights)
        assert policy.arrays["n"] == 3

    @pytest.mark.parametrize("dtype", ["<f8", ">f4", "f2", "i8", "u2", "?", "u1"])
    def test_every_dtype(self, world: FolderWorld, dtype: str) -> None:
        """The library itself reads each dtype, empty arrays and foreign byte orders too."""
        library: Any = import_module("safetensors.numpy")  # its annotations are not complete
        values = np.arange(6).astype(dtype).reshape(2, 3)
        policy = ArrayPolicy(odd=np.ones(3, np.uint8), values=values, nothing=np.zeros((0, 2), dtype))
        PolicyPersistence(mode=Mode.SAFETENSORS).persist(policy, world)
        loaded = library.load_file(world.persist_path("policy.safetensors"))
        assert np.array_equal(loaded["values"], values)
        assert loaded["odd"].tolist() == [1, 1, 1]
        assert loaded["nothing"].shape == (0, 2)

    def test_unknown_dtype(self, world: FolderWorld) -> None:
        """A dtype that safetensors have no name for is refused, and no file is left."""
        with pytest.raises(TypeError, match=r"\['w'\] has dtype complex128"):
            PolicyPersistence(mode=Mode.SAFETENSORS).persist(ArrayPolicy(w=np.zeros(2, complex)), world)
        assert not list(Path(world.persist_directory).iterdir())

    def test_mask(self, world: FolderWorld) -> None:
        """An array that is more than its values is refused by its key: the mask would be lost."""
        masked: Any = np.ma.masked_array(np.zeros(2), [True, False])
        with pytest.raises(TypeError, match=r"\['w'\] is a MaskedArray, which is more than its values"):
            PolicyPersistence(mode=Mode.SAFETENSORS).persist(ArrayPolicy(w=masked), world)

    @pytest.mark.parametrize("key", [3, "__metadata__", "\ud800"])
    def test_odd_key(self, world: FolderWorld, key: Any) -> None:
        """A key that the format cannot hold is named, and no file is left."""
        policy = ArrayPolicy()
        policy.arrays[key] = np.zeros(2)
        with pytest.raises(TypeError, match=f"the key {re.escape(repr(key))} of the state dict"):
            PolicyPersistence(mode=Mode.SAFETENSORS).persist(policy, world)
        assert not list(Path(world.persist_directory).iterdir())

    @pytest.mark.skipif(not OLD_SAFETENSORS, reason="this safetensors reads complex numbers")
    def test_what_an_older_library_cannot_read(self, world: FolderWorld) -> None:
        """A dtype of the format that the installed library does not know is refused, and no file is left."""
        with pytest.raises(
            TypeError, match=r"\['w'\] has dtype complex64, which safetensors 0\.[0-9.]+ cannot read"
        ):
            PolicyPersistence(mode=Mode.SAFETENSORS).persist(ArrayPolicy(w=np.zeros(1, "c8")), world)
        assert not list(Path(world.persist_directory).iterdir())

    @pytest.mark.skipif(OLD_SAFETENSORS, reason="this safetensors reads no complex numbers")
    def test_complex_numbers(self, world: FolderWorld) -> None:
        """Complex numbers come back bit for bit."""
        PolicyPersistence(mode=Mode.SAFETENSORS).persist(ArrayPolicy(w=np.array([1 + 2j], "c8")), world)
        policy = ArrayPolicy(w=np.zeros(1, "c8"))
        PolicyPersistence(mode=Mode.SAFETENSORS).restore(policy, world, "cpu")
        assert policy.arrays["w"].tolist() == [1 + 2j]
        policy.arrays["w"][0] = 0  # the policy may continue learning

    def test_not_an_array(self, world: FolderWorld) -> None:
        """A value that safetensors cannot hold is named."""
        policy = ArrayPolicy(w=np.zeros(2))
        policy.arrays["names"] = ["a"]  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]
        with pytest.raises(TypeError, match=r"state_dict\(\)\['names'\] is a list"):
            PolicyPersistence(mode=Mode.SAFETENSORS).persist(policy, world)

    def test_no_state_dict(self, world: FolderWorld) -> None:
        """A policy without a state dict is told which mode takes it."""
        with pytest.raises(TypeError, match=r"LinearPolicy has no state_dict\(\): use mode=.*POLICY"):
            PolicyPersistence(mode=Mode.SAFETENSORS).persist(LinearPolicy(), world)

    def test_keys_and_shapes(self, world: FolderWorld) -> None:
        """Missing, unexpected and misshapen keys are listed at once; the policy is unchanged."""
        PolicyPersistence(mode=Mode.SAFETENSORS).persist(ArrayPolicy(a=np.ones(2), b=np.ones(3)), world)
        policy = ArrayPolicy(a=np.zeros(4), c=np.zeros(1))
        with pytest.raises(PolicyMismatchError, match="missing in the file: c; not in the policy: b; of an"):
            PolicyPersistence(mode=Mode.SAFETENSORS).restore(policy, world, "cpu")
        assert np.array_equal(policy.arrays["a"], np.zeros(4))


class TestDisabled:
    def test_persists_nothing(self, world: FolderWorld) -> None:
        """A disabled persistence writes no file and calls no further persistence."""
        further = Calls()
        persistence = PolicyPersistence(further, enabled=False)
        persistence.persist(LinearPolicy(), world)
        persistence.get_save_best_fn(world)(LinearPolicy())
        assert persistence.get_save_checkpoint_fn(world) is None
        assert not Path(world.persist_directory).exists()
        assert further.events == []

    def test_restores(self, world: FolderWorld) -> None:
        """A disabled persistence restores as ever."""
        PolicyPersistence().persist(SlotPolicy([1.0]), world)
        policy = SlotPolicy([])
        PolicyPersistence(enabled=False).restore(policy, world, "cpu")
        assert policy.weights == [1.0]


class TestHooks:
    def test_save_best(self, world: FolderWorld) -> None:
        """The function for the best policy replaces the policy file."""
        save_best = PolicyPersistence().get_save_best_fn(world)
        save_best(SlotPolicy([1.0]))
        save_best(SlotPolicy([2.0]))
        assert load_policy(world.persist_path("policy.pt")).weights == [2.0]

    def test_save_checkpoint(self, world: FolderWorld) -> None:
        """The function for checkpoints returns the path it wrote, named by the epoch."""
        world.policy = SlotPolicy([5.0])
        save = PolicyPersistence().get_save_checkpoint_fn(world)
        assert save is not None
        path = save(7, 700, 70)
        assert path == world.persist_path("policy_epoch_7.pt")
        info = read_info(path)
        assert info is not None
        assert (info.epoch, info.env_step, info.gradient_step) == (7, 700, 70)

    def test_additional_persistence_sees_every_event(self, world: FolderWorld) -> None:
        """Best, checkpoint and restore all reach the additional persistence."""
        world.policy = SlotPolicy([5.0])
        further = Calls()
        persistence = PolicyPersistence(further)
        persistence.get_save_best_fn(world)(world.policy)
        save = persistence.get_save_checkpoint_fn(world)
        assert save is not None
        save(1, 2, 3)
        persistence.restore(world.policy, world, "cpu")
        assert further.events == [PersistEvent.PERSIST_POLICY] * 2 + [RestoreEvent.RESTORE_POLICY]

    def test_as_persistence(self, world: FolderWorld) -> None:
        """The adaptor persists and restores the world's policy."""
        world.policy = SlotPolicy([6.0])
        member = PolicyPersistence().as_persistence()
        member.persist(PersistEvent.PERSIST_POLICY, world)
        world.policy = SlotPolicy([])
        member.restore(RestoreEvent.RESTORE_POLICY, world)
        assert world.policy.weights == [6.0]

    def test_as_persistence_of_a_given_policy(self, world: FolderWorld) -> None:
        """A policy given to the adaptor is used instead of the world's."""
        opponent = SlotPolicy([8.0])
        PolicyPersistence().as_persistence(policy=opponent).persist(PersistEvent.PERSIST_POLICY, world)
        assert load_policy(world.persist_path("policy.pt")).weights == [8.0]


class TestRecords:
    def test_sidecar_tells_what_the_file_tells(self, world: FolderWorld) -> None:
        """The JSON file beside the policy has the record that is inside it."""
        PolicyPersistence().persist(SlotPolicy([1.0]), world, epoch=3, env_step=4, gradient_step=5, score=6.5)
        path = Path(world.persist_path("policy.pt"))
        document = json.loads(Path(f"{path}.json").read_text())
        info = read_info(path)
        assert info is not None
        assert document == {"file": "policy.pt", "bytes": path.stat().st_size, **info.to_json()}
        assert (info.kind, info.epoch, info.score) == ("policy", 3, 6.5)
        assert "python" in info.versions

    def test_numbers_of_numpy_are_recorded(self, world: FolderWorld) -> None:
        """What is counted and averaged with arrays is recorded as what it is."""
        counted: Any = np.int64(3)
        averaged: Any = np.array([6.0, 7.0], np.float32).mean()
        PolicyPersistence().persist(SlotPolicy([1.0]), world, epoch=counted, score=averaged)
        info = read_info(world.persist_path("policy.pt"))
        assert info is not None
        assert (info.epoch, info.score) == (3, 6.5)

    def test_records_of_later_versions_are_read(self, world: FolderWorld) -> None:
        """A key that this version does not know is left aside."""
        from rlx_persistence._record import PolicyInfo

        assert PolicyInfo.from_json({"kind": "policy", "epoch": 1, "colour": "blue"}).epoch == 1


class TestErrors:
    def test_mode_that_is_none(self) -> None:
        """A wrong mode is refused when it is given, with the list of those there are."""
        with pytest.raises(TypeError, match=r"mode is 'policy'; possible are .*Mode\.SAFETENSORS"):
            PolicyPersistence(mode="policy")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def test_nothing_there(self, world: FolderWorld) -> None:
        """A missing file is a FileNotFoundError that names file and folder."""
        with pytest.raises(FileNotFoundError, match=r"no policy\.pt in .*run"):
            PolicyPersistence().restore(LinearPolicy(), world, "cpu")

    def test_another_mode_there(self, world: FolderWorld) -> None:
        """If the folder holds the file of another mode, the error names it."""
        PolicyPersistence(mode=Mode.SAFETENSORS).persist(ArrayPolicy(w=np.ones(2)), world)
        with pytest.raises(
            PolicyNotFoundError, match=r"but there is policy\.safetensors \(mode=SAFETENSORS\)"
        ):
            PolicyPersistence().restore(LinearPolicy(), world, "cpu")

    def test_renamed_file_of_another_mode(self, world: FolderWorld) -> None:
        """A file of another mode under this mode's name is recognised by its content."""
        PolicyPersistence().persist(SlotPolicy([1.0]), world)
        Path(world.persist_path("policy.pt")).rename(world.persist_path("policy.safetensors"))
        with pytest.raises(
            WrongModeError, match=r"holds a whole policy: restore it with mode=.*Mode\.POLICY$"
        ):
            PolicyPersistence(mode=Mode.SAFETENSORS).restore(ArrayPolicy(), world, "cpu")

    def test_renamed_safetensors(self, world: FolderWorld) -> None:
        """A safetensors file under a pickle's name is recognised too, and nothing is unpickled."""
        PolicyPersistence(mode=Mode.SAFETENSORS).persist(ArrayPolicy(w=np.ones(2)), world)
        Path(world.persist_path("policy.safetensors")).rename(world.persist_path("policy.pt"))
        with pytest.raises(WrongModeError, match="holds safetensors"):
            PolicyPersistence().restore(LinearPolicy(), world, "cpu")

    def test_class_that_moved(self, world: FolderWorld) -> None:
        """A pickle whose class is gone says what would have survived that."""
        Path(world.persist_directory).mkdir()
        pickled = pickle.dumps(SlotPolicy([1.0])).replace(b"SlotPolicy", b"SlatPolicy")
        Path(world.persist_path("policy.pt")).write_bytes(pickled)
        with pytest.raises(AttributeError, match="SlatPolicy") as caught:
            load_policy(world.persist_path("policy.pt"))
        assert "POLICY_STATE_DICT survive" in caught.value.__notes__[0]

    def test_truncated_pickle(self, world: FolderWorld) -> None:
        """A pickle that ends early is damaged, not a mystery."""
        Path(world.persist_directory).mkdir()
        Path(world.persist_path("policy.pt")).write_bytes(pickle.dumps(LinearPolicy())[:-20])
        with pytest.raises(DamagedFileError, match="is damaged"):
            load_policy(world.persist_path("policy.pt"))

    def test_file_of_nothing(self, world: FolderWorld) -> None:
        """An empty file is damaged."""
        Path(world.persist_directory).mkdir()
        Path(world.persist_path("policy.pt")).touch()
        with pytest.raises(DamagedFileError, match="it is empty"):
            PolicyPersistence().restore(LinearPolicy(), world, "cpu")

    def test_npz_is_no_policy(self, world: FolderWorld) -> None:
        """An archive that torch did not write is refused without a traceback from inside zipfile."""
        Path(world.persist_directory).mkdir()
        buffer = io.BytesIO()
        np.savez(buffer, w=np.ones(2))
        Path(world.persist_path("policy.pt")).write_bytes(buffer.getvalue())
        with pytest.raises((ImportError, DamagedFileError), match=r"torch|damaged"):
            load_policy(world.persist_path("policy.pt"))
