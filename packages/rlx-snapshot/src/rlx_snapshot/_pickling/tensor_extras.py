"""What torch leaves out of the pickle of a tensor: its gradient and its hooks, which are put back when loaded."""

import functools
import types
import warnings
from typing import Any

from rlx_snapshot._pickling.calls import Call, Reduced, Reducer, built_then, method


def with_extras(reduce: Reducer) -> Reducer:
    """`reduce` for tensors, their gradients and hooks; hooks that torch was told not to write stay out."""

    @functools.wraps(reduce)
    def reduce_with_extras(tensor: Any) -> Reduced:
        calls = _extras(tensor)
        if not calls:
            return reduce(tensor)
        with warnings.catch_warnings():  # torch's own, that it does not write them
            warnings.filterwarnings("ignore", message="backward hook .* will not be serialized")
            constructor, arguments, *_ = reduce(tensor)
        return built_then(constructor, arguments, calls)

    return reduce_with_extras


def _extras(tensor: Any) -> list[Call]:
    """The calls that put back what `tensor` has; in most there is nothing."""
    calls: list[Call] = []
    if tensor.is_leaf and tensor.grad is not None:
        calls.append(Call(setattr, tensor, "grad", tensor.grad))
    # Torch shows its hooks nowhere else.
    for held, register in (
        (tensor._backward_hooks, "register_hook"),  # noqa: SLF001
        (tensor._post_accumulate_grad_hooks, "register_post_accumulate_grad_hook"),  # noqa: SLF001
    ):
        hooks: dict[int, object] = held or {}
        calls += [Call(method(register, hook), tensor) for hook in hooks.values() if _is_kept(hook)]
    return calls


def _is_kept(hook: object) -> bool:
    return not (isinstance(hook, types.FunctionType) and "__torch_unserializable__" in vars(hook))
