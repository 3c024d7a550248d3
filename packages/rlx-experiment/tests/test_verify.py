"""Whether a script resumes exactly."""

import textwrap
from pathlib import Path

import pytest

from rlx_experiment._cli import main
from rlx_experiment._verify import ScriptFailedError, verify_resume

pytestmark = pytest.mark.processes

pytest.importorskip("tyro")

TRAINER = """
import os, pickle, time
from pathlib import Path
from rlx_experiment import wrap_experiment

@wrap_experiment
def train(ctxt, n_epochs: int = 25, fail: bool = False):
    folder = Path(ctxt.snapshot_dir)
    snapshot, log = folder / "params.pkl", folder / "progress.csv"
    epoch, value, rows = 0, 1.0, ["epoch,AverageReturn,EpochTime"]
    if snapshot.exists():
        epoch, value, rows = pickle.loads(snapshot.read_bytes())
    while epoch < n_epochs:
        value = 3.9 * value * (1 - value / 4)
        rows.append(f"{epoch},{value!r},{time.time()}")
        epoch += 1
        if fail:
            raise RuntimeError("broken by itself")
        temporary = folder / "temporary"
        temporary.write_bytes(pickle.dumps((epoch, SAVED, rows)))
        os.replace(temporary, snapshot)
        log.write_text("\\n".join(rows))
        time.sleep(0.02)

if __name__ == "__main__":
    train.main()
"""


def script(saved: str) -> Path:
    """Write a training script that saves `saved` as its state."""
    path = Path("train.py")
    path.write_text(textwrap.dedent(TRAINER).replace("SAVED", saved))
    return path


def test_an_exact_script_is_exact(capsys: pytest.CaptureFixture[str]) -> None:
    """A script that saves all of its state passes; wall-clock values do not count."""
    assert main(["verify-resume", "--kills", "2", str(script("value"))]) == 0
    assert "exact: after 2 kills" in capsys.readouterr().out


def test_the_first_difference_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A script that loses a few bits of its state is found out, with tag and step."""
    assert main(["verify-resume", "--kills", "2", str(script("round(value, 12)"))]) == 1
    assert "not exact: AverageReturn differs first at step" in capsys.readouterr().out


def test_a_script_that_ends_too_soon_is_not_verified() -> None:
    """Without a kill there is no verdict."""
    found = verify_resume(script("value"), ["--n-epochs", "0"], Path("runs"))
    assert found is not None
    assert "nothing was verified" in found


def test_a_script_that_fails_says_so() -> None:
    """An error of the script is not taken for a difference."""
    with pytest.raises(ScriptFailedError, match="broken by itself"):
        verify_resume(script("value"), ["--fail"], Path("runs"))
