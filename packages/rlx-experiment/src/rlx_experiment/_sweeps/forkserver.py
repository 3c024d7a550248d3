"""``python -m rlx_experiment._sweeps.forkserver``: imports an experiment once and forks a child for each job.

Reads one JSON object a line: a job to start, or a signal for all. Writes one a line: the exit code of a job. At the end
of its input it asks the jobs to stop and waits for them.
"""

import base64
import gc
import json
import os
import pickle
import select
import signal
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from rlx_experiment._loading import load_experiment
from rlx_experiment._sweeps.jobs import FAILED, RAISED, run_job
from rlx_experiment._sweeps.retrying import may_pass


def main() -> None:
    """Serve until the input ends and the last job has."""
    _Server(os.dup(sys.stdin.fileno()), os.dup(sys.stdout.fileno())).serve()


class _Server:
    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        os.dup2(2, 1)  # what jobs print goes to their console.log, and before that to standard error
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # the commands are not for jobs to read
        self._jobs: dict[int, int] = {}
        self._templates: dict[str, Any] = {}
        self._buffer = b""

    def serve(self) -> None:
        """Obey commands and report ends."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        wake, poke = os.pipe()
        os.set_blocking(poke, False)
        signal.set_wakeup_fd(poke, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _ignore)  # any handler will do to wake the wait below
        open_input = True
        while open_input or self._jobs:
            ready = select.select([wake, *([self._commands] if open_input else [])], [], [])[0]
            if wake in ready:
                os.read(wake, 4096)
            self._reap()
            if self._commands in ready and not self._read():
                open_input = False
                self._signal_all(signal.SIGTERM)

    def _read(self) -> bool:
        """Obey the commands that have come; return False at the end of the input."""
        data = os.read(self._commands, 2**20)
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            message: dict[str, Any] = json.loads(line)
            if "signal" in message:
                self._signal_all(message["signal"])
            else:
                self._start(message["index"], base64.b64decode(message["job"]), message["environment"])
        return bool(data)

    def _start(self, index: int, packed: bytes, environment: Mapping[str, str]) -> None:
        try:
            template = self._template(packed)
        except BaseException as error:  # noqa: BLE001 - whatever the launcher raises is that job's failure
            traceback.print_exc()
            self._answer(index, FAILED if may_pass(error) else RAISED)
            return
        pid = os.fork()
        if pid == 0:
            _run_in_child(packed, template, environment, (self._commands, self._answers))
        self._jobs[pid] = index

    def _template(self, packed: bytes) -> Any:
        """Return the experiment of a job, loaded once; None for one that travels with its job."""
        identity = pickle.loads(packed)[0]
        if identity is None:
            return None
        key = json.dumps(identity, sort_keys=True)
        if key not in self._templates:
            self._templates[key] = load_experiment(identity)
            gc.freeze()  # so that children do not copy what was imported, only because they collect garbage
        return self._templates[key]

    def _reap(self) -> None:
        while self._jobs:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid in self._jobs:
                self._answer(self._jobs.pop(pid), os.waitstatus_to_exitcode(status))

    def _answer(self, index: int, code: int) -> None:
        with suppress(BrokenPipeError):  # nobody listens any more; the jobs still come to their ends
            os.write(self._answers, json.dumps({"index": index, "code": code}).encode() + b"\n")

    def _signal_all(self, number: int) -> None:
        for pid in self._jobs:
            os.kill(pid, number)


def _ignore(_number: int, _frame: object) -> None:
    """Do nothing about a signal."""


def _run_in_child(
    packed: bytes, template: Any, environment: Mapping[str, str], inherited: tuple[int, ...]
) -> None:
    """Run a job in a forked child, which ends here."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for descriptor in inherited:
            os.close(descriptor)
        os.environ.update(environment)
        _reseed()
        code = run_job(packed, template)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - the end of this process, which its exit code tells
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _reseed() -> None:
    """Give NumPy's global generator numbers of its own, as in a new process, unless the program has set its seed.

    Python's generator does so by itself after a fork.
    """
    random: Any = sys.modules.get("numpy.random")
    if random is not None and random.get_bit_generator().seed_seq is not None:  # None once it is seeded
        random.seed()


if __name__ == "__main__":
    main()
