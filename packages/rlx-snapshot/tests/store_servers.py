"""Servers of stores on this machine: OpenSSH for sftp, moto for S3."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_until_it_listens(port: int, server: subprocess.Popen[bytes]) -> None:
    """Return when a server takes connections."""
    for _ in range(600):
        if server.poll() is not None:
            pytest.fail(f"the server ended with {server.returncode}")
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("the server does not listen")


@contextmanager
def running(command: list[str], port: int) -> Generator[None]:
    """Run a server as long as the body needs it."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_until_it_listens(port, server)
            yield
        finally:
            subprocess.run(["pkill", "-P", str(server.pid)], check=False)  # its connections, too
            server.kill()


@contextmanager
def sftp_server(folder: Path, port: int) -> Generator[None]:
    """Serve this user's files to the key in `folder`, which `make_key` made."""
    if SSHD is None:
        pytest.skip("OpenSSH's server is not installed")
    Path("/run/sshd").mkdir(exist_ok=True)
    config = folder / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/key\nAuthorizedKeysFile {folder}/key.pub\n"
        f"PasswordAuthentication no\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPidFile none\n"
        f"Subsystem sftp internal-sftp\n"
    )
    with running([SSHD, "-D", "-f", str(config)], port):
        yield


def make_key(folder: Path) -> Path:
    """Return a new key pair's private half."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    return folder / "key"


@contextmanager
def s3_server(port: int) -> Generator[None]:
    """Serve an object store that lives in memory."""
    with running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port):
        yield
