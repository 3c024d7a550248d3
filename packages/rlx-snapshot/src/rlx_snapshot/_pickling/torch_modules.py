"""How torch's modules and optimizers are written where torch itself refuses, or leaves something out."""

import importlib
import operator
from typing import Any, Final

from rlx_snapshot._pickling.calls import Call, Reduced, Reducer, attributes_of, built_then, class_of, method

_PARAMETRIZE: Final = Call(importlib.import_module, "torch.nn.utils.parametrize")
_INJECT_CLASS: Final = Call(operator.attrgetter("_inject_new_class"), _PARAMETRIZE)
_INJECT_PROPERTY: Final = Call(operator.attrgetter("_inject_property"), _PARAMETRIZE)


def module_reducer(cls: type) -> Reducer | None:
    """The reducer for a class of modules or optimizers, None where Python's way will do."""
    if cls.__module__ == "torch.nn.utils.parametrize" and cls.__name__.startswith("Parametrized"):
        return _parametrized
    for base in cls.__mro__:
        if "__getstate__" in vars(base) or "__reduce__" in vars(base):
            is_optimizer = base.__module__ == "torch.optim.optimizer" and base.__name__ == "Optimizer"
            return _optimizer if is_optimizer else None
    return None


def _parametrized(module: Any) -> Reduced:
    """A module of the class it had before, which is then made parametrized again as torch does it."""
    original: Any = class_of(module).__bases__[0]
    calls = [
        Call(method("__setstate__", original.__getstate__(module)), module),
        Call(_INJECT_CLASS, module),
        *(Call(_INJECT_PROPERTY, module, name) for name in module.parametrizations),
    ]
    return built_then(object.__new__, (original,), calls)


def _optimizer(optimizer: Any) -> Reduced:
    """An optimizer with its hooks and the attributes it was given, which its own state does not have.

    A scheduler's watch over ``step`` is left out: it only warns.
    """
    constructor, arguments, state, *rest = optimizer.__reduce_ex__(5)
    attributes = attributes_of(optimizer)
    more = {name: value for name, value in attributes.items() if name not in state and name != "step"}
    return constructor, arguments, {**state, **more}, *rest
