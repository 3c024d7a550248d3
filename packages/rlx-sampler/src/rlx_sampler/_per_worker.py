"""One value each for the workers, or one for all."""

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

from rlx_sampler._checks import all_of
from rlx_sampler._offers import is_policy

ValueT = TypeVar("ValueT")


class PerWorker(Generic[ValueT]):
    """One value for each worker of a sampler, in their order.

    Use it where each worker gets parameters of its own: a plain list of parameters is one
    value for all, as many policies keep them in a list.

    Args:
        values: As many as there are workers.

    Raises:
        TypeError: If `values` are not several.
    """

    def __init__(self, values: Sequence[ValueT]) -> None:
        self._values: tuple[ValueT, ...] = tuple(all_of("values", values, object, "one value a worker"))

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self._values)

    def __iter__(self) -> Iterator[ValueT]:
        """Iterate over the values."""
        return iter(self._values)

    def __repr__(self) -> str:
        """Show the values."""
        return f"PerWorker({list(self._values)!r})"


def is_per_worker(name: str, value: Any) -> bool:
    """Whether `value`, the argument `name` of a sampler, has a part for each worker.

    Lists of policies and of environments have; a list of parameters is one value.
    """
    if isinstance(value, PerWorker):
        return True
    if not isinstance(value, list):
        return False
    values: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]  # a list of anything
    return name != "agent_update" or (
        any(map(is_policy, values)) and all(each is None or is_policy(each) for each in values)
    )


def spread(name: str, value: Any, n_workers: int) -> list[Any]:
    """Return one value a worker, from one for all or one for each.

    Raises:
        ValueError: If there are others than `n_workers`.
    """
    if not is_per_worker(name, value):
        return [value] * n_workers
    values = list(value)
    if len(values) != n_workers:
        raise ValueError(
            f"{name} must be one value for all workers or a list of exactly {n_workers}, one a worker, "
            f"not a list of {len(values)}; leave out what is too much, or repeat a value."
        )
    return values
