"""The no-ops keep the contract and nothing else."""

import pytest

from rlx_protocols import Logger, NullLogger, NullSnapshotStore, SnapshotStore, Stateful


def test_null_logger_has_no_state() -> None:
    """Whatever is written, there is nothing to restore."""
    logger = NullLogger()
    logger.write("info/epoch", 1, {"return": 1.0})
    assert logger.state_dict() == {}


def test_null_logger_accepts_a_state() -> None:
    """A run whose logger was taken away can still be resumed."""
    logger = NullLogger()
    logger.load_state_dict({"journal": 12})
    logger.finalize()
    assert logger.state_dict() == {}


def test_null_store_keeps_nothing() -> None:
    """Loading says that the run keeps no snapshots."""
    store = NullSnapshotStore()
    store.save_itr_params(0, {"weights": 1})
    with pytest.raises(FileNotFoundError, match="this run keeps none"):
        store.load("somewhere", 0)


def test_null_objects_fit_their_protocols() -> None:
    """A type checker holds this line; at run time the same objects are callable as their protocols say."""
    logger: Logger = NullLogger()
    stateful: Stateful = NullLogger()
    store: SnapshotStore = NullSnapshotStore()
    stateful.load_state_dict(stateful.state_dict())
    logger.finalize()
    store.save_itr_params(1, stateful.state_dict())
    with pytest.raises(FileNotFoundError, match="iteration 'last'"):
        store.load("somewhere")
