"""Makes training with tianshou's trainers resumable, bit for bit."""

from rlx_runner.tianshou._run import run_resumable

__all__ = ["run_resumable"]
