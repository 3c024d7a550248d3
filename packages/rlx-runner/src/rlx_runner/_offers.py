"""What a part offers beyond its contract. The one place that looks.

An isinstance check of a runtime protocol misses attributes that a ``__getattr__`` serves,
as torch modules do; asking for the attribute itself does not.
"""

import sys
from collections.abc import Callable
from typing import Any, cast

from rlx_protocols import BackgroundStore, CommitAware, Graded, Parametrised, Stateful


def offered(part: Any, *names: str) -> Any:
    """Return the first attribute of `names` that `part` has and is not None, else None."""
    for name in names:
        try:
            value = _attribute(part, name)
        except AttributeError:
            continue
        if value is not None:
            return value
    return None


def _attribute(part: Any, name: str) -> Any:
    """Return the attribute `name` of `part`, or of what wrappers of old Gymnasium around it wrap.

    Those warn of each attribute that they pass on. Filters for warnings belong to the whole process,
    so what they wrap is asked instead.
    """
    gymnasium: Any = sys.modules.get("gymnasium")
    passes_on = getattr(getattr(gymnasium, "Wrapper", None), "__getattr__", None)
    while passes_on is not None and getattr(part.__class__, "__getattr__", None) is passes_on:
        try:
            return object.__getattribute__(part, name)
        except AttributeError:
            part = part.env
    return getattr(part, name)


def policy_of(algo: Any) -> Any:
    """Return the policy to sample with: the exploration policy where there is one."""
    return offered(algo, "exploration_policy", "policy")


def has_policy(algo: Any) -> bool:
    """Whether `algo` has a policy, be it one that is yet to be made."""
    try:
        _ = algo.policy
    except AttributeError:
        return policy_of(algo) is not None
    return True


def evaluation_policy_of(algo: Any) -> Any:
    """Return the policy to judge: without exploration where the algorithm has such a one."""
    return offered(algo, "evaluation_policy", "policy")


def max_episode_length_of(algo: Any) -> int | None:
    """Return the number of steps after which an episode is cut off."""
    length: int | None = offered(algo, "max_episode_length")
    return length


def parameters_of(policy: Any) -> Any:
    """Return what travels to the workers: the parameters, or the policy itself where it cannot name them."""
    if offered(policy, "get_param_values") is None:
        return policy
    return cast("Parametrised", policy).get_param_values()


def stateful(part: Any) -> Stateful | None:
    """Return `part` where its state can be saved and restored."""
    whole = offered(part, "state_dict") is not None and offered(part, "load_state_dict") is not None
    return cast("Stateful", part) if whole else None


def graded(part: Any) -> Graded | None:
    """Return `part` where it says how exactly its state continues."""
    return cast("Graded", part) if offered(part, "exactness") is not None else None


def background(store: Any) -> BackgroundStore | None:
    """Return `store` where it may still be writing when a save has returned."""
    return cast("BackgroundStore", store) if offered(store, "wait") is not None else None


def log_epoch(logger: Any, epoch: int, row: dict[str, Any]) -> None:
    """Log the row of an epoch if the logger's `info_interval` says so; always where it has none.

    An epoch that is not after the last one that was logged begins another run with the same logger.
    """
    gated = offered(logger, "log_info_data")
    last = offered(logger, "last_log_info_step")
    if gated is None or last is None:
        logger.write("info/epoch", epoch, row)
        return
    if epoch <= last:
        logger.last_log_info_step = -1
    gated(row, epoch)


def commit_aware(logger: Any) -> CommitAware | None:
    """Return `logger` where it wants to know which epochs are durable."""
    return cast("CommitAware", logger) if offered(logger, "committed") is not None else None


def stop_asked_of(config: Any) -> Callable[[], bool] | None:
    """Return how the context of a run is asked whether to stop; None for a mere configuration, which nobody asks."""
    if offered(config, "run") is None or offered(config, "stop_requested") is None:
        return None
    return lambda: bool(config.stop_requested)


def method(part: Any, name: str) -> Callable[..., Any] | None:
    """Return the method `name` of `part`, or None."""
    value = offered(part, name)
    return cast("Callable[..., Any]", value) if callable(value) else None


def is_component(part: Any) -> bool:
    """Whether `part` is of a make that a resumed run must have too: a net, an optimizer, an environment, a sampler."""
    return any(
        offered(part, first) is not None and offered(part, second) is not None
        for first, second in (("step", "reset"), ("state_dict", "load_state_dict"), ("add", "sample"))
    )


def unwrapped(part: Any) -> Any:
    """Return the net inside torch's wrappers for several learners and for compiled code; `part` itself elsewhere."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not isinstance(part, torch.nn.Module):
        return part
    if type(part).__name__ == "OptimizedModule":
        return unwrapped(vars(part)["_modules"]["_orig_mod"])
    return (
        unwrapped(part.module) if type(part).__name__ in ("DistributedDataParallel", "DataParallel") else part
    )


def is_saved_whole(part: Any) -> bool:
    """Whether `part` is a net or an optimizer of torch, whose state_dict leaves out modes, attributes and hooks."""
    torch: Any = sys.modules.get("torch")
    return torch is not None and isinstance(part, torch.nn.Module | torch.optim.Optimizer)
