"""The code in the documentation runs."""

import re
import runpy
from pathlib import Path

import pytest

from rlx_protocols.testing import check_sampler, check_sampler_state
from rlx_sampler import LocalSampler, MultiprocessingSampler

PACKAGE = Path(__file__).parent.parent
GUIDE = PACKAGE.parent.parent / "docs" / "how-to" / "own-sampler.md"


def run_code_of(page: Path, folder: Path) -> None:
    """Run all Python blocks of a page, one after another, as one script."""
    script = folder / "blocks.py"
    script.write_text("\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)))
    runpy.run_path(str(script), run_name="__main__")


@pytest.mark.skipif(not GUIDE.exists(), reason="the guide is not part of the package")
def test_a_sampler_of_ones_own_keeps_the_contract(tmp_path: Path) -> None:
    """The guide's sampler passes the conformance kit, and imports nothing of rlx."""
    text = GUIDE.read_text()
    assert "rlx" not in re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    run_code_of(GUIDE, tmp_path)


def test_the_readme_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The example of the README samples what it says."""
    run_code_of(PACKAGE / "README.md", tmp_path)
    assert int(capsys.readouterr().out.split()[0]) >= 4000


@pytest.mark.parametrize("sampler_cls", [LocalSampler, MultiprocessingSampler])
def test_our_samplers_keep_the_contract(sampler_cls: type[LocalSampler]) -> None:
    """The conformance kit passes what this package gives."""
    check_sampler(sampler_cls)
    check_sampler_state(sampler_cls)
