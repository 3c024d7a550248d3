"""Files are replaced whole or not at all."""

import os
import time
from pathlib import Path

import pytest

from rlx_persistence._atomic import LEFTOVER_AGE, replacing


class TestReplacing:
    def test_old_content_until_the_end(self, tmp_path: Path) -> None:
        """A reader sees the old content until the block ends, the new one after it."""
        path = tmp_path / "policy.pt"
        path.write_bytes(b"old")
        with replacing(path) as file:
            file.write(b"new")
            file.flush()
            assert path.read_bytes() == b"old"
        assert path.read_bytes() == b"new"

    def test_error_leaves_no_trace(self, tmp_path: Path) -> None:
        """An error in the block leaves the old file alone, and nothing beside it."""
        path = tmp_path / "policy.pt"
        path.write_bytes(b"old")
        with pytest.raises(KeyboardInterrupt, match="stop"), replacing(path) as file:  # noqa: PT012 - the block is the subject
            file.write(b"new")
            raise KeyboardInterrupt("stop")
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    def test_folders_are_made(self, tmp_path: Path) -> None:
        """The folder need not be there yet."""
        with replacing(tmp_path / "a" / "b" / "policy.pt") as file:
            file.write(b"new")
        assert (tmp_path / "a" / "b" / "policy.pt").read_bytes() == b"new"

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
    def test_umask_decides_who_may_read(self, tmp_path: Path) -> None:
        """The file has the permissions of any other new file."""
        (tmp_path / "other").touch()
        with replacing(tmp_path / "policy.pt") as file:
            file.write(b"new")
        assert (tmp_path / "policy.pt").stat().st_mode == (tmp_path / "other").stat().st_mode

    def test_leftover_that_cannot_be_looked_at_is_left(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A writer beside this one may rename its file while leftovers are looked for."""

        def gone(folder: Path, _: str) -> list[Path]:
            return [folder / ".policy.pt.00.tmp"]

        monkeypatch.setattr(Path, "glob", gone)
        with replacing(tmp_path / "policy.pt") as file:
            file.write(b"new")
        assert (tmp_path / "policy.pt").read_bytes() == b"new"

    def test_leftovers_of_killed_writers_go(self, tmp_path: Path) -> None:
        """Old temporary files of the same target are cleared away; young ones and others stay."""
        names = {".policy.pt.00.tmp": LEFTOVER_AGE + 9, ".policy.pt.01.tmp": 0.0, ".other.pt.02.tmp": 9e9}
        for name, age in names.items():
            (tmp_path / name).touch()
            os.utime(tmp_path / name, (0.0, max(0.0, time.time() - age)))
        with replacing(tmp_path / "policy.pt") as file:
            file.write(b"new")
        left = sorted(path.name for path in tmp_path.iterdir())
        assert left == [".other.pt.02.tmp", ".policy.pt.01.tmp", "policy.pt"]
