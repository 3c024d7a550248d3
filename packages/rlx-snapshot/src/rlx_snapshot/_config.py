"""The three settings that say where and how often a run is snapshotted."""

from typing import NamedTuple


class SnapshotConfig(NamedTuple):
    """Where snapshots go and which iterations are kept.

    The fields stand in the order in which `Snapshotter` takes them, so
    ``Snapshotter(*config)`` builds the snapshotter a config describes.
    """

    snapshot_dir: str
    snapshot_mode: str
    snapshot_gap: int
