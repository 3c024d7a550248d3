"""Libraries that are not installed: the error says what to install."""

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_logging import (
    AddSystemMetrics,
    DroppedRowsWarning,
    JournalLogger,
    LazyLogger,
    MissingBackendError,
    TensorboardLogger,
    WandbLogger,
    make_logger,
    read_metrics,
)
from rlx_logging._cli import main


def _run(folder: Path) -> Path:
    logger = JournalLogger(folder)
    logger.write("info/epoch", 0, {"r": 1.0})
    logger.finalize()
    return folder


def _export(folder: Path) -> None:
    from rlx_logging._metrics.export import export

    export({"run": read_metrics(_run(folder))}, folder / "all.parquet")


def _plot(folder: Path) -> None:
    from rlx_logging._metrics.plot import plot

    plot({"run": read_metrics(_run(folder))}, ["info/r"], folder / "curves.png")


def _strict(folder: Path) -> TensorboardLogger:
    return TensorboardLogger(folder, on_failure="raise")


USES: list[tuple[str, str, Callable[[Path], object]]] = [
    ("wandb", "wandb", WandbLogger),
    ("wandb", "wandb", lambda folder: make_logger("wandb", log_dir=folder, on_failure="raise")),
    ("psutil", "system", lambda _: AddSystemMetrics()),
    ("pandas", "export", lambda folder: read_metrics(_run(folder)).to_pandas()),
    ("pyarrow", "export", _export),
    ("matplotlib", "plot", _plot),
    ("matplotlib", "plot", lambda _: LazyLogger().write_figure("info/curve", 0, None)),
    ("tensorboard", "tensorboard", lambda folder: _strict(folder).write_text("info/note", 0, "hello")),
    ("tensorboard", "tensorboard", lambda folder: _strict(folder).log_hparams({"lr": 0.1})),
    ("PIL", "tensorboard", lambda folder: _strict(folder).write_image("a/b", 0, np.zeros((2, 2)))),
]


def _block(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Absent(library), *sys.meta_path])


class _Absent:
    """Finds that one library is not installed."""

    def __init__(self, library: str) -> None:
        self.library = library

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Refuse what belongs to the library."""
        if name.partition(".")[0] == self.library:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.mark.parametrize(
    ("library", "extra", "use"), USES, ids=[f"{library}-{i}" for i, (library, _, _) in enumerate(USES)]
)
def test_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, extra: str, use: Callable[[Path], object]
) -> None:
    """Whoever uses what needs a library is told which command installs it."""
    _block(monkeypatch, library)
    message = re.escape(f"needs {library!r}, which is not installed: pip install 'rlx-logging[{extra}]'.")
    with pytest.raises(MissingBackendError, match=message):
        use(tmp_path)


def test_a_wandb_that_is_too_old_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files do not tell whether they were synced, so rows would be there twice."""
    wandb: Any = pytest.importorskip("wandb", reason="needs wandb")
    monkeypatch.setattr(wandb, "__version__", "0.30.0")
    message = r"WandbLogger needs wandb 0\.31 or newer; 0\.30\.0 is installed: pip install -U 'rlx-logging\[wandb\]'\."
    with pytest.raises(MissingBackendError, match=message):
        WandbLogger(tmp_path)


def test_the_command_line_says_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback."""
    _block(monkeypatch, "matplotlib")
    assert main(["plot", str(_run(tmp_path)), "-o", str(tmp_path / "curves.png")]) == 1
    assert "pip install 'rlx-logging[plot]'" in capsys.readouterr().err


def test_a_library_that_lacks_something_of_its_own_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installing the extra would not help; the error is the library's own."""
    (tmp_path / "psutil.py").write_text("import rlx_something_it_needs\n")
    monkeypatch.delitem(sys.modules, "psutil", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    with pytest.raises(ModuleNotFoundError, match="No module named 'rlx_something_it_needs'") as caught:
        AddSystemMetrics()
    assert not isinstance(caught.value, MissingBackendError)


def test_a_backend_that_is_not_installed_costs_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the backend and the extra; the others get the rows."""
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.warns(DroppedRowsWarning, match=r"wandb: left out.*pip install 'rlx-logging\[wandb\]'"):
        logger = make_logger("csv, wandb", log_dir=tmp_path)
    logger.log_info_data({"x": 1.0}, 0)
    logger.finalize()
    assert read_metrics(tmp_path)["info/x"].values.tolist() == [1.0]
    assert (tmp_path / "progress.csv").is_file()


def test_without_rich_the_console_prints_plain_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where a terminal could show a table."""
    _block(monkeypatch, "rich")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    logger = make_logger("console", log_dir=tmp_path)
    logger.write("info/epoch", 3, {"r": 1.5})
    logger.finalize()
    out = capsys.readouterr().out
    assert "r=1.5" in out
    assert "─" not in out
