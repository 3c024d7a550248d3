"""The contract between the parts of a reinforcement-learning training run.

Protocols say what a caller needs; implementations satisfy them by shape and do not
import this package. `rlx_protocols.testing` checks that they do.
"""

from rlx_protocols._algorithm import Algorithm, KeyedPolicy, Parametrised, Policy, TrainingLoop
from rlx_protocols._logging import CommitAware, Logger
from rlx_protocols._null import NullLogger, NullSnapshotStore
from rlx_protocols._sampling import EpisodeBatchLike, Sampler, WorkerFactory
from rlx_protocols._snapshots import BackgroundStore, SnapshotConfigLike, SnapshotStore
from rlx_protocols._stateful import ExactnessLike, Graded, Stateful

__all__ = [
    "Algorithm",
    "BackgroundStore",
    "CommitAware",
    "EpisodeBatchLike",
    "ExactnessLike",
    "Graded",
    "KeyedPolicy",
    "Logger",
    "NullLogger",
    "NullSnapshotStore",
    "Parametrised",
    "Policy",
    "Sampler",
    "SnapshotConfigLike",
    "SnapshotStore",
    "Stateful",
    "TrainingLoop",
    "WorkerFactory",
]
