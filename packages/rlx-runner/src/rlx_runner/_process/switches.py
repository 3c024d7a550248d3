"""Switches of the process that numbers depend on and that are in no state: recorded, and set again by a resume."""

import enum
import operator
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Switch:
    """One switch of a library.

    Args:
        name: In words.
        read: Returns its value, as something plain, given the library's module.
        write: Sets it.
    """

    name: str
    read: Callable[[Any], Any]
    write: Callable[[Any, Any], object]


def _attribute(path: str) -> Switch:
    """Return the switch that is an attribute of torch."""
    owner, _, name = path.rpartition(".")
    holder = operator.attrgetter(owner)
    return Switch(
        f"torch.{path}", operator.attrgetter(path), lambda torch, value: setattr(holder(torch), name, value)
    )


def _jax(name: str) -> Switch:
    return Switch(
        name, lambda jax: _plain(getattr(jax.config, name)), lambda jax, value: jax.config.update(name, value)
    )


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def _dtype(torch: Any, name: str) -> Any:
    return getattr(torch, name.removeprefix("torch."))


def _flushes_denormals(torch: Any) -> bool:
    return bool((torch.full((), 1e-310, dtype=torch.float64, device="cpu") * 1.0 == 0.0).item())


def _set_flush_denormals(torch: Any, value: bool) -> None:
    if not torch.set_flush_denormal(value):
        raise RuntimeError("this processor cannot flush denormal numbers")


def _deterministic(torch: Any) -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _autocast_dtype(device: str) -> Switch:
    return Switch(
        f"torch's autocast dtype on {device}",
        lambda torch: str(torch.get_autocast_dtype(device)),
        lambda torch, value: torch.set_autocast_dtype(device, _dtype(torch, value)),
    )


def _autocast(device: str) -> Switch:
    return Switch(
        f"torch's autocast on {device}",
        lambda torch: torch.is_autocast_enabled(device),
        lambda torch, value: torch.set_autocast_enabled(device, value),
    )


def _attention(way: str) -> Switch:
    return Switch(
        f"torch's {way} attention",
        lambda torch: getattr(torch.backends.cuda, f"{way}_sdp_enabled")(),
        lambda torch, value: getattr(torch.backends.cuda, f"enable_{way}_sdp")(value),
    )


def _decimal(decimal: Any) -> dict[str, Any]:
    context = decimal.getcontext()
    numbers = {name: getattr(context, name) for name in _DECIMAL}
    traps = sorted(signal.__name__ for signal, trapped in context.traps.items() if trapped)
    return {**numbers, "traps": traps}


def _set_decimal(decimal: Any, value: Mapping[str, Any]) -> None:
    context = decimal.getcontext()
    for name in _DECIMAL:
        setattr(context, name, value[name])
    for signal in context.traps:
        context.traps[signal] = signal.__name__ in value["traps"]


_DECIMAL: Final = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
_WITH_PRECISION: Final = (
    "",
    "cuda.matmul.",
    "cudnn.",
    "cudnn.conv.",
    "cudnn.rnn.",
    "mkldnn.",
    "mkldnn.matmul.",
    "mkldnn.conv.",
    "mkldnn.rnn.",
)
"""Torch's newer switches; where they are used, those of before can no longer be read."""

TORCH: Final = (
    Switch(
        "torch's default dtype",
        lambda torch: str(torch.get_default_dtype()),
        lambda torch, value: torch.set_default_dtype(_dtype(torch, value)),
    ),
    Switch(
        "torch's default device",
        lambda torch: str(torch.get_default_device()),
        lambda torch, value: torch.set_default_device(None if value == "cpu" else value),
    ),
    Switch(
        "torch's float32 matmul precision",
        lambda torch: torch.get_float32_matmul_precision(),
        lambda torch, value: torch.set_float32_matmul_precision(value),
    ),
    Switch(
        "torch's deterministic algorithms (and only warning)",
        _deterministic,
        lambda torch, value: torch.use_deterministic_algorithms(value[0], warn_only=value[1]),
    ),
    Switch("torch's flushing of denormal numbers", _flushes_denormals, _set_flush_denormals),
    *map(_autocast_dtype, ("cpu", "cuda")),
    _attribute("utils.deterministic.fill_uninitialized_memory"),
    _attribute("backends.cudnn.enabled"),
    _attribute("backends.cudnn.benchmark"),
    _attribute("backends.cudnn.deterministic"),
    _attribute("backends.cudnn.allow_tf32"),
    _attribute("backends.cuda.matmul.allow_tf32"),
    _attribute("backends.cuda.matmul.allow_fp16_reduced_precision_reduction"),
    _attribute("backends.cuda.matmul.allow_bf16_reduced_precision_reduction"),
    _attribute("backends.mkldnn.enabled"),
    _attribute("backends.mkldnn.deterministic"),
    *(_attribute(f"backends.{part}fp32_precision") for part in _WITH_PRECISION),
    _attribute("backends.opt_einsum.enabled"),
    _attribute("backends.opt_einsum.strategy"),
    _attribute("backends.quantized.engine"),
    *map(_attention, ("flash", "mem_efficient", "math", "cudnn")),
    Switch(
        "torch's fast path of attention layers",
        lambda torch: torch.backends.mha.get_fastpath_enabled(),
        lambda torch, value: torch.backends.mha.set_fastpath_enabled(value),
    ),
)
"""Of the whole process: as they are when a snapshot is taken."""

