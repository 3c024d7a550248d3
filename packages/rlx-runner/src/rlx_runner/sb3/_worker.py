"""What runs inside a worker of SubprocVecEnv: its environment is asked for its state, or given one."""

import types
from typing import Any, Final

from rlx_runner._checkpoint.parts import Parts
from rlx_runner._offers import offered
from rlx_runner._random import capture_random, restore_random
from rlx_runner.sb3._frames import read_local, running, write_local
from rlx_runner.sb3._process_bound import ProcessBound
from rlx_runner.sb3._texts import TextLogs
from rlx_snapshot import UnpicklableStateError, exact_dumps, exact_loads

NAME: Final = "rlx_state_access"
"""Attribute of the worker's environment by which SB3's own commands reach this."""


class StateAccess:
    """Answers requests for the state of the worker that it has been sent to.

    A worker passes its environment to nothing that it calls; it is found among the variables of the running worker.
    """

    def __call__(self, request: str, *arguments: Any) -> Any:
        """Answer "classes", "state" or "load"."""
        worker = running("_worker")
        env = read_local(worker, "env", None)
        if env is None or worker is None:
            return (
                f"this version of Stable-Baselines3 keeps the environment elsewhere; cannot answer {request}"
            )
        if request == "classes":
            return classes_of(env)
        return _state(worker, env) if request == "state" else _load(worker, env, *arguments)


def classes_of(env: Any) -> str:
    """Return the classes of an environment and its wrappers, outermost first."""
    inner = offered(env, "env")
    return type(env).__qualname__ + ("" if inner is None else f" of {classes_of(inner)}")


def _state(worker: types.FrameType, env: Any) -> bytes | str:
    """Return the state, or why it cannot be saved: an error raised here would end the worker."""
    bound = ProcessBound([env])
    logs = TextLogs(bound.writers).state()
    try:
        with bound.set_aside():
            return exact_dumps(
                {
                    "parts": Parts({"env": env}).state(),
                    "logs": logs,
                    "reset_info": read_local(worker, "reset_info", None),
                    "random": capture_random(),
                }
            )
    except UnpicklableStateError as error:
        return str(error)


def _load(worker: types.FrameType, env: Any, data: bytes) -> str:
    """Give the worker a state; return what stands against it, in which case nothing was changed."""
    saved, bound = exact_loads(data), ProcessBound([env])
    try:
        with bound.set_aside():
            Parts({"env": env}).give_back(saved["parts"], None, strict=True)
    except ValueError as error:
        return str(error)
    TextLogs(bound.writers).load(saved["logs"])
    write_local(worker, "reset_info", saved["reset_info"])
    restore_random(saved["random"])
    return ""
