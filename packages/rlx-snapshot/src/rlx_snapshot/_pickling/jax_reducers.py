"""How JAX's arrays are written: as JAX does it, and with a word about the devices that they are not put on again."""

import importlib
import warnings
from typing import Any

from rlx_snapshot._pickling.calls import Call, Reduced, Reducer, built_then


def jax_reducer(cls: type) -> Reducer | None:
    """The reducer for instances of this class, None where it is not JAX's array."""
    is_array = cls.__name__ == "ArrayImpl" and cls.__module__.partition(".")[0] in {"jax", "jaxlib"}
    return _array if is_array else None


def _array(array: Any) -> Reduced:
    constructor, arguments, *_ = array.__reduce__()
    jax: Any = importlib.import_module("jax")
    if array.devices() == {jax.devices()[0]}:
        return constructor, arguments
    return built_then(constructor, arguments, [Call(warnings.warn, _lost(array))])


def _lost(array: Any) -> str:
    devices = sorted(array.devices(), key=lambda device: device.id)
    saved = f"split over {len(devices)} devices" if len(devices) > 1 else f"on {devices[0]}"
    return (
        f"JAX arrays that were {saved} when they were saved ({type(array.sharding).__name__}) were loaded on the "
        "default device: put them where they were with jax.device_put(arrays, shardings)"
    )
