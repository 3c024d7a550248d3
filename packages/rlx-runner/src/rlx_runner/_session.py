"""What is there for as long as training runs: workers and signal handlers."""

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from rlx_protocols import Logger
from rlx_runner._checks import check_offers
from rlx_runner._display import Display
from rlx_runner._random import restore_random
from rlx_runner._setup import Setup
from rlx_runner._snapshots import Snapshots
from rlx_runner._stop import StopSwitch


@contextmanager
def session(
    parts: Setup,
    logger: Logger,
    snapshots: Snapshots,
    stop: StopSwitch,
    display: Display,
    random: Mapping[str, Any] | None,
) -> Generator[None]:
    """Have workers and listen to signals; whatever ends training, leave everything written and closed.

    Args:
        parts: The parts of the run.
        logger: Finalized at the end.
        snapshots: Finished before that.
        stop: Listens meanwhile.
        display: Closed first.
        random: States of the global generators to train with; None keeps them as they are.
    """
    check_offers("algo", parts.algo, ("train",), "an algorithm with train(loop)")
    with ExitStack() as stack:
        stack.callback(logger.finalize)
        stack.callback(snapshots.finish)
        stack.callback(parts.close)
        stack.enter_context(stop.listening())
        stack.callback(display.close)
        parts.sampling.open()
        if random is not None:  # last: nothing may draw from here on
            restore_random(random)
        yield
