"""Which errors another try may not meet again."""

import errno
from collections.abc import Iterator
from typing import Final

_OF_THE_MACHINE: Final = (MemoryError, ConnectionError, TimeoutError, EOFError)
_ERRNOS: Final = frozenset(
    number
    for name in (
        "EAGAIN", "EBUSY", "EDQUOT", "EHOSTUNREACH", "EINTR", "EIO", "EMFILE", "ENETDOWN", "ENETUNREACH",
        "ENFILE", "ENOLCK", "ENOMEM", "ENOSPC", "EREMOTEIO", "ESTALE", "ETIMEDOUT", "ETXTBSY",
    )
    if (number := vars(errno).get(name)) is not None
)  # fmt: skip
_CLASSES: Final = frozenset({"AcceleratorError", "OutOfMemoryError", "WorkerError", "XlaRuntimeError"})
"""Of libraries that are not imported for it: a device or a worker process that failed."""
_WORDS: Final = ("CUDA error", "CUDA out of memory", "CUDNN_STATUS", "NCCL error")


def may_pass(error: BaseException) -> bool:
    """Return whether `error`, or one behind it, comes of the machine: memory, devices, files, connections.

    Any other error comes of the code and its arguments, which raise it again.
    """
    return any(map(_comes_of_the_machine, _with_causes(error)))


def _comes_of_the_machine(error: BaseException) -> bool:
    if isinstance(error, _OF_THE_MACHINE) or type(error).__name__ in _CLASSES:
        return True
    if isinstance(error, OSError):
        return error.errno in _ERRNOS
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _WORDS)


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
