"""Runs small loops as several ranks, some of which die, and prints what came of each as JSON.

One program for all of them: importing torch takes longer than everything else.

Usage: rank_runs.py FOLDER
"""

import json
import multiprocessing
import os
import random
import sys
import traceback
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import torch
from torch import distributed

from rlx_protocols import NullSnapshotStore
from rlx_protocols.testing import CountingEnv
from rlx_runner import Budget, Checkpoint, LocalRunner, TrainingStopped, set_seed
from rlx_runner._learners.store import RankStore
from rlx_snapshot import SnapshotConfig

FATAL_STEP: Final = 6
DIED: Final = 9
MOMENTS: Final = ("before writing", "written", "all have written", "committed")

Work = Callable[[int], Any]


def add_up(value: torch.Tensor) -> None:
    """Give every rank the sum over all ranks."""
    reduce: Any = vars(distributed)["all_reduce"]
    reduce(value)


def train(rank: int, folder: Path, n: int, *, every: int = 2, allow: bool = False, **options: Any) -> Any:
    """Do `n` steps in all; return everything that must be the same, and how exact it is."""
    set_seed(10 + rank)
    stop_at = options.pop("stop_at", None)
    part = SimpleNamespace(weight=np.zeros(2), rng=np.random.default_rng(rank), step=-1)
    asked = None if stop_at is None else lambda: bool(rank == 1 and part.step >= stop_at)
    run = Checkpoint(options.pop("where", folder), progress=False, part=part, stop_requested=asked, **options)
    run.restore(allow_statistical=allow)
    for step in run.steps(n, every=every):
        own = part.rng.random() + random.random() + float(np.random.random()) + float(torch.rand(()))
        shared = torch.tensor(own, dtype=torch.float64)
        add_up(shared)
        part.weight += (float(shared), own)
        part.step = step
    drawn = [part.rng.random(), random.random(), float(np.random.random()), float(torch.rand(()))]
    return {"weight": part.weight.tolist(), "drawn": drawn, "exactness": str(run.exactness)}


def dying(rank: int, folder: Path, *, moment: str, victim: int) -> Any:
    """Train, and lose one rank at one moment of a commit."""

    def die() -> None:
        if rank == victim:
            os._exit(DIED)

    def save(self: Any, itr: int, params: Any) -> None:
        if itr == FATAL_STEP and moment == MOMENTS[0]:
            die()
        original_save(self, itr, params)

    def commit(self: Any, itr: int) -> None:
        if itr == FATAL_STEP:
            arrivals = count(1)
            wait = self._group.wait

            def arrive() -> None:
                number = next(arrivals)
                if (number, moment) in {(1, MOMENTS[1]), (2, MOMENTS[3])}:
                    die()
                wait()
                if (number, moment) == (1, MOMENTS[2]):
                    die()

            self._group.wait = arrive
        original_commit(self, itr)

    methods: Any = RankStore
    original_save, original_commit = vars(RankStore)["save_itr_params"], vars(RankStore)["_commit_together"]
    methods.save_itr_params, methods._commit_together = save, commit
    return train(rank, folder, 8)


def train_shards(rank: int, folder: Path, n: int, *, width: int = 6) -> Any:
    """Train a net whose parameters are spread over all ranks; return this rank's shards."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    set_seed(1)
    net = torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.Dropout(0.2), torch.nn.Linear(width, 2))
    fully_shard(net, mesh=init_device_mesh("cpu", (distributed.get_world_size(),)))
    optimizer: Any = torch.optim.Adam(net.parameters(), lr=0.1)
    set_seed(20 + rank)
    for _ in Checkpoint(folder, progress=False, net=net, optimizer=optimizer).steps(n, every=2):
        optimizer.zero_grad()
        net(torch.randn(3, 4)).square().mean().backward()
        optimizer.step()
    shards: list[Any] = [each.to_local() for each in net.state_dict().values()]
    return [shard.tolist() for shard in shards]


class Averaging:
    """Adds what all ranks draw, epoch after epoch."""

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.total = 0.0

    def train(self, loop: Any) -> float:
        for epoch in loop.step_epochs():
            if (self.rank, epoch, os.environ.get("DIE")) == (1, 3, "1"):
                os._exit(DIED)
            drawn = torch.tensor(float(np.random.random()), dtype=torch.float64)
            add_up(drawn)
            self.total += float(drawn)
        return self.total


def run_algorithm(rank: int, folder: Path, *, die: bool = False, seconds: float | None = None) -> Any:
    """Train an algorithm with a runner of its own in each rank."""
    os.environ["DIE"] = str(int(die))
    runner = LocalRunner(
        SnapshotConfig(str(folder), "last", 1), progress=False, budget=Budget(seconds=seconds)
    )
    if runner.try_restore(str(folder)):
        return runner.resume(n_epochs=5)
    set_seed(rank)
    runner.setup(Averaging(rank), CountingEnv())
    return runner.train(n_epochs=5)


def run_briefly(rank: int, folder: Path) -> Any:
    """Train until the second rank's budget is used up, which is at once."""
    return run_algorithm(rank, folder, seconds=1e-9 if rank == 1 else None)


