"""Checks of an algorithm: it runs the loop, logs numbers, pickles, and can be stopped."""

import pickle
from collections.abc import Callable
from numbers import Real
from typing import Any

from rlx_protocols._algorithm import Algorithm
from rlx_protocols._sampling import Sampler
from rlx_protocols.testing._fakes import ScriptedLoop
from rlx_protocols.testing._requirement import ConformanceError, require


def check_algorithm(
    make_algorithm: Callable[[], Algorithm], make_sampler: Callable[[], Sampler[Any]], *, batch_size: int = 64
) -> None:
    """Check that an algorithm keeps the contract of `Algorithm`.

    Args:
        make_algorithm: Builds an untrained algorithm.
        make_sampler: Builds a sampler for its policy.
        batch_size: Environment steps of a batch.

    Raises:
        ConformanceError: If it does not; names the rule and what was seen.
    """
    algorithm = make_algorithm()
    loop = ScriptedLoop(
        make_sampler(), n_epochs=3, batch_size=batch_size, after_epoch=lambda _: _pickles(algorithm)
    )
    algorithm.train(loop)
    require(loop.epochs_done == 3, "train must run step_epochs to its end", loop.epochs_done)
    for row in loop.rows:
        for name, value in row.items():
            require(isinstance(value, Real), f"the logged value of {name!r} must be a real number", value)
    stopped = ScriptedLoop(make_sampler(), n_epochs=3, batch_size=batch_size, stop_after=1)
    make_algorithm().train(stopped)
    require(stopped.epochs_done == 1, "train must return when step_epochs ends early", stopped.epochs_done)


def _pickles(algorithm: Algorithm) -> None:
    try:
        pickle.loads(pickle.dumps(algorithm))
    except Exception as error:
        raise ConformanceError(
            f"an algorithm must pickle between epochs, or no run can be resumed; {error}"
        ) from error
