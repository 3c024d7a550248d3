"""The processes of a local sweep's jobs: forked from one that has the imports behind it, or each started again."""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Self


class ForkServer:
    """A process that imports the experiment once and forks a child for each job; started again should it die."""

    def __init__(self) -> None:
        self._ends: SimpleQueue[tuple[int, int]] = SimpleQueue()
        self._lock = threading.Lock()
        self._server = self._launch()

    def _launch(self) -> "_Server":
        server = _Server()
        threading.Thread(target=self._listen, args=(server,), daemon=True).start()
        return server

    def _listen(self, server: "_Server") -> None:
        """Take down what the server says; when it dies, its jobs count as dead."""
        for index, code in server.answers():
            with self._lock:
                server.jobs.discard(index)
            self._ends.put((index, code))
        code = server.process.wait()
        with self._lock:
            server.dead = True
            for index in server.jobs:
                self._ends.put((index, code or 1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def start(self, index: int, packed: bytes, environment: Mapping[str, str]) -> None:
        """Start a job."""
        with self._lock:
            if self._server.dead:
                self._server = self._launch()
            self._server.jobs.add(index)
        job = base64.b64encode(packed).decode()
        self._server.say({"index": index, "job": job, "environment": dict(environment)})

    def stop_jobs(self) -> None:
        """Ask all jobs to stop at their next good moment."""
        self._server.say({"signal": int(signal.SIGTERM)})

    def next_end(self, timeout: float) -> tuple[int, int] | None:
        """Return index and exit code of the next job that ended; None if none did in `timeout` seconds."""
        try:
            return self._ends.get(timeout=timeout)
        except Empty:
            return None


class _Server:
    """One life of the process that forks."""

    def __init__(self) -> None:
        self.jobs: set[int] = set()
        self.dead = False
        self.process = subprocess.Popen(
            (sys.executable, "-m", "rlx_experiment._sweeps.forkserver"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C reaches the sweep alone, which passes it on once
        )

    def answers(self) -> Iterator[tuple[int, int]]:
        """Yield index and exit code of each job that ends, until the process does."""
        if self.process.stdout is not None:
            with self.process.stdout as lines:
                for line in lines:
                    message: dict[str, int] = json.loads(line)
                    yield message["index"], message["code"]

    def say(self, message: Mapping[str, Any]) -> None:
        """Send one command."""
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):  # it died, and its end is on the way
                self.process.stdin.write(json.dumps(message) + "\n")
                self.process.stdin.flush()

    def close(self) -> None:
        """End the process; it waits for its jobs."""
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.close()
        self.process.wait()


class Spawner:
    """A process for each job, which imports the experiment by itself."""

    def __init__(self) -> None:
        self._ends: SimpleQueue[tuple[int, int]] = SimpleQueue()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.wait()

    def start(self, index: int, packed: bytes, environment: Mapping[str, str]) -> None:
        """Start a job."""
        process = self._processes[index] = subprocess.Popen(
            (sys.executable, "-m", "rlx_experiment._sweeps.jobs"),
            stdin=subprocess.PIPE,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        threading.Thread(target=self._attend, args=(index, process, packed), daemon=True).start()

    def _attend(self, index: int, process: "subprocess.Popen[bytes]", packed: bytes) -> None:
        process.communicate(packed)
        self._ends.put((index, process.returncode))

    def stop_jobs(self) -> None:
        """Ask all jobs to stop at their next good moment."""
        for process in self._processes.values():
            process.terminate()

    def next_end(self, timeout: float) -> tuple[int, int] | None:
        """Return index and exit code of the next job that ended; None if none did in `timeout` seconds."""
        try:
            return self._ends.get(timeout=timeout)
        except Empty:
            return None
