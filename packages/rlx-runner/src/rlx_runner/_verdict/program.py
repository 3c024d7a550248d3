"""One process of a check: trains a run from its beginning, or continues it, and writes down what came of it."""

import pickle
import sys
from pathlib import Path
from typing import Any

from rlx_runner._random import set_seed
from rlx_runner._runner import LocalRunner
from rlx_snapshot import SnapshotConfig, exact_loads

SPECIFICATION, SAID, ROWS = "run.pkl", "said.txt", "rows.pkl"


class Rows:
    """A logger that keeps all rows of a process in one file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._rows: dict[tuple[str, int], dict[str, Any]] = (
            pickle.loads(file.read_bytes()) if file.exists() else {}
        )

    def write(self, step_type: str, step: int, data: dict[str, Any]) -> None:
        """Keep one row, which may come in pieces."""
        self._rows.setdefault((step_type, step), {}).update(data)

    def finalize(self) -> None:
        """Write the file."""
        self._file.write_bytes(pickle.dumps(self._rows))


def main(run: Path, until: int) -> None:
    """Train the run in folder `run` up to epoch `until`, from where it stands."""
    specification = exact_loads((run.parent / SPECIFICATION).read_bytes())
    set_seed(specification["seed"])
    runner = LocalRunner(
        SnapshotConfig(str(run), "last", 1),
        logger=Rows(run / ROWS),
        stop_requested=lambda: False,
        progress=False,
    )
    if (run / ROWS).exists():
        runner.restore(str(run), allow_statistical=True)
        (run / SAID).write_text(str(runner.exactness))
        runner.resume(n_epochs=until)
    else:
        runner.setup(specification["algo"], specification["env"], **specification["sampling"])
        runner.train(until, specification["batch_size"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
