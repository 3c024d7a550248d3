"""Classes and functions of the running script: by reference where that can work, by value elsewhere.

cloudpickle copies the code of everything defined in ``__main__`` into the file.
A resumed script would then hold two classes of one name, its own and the old
copy. Here the file looks the name up in the ``__main__`` that loads it, and
falls back to the copy only when the name is missing there.
"""

import collections
import functools
import importlib
import io
import operator
import pickle
import sys
from typing import Any

from rlx_snapshot._pickling.calls import Call, Reduced
from rlx_snapshot._pickling.cloud import CloudPickler


def lives_in_main(obj: Any) -> bool:
    """Whether a class or function is reached by its own name at the top of ``__main__``."""
    return obj.__module__ == "__main__" and vars(sys.modules["__main__"]).get(obj.__qualname__) is obj


def by_name_or_copy(obj: Any) -> Reduced:
    """A lookup in ``__main__`` whose default, unpickled only when needed, is a copy of the code."""
    names = Call(vars, Call(importlib.import_module, "__main__"))
    lookup = Call(collections.defaultdict, functools.partial(pickle.loads, _copy_of(obj)), names)
    return operator.getitem, (lookup, obj.__qualname__)


def _copy_of(obj: Any) -> bytes:
    copy = io.BytesIO()
    try:
        CloudPickler(copy, protocol=5).dump(obj)
    except (TypeError, AttributeError, pickle.PicklingError, RecursionError):
        # The code leans on something that cannot be pickled. The name alone is left,
        # and loading it without such a name says so as any pickle does.
        return pickle.dumps(obj, protocol=5)
    return copy.getvalue()
