"""Switches of the process that numbers depend on: recorded with a run, set again by its resume."""

import decimal
import importlib.metadata
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_runner import Checkpoint, set_seed
from rlx_runner._process.switches import read_modes, read_switches, set_switches
from rlx_runner._random import capture_random, restore_random

GENERATORS: Any = np.random


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Put all switches back after a test."""
    before = {**read_switches(), **read_modes()}
    yield
    set_switches(before)


@contextmanager
def drawing_from(bits: Any) -> Generator[None]:
    """Let NumPy's global functions draw from another bit generator; pytest-randomly seeds only the usual one."""
    usual = GENERATORS.get_bit_generator()
    GENERATORS.set_bit_generator(bits)
    try:
        yield
    finally:
        GENERATORS.set_bit_generator(usual)


def test_resume_sets_what_the_saved_run_had(make_run: Any, tmp_path: Path, capsys: Any) -> None:
    """The run continues with its own way to round, and says what was changed."""
    decimal.getcontext().prec = 7
    np.seterr(divide="raise")
    make_run().setup().train(2, batch_size=10)
    decimal.getcontext().prec = 28
    np.seterr(divide="ignore")
    resumed = make_run(progress=True)
    resumed.runner.restore(str(tmp_path / "run"))
    assert (decimal.getcontext().prec, np.geterr()["divide"]) == (7, "raise")
    assert "decimal's context is {'prec': 7, " in capsys.readouterr().err


def test_loop_of_its_own_gets_its_switches_back(tmp_path: Path) -> None:
    """A Checkpoint sets them as a runner does."""
    decimal.getcontext().prec = 9
    for _ in Checkpoint(tmp_path, progress=False, seen=[1]).steps(1):
        pass
    decimal.getcontext().prec = 28
    Checkpoint(tmp_path, progress=False, seen=[2]).restore()
    assert decimal.getcontext().prec == 9


def test_other_version_of_a_library_in_the_state_is_named(
    make_run: Any, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment's library counts, whichever it is."""
    make_run().setup().train(1, batch_size=10)
    before = importlib.metadata.version("rlx-protocols")
    versions = {"rlx-protocols": "9.9", "numpy": np.__version__, "rlx-runner": None}
    monkeypatch.setattr("importlib.metadata.version", versions.get)
    make_run(progress=True).runner.restore(str(tmp_path / "run"))
    said = capsys.readouterr().err
    assert "grade B" in said
    assert f"rlx-protocols was {before}, is 9.9" in said


def test_environment_of_the_process_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only the start of a program can set is said; the order of sets is left to the sampler's check."""
    saved = {**read_switches(), "$XLA_FLAGS": "--fast", "$PYTHONHASHSEED": "77"}
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    assert set_switches(saved) == ([], ["$XLA_FLAGS was --fast, is None"])


def test_switches_that_cannot_be_set_lower_the_grade(make_run: Any, tmp_path: Path, capsys: Any) -> None:
    """The reason names both values."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MKL_CBWR", "COMPATIBLE")
        make_run().setup().train(1, batch_size=10)
        patch.delenv("MKL_CBWR")
        make_run(progress=True).runner.restore(str(tmp_path / "run"))
    assert "grade B" in (said := capsys.readouterr().err)
    assert "$MKL_CBWR was COMPATIBLE, is None" in said


@pytest.fixture
def torch() -> Iterator[Any]:
    """The library, whose switches are put back."""
    library = pytest.importorskip("torch", reason="needs torch, which has no small wheel to test with")
    before = {**read_switches(), **read_modes()}
    yield library
    set_switches(before)


def test_switches_of_torch_are_set_again(torch: Any) -> None:
    """Default dtype, precision, determinism, denormal numbers and gradient mode."""
    torch.set_default_dtype(torch.float64)
    torch.set_float32_matmul_precision("medium")
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    torch.set_flush_denormal(True)
    with torch.no_grad():
        saved = {**read_switches(), **read_modes()}
    torch.set_default_dtype(torch.float32)
    torch.set_float32_matmul_precision("highest")
    torch.use_deterministic_algorithms(mode=False)
    torch.set_flush_denormal(False)
    changed, different = set_switches(saved)
    assert (len(changed), different) == (5, [])
    assert torch.get_default_dtype() is torch.float64
    assert torch.get_float32_matmul_precision() == "medium"
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.is_grad_enabled()
    assert set_switches(saved) == ([], [])


def test_newer_switches_of_torch_are_set_again(torch: Any) -> None:
    """Precision by part of torch, attention and einsum, where the program uses them."""
    backends = torch.backends
    backends.mkldnn.matmul.fp32_precision = "bf16"
    backends.opt_einsum.enabled = False
    backends.cuda.enable_flash_sdp(False)
    backends.mha.set_fastpath_enabled(False)
    saved = read_switches()
    backends.mkldnn.matmul.fp32_precision = "none"
    backends.opt_einsum.enabled = True
    backends.cuda.enable_flash_sdp(True)
    backends.mha.set_fastpath_enabled(True)
    changed, different = set_switches(saved)
    assert (len(changed), different) == (4, [])
    assert backends.mkldnn.matmul.fp32_precision == "bf16"
    assert not backends.opt_einsum.enabled
    assert not backends.cuda.flash_sdp_enabled()
    assert not backends.mha.get_fastpath_enabled()


def test_the_whole_context_of_decimal_is_set_again() -> None:
    """Traps and bounds of the exponent too, which decide about errors and rounding."""
    context = decimal.getcontext()
    context.Emax, context.traps[decimal.Inexact] = 50, True
    saved = read_switches()
    decimal.setcontext(decimal.Context())
    set_switches(saved)
    assert (decimal.getcontext().Emax, decimal.getcontext().traps[decimal.Inexact]) == (50, True)


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.SFC64, np.random.Philox])
def test_another_global_generator_of_numpy_is_restored(kind: Any) -> None:
    """Whichever NumPy draws from, its state is saved and its kind comes back."""
    with drawing_from(kind(5)):
        np.random.standard_normal()
        states = capture_random()
        wanted = np.random.standard_normal(3).tolist()
        GENERATORS.set_bit_generator(np.random.MT19937(1))
        restore_random(states)
        assert np.random.standard_normal(3).tolist() == wanted
        assert type(GENERATORS.get_bit_generator()) is kind


def test_set_seed_seeds_whichever_generator_numpy_draws_from() -> None:
    """NumPy itself refuses to seed any but the Mersenne Twister."""
    with drawing_from(np.random.PCG64(5)):
        set_seed(4)
        first = np.random.random()
        set_seed(4)
        assert np.random.random() == first
        assert type(GENERATORS.get_bit_generator()) is np.random.PCG64
