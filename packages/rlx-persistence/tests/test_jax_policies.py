"""Policies of JAX in all three modes."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jax", reason="jax is not installed")

import numpy as np

from rlx_persistence import (
    DtypeWarning,
    FolderWorld,
    PolicyMismatchError,
    PolicyPersistence,
    ReplayBufferPersistence,
    load_policy,
)

jax: Any = import_module("jax")
Mode = PolicyPersistence.Mode


@pytest.fixture
def world(tmp_path: Path) -> FolderWorld:
    """Return a folder."""
    return FolderWorld(tmp_path, tmp_path)


def equinox_policy(seed: int, *, width: int = 4, dtype: str = "float32") -> Any:
    """Make a module of equinox, with functions of activation among its leaves."""
    library: Any = pytest.importorskip("equinox", reason="equinox is not installed")
    return library.nn.MLP(3, 2, width, 1, key=jax.random.key(seed), dtype=jax.numpy.dtype(dtype))


def flax_policy(seed: int, *, width: int = 4, dtype: str = "float32") -> Any:
    """Make a module of flax.nnx, with running statistics and generators of random numbers."""
    nnx: Any = pytest.importorskip("flax.nnx", reason="flax is not installed")
    rngs = nnx.Rngs(seed)
    return nnx.Sequential(
        nnx.Linear(3, width, rngs=rngs, param_dtype=dtype),
        nnx.BatchNorm(width, rngs=rngs, param_dtype=dtype),
        nnx.Dropout(0.5, rngs=rngs),
        nnx.Linear(width, 2, rngs=rngs, param_dtype=dtype),
    )


def plain_tree(seed: int, *, width: int = 4, dtype: str = "float32") -> Any:
    """Make the dict of parameters that users of flax.linen and of optax carry about."""
    return {"layer": {"w": jax.random.normal(jax.random.key(seed), (3, width), dtype)}, "steps": seed}


def leaves(policy: Any) -> list[Any]:
    """Return the arrays and numbers of a policy, random keys as their bits."""
    found = [leaf for leaf in jax.tree_util.tree_leaves(policy) if not callable(leaf)]
    keys = jax.dtypes.prng_key
    return [
        np.asarray(jax.random.key_data(leaf))
        if isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, keys)
        else np.asarray(leaf)
        for leaf in found
    ]


def same(one: Any, other: Any) -> bool:
    """Whether two policies have the same values, bit for bit."""
    pairs = list(zip(leaves(one), leaves(other), strict=True))
    return all(a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in pairs)


def save(mode: PolicyPersistence.Mode, policy: Any, world: FolderWorld) -> None:
    """Persist, unless the mode needs torch and it is not there."""
    if mode is Mode.POLICY_STATE_DICT:
        pytest.importorskip("torch", reason="torch is not installed")
    PolicyPersistence(mode=mode).persist(policy, world)


@pytest.mark.parametrize("make", [equinox_policy, flax_policy, plain_tree])
@pytest.mark.parametrize("mode", Mode)
class TestEveryMode:
    def test_values_come_back_in_place(
        self, mode: PolicyPersistence.Mode, make: Callable[..., Any], world: FolderWorld
    ) -> None:
        """The given policy has the saved values, bit for bit, its random state and counters included."""
        saved, policy = make(0), make(1)
        save(mode, saved, world)
        PolicyPersistence(mode=mode).restore(policy, world, "cpu")
        assert same(policy, saved)
        assert jax.tree_util.tree_structure(policy) == jax.tree_util.tree_structure(make(1))

    def test_narrow_floats(
        self, mode: PolicyPersistence.Mode, make: Callable[..., Any], world: FolderWorld
    ) -> None:
        """Half-width floats, which NumPy itself does not have, come back bit for bit."""
        saved, policy = make(0, dtype="bfloat16"), make(1, dtype="bfloat16")
        save(mode, saved, world)
        PolicyPersistence(mode=mode).restore(policy, world, "cpu")
        assert same(policy, saved)


class TestMisfits:
    @pytest.mark.parametrize("make", [equinox_policy, flax_policy])
    def test_shapes_are_listed_and_nothing_changes(
        self, make: Callable[..., Any], world: FolderWorld
    ) -> None:
        """A policy of another size is told its shapes, and stays as it is."""
        PolicyPersistence().persist(make(0), world)
        policy = make(1, width=5)
        with pytest.raises(PolicyMismatchError, match="instead of"):
            PolicyPersistence().restore(policy, world, "cpu")
        assert same(policy, make(1, width=5))

    def test_another_dtype_is_told(self, world: FolderWorld) -> None:
        """The policy keeps its dtypes, with a warning that names them."""
        PolicyPersistence(mode=Mode.SAFETENSORS).persist(equinox_policy(0), world)
        policy = equinox_policy(1, dtype="bfloat16")
        with pytest.warns(DtypeWarning, match="from float32 to bfloat16"):
            PolicyPersistence(mode=Mode.SAFETENSORS).restore(policy, world, "cpu")
        assert {str(leaf.dtype) for leaf in leaves(policy)} == {"bfloat16"}


class TestWholePolicies:
    def test_loads_without_one(self, world: FolderWorld) -> None:
        """A module of equinox is loaded from its file alone, its functions too, and computes the same."""
        policy = equinox_policy(0)
        PolicyPersistence().persist(policy, world)
        observation = np.ones(3, np.float32)
        loaded = load_policy(world.persist_path("policy.pt"))
        assert np.array_equal(loaded(observation), policy(observation))

    def test_policy_that_holds_a_module(self, world: FolderWorld) -> None:
        """A class of one's own around a module is restored in place."""
        saved, policy = Holder(equinox_policy(0)), Holder(equinox_policy(1))
        PolicyPersistence().persist(saved, world)
        PolicyPersistence().restore(policy, world, "cpu")
        assert same(policy.net, saved.net)


