"""Backward hooks of tensors, which torch leaves out of its pickles: they are registered again when loaded."""

import functools
import types
import warnings
from typing import Any

from rlx_snapshot._pickling.calls import Call, Reduced, Reducer, built_then, method


def with_hooks(reduce: Reducer) -> Reducer:
    """`reduce` for tensors, and their hooks; hooks that torch was told not to write stay out."""

    @functools.wraps(reduce)
    def reduce_with_hooks(tensor: Any) -> Reduced:
        hooks = tensor._backward_hooks  # noqa: SLF001 - torch shows them nowhere else
        if not hooks:
            return reduce(tensor)
        with warnings.catch_warnings():  # torch's own, that it does not write them
            warnings.filterwarnings("ignore", message="backward hook .* will not be serialized")
            constructor, arguments, *_ = reduce(tensor)
        kept = [hook for hook in hooks.values() if _is_kept(hook)]
        calls = [Call(method("register_hook", hook), tensor) for hook in kept]
        return built_then(constructor, arguments, calls)

    return reduce_with_hooks


def _is_kept(hook: object) -> bool:
    return not (isinstance(hook, types.FunctionType) and "__torch_unserializable__" in vars(hook))
