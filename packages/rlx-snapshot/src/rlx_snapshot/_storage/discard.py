"""Going back: later snapshots are put away, not removed."""

from rlx_snapshot._modes import LATEST, numbered
from rlx_snapshot._storage.storage import Storage


def discard_after(storage: Storage, itr: int) -> bool:
    """Move the snapshots of iterations after `itr` to a new folder below ``discarded/``; return whether there are any.

    The newest goes first: whenever this is cut short, what is left is a run that was
    stopped at some earlier iteration. A file whose iteration is unknown stays.
    """
    held = [(held, numbered(held)) for held in storage.iterations()]
    inside = storage.latest_iteration()
    if inside is not None:
        held.append((inside, LATEST))
    later = sorted(((number, name) for number, name in held if number > itr), reverse=True)
    if later:
        storage.put_away([name for _, name in later])
    return bool(later)
