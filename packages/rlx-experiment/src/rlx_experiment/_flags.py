"""The flags of an experiment's command line: its parameters as tyro takes them."""

import inspect
import types
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple

from rlx_experiment._arguments.decode import from_json
from rlx_experiment._arguments.encoder import to_plain
from rlx_experiment._arguments.fields import field_types
from rlx_experiment._arguments.signature import declared_types
from rlx_experiment._experiment import Experiment

BUILT_IN: Final = ("log_dir", "snapshot_mode", "snapshot_gap", "resume")
"""Options that every experiment has besides its own parameters."""


class Flag(NamedTuple):
    """One parameter of an experiment on its command line."""

    parameter: inspect.Parameter
    """With a type: declared, or that of its default."""
    names: Sequence[str]
    """Its own name, or where it is an object whose fields are flags of their own, theirs."""


def experiment_flags(tyro: Any, experiment: Experiment, recorded: Mapping[str, Any]) -> list[Flag]:
    """Return a flag for each parameter of the experiment, with what is recorded of an earlier attempt as defaults.

    A dataclass (or attrs class, or pydantic model) gives each of its fields as a flag, unless another one is called so.

    Raises:
        ValueError: A parameter has the name of a built-in option.
    """
    typed = _typed_parameters(tyro, experiment)
    for parameter in typed:
        if parameter.name in BUILT_IN:
            raise ValueError(f"parameter {parameter.name!r} has the name of a built-in option; rename it")
    fields = {parameter.name: list(field_types(parameter.annotation)) for parameter in typed}
    taken = Counter([*BUILT_IN, *(name for own, inner in fields.items() for name in inner or [own])])
    extra = {name: value for name, value in recorded.items() if name not in fields}
    flags: list[Flag] = []
    for parameter in typed:
        known = {parameter.name: extra} if _is_any_keyword(experiment, parameter.name) and extra else recorded
        inner = fields[parameter.name]
        ready = _with_recorded_default(parameter, known)
        if inner and all(taken[name] == 1 for name in inner):
            merged = _without_prefix(tyro, parameter.annotation)
            flags.append(Flag(ready.replace(annotation=merged), inner))
        else:
            flags.append(Flag(ready, [parameter.name]))
    return flags


def collector(parameters: Sequence[inspect.Parameter], doc: str | None) -> Callable[..., dict[str, Any]]:
    """Return a function with `parameters` that returns its arguments."""

    def collect(**arguments: Any) -> dict[str, Any]:
        return arguments

    vars(collect)["__signature__"] = inspect.Signature(parameters)
    collect.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    collect.__doc__ = doc or ""
    return collect


def given_arguments(
    experiment: Experiment, flags: Sequence[Flag], chosen: Mapping[str, Any], argv: Sequence[str]
) -> dict[str, Any]:
    """Return the arguments that are not simply defaults: named on the command line, or different from them."""
    words = {word.lstrip("-").partition("=")[0].replace("-", "_") for word in argv if word.startswith("--")}
    named = {word.removeprefix("no_").partition(".")[0] for word in words} | words
    declared = experiment.signature.parameters
    given: dict[str, Any] = {}
    for flag in flags:
        name = flag.parameter.name
        value = chosen[name]
        if _is_any_keyword(experiment, name):
            given |= value
        elif named.intersection(flag.names) or to_plain(value) != to_plain(declared[name].default):
            given[name] = value
    return given


def _typed_parameters(tyro: Any, experiment: Experiment) -> list[inspect.Parameter]:
    """Return the function's parameters by keyword, each with a type that gives the flag that tyro gives the function's."""
    hints = declared_types(experiment.wrapped)
    kinds = {name: p.kind for name, p in inspect.signature(experiment.wrapped).parameters.items()}
    typed: list[inspect.Parameter] = []
    for parameter in experiment.signature.parameters.values():
        default: Any = parameter.default
        guess: Any = str if default is None or default is parameter.empty else default.__class__
        kind = kinds[parameter.name]
        if kind is parameter.VAR_POSITIONAL:
            guess = types.GenericAlias(tuple, (hints.pop(parameter.name, str), ...))
        elif kind is parameter.VAR_KEYWORD:
            guess = types.GenericAlias(dict, (str, hints.pop(parameter.name, str)))
            parameter = inspect.Parameter(parameter.name, parameter.KEYWORD_ONLY, default={})  # noqa: PLW2901
        annotation = hints.get(parameter.name, guess)
        if kind is parameter.POSITIONAL_ONLY:
            annotation = tyro.conf.Positional[annotation]
        typed.append(parameter.replace(annotation=annotation))
    return typed


def _without_prefix(tyro: Any, annotation: Any) -> Any:
    return Annotated[annotation, tyro.conf.arg(name="")]


def _is_any_keyword(experiment: Experiment, name: str) -> bool:
    return experiment.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD


def _with_recorded_default(parameter: inspect.Parameter, recorded: Mapping[str, Any]) -> inspect.Parameter:
    """Return `parameter` with its recorded value as default; required if that cannot be read back from JSON."""
    if parameter.name not in recorded:
        return parameter
    try:
        return parameter.replace(default=from_json(recorded[parameter.name], parameter.annotation))
    except ValueError:
        return parameter.replace(default=inspect.Parameter.empty)
