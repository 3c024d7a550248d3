"""The check in another process, whose strings hash otherwise and whose end is nobody's end."""

import os
import subprocess
import sys
import tempfile
import weakref
from contextlib import suppress
from typing import IO, Final

from rlx_sampler._copies import packed, unpacked
from rlx_sampler._selfcheck.check import check
from rlx_sampler._selfcheck.findings import Findings
from rlx_sampler._selfcheck.subject import Subject

PATIENCE: Final = 60.0
"""Seconds to wait at most, when somebody asks for the grade, until the process has started and is done."""
SECONDS: Final = 2.0
"""How long the check itself may take there: nobody waits for it."""
COMMAND: Final = "from rlx_sampler._selfcheck.other_process import serve; serve()"


class OtherProcess:
    """A fresh interpreter with another PYTHONHASHSEED that checks a subject, at low priority.

    Args:
        subject: What is checked.

    Raises:
        TypeError: If the subject cannot be pickled.
        OSError: If no process can be started.
    """

    def __init__(self, subject: Subject) -> None:
        self._answer = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed with the process
        with tempfile.TemporaryFile() as given:
            given.write(packed(subject, "worker"))
            given.seek(0)
            self._process = subprocess.Popen(
                [sys.executable, "-c", COMMAND],
                stdin=given,
                stdout=self._answer,
                stderr=subprocess.DEVNULL,
                env=_other_environment(),
            )
        self.close = weakref.finalize(self, _end, self._process, self._answer)
        """Ends the process. Calling it twice is allowed."""

    def findings(self) -> Findings:
        """Wait for the end of the check and return what it found."""
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return Findings(
                not_checked=f"not checked, because another process took longer than {PATIENCE:g} s"
            )
        self._answer.seek(0)
        answer = self._answer.read()
        if self._process.returncode or not answer:
            return Findings(
                not_checked=f"not checked, because the process of the check ended with {self._process.returncode}"
            )
        findings: Findings = unpacked(answer)
        return findings


def _other_environment() -> dict[str, str]:
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    path = os.pathsep.join(place for place in sys.path if place)
    return {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}


def _end(process: subprocess.Popen[bytes], answer: IO[bytes]) -> None:
    process.kill()
    process.wait()
    answer.close()


def serve() -> None:
    """Check the subject on standard input; write what was found to standard output, and nothing else."""
    answer = os.dup(1)
    os.dup2(2, 1)  # what an environment prints must not come between
    if sys.platform != "win32":
        with suppress(OSError):
            os.nice(10)
    findings = check(unpacked(sys.stdin.buffer.read()), SECONDS)
    with os.fdopen(answer, "wb") as file:
        file.write(packed(findings, "findings"))
