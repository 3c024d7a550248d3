"""Loading data from a file of unknown origin."""

import os
from typing import Any

from rlx_snapshot._errors import UntrustedSnapshotError
from rlx_snapshot._format.container import check_buffers, open_container, skeleton
from rlx_snapshot._settings import SigningKey, key_from, path_of


def load_untrusted(path: str | os.PathLike[str], *, signing_key: SigningKey | None = None) -> Any:
    """Load a snapshot that may come from anyone.

    Plain containers, numbers, text, bytes, NumPy arrays, dtypes and scalars and torch
    tensors are rebuilt by this function from what the file says about them; nothing
    that the file names is imported or called.

    Raises:
        UntrustedSnapshotError: If the file holds anything else, is nested more than
            200 deep, or is not signed with the key.
        DamagedSnapshotError: If the file is not what was saved.
    """
    from rlx_snapshot._inspection.pickle_walker import walk
    from rlx_snapshot._inspection.untrusted_values import built_from

    container = open_container(path_of("path", path), key_from(signing_key))
    check_buffers(container)
    buffers = container.index.buffers if container.index else ()
    try:
        return built_from(walk(skeleton(container), [container.data[b.offset : b.end] for b in buffers]))
    except (
        AttributeError,
        LookupError,
        MemoryError,
        OverflowError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise UntrustedSnapshotError(container.path, str(error)) from error
