"""W&B's service, the process that writes and sends what a training process logs."""

from __future__ import annotations

import os
from typing import Final

_TOKEN: Final = "WANDB_SERVICE"  # version-pid-kind-address: W&B sets it where it has started a service


def leave_inherited_service() -> None:
    """Let this process start a service of its own, where one of its parents uses W&B too.

    A service keeps the run of a child that was killed open, and refuses the attempt that resumes it;
    nor does a child wait for its parent's service when it ends.
    """
    token = os.environ.get(_TOKEN, "").split("-")
    if len(token) > 1 and token[1] != str(os.getpid()):
        os.environ.pop(_TOKEN, None)
