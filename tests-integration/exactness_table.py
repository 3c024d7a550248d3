"""Write docs/exactness.md: run exactness_families.py for every environment of every interpreter that is given.

``python exactness_table.py docs/exactness.md PYTHON [PYTHON ...]``: each of the interpreters has the packages
and some of the libraries; a family is measured by the first that has it.
"""

import datetime as dt
import json
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

MEASURE = Path(__file__).with_name("exactness_families.py")
TIMEOUT = 900
HEAD = """# Exactness by library

What becomes of environments of fifteen libraries in the hands of rlx. This page is written by a script that does it:
`nox -s exactness`. Nothing here is claimed that the run did not show.

- **copy**: `exact_copy` in mid-episode, then {steps} steps of both with the same actions: every bit of observations, rewards,
  ends and infos.
- **samplers**: one batch by `LocalSampler`, by lanes of a `VecWorker`, and by two processes, each with environments of its own.
- **resume**: `check_exactness` with `FragmentWorker`, whose environments live on in mid-episode: trained in one go, and
  interrupted and continued by another process with another hash seed.
- **grade said**: by the runner when it resumed. **true?**: whether that is what the run showed, of samplers too; "cautious" where
  it was exact without being promised, **no** where an A was not.

Measured {date} on {machine}, Python {python}, rlx {commit}.

| library | environment | copy | samplers | resume | grade said | true? |
| --- | --- | --- | --- | --- | --- | --- |
"""


def listed(python: str) -> Mapping[str, Any]:
    """Return the families that an interpreter knows, with versions and environments."""
    done = subprocess.run([python, str(MEASURE)], capture_output=True, text=True, check=True)
    families: Mapping[str, Any] = json.loads(done.stdout)
    return families


def measured(python: str, name: str) -> Mapping[str, str]:
    """Return what an interpreter saw of one environment."""
    columns = ("copy", "samplers", "resume", "said", "true")
    command = [python, str(MEASURE), name]
    found: Mapping[str, str]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        found = dict.fromkeys(columns, f"not in {TIMEOUT} s")
    else:
        try:
            found = json.loads(done.stdout.strip().splitlines()[-1])
        except (ValueError, IndexError):
            reason = (done.stderr.strip().splitlines() or ["without a word"])[-1][:120]
            found = {**dict.fromkeys(columns, ""), "copy": f"ended: {reason}"}
    print(f"{name}: {dict(found)}", flush=True)
    return found


def rows(pythons: Sequence[str]) -> Iterator[str]:
    """Yield the rows of the table, in the order of the families."""
    known = [(python, listed(python)) for python in pythons]
    with ThreadPoolExecutor(max_workers=2) as threads:
        waiting: list[tuple[str, str, Any]] = []
        for family in known[0][1]:
            python, having = next((each for each in known if each[1][family]["environments"]), (None, None))
            if python is None or having is None:
                yield f"| {family} | not installed: nothing is claimed | | | | | |"
                continue
            versions = ", ".join(f"{name} {version}" for name, version in having[family]["versions"].items())
            waiting += [
                (f"{family} ({versions})", name, threads.submit(measured, python, name))
                for name in having[family]["environments"]
            ]
        for family, name, result in waiting:
            found = result.result()
            cells = [found[column] for column in ("copy", "samplers", "resume", "said", "true")]
            yield "| " + " | ".join((family, f"`{name}`", *(cell.replace("|", "/") for cell in cells))) + " |"


def main(out: str, *pythons: str) -> None:
    """Measure everything and write the page."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=MEASURE.parent,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    head = HEAD.format(
        steps=60,
        date=dt.datetime.now(dt.UTC).date(),
        machine=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        commit=commit or "of a release",
    )
    Path(out).write_text(head + "\n".join(rows(pythons)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
