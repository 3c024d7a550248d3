"""One process of a check: trains a run from its beginning, or continues it, and writes down what came of it."""

import pickle
import sys
from itertools import islice
from pathlib import Path
from typing import Any

from rlx_runner._random import set_seed
from rlx_runner._runner import LocalRunner
from rlx_snapshot import SnapshotConfig, exact_loads

SPECIFICATION, SAID, ROWS = "run.pkl", "said.txt", "rows.pkl"


class Rows:
    """A logger that keeps all rows of a run in one file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._rows: dict[tuple[str, int], dict[str, Any]] = {}

    def write(self, step_type: str, step: int, data: dict[str, Any]) -> None:
        """Keep one row, which may come in pieces."""
        self._rows.setdefault((step_type, step), {}).update(data)

    def state_dict(self) -> dict[str, Any]:
        """Return how many rows there are so far."""
        return {"n_rows": len(self._rows)}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Continue after as many of the file's rows."""
        self._rows = dict(islice(pickle.loads(self._file.read_bytes()).items(), state["n_rows"]))

    def finalize(self) -> None:
        """Write the file."""
        self._file.write_bytes(pickle.dumps(self._rows))


def main(run: Path, until: int, after: int | None = None) -> None:
    """Train the run in folder `run` up to epoch `until`, from its beginning or from what was saved after an epoch."""
    specification = exact_loads((run.parent / SPECIFICATION).read_bytes())
    set_seed(specification["seed"])
    runner = LocalRunner(
        SnapshotConfig(str(run), "all", 1),
        logger=Rows(run / ROWS),
        stop_requested=lambda: False,
        progress=False,
    )
    if after is not None:
        runner.restore(str(run), from_epoch=after, allow_statistical=True)
        (run / SAID).write_text(str(runner.exactness))
        runner.resume(n_epochs=until)
    else:
        runner.setup(specification["algo"], specification["env"], **specification["sampling"])
        runner.train(until, specification["batch_size"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
