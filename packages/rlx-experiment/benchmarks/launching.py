"""What a recorded launch costs: against one bare `git status`, and against archiving the repository as garage does.

    python launching.py [--torch]

Prints a Markdown table. Times are medians; CPU seconds, children included, stand beside them.
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

LAUNCHES = """
import json, os, resource, statistics, sys, time
from pathlib import Path
from rlx_experiment import wrap_experiment

started = []

@wrap_experiment(log_dir=sys.argv[1] + "/exp")
def exp(ctxt):
    started.append((time.perf_counter(), cpu()))

def cpu():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

import warnings
warnings.simplefilter("ignore")
began, used = time.perf_counter(), cpu()
exp()
cold = time.perf_counter() - began, cpu() - used
took, whole, spent = [], [], []
for _ in range(int(sys.argv[2])):
    began, used = time.perf_counter(), cpu()
    exp()
    took.append(started[-1][0] - began)
    whole.append(time.perf_counter() - began)
    spent.append(started[-1][1] - used)
print(json.dumps([cold, *map(statistics.median, (took, spent, whole)), min(took)]))
"""
TRIVIAL = """
from rlx_experiment import wrap_experiment

@wrap_experiment(log_dir="runs/a")
def exp(ctxt):
    pass

exp()
"""
SWEEP = """
import sys
import torch
from rlx_experiment import grid, wrap_experiment

@wrap_experiment(archive_launch_repo=False)
def exp(ctxt, seed):
    torch.ones(3).sum()

if __name__ == "__main__":
    exp.sweep(grid(seed=range(int(sys.argv[1]))), jobs=2, progress=False)
"""


def cpu(who: int = resource.RUSAGE_CHILDREN) -> float:
    """Return the CPU seconds that were used."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def measure(work: Callable[[], object], times: int = 15) -> tuple[float, float]:
    """Return median time and CPU of `work`, in milliseconds."""
    took: list[float] = []
    used: list[float] = []
    for _ in range(times):
        began, before = time.perf_counter(), cpu()
        work()
        took.append(time.perf_counter() - began)
        used.append(cpu() - before)
    return statistics.median(took) * 1e3, statistics.median(used) * 1e3


def run(*command: str, cwd: Path) -> str:
    """Run a command to its end and return what it printed."""
    settings = {
        "GIT_AUTHOR_NAME": "b",
        "GIT_AUTHOR_EMAIL": "b@b",
        "GIT_COMMITTER_NAME": "b",
        "GIT_COMMITTER_EMAIL": "b@b",
    }
    environment = {**os.environ, **settings}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run(
        command, cwd=cwd, env=environment, check=True, capture_output=True, text=True
    ).stdout


def make_repository(root: Path, files: int, size: int) -> Path:
    """Make a committed repository of `files` text files of about `size` bytes, with one changed and one new file."""
    chance = random.Random(0)
    words = [
        "alpha",
        "value",
        "return",
        "import",
        "lambda",
        "policy",
        "reward",
        "state",
        "42",
        "self.",
        "=",
        "(",
        ")",
    ]
    for number in range(files):
        path = root / f"package_{number % 40}" / f"module_{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(" ".join(chance.choice(words) for _ in range(size // 6)))
    (root / ".gitignore").write_text("runs/\n__pycache__/\n")
    for name, source in (("launch.py", LAUNCHES), ("trivial.py", TRIVIAL), ("sweep.py", SWEEP)):
        (root / name).write_text(source)
    run("git", "init", "-q", cwd=root)
    run("git", "add", ".", cwd=root)
    run("git", "commit", "-qm", "x", cwd=root)
    (root / "new.py").write_text("new")
    (root / "package_0" / "module_0.py").write_text("changed")
    return root


