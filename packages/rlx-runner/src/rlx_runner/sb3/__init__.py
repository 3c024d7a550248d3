"""Makes training with Stable-Baselines3 resumable, bit for bit."""

try:
    from rlx_runner.sb3._callback import ResumableCallback, resume
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] != "stable_baselines3":
        raise
    raise ModuleNotFoundError(
        "rlx_runner.sb3 needs stable-baselines3: pip install 'rlx-runner[sb3]'.", name=error.name
    ) from error

__all__ = ["ResumableCallback", "resume"]
