"""Opens a run of W&B, and knows which rows it has."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rlx_logging._missing import require
from rlx_logging._offers import active_run_of
from rlx_logging._sending.position import Position
from rlx_logging._wandb.identity import Identity, read_identity
from rlx_logging._wandb.keys import without_keys
from rlx_logging._wandb.offline import OfflineRun
from rlx_logging._wandb.service import leave_inherited_service

_OFFLINE: Final = frozenset({"offline", "dryrun"})
GIVEN_FILE: Final = "logs.wandb-run.json"
_DISABLED: Final = "disabled"
_OPENING: Final = threading.Lock()


class Connection:
    """One run of W&B, of ours or of the caller's.

    Args:
        folder: Where the files of W&B go.
        settings: Arguments of ``wandb.init``.
        run: A run that is there already, instead.
        finish_seconds: How long W&B may take to start and to finish.
        disable_stats: Let W&B not watch the machine.

    Attributes:
        next_row: The number of the first row of ours that W&B lacks; None where it cannot say.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        *,
        run: Any,
        finish_seconds: float,
        disable_stats: bool,
    ) -> None:
        self.wandb: Any = require("wandb", extra="wandb", used_by="WandbLogger", at_least=(0, 31))
        if run is None:
            leave_inherited_service()
        self.next_row: int | None = None
        self._folder = folder
        self._settings = dict(settings)
        self._given = run
        self._finish_seconds = finish_seconds
        self._disable_stats = disable_stats
        self._chosen: str | None = self._settings.pop("id", None)
        self._identity = Identity(self._chosen or secrets.token_hex(4))
        self._rows: int | None = None
        self._sent = 0

    @property
    def run_id(self) -> str:
        """Identity of the run, where it is ours."""
        return self._identity.run_id

    def recorded(self) -> Identity | None:
        """Return the run that this folder logged to before, None where the caller has chosen another."""
        found = read_identity(self._folder)
        return found if found is not None and self.may_be(found.run_id) else None

    def may_be(self, run_id: str) -> bool:
        """Tell whether the caller has chosen no other run than `run_id`."""
        return self._chosen in (None, run_id)

    def resume(self, run_id: str, rows: int, sent: int) -> None:
        """Open `run_id` next, as one that is to have the first `rows` rows; `sent` of them were given to W&B."""
        found = read_identity(self._folder)
        self._identity = found if found is not None and found.run_id == run_id else Identity(run_id)
        self._rows, self._sent = rows, sent

    def server(self) -> str | None:
        """Return the address of W&B's server; None where no server is asked."""
        if self._given is not None or self._mode() in (_DISABLED, *_OFFLINE):
            return None
        address: str = self.wandb.setup().settings.base_url
        return address

    @property
    def offline(self) -> bool:
        """Whether rows go into files of W&B that are read again when the run is resumed."""
        return self._given is None and self._mode() in _OFFLINE

    def _mode(self) -> Any:
        return self._settings.get("mode") or self.wandb.setup().settings.mode

    def masked(self, text: str) -> str:
        """Return `text` without keys."""
        return without_keys(text, self.wandb)

    def start(self) -> Any:
        """Open the run, find out which rows it has, and return it."""
        opened = self.wandb.run
        if self._given is None and opened is not None and opened.id == self.run_id:
            self._given = opened  # the caller's, who keeps logging to it
        self.next_row = None
        if self._given is not None:
            return self._given
        self._folder.mkdir(parents=True, exist_ok=True)
        self._identity.write(self._folder)  # before there is anything of this run
        if self._mode() == _DISABLED:
            return self._open()
        return self._start_offline() if self.offline else self._start_online()

    def _start_offline(self) -> Any:
        disk = OfflineRun(self._folder, self.run_id)
        step = disk.settle(None if self._rows is None else self._identity.offset + self._rows)
        unseen = self._identity.online or len(disk.files()) < self._identity.folders
        disk.wait_for_new_name()
        run = self._open()
        self._found(step, self._identity._replace(folders=self._identity.folders + 1))
        if unseen and self._rows is not None:  # a server has rows of which nothing is here any more
            self.next_row = max(self.next_row or 0, self._sent)
        return run

    def _start_online(self) -> Any:
        run = self._open()
        self._found(run.starting_step, self._identity._replace(online=True))
        if self._rows is not None:  # they are sent now: `wandb sync` must not send them again
            OfflineRun(self._folder, self.run_id).settle(run.starting_step)
        return run

    def _found(self, step: int, identity: Identity) -> None:
        """Learn W&B's next step, and with it which rows it has: none of ours if this is a new beginning."""
        if self._rows is None:
            identity = identity._replace(offset=step)
        self._identity = identity
        self._identity.write(self._folder)
        self.next_row = max(0, step - identity.offset)

    def _open(self) -> Any:
        """Return a new run, whatever other runs the caller has open."""
        limits = self.wandb.Settings(
            init_timeout=self._finish_seconds,
            finish_timeout=self._finish_seconds,
            finish_timeout_raises=True,  # so that whoever waits is told
            x_disable_stats=self._disable_stats,
        )
        arguments = {"resume": "allow", **self._settings, "id": self.run_id, "dir": str(self._folder)}
        with _OPENING:  # whoever comes second must see the first one's run
            others = active_run_of(self.wandb) is not None
            return self.wandb.init(
                settings=limits, reinit="create_new" if others else "return_previous", **arguments
            )

    def log(self, run: Any, number: int, values: Mapping[str, Any], *, commit: bool = True) -> None:
        """Log values of the row of a number, unless W&B has that row."""
        if self.next_row is None:  # W&B counts, as others log to the run too
            run.log(dict(values), commit=commit)
        elif number >= self.next_row:
            run.log(dict(values), step=self._identity.offset + number, commit=commit)
            if commit:
                self.next_row = number + 1

    def note_sent(self, run: Any, rows: int) -> None:
        """Record how many rows a run of the caller's has: nothing else can say it."""
        if self._given is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            Position(str(run.id), rows, rows).write(self._folder / GIVEN_FILE)

    def sent_to(self, run: Any) -> int:
        """Return how many rows a run of the caller's is known to have."""
        found = Position.read(self._folder / GIVEN_FILE)
        return found.sent if found is not None and found.run_id == str(run.id) else 0

    def finish(self, run: Any, *, failed: bool) -> None:
        """Finish the run where it is ours, and wait until an offline one is whole on disk.

        Raises:
            TimeoutError: If W&B takes longer than `finish_seconds` for either.
        """
        if self._given is None:
            run.finish(exit_code=1 if failed else 0)
            if self.offline:
                OfflineRun(self._folder, self.run_id).wait_for_end(self._finish_seconds)