MODES: Final = (
    Switch(
        "torch's gradient mode",
        lambda torch: torch.is_grad_enabled(),
        lambda torch, value: torch.set_grad_enabled(value),
    ),
    Switch(
        "torch's anomaly detection",
        lambda torch: torch.is_anomaly_enabled(),
        lambda torch, value: torch.autograd.set_detect_anomaly(value),
    ),
    *map(_autocast, ("cpu", "cuda")),
)
"""Of a block of code: as they are where a run is set up, as training has blocks of its own."""

JAX: Final = tuple(
    map(
        _jax,
        (
            "jax_enable_x64",
            "jax_default_matmul_precision",
            "jax_default_prng_impl",
            "jax_threefry_partitionable",
            "jax_numpy_dtype_promotion",
            "jax_disable_jit",
        ),
    )
)
NUMPY: Final = (
    Switch("numpy.seterr", lambda numpy: numpy.geterr(), lambda numpy, value: numpy.seterr(**value)),
    Switch(
        "numpy.setbufsize", lambda numpy: numpy.getbufsize(), lambda numpy, value: numpy.setbufsize(value)
    ),
)
DECIMAL: Final = (Switch("decimal's context", _decimal, _set_decimal),)
ENVIRONMENT: Final = (
    "PYTHONHASHSEED",
    "CUBLAS_WORKSPACE_CONFIG",
    "MKL_CBWR",
    "NVIDIA_TF32_OVERRIDE",
    "XLA_FLAGS",
)


_UNHEEDED: Final = "$PYTHONHASHSEED"
"""Recorded only: where the order of sets matters, a sampler's own check sees it."""

SWITCHES: Final[Mapping[str, tuple[Switch, ...]]] = {
    "torch": TORCH,
    "jax": JAX,
    "numpy": NUMPY,
    "decimal": DECIMAL,
}


def read_modes() -> dict[str, Any]:
    """Return the switches that blocks of code set, as they are here."""
    return {switch.name: value for switch, _, value in _values({"torch": MODES})}


def read_switches() -> dict[str, Any]:
    """Return the switches of the process, and variables of its environment that libraries heed."""
    switches = {switch.name: value for switch, _, value in _values(SWITCHES)}
    return switches | {f"${name}": os.environ.get(name) for name in ENVIRONMENT}


def set_switches(saved: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Set what `saved`, of another process, has otherwise.

    Returns:
        Sentences on what was changed; and words on what is different and cannot be set.
    """
    changed: list[str] = []
    different = [
        f"{name} was {saved[name]}, is {value}"
        for name, value in read_switches().items()
        if name.startswith("$") and name != _UNHEEDED and saved.get(name, value) != value
    ]
    for switch, library, before in _values({**SWITCHES, "torch": (*TORCH, *MODES)}):
        wanted = saved.get(switch.name, before)
        if switch.read(library) == wanted:  # which another switch may have brought about
            continue
        try:
            switch.write(library, wanted)
            changed.append(f"{switch.name} is {wanted} again, as in the saved run (was {before}).")
        except (RuntimeError, ValueError, TypeError, AttributeError) as error:
            different.append(f"{switch.name} was {wanted}, is {before} ({error})")
    return changed, different


def _values(switches: Mapping[str, tuple[Switch, ...]]) -> Iterator[tuple[Switch, Any, Any]]:
    """Yield each switch of the libraries that are loaded, with its library and its value, where it has one."""
    for name, those in switches.items():
        library = sys.modules.get(name)
        if library is None:
            continue
        for switch in those:
            try:
                value = switch.read(library)
            except (
                AttributeError,
                RuntimeError,
            ):  # another version of the library, or one that is set in two ways
                continue
            yield switch, library, value
