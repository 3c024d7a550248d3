"""States of JAX's users come back with every dtype, weak type and key, and say which devices they have left."""

import os
import subprocess
import sys
from typing import Any

import pytest

from rlx_snapshot import exact_copy

jax: Any = pytest.importorskip("jax", reason="needs jax")
jnp: Any = pytest.importorskip("jax.numpy", reason="needs jax")

SHARDED = """
import jax, jax.numpy as jnp, warnings
from jax.sharding import NamedSharding, PartitionSpec
from rlx_snapshot import exact_copy

mesh = jax.make_mesh((4,), ("x",))
split = jax.device_put(jnp.arange(8.0), NamedSharding(mesh, PartitionSpec("x")))
for state in (split, jax.device_put(jnp.arange(8.0), jax.devices()[2]), jnp.arange(8.0)):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert exact_copy({"a": state})["a"].tolist() == state.tolist()
    print(*(each.message for each in said))
"""


def leaves_agree(state: Any, copy: Any) -> bool:
    """Whether two trees have arrays of the same dtypes, weak types and bits at the same places."""
    (one, other) = (jax.tree_util.tree_leaves_with_path(tree) for tree in (state, copy))
    arrays = [
        (path, array, its)
        for (path, array), its in zip(one, other, strict=True)
        if isinstance(array, jax.Array)
    ]
    return bool(arrays) and all(path == its[0] and agree(array, its[1]) for path, array, its in arrays)


def agree(one: Any, other: Any) -> bool:
    """Whether two arrays are the same."""
    if jax.dtypes.issubdtype(one.dtype, jax.dtypes.prng_key):
        same = jax.random.key_impl(one) == jax.random.key_impl(other)
        return bool(same) and agree(jax.random.key_data(one), jax.random.key_data(other))
    kinds = [(each.dtype, each.weak_type, each.shape) for each in (one, other)]
    return kinds[0] == kinds[1] and jax.device_get(one).tobytes() == jax.device_get(other).tobytes()


@pytest.mark.parametrize(
    "dtype", ["float32", "bfloat16", "float8_e4m3fn", "int8", "int4", "bool", "complex64"]
)
def test_arrays_keep_their_dtype(dtype: str) -> None:
    """Also those that NumPy does not know, small and large."""
    state = [jnp.ones(shape, dtype) for shape in ((), (3,), (300, 300))]
    assert leaves_agree(state, exact_copy(state))


def test_weak_types_and_keys_come_back() -> None:
    """A weakly typed number still takes the type of its partner, and a key draws the same numbers."""
    state = {
        "weak": jnp.asarray(1.0),
        "strong": jnp.ones(()),
        "key": jax.random.key(3),
        "other": jax.random.key(3, impl="rbg"),
    }
    copy = exact_copy(state)
    assert leaves_agree(state, copy)
    assert (copy["weak"] * jnp.ones(2, "bfloat16")).dtype == "bfloat16"
    assert jax.random.normal(copy["key"]) == jax.random.normal(state["key"])


def test_equinox_and_optax() -> None:
    """A module with its optimizer, schedule and hyperparameters continues with the same numbers."""
    equinox: Any = pytest.importorskip("equinox", reason="needs equinox")
    optax: Any = pytest.importorskip("optax", reason="needs optax")
    net = equinox.nn.MLP(3, 2, 8, 2, key=jax.random.key(0))
    optimizer = optax.chain(
        optax.clip(1.0),
        optax.inject_hyperparams(optax.adamw)(learning_rate=optax.linear_schedule(1e-3, 0, 10)),
    )
    state = {"net": net, "optimizer": optimizer.init(equinox.filter(net, equinox.is_array))}
    copy, again = exact_copy((state, optimizer))
    assert leaves_agree(state, copy)
    assert (copy["net"](jnp.ones(3)) == net(jnp.ones(3))).all()
    parameters = equinox.filter(net, equinox.is_array)
    updates = [each.update(parameters, state["optimizer"], parameters) for each in (optimizer, again)]
    assert leaves_agree(*updates)


def test_flax_nnx() -> None:
    """A module with running statistics, dropout and its optimizer: references, counts and keys."""
    nnx: Any = pytest.importorskip("flax.nnx", reason="needs flax")
    optax: Any = pytest.importorskip("optax", reason="needs optax")
    rngs = nnx.Rngs(0)
    net = nnx.Sequential(
        nnx.Linear(3, 4, rngs=rngs), nnx.BatchNorm(4, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)
    )
    net(jnp.ones((2, 3)))
    state = {"net": net, "optimizer": nnx.Optimizer(net, optax.adam(1e-3), wrt=nnx.Param)}
    copy = exact_copy(state)
    for name, part in state.items():
        assert leaves_agree(nnx.state(part), nnx.state(copy[name]))
    assert (copy["net"](jnp.ones((2, 3))) == net(jnp.ones((2, 3)))).all()


def test_lost_devices_are_said() -> None:
    """What was split over devices, or on another one than the default, is loaded there, and a warning says so."""
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
    }
    done = subprocess.run(
        [sys.executable, "-c", SHARDED], env=environment, capture_output=True, text=True, check=False
    )
    split, other, default = done.stdout.split("\n")[:3] if done.returncode == 0 else [done.stderr, "", ""]
    assert "were split over 4 devices when they were saved (NamedSharding)" in split
    assert "jax.device_put(arrays, shardings)" in split
    assert "were on cpu:2 when they were saved" in other
    assert default == ""
