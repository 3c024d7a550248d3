# pyright: basic
"""Uploading a replay buffer of which little has changed to S3, beside s3fs's upload of the whole file.

    python benchmarks/upload.py [--size MIB] [--repeats N]

Needs numpy, s3fs and moto[server], which serves S3 on this machine. Two percent of each array change before every
save. Prints a table in Markdown: seconds, and MiB that travelled.
"""

import argparse
import functools
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
from fsspec.asyn import sync

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from store_servers import free_port, s3_server

from rlx_snapshot import Snapshotter

MIB = 1 << 20


def replay(size: int) -> dict[str, Any]:
    """Four arrays that make up `size` MiB."""
    chance = np.random.default_rng(0)
    return {f"a{n}": chance.random(size * MIB // 16, dtype="f4") for n in range(4)}


def change(state: dict[str, Any], number: int) -> None:
    """Write two percent of every array, each time at another place."""
    for array in state.values():
        part = len(array) // 50
        array[number % 50 * part :][:part] = np.random.default_rng(number).random(part, dtype="f4")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    port, sent = free_port(), 0
    with s3_server(port), tempfile.TemporaryDirectory() as folder:
        fsspec.config.conf["s3"] = {"endpoint_url": f"http://127.0.0.1:{port}", "key": "x", "secret": "x"}
        files: Any = fsspec.filesystem("s3")
        files.mkdir("bucket")
        whole = type(files)._call_s3  # noqa: SLF001

        async def counted(self: Any, method: str, *args: Any, **kwargs: Any) -> Any:
            nonlocal sent
            body = kwargs.get("Body", b"")
            sent += body.seek(0, 2) - body.seek(0) if hasattr(body, "seek") else len(body)
            return await whole(self, method, *args, **kwargs)

        def call(self: Any, method: str, *args: Any, **kwargs: Any) -> Any:
            return sync(self.loop, functools.partial(counted, self), method, *args, **kwargs)

        type(files)._call_s3, type(files).call_s3 = counted, call  # noqa: SLF001
        state = replay(options.size)
        remote, local = Snapshotter("s3://bucket/parts"), Snapshotter(folder)
        print("\n| upload | best s | MiB that travelled |\n|---|---|---|")
        best: dict[str, tuple[float, int]] = {}
        for number in range(options.repeats + 1):
            change(state, number)
            local.save_itr_params(number, state)
            ways: dict[str, Any] = {
                "whole file, s3fs": lambda: files.put_file(f"{folder}/params.pkl", "bucket/whole/params.pkl"),
                "save and upload, rlx": lambda number=number: remote.save_itr_params(number, state),
            }
            for name, work in ways.items():
                sent, start = 0, time.perf_counter()
                work()
                if number:  # the first one travels whole
                    best[name] = min(best.get(name, (1e9, 0)), (time.perf_counter() - start, sent))
        for name, (seconds, travelled) in best.items():
            print(f"| {name} | {seconds:.2f} | {travelled / MIB:.0f} |")


if __name__ == "__main__":
    main()
