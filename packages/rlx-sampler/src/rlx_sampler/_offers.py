"""What a policy offers: the one place that looks."""

import inspect
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, TypeGuard


class Acting(Enum):
    """How a policy is asked for actions."""

    BATCHED = "get_actions(observations, *, rngs)"
    """Many episodes at once, noise from outside."""
    SINGLE = "get_action(observation, *, rng)"
    """One episode at a time, noise from outside."""
    GLOBAL = "get_action(observation)"
    """One episode at a time, noise from global generators that are seeded for it."""
    GLOBAL_BATCHED = "get_actions(observations)"
    """As GLOBAL, through a stack of one observation."""


def how_to_act(policy: Any) -> Acting:
    """Return the best way to ask `policy` for actions.

    Raises:
        TypeError: If it has neither `get_action` nor `get_actions`.
    """
    many, one = offered(policy, "get_actions"), offered(policy, "get_action")
    if many is not None and takes(many, "rngs"):
        return Acting.BATCHED
    if one is not None:
        return Acting.SINGLE if takes(one, "rng") else Acting.GLOBAL
    if many is not None:
        return Acting.GLOBAL_BATCHED
    raise no_policy(policy)


def no_policy(value: Any) -> TypeError:
    """Return the error for what is not a policy."""
    if inspect.isclass(value):
        return TypeError(f"{value.__name__} is a class, not a policy: pass an object of it.")
    return TypeError(
        f"{value!r:.200} is no policy: it has neither get_actions(observations, *, rngs) nor "
        f"get_action(observation), which return actions and a dict."
    )


def is_policy(value: Any) -> bool:
    """Whether `value` can be asked for actions, rather than being parameters or a class."""
    has_either = offered(value, "get_action") is not None or offered(value, "get_actions") is not None
    return has_either and not inspect.isclass(value)


def is_environment(value: Any) -> bool:
    """Whether `value` can be reset and stepped, rather than being a class that builds such."""
    has_both = offered(value, "reset") is not None and offered(value, "step") is not None
    return has_both and not inspect.isclass(value)


def is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether `value` is several environments for one worker."""
    return isinstance(value, list | tuple)


def offered(value: Any, name: str) -> Callable[..., Any] | None:
    """Return the method `name` of `value`, or None where it has none."""
    try:
        method = getattr(value, name)
    except AttributeError:
        return None
    return method if callable(method) else None


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether `function` has a parameter of that name."""
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):  # a builtin that hides its parameters
        return False


def needs(function: Callable[..., Any], name: str) -> bool:
    """Whether `function` has a parameter of that name, without a default."""
    try:
        parameter = inspect.signature(function).parameters.get(name)
    except (TypeError, ValueError):  # a builtin that hides its parameters
        return False
    return parameter is not None and parameter.default is parameter.empty


def declares(value: Any, name: str) -> bool:
    """Whether `value` or its class has an attribute of that name itself, not only what it wraps."""
    missing = object()
    return inspect.getattr_static(value, name, missing) is not missing


def reset_policy(policy: Any) -> None:
    """Tell a policy that has `reset()` that an episode begins."""
    reset = offered(policy, "reset")
    if reset is not None:
        reset()


def takes_argument(function: Callable[..., Any]) -> bool:
    """Whether `function` can be called with one positional argument."""
    try:
        inspect.signature(function).bind(None)
    except (TypeError, ValueError):
        return False
    return True


def changes_environment(function: Callable[..., Any]) -> bool:
    """Whether `function` makes a new environment of the old one, rather than building one."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a builtin that hides its parameters
        return False
    if "old_env" in signature.parameters:
        return True
    try:
        signature.bind()
    except TypeError:
        return takes_argument(function)
    return False


def draws_globally(policy: Any) -> bool:
    """Whether `policy` takes no noise from outside, so that it may draw from global generators."""
    return how_to_act(policy) in (Acting.GLOBAL, Acting.GLOBAL_BATCHED)


def keeps_history(layer: Any) -> bool:
    """Whether an environment says, by `keeps_history`, that its past reaches beyond an episode."""
    return bool(_own_attributes(layer).get("keeps_history"))


def is_shown(layer: Any) -> bool:
    """Whether an environment renders to a window for people to see."""
    return all_attributes(layer).get("render_mode") == "human"


def autoreset_mode(environment: Any) -> str:
    """Return how a vector environment begins new episodes, in lower case; empty where it does not say.

    What it says itself comes before its metadata, which some share with all environments of gymnasium.
    """
    base: Any = environment.unwrapped if declares(environment, "unwrapped") else environment
    own = _attributes(base).get("autoreset_mode")
    if own is not None:
        return str(own).lower()
    metadata: Any = environment.metadata if declares(environment, "metadata") else None
    mode = None if metadata is None else metadata.get("autoreset_mode")
    return "" if mode is None else str(mode).lower()


def longest_episode(env_spec: Any) -> int | None:
    """Return the time limit that garage's or gymnasium's description of an environment gives; None without one."""
    missing = (getattr(env_spec, name, None) for name in ("max_episode_length", "max_episode_steps"))
    return next((int(limit) for limit in missing if limit is not None), None)


def wrapped(environment: Any) -> Any:
    """Return the environment within a wrapper, or the first one of several; None for one that wraps nothing."""
    own = _own_attributes(environment)
    several = own.get("envs")
    return several[0] if is_list(several) and several else own.get("env", own.get("venv"))


def world_of(environment: Any) -> Any:
    """Return the world of Box2D that `environment` itself, not what it wraps, simulates in; None if it has none."""
    worlds = (value for value in _attributes(environment).values() if _is_world(value))
    return next(worlds, None)


def _is_world(value: object) -> bool:
    kind = type(value)
    return kind.__name__ == "b2World" and kind.__module__.partition(".")[0] == "Box2D"


def all_attributes(value: Any) -> dict[str, Any]:
    """Return the attributes of `value` and of all its classes, without asking what it wraps."""
    attributes: dict[str, Any] = {}
    for holder in (*reversed(value.__class__.__mro__), value):
        attributes.update(_attributes(holder))
    return attributes


def _own_attributes(value: Any) -> dict[str, Any]:
    """Return the attributes of `value` and its class, without asking what it wraps."""
    return {**_attributes(value.__class__), **_attributes(value)}


def _attributes(holder: object) -> dict[str, Any]:
    try:
        return dict(vars(holder))
    except TypeError:  # it has none
        return {}
