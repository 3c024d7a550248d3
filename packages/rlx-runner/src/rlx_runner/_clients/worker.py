"""What runs inside a worker process of a vector environment: its environment is asked for its state, or given one.

Workers of Stable-Baselines3 and of tianshou answer a few commands, and pass their environment to nothing that comes with
one. A request therefore does its work where the worker unpickles it, finds the environment among the worker's variables,
and leaves its answer with it as an attribute, which the command then reads.
"""

import types
from typing import Any, Final

from rlx_runner._checkpoint.attributes import dictionary_of
from rlx_runner._checkpoint.parts import Parts
from rlx_runner._clients.frames import read_local, running, write_local
from rlx_runner._clients.process_bound import ProcessBound
from rlx_runner._clients.texts import TextLogs
from rlx_runner._offers import offered
from rlx_runner._random import capture_random, restore_random
from rlx_snapshot import UnpicklableStateError, exact_dumps, exact_loads

ANSWER: Final = "rlx_answer"
"""Attribute of the worker's environment that holds the answer to the last request."""


class Request:
    """Is carried out where it is unpickled, and loads as the name of the attribute that holds the answer.

    Args:
        name: "classes", "state" or "load".
        arguments: Of the request.
    """

    def __init__(self, name: str, *arguments: Any) -> None:
        self._content = (name, *arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return carry_out, self._content


def carry_out(name: str, *arguments: Any) -> str:
    """Carry out a request in the worker that is running, and return where the answer is."""
    worker = running("_worker")
    env = read_local(worker, "env", None)
    if env is None or worker is None:
        return ANSWER
    fields = dictionary_of(env)
    fields.pop(ANSWER, None)
    if name == "classes":
        answer: Any = classes_of(env)
    else:
        answer = _state(worker, env) if name == "state" else _load(worker, env, *arguments)
    fields[ANSWER] = answer
    return ANSWER


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
