"""Waiting for what other processes do."""

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress


def until(what: str, condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until a condition holds; a command that fails counts as not yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(subprocess.SubprocessError):
            if condition():
                return
        time.sleep(0.2)
    raise TimeoutError(f"not within {seconds:g} s: {what}")