@dataclass
class Holder:
    """A policy around a network."""

    net: Any


class TestSafetensors:
    def test_names(self, world: FolderWorld) -> None:
        """Entries are called by their path, as everyone who reads the file expects."""
        library: Any = import_module("safetensors.numpy")  # its annotations are not complete
        PolicyPersistence(mode=Mode.SAFETENSORS).persist(flax_policy(0), world)
        names = library.load_file(world.persist_path("policy.safetensors")).keys()
        assert {"layers.0.kernel", "layers.0.bias", "layers.1.mean", "layers.2.rngs.key"} <= set(names)

    @pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "bfloat16", "complex64", "uint32"])
    def test_every_dtype(self, world: FolderWorld, dtype: str) -> None:
        """Dtypes that NumPy lacks come back from a state dict of one's own, too."""
        kind = jax.numpy.dtype(dtype)
        saved = {"w": jax.numpy.asarray([1.0, 2.0]).astype(kind), "n": jax.numpy.zeros((), kind)}
        policy = {"w": jax.numpy.zeros(2, kind), "n": jax.numpy.ones((), kind)}
        PolicyPersistence(mode=Mode.SAFETENSORS).persist(saved, world)
        PolicyPersistence(mode=Mode.SAFETENSORS).restore(policy, world, "cpu")
        assert same(policy, saved)

    def test_names_that_collide(self, world: FolderWorld) -> None:
        """Two entries of one name are refused: one of them would be lost."""
        policy = {"a": {"b": jax.numpy.zeros(1)}, "a.b": jax.numpy.ones(1)}
        with pytest.raises(TypeError, match=r"two entries of the dict are called 'a\.b'"):
            PolicyPersistence(mode=Mode.SAFETENSORS).persist(policy, world)

    def test_tuple(self, world: FolderWorld) -> None:
        """A tuple could not be restored in place, so it is not saved in this mode."""
        with pytest.raises(TypeError, match=r"tuple has no state_dict\(\): use mode=.*POLICY"):
            PolicyPersistence(mode=Mode.SAFETENSORS).persist((jax.numpy.zeros(1),), world)


def test_array_of_jax_is_no_buffer() -> None:
    """An array of JAX never changes, so it cannot be restored in place."""
    with pytest.raises(TypeError, match="cannot be changed in place"):
        ReplayBufferPersistence(jax.numpy.zeros(2))