def unknown(rank: int, folder: Path) -> Any:
    """Train as one of two processes of torchrun that have not met."""
    os.environ.update(WORLD_SIZE="2", TORCHELASTIC_RUN_ID="none")
    return train(rank, folder, 1)


def refused(rank: int, work: Callable[..., Any], *args: Any, **options: Any) -> str:
    """Return what `work` says when it refuses."""
    try:
        work(rank, *args, **options)
    except (ValueError, FileNotFoundError, RuntimeError, TrainingStopped) as error:
        return f"{type(error).__name__}: {error}"
    return "nothing was refused"


def in_ranks(n: int, work: Work) -> list[Any]:
    """Return what `work` returns in each of `n` ranks; the exit status of one that died."""
    context = multiprocessing.get_context("fork")
    meeting = Path(sys.argv[1]) / f"meeting-{next(MEETINGS)}"
    ends = [context.Pipe(duplex=False) for _ in range(n)]
    processes = [
        context.Process(target=_be, args=(rank, n, meeting, work, ends[rank][1])) for rank in range(n)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        process.kill()
    return [
        receiving.recv() if receiving.poll() else process.exitcode
        for (receiving, _), process in zip(ends, processes, strict=True)
    ]


MEETINGS = count()


def _be(rank: int, n: int, meeting: Path, work: Work, answer: Any) -> None:
    if n > 1:
        distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=n)
    try:
        answer.send(work(rank))
    except RuntimeError as error:  # a peer has died
        traceback.print_exc()
        answer.send(f"{type(error).__name__}: {error}")


def main(folder: Path) -> dict[str, Any]:
    """Run everything."""
    found: dict[str, Any] = {"unbroken": in_ranks(2, partial(train, folder=folder / "unbroken", n=8))}
    for victim in (0, 1):
        for moment in MOMENTS:
            run = folder / f"{moment}-{victim}"
            died = in_ranks(2, partial(dying, folder=run, moment=moment, victim=victim))
            again = in_ranks(2, partial(train, folder=run, n=8))
            found[f"{moment}, rank {victim}"] = {"died": died[victim], "again": again, "files": files_in(run)}
    return found | other_numbers(folder) | refusals(folder) | runners(folder)


def files_in(folder: Path) -> list[str]:
    """Return the paths of all snapshots below `folder`."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.pkl"))


def other_numbers(folder: Path) -> dict[str, Any]:
    """Continue with more processes and with fewer; stop."""
    found: dict[str, Any] = {}
    saved = folder / "unbroken"
    found["three refuse"] = in_ranks(3, partial(refused, work=train, folder=saved, n=8))
    found["one refuses"] = in_ranks(1, partial(refused, work=train, folder=saved, n=8))
    found["three"] = in_ranks(3, partial(train, folder=saved, n=8, allow=True))
    found["stopped"] = in_ranks(
        2, partial(refused, work=train, folder=folder / "stopped", n=50, every=20, stop_at=3)
    )
    found["continued"] = in_ranks(2, partial(train, folder=folder / "stopped", n=8))
    found["shards"] = in_ranks(2, partial(train_shards, folder=folder / "shards", n=6))
    in_ranks(2, partial(train_shards, folder=folder / "shards-cut", n=4))
    found["shards again"] = in_ranks(2, partial(train_shards, folder=folder / "shards-cut", n=6))
    found["other shards"] = in_ranks(
        2, partial(refused, work=train_shards, folder=folder / "shards", n=8, width=8)
    )
    return found


def refusals(folder: Path) -> dict[str, Any]:
    """Ask for what cannot work."""
    found: dict[str, Any] = {}
    part = folder / "lost" / "ranks" / "1"
    in_ranks(2, partial(train, folder=folder / "lost", n=4))
    for file in part.iterdir():
        file.unlink()
    found["lost"] = in_ranks(2, partial(refused, work=train, folder=folder / "lost", n=8))
    (folder / "lost" / "params.pkl").write_bytes(b"damaged")
    found["damaged"] = in_ranks(2, partial(refused, work=train, folder=folder / "lost", n=8))
    store = NullSnapshotStore()
    found["store"] = in_ranks(2, partial(refused, work=train, folder=folder / "x", n=1, snapshotter=store))
    both = SnapshotConfig(str(folder / "x"), "gap_and_last", 2)
    found["two files"] = in_ranks(2, partial(refused, work=train, folder=folder / "x", n=1, where=both))
    every = SnapshotConfig(str(folder / "all"), "all", 1)
    in_ranks(2, partial(train, folder=folder / "all", n=4, where=every))
    found["all"] = files_in(folder / "all")
    found["unknown"] = in_ranks(1, partial(refused, work=unknown, folder=folder / "unknown"))
    return found


def runners(folder: Path) -> dict[str, Any]:
    """Train algorithms."""
    found: dict[str, Any] = {}
    found["runner"] = in_ranks(2, partial(run_algorithm, folder=folder / "runner"))
    in_ranks(2, partial(run_algorithm, folder=folder / "runner-killed", die=True))
    found["budget"] = in_ranks(2, partial(run_briefly, folder=folder / "budget"))
    found["runner again"] = in_ranks(2, partial(run_algorithm, folder=folder / "runner-killed"))
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(main(Path(sys.argv[1]))))
