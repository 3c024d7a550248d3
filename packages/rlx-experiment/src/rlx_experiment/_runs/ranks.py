"""Learner processes of one training, as torchrun starts them: one run, which rank 0 records and the others join."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, cast

from rlx_experiment._arguments.encoder import to_plain
from rlx_experiment._runs import record
from rlx_experiment._runs.files import DamagedRunError
from rlx_experiment._runs.rundir import numbered_dirs
from rlx_experiment._runs.status import read_record, read_status

_PATIENCE: Final = 120.0
"""Seconds that a rank waits for rank 0, which captures the source first."""


class RanksApartError(RuntimeError):
    """A rank found no run of rank 0 that it could join."""


class Ranks(NamedTuple):
    """The learner processes that this one belongs to.

    Attributes:
        rank: Its number.
        launch: What all of them have in common, also after the launcher has started them again.
        restart: How often it has.
    """

    rank: int
    launch: str
    restart: int

    @classmethod
    def of_this_process(cls) -> "Ranks | None":
        """Return what the environment says; None for a process that learns alone."""
        told = os.environ
        if not (told.get("RANK", "").isdecimal() and told.get("WORLD_SIZE", "").isdecimal()):
            return None
        if int(told["WORLD_SIZE"]) < 2:
            return None
        launch = told.get("TORCHELASTIC_RUN_ID", "none")
        if launch in ("", "none"):  # what torchrun gives where nobody chose one
            launch = f"{told.get('MASTER_ADDR', '')}:{told.get('MASTER_PORT', '')}"
        restart = told.get("TORCHELASTIC_RESTART_COUNT", "0")
        return cls(int(told["RANK"]), launch, int(restart) if restart.isdecimal() else 0)

    def as_record(self) -> dict[str, object]:
        """Return what rank 0 writes beside the status, by which the others find its run."""
        return {"ranks": {"launch": self.launch, "restart": self.restart}}

    def earlier_folder(self, wanted: Path, experiment: str) -> Path | None:
        """Return the folder of the run that these ranks had before they were started again; None if they had none."""
        return next(self._folders_of_launch(wanted, experiment), None) if self.restart else None

    def folder_to_join(self, wanted: Path, experiment: str, arguments: Mapping[str, object]) -> Path:
        """Wait until rank 0 runs `experiment` with the same arguments, and return its folder.

        Raises:
            RanksApartError: It does not within two minutes.
        """
        plain = json.loads(json.dumps(to_plain(arguments)))
        end = time.monotonic() + _PATIENCE
        while True:
            for folder in self._folders_of_launch(wanted, experiment):
                recorded = record.read_arguments(folder)
                if self._runs_now(folder) and recorded is not None and recorded[0] == plain:
                    return folder
            if time.monotonic() > end:
                raise RanksApartError(
                    f"rank {self.rank} found no run of rank 0 of {experiment} in {wanted} with its own arguments "
                    f"({plain}) within {_PATIENCE:.0f} s; all ranks are to call it alike, and a program that is no "
                    "rank of a training is to be started without RANK in its environment"
                )
            time.sleep(0.05)

    def _folders_of_launch(self, wanted: Path, experiment: str) -> Iterator[Path]:
        for folder in numbered_dirs(wanted):
            with suppress(DamagedRunError, OSError):  # a folder of something else, or one that is being made
                recorded = record.read_arguments(folder)
                is_theirs = _ranks_of(folder).get("launch") == self.launch
                if is_theirs and recorded is not None and recorded[1].get("experiment") == experiment:
                    yield folder

    def _runs_now(self, folder: Path) -> bool:
        return _ranks_of(folder).get("restart") == self.restart and read_status(folder).state == "running"


def _ranks_of(folder: Path) -> dict[str, object]:
    """Return what rank 0 has written of the ranks of a run; empty for a run of one process."""
    known: object = (read_record(folder) or {}).get("ranks")
    return cast("dict[str, object]", known) if isinstance(known, dict) else {}
