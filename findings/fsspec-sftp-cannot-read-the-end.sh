#!/usr/bin/env bash
# Version:   fsspec 2026.9.0, paramiko 5.1.0
# Guess:     cat_file(path, start=-5) returns the last five bytes on every filesystem, as its docstring says.
# Behaviour: the shared implementation asks the opened file for `.size`, which the files of SFTPFileSystem lack.
#            From the front it works, and the size is known to `info`.
# Seen:      as below `EXPECTED`.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet fsspec==2026.9.0 paramiko==5.1.0

cat > program.py <<'PROGRAM'
import os
import pathlib
import socket
import threading

import fsspec
import paramiko


class Server(paramiko.ServerInterface):
    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED


class Files(paramiko.SFTPServerInterface):
    def stat(self, path):
        return paramiko.SFTPAttributes.from_stat(os.stat(path))

    def open(self, path, flags, attr):
        handle = paramiko.SFTPHandle(flags)
        handle.readfile = open(path, "rb")
        return handle


def serve(listening):
    transport = paramiko.Transport(listening.accept()[0])
    transport.add_server_key(paramiko.RSAKey.generate(2048))
    transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Files)
    transport.start_server(server=Server())
    transport.join()


listening = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, args=(listening,), daemon=True).start()
pathlib.Path("digits").write_bytes(b"0123456789")
path = os.path.abspath("digits")
port = listening.getsockname()[1]
for fs in (
    fsspec.filesystem("file"),
    fsspec.filesystem("sftp", host="127.0.0.1", port=port, username="me", password="x"),
):
    print(type(fs).__name__, fs.info(path)["size"], fs.cat_file(path, start=5))
    try:
        print(fs.cat_file(path, start=-5))
    except AttributeError as error:
        print("AttributeError:", error)
PROGRAM

cat > expected.txt <<'EXPECTED'
LocalFileSystem 10 b'56789'
b'56789'
SFTPFileSystem 10 b'56789'
AttributeError: 'SFTPFile' object has no attribute 'size'
EXPECTED
venv/bin/python program.py 2> log.txt | tee seen.txt
diff expected.txt seen.txt
