"""The last policy survives a kill at any instant."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [pytest.mark.processes, pytest.mark.skipif(os.name == "nt", reason="needs fork and SIGKILL")]

HARNESS = Path(__file__).with_name("kill_harness.py")
MODES = [
    "POLICY",
    "SAFETENSORS",
    pytest.param(
        "POLICY_STATE_DICT",
        marks=pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed"),
    ),
]


def kill(folder: Path, mode: str, kills: int, writer: str = "atomic") -> dict[str, int]:
    """Kill a saving process `kills` times and return the counts."""
    command = [sys.executable, str(HARNESS), str(folder), mode, str(kills), "7", writer]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=280)
    counts: dict[str, int] = json.loads(done.stdout)
    return counts


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_lost(tmp_path: Path, mode: str) -> None:
    """Killed while it saves back to back, the process leaves its last policy or the next one, whole."""
    assert kill(tmp_path, mode, 30)["lost"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_nothing_of_a_thousand_is_lost(tmp_path: Path, mode: str) -> None:
    """The same, a thousand times in the soak session and a fifth of that elsewhere."""
    kills = 1000 if "RLX_SOAK" in os.environ else 200
    assert kill(tmp_path, mode, kills)["lost"] == 0


@pytest.mark.parametrize("mode", MODES)
def test_mutant_loses_policies(tmp_path: Path, mode: str) -> None:
    """Writing into the published file loses policies, and the harness sees it."""
    assert kill(tmp_path, mode, 30, writer="in-place")["lost"] > 0
