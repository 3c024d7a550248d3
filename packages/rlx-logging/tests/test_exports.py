"""The public face of the package."""

import rlx_logging


def test_all_names_are_there() -> None:
    """Every public name can be imported."""
    assert all(vars(rlx_logging).get(name) or rlx_logging.__getattr__(name) for name in rlx_logging.__all__)


def test_all_lists_lazy_and_eager_names_once() -> None:
    """`__all__` is sorted and holds every lazily imported name."""
    assert sorted(set(rlx_logging.__all__), key=str) == sorted(rlx_logging.__all__)
