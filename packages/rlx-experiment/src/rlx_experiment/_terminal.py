"""Words to the person who started the program."""

import sys
from contextlib import suppress


def notify(text: str, end: str = "\n") -> None:
    """Print `text` on standard error, if it can be: a run is worth more than what is said about it.

    The terminal may be closed, the reader of a pipe ended by the same Ctrl-C, or, in the handler of a signal, standard
    error be in the middle of another line (a RuntimeError).
    """
    with suppress(OSError, RuntimeError):
        print(text, end=end, file=sys.stderr, flush=True)