def bench_launch(root: Path, files: int) -> None:
    """Measure launches from a repository."""
    bare, bare_cpu = measure(lambda: run("git", "status", "--porcelain", cwd=root))
    cold, warm, warm_cpu, whole, best = json.loads(run(sys.executable, "launch.py", "runs", "30", cwd=root))
    print(f"| bare `git status`, {files} files | {bare:.1f} ms | {bare_cpu:.1f} ms | 1 |")
    print(
        f"| first launch, {files} files (builds the archive) | {cold[0] * 1e3:.0f} ms | {cold[1] * 1e3:.0f} ms | |"
    )
    print(
        f"| later launch until the function runs, {files} files | {warm * 1e3:.1f} ms (best {best * 1e3:.1f}) "
        f"| {warm_cpu * 1e3:.1f} ms | {warm * 1e3 / bare:.1f} |"
    )
    print(
        f"| the same with its end, which is synced to the disk | {whole * 1e3:.1f} ms | | {whole * 1e3 / bare:.1f} |"
    )
    names = run("git", "ls-files", "-co", "--exclude-standard", cwd=root)
    list_file = root.parent / "names"
    list_file.write_text(names)
    tar = (
        "tar",
        "--files-from",
        str(list_file),
        "--xz",
        "--create",
        "--file",
        str(root.parent / "garage.tar.xz"),
    )
    took, used = measure(lambda: run(*tar, cwd=root), times=1)
    print(
        f"| archive as garage makes it at every launch, {files} files | {took:.0f} ms | {used:.0f} ms | {took / bare:.0f} |"
    )


def bench_disk(root: Path) -> None:
    """Measure what a hundred launches of one code state take on disk."""
    run(sys.executable, "launch.py", "runs/disk", "99", cwd=root)
    folder = root / "runs" / "disk"
    seen: set[int] = set()
    total = 0
    for path in folder.rglob("*"):
        status = path.lstat()
        if path.is_file() and status.st_ino not in seen:
            seen.add(status.st_ino)
            total += status.st_size
    base = next(folder.glob(".source/*.tar.xz")).stat().st_size
    print(
        f"\n100 launches: {total:,} bytes, one archive {base:,}; {(total - base) / 100:,.0f} bytes a run beside it"
    )


def bench_process(root: Path) -> None:
    """Measure whole processes."""
    bare = measure(lambda: run(sys.executable, "-c", "pass", cwd=root))
    imported = measure(lambda: run(sys.executable, "-c", "import rlx_experiment", cwd=root))
    trivial = measure(lambda: run(sys.executable, "trivial.py", cwd=root))
    print(f"\nbare Python {bare[1]:.1f} ms CPU; import rlx_experiment +{imported[1] - bare[1]:.1f} ms")
    print(
        f"whole process of a trivial run {trivial[1]:.1f} ms CPU, {trivial[1] - bare[1]:.1f} above bare Python"
    )


FORK = """
import gc, os, resource, time, torch
gc.freeze()
cpu = lambda: sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
before = cpu()
for _ in range(50):
    if (child := os.fork()) == 0:
        os._exit(0)
    os.waitpid(child, 0)
print((cpu() - before) / 50 * 1e3)
"""


def bench_sweep(root: Path) -> None:
    """Measure a sweep of runs that need torch, and the bare fork that each of them is."""
    importing = measure(lambda: run(sys.executable, "-c", "import torch", cwd=root), times=3)[1]
    added: list[float] = []
    for repeat in range(3):
        used: list[float] = []
        for count in (1, 101):
            before = cpu()
            run(sys.executable, "../sweep.py", str(count), cwd=fresh(root / f"sweep_{repeat}_{count}"))
            used.append(cpu() - before)
        added.append((used[1] - used[0]) * 10)
    fork = float(run(sys.executable, "-c", FORK, cwd=root))
    print(f"import torch {importing:.0f} ms CPU; a bare fork of a process that has it {fork:.1f} ms CPU")
    print(f"CPU added a run, sweeps of 101 runs less sweeps of one: {[round(ms, 1) for ms in added]} ms")


def fresh(folder: Path) -> Path:
    """Make `folder` and return it."""
    folder.mkdir()
    return folder


def main() -> None:
    """Measure all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--torch", action="store_true", help="the sweep of runs that need torch instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        if options.torch:
            bench_sweep(make_repository(Path(temporary, "torch", "root"), 50, 4000))
            return
        print("| what | time | CPU | ratio to git status |\n|---|---|---|---|")
        small = make_repository(Path(temporary, "small", "root"), 50, 4000)
        bench_launch(small, 50)
        bench_launch(make_repository(Path(temporary, "large", "root"), 2000, 25_000), 2000)
        bench_disk(small)
        bench_process(small)


if __name__ == "__main__":
    main()
