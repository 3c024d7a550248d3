"""The training loop that samples, logs and snapshots, and resumes bit for bit."""

from rlx_runner._budget import Budget
from rlx_runner._checkpoint.checkpoint import Checkpoint
from rlx_runner._data.batches import Batches
from rlx_runner._errors import (
    EXIT_STOPPED,
    ExactnessCheckError,
    IncompleteCheckpointError,
    NotSetupError,
    StatisticalResumeError,
    TrainingStopped,
)
from rlx_runner._evaluation import Evaluation, EvaluationWarning
from rlx_runner._exactness import Exactness, Grade
from rlx_runner._plot.plotter import PlotWarning
from rlx_runner._random import get_seed, set_seed
from rlx_runner._records import ExperimentStats, SetupArgs, TrainArgs
from rlx_runner._runner import LocalRunner
from rlx_runner._verdict.check import Verdict, check_exactness

__all__ = [
    "EXIT_STOPPED",
    "Batches",
    "Budget",
    "Checkpoint",
    "Evaluation",
    "EvaluationWarning",
    "Exactness",
    "ExactnessCheckError",
    "ExperimentStats",
    "Grade",
    "IncompleteCheckpointError",
    "LocalRunner",
    "NotSetupError",
    "PlotWarning",
    "SetupArgs",
    "StatisticalResumeError",
    "TrainArgs",
    "TrainingStopped",
    "Verdict",
    "check_exactness",
    "get_seed",
    "set_seed",
]
