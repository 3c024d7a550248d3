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

@wrap_experiment(log_dir=sys.argv[1] + "/exp")
def exp(ctxt):
    pass

def cpu():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

import warnings
warnings.simplefilter("ignore")
began, used = time.perf_counter(), cpu()
exp()
cold = time.perf_counter() - began, cpu() - used
took, spent = [], []
for _ in range(int(sys.argv[2])):
    began, used = time.perf_counter(), cpu()
    exp()
    took.append(time.perf_counter() - began)
    spent.append(cpu() - used)
print(json.dumps([cold, statistics.median(took), min(took), statistics.median(spent)]))
"""
TRIVIAL = """
from rlx_experiment import wrap_experiment

@wrap_experiment(log_dir="runs/a")
def exp(ctxt):
    pass

exp()
"""
SWEEP = """
import torch
from rlx_experiment import grid, wrap_experiment

@wrap_experiment(archive_launch_repo=False)
def exp(ctxt, seed):
    torch.ones(3).sum()

if __name__ == "__main__":
    exp.sweep(grid(seed=range(100)), jobs=2, progress=False)
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
    cold, warm, best, warm_cpu = json.loads(run(sys.executable, "launch.py", "runs", "30", cwd=root))
    print(f"| bare `git status`, {files} files | {bare:.1f} ms | {bare_cpu:.1f} ms | 1 |")
    print(
        f"| first launch, {files} files (builds the archive) | {cold[0] * 1e3:.0f} ms | {cold[1] * 1e3:.0f} ms | |"
    )
    print(
        f"| later launch, {files} files | {warm * 1e3:.1f} ms (best {best * 1e3:.1f}) | {warm_cpu * 1e3:.1f} ms "
        f"| {warm * 1e3 / bare:.1f} |"
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
    took, used = measure(lambda: run(*tar, cwd=root), times=2)
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


def bench_sweep(root: Path) -> None:
    """Measure a sweep of runs that need torch."""
    importing = measure(lambda: run(sys.executable, "-c", "import torch", cwd=root), times=3)[1]
    took, used = measure(lambda: run(sys.executable, "sweep.py", cwd=root), times=1)
    print(
        f"\nimport torch {importing:.0f} ms CPU; sweep of 100 runs {took / 1e3:.1f} s, {used / 1e3:.1f} s CPU"
    )
    print(f"added a run beyond two imports: {(used - 2 * importing) / 100:.1f} ms CPU")


def main() -> None:
    """Measure all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--torch", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        print("| what | time | CPU | ratio to git status |\n|---|---|---|---|")
        small = make_repository(Path(temporary, "small", "root"), 50, 4000)
        bench_launch(small, 50)
        bench_launch(make_repository(Path(temporary, "large", "root"), 2000, 25_000), 2000)
        bench_disk(small)
        bench_process(small)
        if options.torch:
            bench_sweep(make_repository(Path(temporary, "torch", "root"), 50, 4000))


if __name__ == "__main__":
    main()
