"""The conformance kit: checks for implementations, and small working parts to test with.

Needs NumPy: ``pip install 'rlx-protocols[testing]'``. Every check raises
`ConformanceError`, an AssertionError, that names the rule and what was seen.
"""

from rlx_protocols.testing._algorithms import check_algorithm
from rlx_protocols.testing._fakes import (
    CountedBatch,
    CountingEnv,
    CountingSampler,
    MemoryLogger,
    MemorySnapshotStore,
    ScriptedLoop,
    SteadyPolicy,
)
from rlx_protocols.testing._loggers import check_logger, check_logger_state
from rlx_protocols.testing._requirement import ConformanceError
from rlx_protocols.testing._samplers import check_sampler, check_sampler_state
from rlx_protocols.testing._stores import check_snapshot_store

__all__ = [
    "ConformanceError",
    "CountedBatch",
    "CountingEnv",
    "CountingSampler",
    "MemoryLogger",
    "MemorySnapshotStore",
    "ScriptedLoop",
    "SteadyPolicy",
    "check_algorithm",
    "check_logger",
    "check_logger_state",
    "check_sampler",
    "check_sampler_state",
    "check_snapshot_store",
]
