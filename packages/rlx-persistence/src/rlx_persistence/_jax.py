"""JAX policies as flat states of arrays: modules of equinox and flax.nnx, and other trees that JAX knows.

Entries are named by their path in the tree. What is no number or array (a function of
activation, say) belongs to the policy's structure and is not part of its state.
"""

import sys
from collections.abc import Mapping
from typing import Any, cast

from rlx_persistence._arrays import is_array
from rlx_persistence._optional import import_numpy


def is_tree(policy: object) -> bool:
    """Whether `policy` is a tree with an array of JAX that can be changed in place; never imports JAX to find out."""
    jax = sys.modules.get("jax")
    if jax is None or isinstance(policy, tuple):
        return False
    if _nnx_of(policy) is not None:
        return True
    leaves = cast("list[object]", jax.tree_util.tree_leaves(policy))
    return any(leaf is not policy and isinstance(leaf, jax.Array) for leaf in leaves)


def tree_state(policy: object) -> dict[str, object]:
    """Return the arrays and numbers of a tree as NumPy arrays, by their paths.

    Raises:
        TypeError: If two entries would have the same name.
    """
    state: dict[str, object] = {}
    for name, leaf in _named_leaves(_tree_of(policy)):
        if name in state:
            raise TypeError(f"two entries of the {type(policy).__name__} are called {name!r}: rename a key")
        if _is_value(leaf):
            state[name] = _array_of(leaf)
    return state


def load_tree(policy: object, state: Mapping[str, object]) -> object:
    """Return the tree that `policy` becomes with `state`; a module of flax.nnx is changed in place.

    Each entry keeps the dtype and the device that it has in `policy`.
    """
    tree_util = _jax().tree_util
    tree = _tree_of(policy)
    leaves = [as_leaf(state[name], leaf) if _is_value(leaf) else leaf for name, leaf in _named_leaves(tree)]
    loaded: object = tree_util.tree_unflatten(tree_util.tree_structure(tree), leaves)
    nnx = _nnx_of(policy)
    if nnx is None:
        return loaded
    nnx.update(policy, loaded)
    return policy


def _jax() -> Any:
    return sys.modules["jax"]


def _nnx_of(policy: object) -> Any:
    nnx: Any = sys.modules.get("flax.nnx")
    return nnx if nnx is not None and isinstance(policy, nnx.Module) else None


def _tree_of(policy: object) -> object:
    nnx = _nnx_of(policy)
    return policy if nnx is None else nnx.state(policy)


def _named_leaves(tree: object) -> list[tuple[str, object]]:
    tree_util = _jax().tree_util
    paths = tree_util.tree_flatten_with_path(tree)[0]
    # flax's variables are a level of the tree; the weight of a layer is called layer.kernel, not layer.kernel.value
    suffix = ".value" if type(tree).__module__.startswith("flax.nnx") else ""
    return [
        (tree_util.keystr(path, simple=True, separator=".").removesuffix(suffix), leaf)
        for path, leaf in paths
    ]


def _is_value(leaf: object) -> bool:
    numpy = import_numpy("a JAX policy")
    return is_array(leaf) or isinstance(leaf, bool | int | float | complex | numpy.generic)


def _is_key(leaf: object) -> bool:
    jax = _jax()
    return isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(cast("Any", leaf).dtype, jax.dtypes.prng_key)


def _array_of(leaf: object) -> object:
    numpy = import_numpy("a JAX policy")
    return numpy.asarray(_jax().random.key_data(leaf) if _is_key(leaf) else leaf)


def as_leaf(value: object, leaf: object) -> object:
    """Return `value` in the kind, the dtype and the place of `leaf`."""
    jax, numpy = _jax(), import_numpy("a JAX policy")
    array = numpy.asarray(value)
    if _is_key(leaf):
        return jax.random.wrap_key_data(jax.numpy.asarray(array), impl=jax.random.key_impl(leaf))
    if isinstance(leaf, jax.Array):
        known = cast("Any", leaf)
        placed = jax.numpy.asarray(array.astype(known.dtype))
        return placed if placed.sharding == known.sharding else jax.device_put(placed, known.sharding)
    if isinstance(leaf, numpy.ndarray | numpy.generic):
        cast_array = array.astype(cast("Any", leaf).dtype)
        return cast_array if isinstance(leaf, numpy.ndarray) else cast_array[()]
    return type(leaf)(array.item())  # type: ignore[call-arg]  # one of Python's numbers
