"""Keyed, parallel episode sampling: the same batch for any number of workers."""

from rlx_protocols import WorkerFactory
from rlx_sampler._batches.episodes import EpisodeBatch
from rlx_sampler._batches.step_types import StepType
from rlx_sampler._batches.time_steps import TimeStepBatch
from rlx_sampler._errors import ClosedSamplerError, EpisodeError, WorkerError
from rlx_sampler._exactness import Exactness
from rlx_sampler._keyed_sampler import KeyedSampler
from rlx_sampler._keys import EVALUATION, TRAINING, EpisodeKey, EpisodeStreams
from rlx_sampler._local_sampler import LocalSampler
from rlx_sampler._multiprocessing_sampler import MultiprocessingSampler
from rlx_sampler._per_worker import PerWorker
from rlx_sampler._policies.noise import sample_categorical, sample_distribution, sample_gaussian
from rlx_sampler._policies.normalizer import ObservationNormalizer
from rlx_sampler._ray_sampler import RaySampler
from rlx_sampler._workers.fragment_worker import FragmentWorker
from rlx_sampler._workers.lane_worker import DefaultWorker, VecWorker
from rlx_sampler._workers.worker import EnvUpdate, NewEnvUpdate, SetTaskUpdate, Worker

__all__ = [
    "EVALUATION",
    "TRAINING",
    "ClosedSamplerError",
    "DefaultWorker",
    "EnvUpdate",
    "EpisodeBatch",
    "EpisodeError",
    "EpisodeKey",
    "EpisodeStreams",
    "Exactness",
    "FragmentWorker",
    "KeyedSampler",
    "LocalSampler",
    "MultiprocessingSampler",
    "NewEnvUpdate",
    "ObservationNormalizer",
    "PerWorker",
    "RaySampler",
    "SetTaskUpdate",
    "StepType",
    "TimeStepBatch",
    "VecWorker",
    "Worker",
    "WorkerError",
    "WorkerFactory",
    "sample_categorical",
    "sample_distribution",
    "sample_gaussian",
]
