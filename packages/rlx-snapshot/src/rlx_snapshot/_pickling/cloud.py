"""cloudpickle's pickler, with the types of the one it extends, as it ships none of its own."""

from typing import TYPE_CHECKING

import cloudpickle

if TYPE_CHECKING:
    from pickle import Pickler as CloudPickler
else:
    CloudPickler = cloudpickle.Pickler

__all__ = ["CloudPickler"]
