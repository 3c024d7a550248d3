"""A row: what one `write` hands to every backend, split and named once."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rlx_logging._offers import kind_of
from rlx_logging._rows.numbers import BEYOND, BUILTIN_NUMBERS, LEAST, as_number, exact_number
from rlx_logging._rows.values import apart, as_value, is_mapping, leaves
from rlx_logging._scopes import StepType

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_KEY: Final = 1000
EMPTY_KEY: Final = "(empty)"
_INT64: Final = 2**63
_FLOATS: Final = frozenset({float, bool})  # types whose every value is logged as it is


class Layout:
    """The names of a row, made once for every set of keys; compared by identity.

    Attributes:
        scope: Namespace, as ``"train"``.
        step_name: Name of the step, as ``"env_step"``.
        keys: Names of the values.
        tags: The full names: that of the step, then those of the values.
    """

    __slots__ = ("keys", "scope", "step_name", "tags")

    def __init__(self, step_type: StepType, keys: Iterable[str]) -> None:
        self.scope, self.step_name = step_type
        self.keys = tuple(keys)
        self.tags = tuple(f"{self.scope}/{key}" for key in (self.step_name, *self.keys))


class Row(NamedTuple):
    """One call of `write`.

    Attributes:
        layout: The names.
        step: Where the row stands.
        time: When it was logged, in seconds since the epoch.
        values: Plain numbers, in the order of `layout.keys`.
        arrays: Arrays by their full names.
        number: How many rows of the run came before: its number in the journal where there is one.
    """

    layout: Layout
    step: int
    time: float
    values: tuple[float, ...]
    arrays: Mapping[str, NDArray[Any]]
    number: int

    @property
    def step_type(self) -> str:
        """The full name of the step, as ``"train/env_step"``."""
        return self.layout.tags[0]

    @property
    def data(self) -> dict[str, float]:
        """The values by their keys."""
        return dict(zip(self.layout.keys, self.values, strict=True))

    def with_data(self, data: Mapping[str, float], arrays: Mapping[str, NDArray[Any]] | None = None) -> Row:
        """Return the row with other values, and other arrays where those are given."""
        layout = Layout(StepType(self.layout.scope, self.layout.step_name), data)
        kept = self.arrays if arrays is None else arrays
        return self._replace(layout=layout, values=tuple(data.values()), arrays=kept)


class RowBuilder:
    """Turns the arguments of `write` into rows; remembers the layouts it has seen.

    Args:
        exclude_arrays: Take an array of one element for the number it holds.
        left_out: Hears of every value that is neither a number nor an array.
        count: Returns how many rows there are already; asked at the first row.

    Attributes:
        number: That of the next row, for whoever writes rows to count on; negative before the first.
    """

    def __init__(
        self,
        exclude_arrays: bool = True,
        left_out: Callable[[str, object], None] = lambda _key, _value: None,
        count: Callable[[], int] = lambda: 0,
    ) -> None:
        self.number = -1
        self._count = count
        self._layouts: dict[tuple[str, tuple[str, ...]], Layout] = {}
        self._casts: dict[type, Callable[[Any], Any]] = {float: float, bool: bool, int: as_number}
        self._exclude_arrays = exclude_arrays
        self._left_out = left_out

    def build(self, step_type: str, step: int, data: Mapping[str, Any]) -> Row:
        """Return the row of one call. Nested mappings are flattened with ``/``.

        Raises:
            ValueError: If `step_type` is not ``"scope/name"``, if the key of the step is in
                `data` with another value, if two keys are spelled alike, or if the step
                does not fit into 64 bits.
            TypeError: If `step` is not an integer, or `data` no mapping.
        """
        try:
            keys, values = tuple(data), tuple(data.values())
        except (TypeError, AttributeError) as error:
            raise TypeError(f"a row must map names to values; got {data!r}.") from error
        layout = self._layouts.get((step_type, keys))
        if layout is None or type(step) is not int:
            return self._build_with_care(step_type, step, data)
        if not _FLOATS.issuperset(map(type, values)) and not _are_plain(values):
            try:
                casts = self._casts
                values = tuple([casts[type(value)](value) for value in values])
            except Exception:  # noqa: BLE001 - not seen before, or a foreign number
                return self._build_with_care(step_type, step, data)
        return Row(layout, step, time.time(), values, {}, self.number)

    def restart(self, number: int = -1) -> None:
        """Give the next row a number; by default one that is counted when it comes."""
        self.number = number
        self._layouts.clear()

    def _build_with_care(self, step_type: str, step: int, data: Mapping[str, Any]) -> Row:
        parsed = StepType.parse(step_type)
        step = checked_step(step, step_type)
        scalars: dict[Any, Any] = {}
        arrays: dict[str, NDArray[Any]] = {}
        for key, value in apart(leaves(data)) if any(map(is_mapping, data.values())) else data.items():
            found = as_value(value, one_is_number=self._exclude_arrays)
            if found is None:
                self._left_out(spell(key), value)
            elif type(found) in BUILTIN_NUMBERS:
                scalars[key] = found
                if isinstance(value, Real) and (type(found) is float or kind_of(value) is not None):
                    self._casts.setdefault(type(value), float if isinstance(found, float) else int)
            else:
                arrays[f"{parsed.scope}/{spell(key)}"] = found
        _refuse_other_step(parsed, step, scalars)
        layout = self._layout(step_type, parsed, tuple(scalars))
        scalars.pop(parsed.name, None)
        if self.number < 0:
            self.number = self._count()
        return Row(layout, step, time.time(), tuple(scalars.values()), arrays, self.number)

    def _layout(self, step_type: str, parsed: StepType, keys: tuple[str, ...]) -> Layout:
        layout = self._layouts.get((step_type, keys))
        if layout is not None:
            return layout
        named = tuple(key for key in keys if key != parsed.name)
        if named != keys:  # not remembered under these keys: the quick way must not see them
            return self._layout(step_type, parsed, named)
        layout = self._layouts[step_type, keys] = Layout(parsed, spelled_apart(keys, step_type))
        return layout


def _are_plain(values: tuple[Any, ...]) -> bool:
    """Tell whether all are plain numbers, and no whole number needs more than 64 bits."""
    return BUILTIN_NUMBERS.issuperset(map(type, values)) and min(values) >= LEAST and max(values) < BEYOND


def spelled_apart(keys: Iterable[object], step_type: str) -> list[str]:
    """Return the names that the keys of a row are logged under.

    Raises:
        ValueError: If two of them are the same.
    """
    spelled = [spell(key) for key in keys]
    twice = sorted(key for key, count in Counter(spelled).items() if count > 1)
    if twice:
        raise ValueError(f"keys of {step_type!r} are spelled alike when logged: {twice}; rename one.")
    return spelled


def spell(key: object) -> str:
    r"""Return the name a key is logged under.

    Control characters are written as Python escapes (a newline as ``\n``), an empty
    key as ``(empty)``, and what is longer than 1000 characters is cut and closed with
    a digest of the whole. Other types are spelled by `str`.
    """
    name = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(key))
    if len(name) > MAX_KEY:
        digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        name = f"{name[: MAX_KEY - 17]}~{digest}"
    return name or EMPTY_KEY


def checked_step(step: object, step_type: str) -> int:
    """Return `step` as an int.

    Raises:
        TypeError: If it is not a whole number.
        ValueError: If it does not fit into 64 bits.
    """
    number = exact_number(step)
    if number is None or number % 1 != 0:
        raise TypeError(f"the step of {step_type!r} must be a whole number; got {step!r}.")
    whole = int(number)
    if not -_INT64 <= whole < _INT64:
        raise ValueError(f"the step of {step_type!r} must fit into 64 bits; got {whole}.")
    return whole


def _refuse_other_step(parsed: StepType, step: int, scalars: Mapping[str, Any]) -> None:
    if parsed.name in scalars and scalars[parsed.name] != step:
        raise ValueError(
            f"{parsed.name!r} is the step of this row ({step}), and the data has the same key with "
            f"another value ({scalars[parsed.name]!r}): rename the key."
        )
