"""Nets and optimizers of torch's FSDP, of which each process holds a shard."""

import sys
from collections.abc import Mapping
from typing import Any

from rlx_runner._offers import offered


class Shards:
    """Shows the shards that this process holds of a net or an optimizer, as a state.

    Args:
        owner: The net or the optimizer.
    """

    def __init__(self, owner: Any) -> None:
        self._owner = owner

    def state_dict(self) -> dict[str, Any]:
        """Return the state with shards in the place of what is spread over all processes."""
        state = _local(self._owner.state_dict())
        return {"owner": type(self._owner).__qualname__, "state": state, "training": self._modes()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the shards back.

        Raises:
            ValueError: If they are of another owner; nothing was changed.
        """
        name = type(self._owner).__qualname__
        if state["owner"] != name:
            raise ValueError(f"the shards in the snapshot must be of a {name}, not of a {state['owner']}.")
        if self._modes() is None:
            self._owner.load_state_dict(self._spread(state["state"]))
            return
        self._load_net(state["state"])
        for module, mode in zip(self._owner.modules(), state["training"], strict=True):
            module.training = mode

    def _modes(self) -> list[bool] | None:
        import torch

        if not isinstance(self._owner, torch.nn.Module):
            return None
        return [module.training for module in self._owner.modules()]

    def _load_net(self, saved: Mapping[str, Any]) -> None:
        import torch

        mine = _local(self._owner.state_dict())
        here = {name: tuple(value.shape) for name, value in mine.items()}
        there = {name: tuple(value.shape) for name, value in saved.items()}
        wrong = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
        if wrong:
            raise ValueError(
                f"the shards in the snapshot must have the shapes of those here; {', '.join(wrong)} have not."
            )
        with torch.no_grad():
            for name, value in mine.items():
                value.copy_(saved[name])

    def _spread(self, saved: Mapping[str, Any]) -> dict[str, Any]:
        """Return the state of an optimizer with shards as parts of what is spread over all processes."""
        from torch.distributed.tensor import DTensor

        parameters = _parameters(self._owner)

        def spread(parameter: Any, value: Any) -> Any:
            if not isinstance(parameter, DTensor) or offered(value, "shape") != parameter.to_local().shape:
                return value
            how: dict[str, Any] = {"shape": parameter.shape, "stride": parameter.stride(), "run_check": False}
            return DTensor.from_local(value, parameter.device_mesh, parameter.placements, **how)

        moments = {
            number: {name: spread(parameters[number], value) for name, value in state.items()}
            for number, state in saved["state"].items()
        }
        return {**saved, "state": moments}


def in_shards(part: Any) -> Any:
    """Return what shows the shards of `part`, where processes share it; else `part` itself."""
    tensors: Any = sys.modules.get("torch.distributed.tensor")
    if tensors is None:
        return part
    is_spread = any(isinstance(each, tensors.DTensor) for each in _parameters(part))
    return Shards(part) if is_spread else part


def _parameters(part: Any) -> list[Any]:
    torch: Any = sys.modules["torch"]
    if isinstance(part, torch.nn.Module):
        net: Any = part
        return list(net.parameters())
    if isinstance(part, torch.optim.Optimizer):
        optimizer: Any = part
        return [each for group in optimizer.param_groups for each in group["params"]]
    return []


def _local(value: Any) -> Any:
    """Return `value` with this process's shards in the place of tensors that are spread over all."""
    from torch.distributed.tensor import DTensor

    if isinstance(value, DTensor):
        return value.to_local()
    if isinstance(value, Mapping):
        return {key: _local(each) for key, each in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_local(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    return value
