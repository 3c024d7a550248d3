"""cloudpickle's pickler, with the types of the one it extends, as it ships none of its own."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pickle import Pickler as CloudPickler
else:
    from cloudpickle import Pickler as CloudPickler

__all__ = ["CloudPickler"]
