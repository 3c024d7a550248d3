# pyright: basic
"""The states that the benchmarks save."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

MIB = 1 << 20


def small() -> dict[str, Any]:
    """A policy and a value function of 1 MB together, with Adam, as a run holds them."""
    torch.manual_seed(0)
    networks = torch.nn.ModuleList(
        torch.nn.Sequential(*(layer for pair in zip(_linears(out), _tanhs(), strict=False) for layer in pair))
        for out in (6, 1)
    )
    optimizer = torch.optim.Adam(networks.parameters(), lr=3e-4)
    torch.stack([network(torch.randn(8, 17)).sum() for network in networks]).sum().backward()
    optimizer.step()
    return {"networks": networks, "optimizer": optimizer, "returns": [float(n) for n in range(1000)]}


def _linears(out: int) -> list[torch.nn.Module]:
    widths = [17, 128, 128, 128, out]
    return [torch.nn.Linear(before, after) for before, after in itertools.pairwise(widths)]


def _tanhs() -> Iterator[torch.nn.Module]:
    while True:
        yield torch.nn.Tanh()


def medium(mib: int) -> dict[str, Any]:
    """200 arrays of the same size, half torch and half NumPy."""
    size = mib * MIB // 200 // 4
    arrays = [np.random.default_rng(number).random(size, dtype="f4") for number in range(200)]
    return {f"a{n}": torch.from_numpy(a) if n % 2 else a for n, a in enumerate(arrays)}


def replay(mib: int) -> dict[str, Any]:
    """A replay buffer of four arrays."""
    rows = mib * MIB // (2 * 64 * 4 + 8 * 4 + 1024)
    chance = np.random.default_rng(0)
    state = {
        name: chance.random((rows, width), dtype="f4")
        for name, width in (("obs", 64), ("next", 64), ("act", 8))
    }
    return {**state, "img": np.zeros((rows, 1024), dtype="u1"), "position": 0}


def advance(state: dict[str, Any]) -> None:
    """Write the next two per cent of the rows."""
    rows = len(state["obs"])
    window = rows // 50
    start = state["position"] % (rows - window)
    for name in ("obs", "next", "act", "img"):
        state[name][start : start + window] += 1
    state["position"] = start + window


def tensors_of(state: Any, prefix: str = "") -> dict[str, torch.Tensor]:
    """What safetensors and torch's distributed checkpoints can hold of a state."""
    if isinstance(state, dict):
        return {
            k: t for name, value in state.items() for k, t in tensors_of(value, f"{prefix}{name}.").items()
        }
    if isinstance(state, torch.nn.Module | torch.optim.Optimizer):
        return tensors_of(state.state_dict(), prefix)
    if isinstance(state, np.ndarray):
        return {prefix: torch.from_numpy(state)}
    return {prefix: state.detach().contiguous()} if isinstance(state, torch.Tensor) else {}
