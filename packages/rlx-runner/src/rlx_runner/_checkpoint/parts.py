"""What belongs to a run: how each part goes into a snapshot, and how it gets its state back."""

from collections.abc import Iterator, Mapping
from typing import Any

from rlx_runner._checkpoint.inplace import InPlace
from rlx_runner._checkpoint.kinds import is_frozen, kind_of
from rlx_runner._checkpoint.structure import disagreements
from rlx_runner._learners.shards import in_shards
from rlx_runner._offers import is_saved_whole, method, stateful, unwrapped
from rlx_runner._state import by_name


class Parts:
    """The parts of a run by name.

    A part that offers ``state_dict`` and ``load_state_dict`` is saved by them. Nets and optimizers of torch
    offer less there than they hold, so they are saved whole, as everything else is.

    Args:
        parts: The objects by name.

    Raises:
        TypeError: If one can neither change in place nor load a state.
    """

    def __init__(self, parts: Mapping[str, Any]) -> None:
        self._parts = {name: in_shards(unwrapped(part)) for name, part in parts.items()}
        for name, part in self._parts.items():
            _check_changeable(name, part)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._parts.values())

    def state(self) -> dict[str, Any]:
        """Return what goes into a snapshot; it shares the parts' memory."""
        return {name: self._saved(part) for name, part in self._parts.items()}

    def give_back(self, saved: Mapping[str, Any], variables: Any, *, strict: bool) -> Any:
        """Give every part its saved state, the same objects continuing.

        Args:
            saved: What `state` returned, loaded.
            variables: Values beside, which may refer to the parts.
            strict: Whether another class, shape or number of environments is refused.

        Returns:
            `variables`, in which references to saved objects are to the live ones.

        Raises:
            ValueError: If the snapshot is of other parts; names all, and nothing was changed.
        """
        places = InPlace()
        wrong = list(self._missing(saved))
        for name, part in self._parts.items():
            if name in saved:
                wrong += self._pair(places, name, part, saved[name])
        if wrong and strict:
            raise ValueError(
                f"the snapshot is of another run: {'; '.join(wrong)}. Build what the saved run had, or begin in another "
                "folder. Nothing was changed."
            )
        places.write()
        for name, part in self._parts.items():
            if "state_dict" in saved[name]:
                part.load_state_dict(places.resolve(saved[name]["state_dict"]))
        return places.resolve(variables)

    def _pair(self, places: InPlace, name: str, part: Any, saved: Mapping[str, Any]) -> Iterator[str]:
        if saved["class"] != _class_name(part):
            yield f"{name} is a {_class_name(part)} here, a {saved['class']} in the snapshot"
        elif "object" in saved:
            for path, live, other in places.pair(name, part, saved["object"]):
                yield from disagreements(path, live, other)
        else:
            objections = method(part, "disagreements")
            yield from () if objections is None else objections(saved["state_dict"])

    def _missing(self, saved: Mapping[str, Any]) -> Iterator[str]:
        yield from (f"{name} is not in the snapshot" for name in self._parts if name not in saved)
        yield from (f"{name} of the snapshot is not here" for name in saved if name not in self._parts)

    def _saved(self, part: Any) -> dict[str, Any]:
        known = stateful(part)
        if known is None or is_saved_whole(part):
            return {"class": _class_name(part), "object": part}
        return {"class": _class_name(part), "state_dict": known.state_dict()}


def _class_name(part: Any) -> str:
    name = by_name(type(part))
    return name if isinstance(name, str) else f"{type(part).__module__}:{type(part).__qualname__}"


def _check_changeable(name: str, part: Any) -> None:
    if stateful(part) is None and (kind_of(part) is None or is_frozen(part)):
        raise TypeError(
            f"{name} must be an object that can take a state, not {_described(part)}, which cannot change; hand a variable "
            f"over with carry(lambda: {name})."
        )


def _described(part: Any) -> str:
    text = repr(part)
    return text if len(text) <= 60 else f"a {type(part).__qualname__}"
