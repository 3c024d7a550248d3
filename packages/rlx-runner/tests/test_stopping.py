"""Being asked to stop: at an epoch's boundary, resumable, and at once when asked twice."""

import os
import signal
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rlx_protocols import TrainingLoop
from rlx_protocols.testing import CountingEnv, CountingSampler
from rlx_runner import EXIT_STOPPED, Budget, LocalRunner, TrainingStopped
from rlx_runner._stop import StopSwitch
from rlx_snapshot import SnapshotConfig


def note(asked: list[bool], epoch: int) -> None:
    """Ask to stop."""
    asked.append(True)


def note_handler(seen: list[Any], epoch: int) -> None:
    """Record who handles SIGTERM now."""
    seen.append(signal.getsignal(signal.SIGTERM))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_training_after_the_epoch(make_run: Any, averaging: Any, number: signal.Signals) -> None:
    """The epoch in which the signal comes is complete, logged and saved."""

    def stop_in_epoch_1(epoch: int) -> None:
        if epoch == 1:
            os.kill(os.getpid(), number)

    run = make_run()
    runner = run.setup(averaging(on_epoch=stop_in_epoch_1))
    with pytest.raises(TrainingStopped, match=r"Stopped after 2 epochs\. It resumes with epoch 2") as stopped:
        runner.train(5, batch_size=10)
    assert stopped.value.code == EXIT_STOPPED == 75
    assert [step for _, step, _ in run.logger.rows] == [0, 1]


def test_signal_handlers_are_put_back(make_run: Any) -> None:
    """After training, Ctrl-C does what it did before."""
    before = signal.getsignal(signal.SIGINT)
    make_run().setup().train(1, batch_size=10)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_forked_child_is_ended_by_sigterm(tmp_path: Path) -> None:
    """What algorithms fork for their own ends dies of SIGTERM as ever, and leaves Ctrl-C to its parent."""
    program = textwrap.dedent(
        f"""
        import os, signal
        from rlx_runner import LocalRunner
        from rlx_snapshot import SnapshotConfig

        class Forking:
            def train(self, loop):
                for epoch in loop.step_epochs():
                    ready, told = os.pipe()
                    child = os.fork()
                    if child == 0:
                        os.kill(os.getpid(), signal.SIGINT)
                        os.write(told, b"alive")
                        signal.pause()
                        os._exit(0)
                    print(os.read(ready, 5).decode())
                    os.kill(child, signal.SIGTERM)
                    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

        runner = LocalRunner(SnapshotConfig({str(tmp_path)!r}, "none", 1), progress=False)
        runner.setup(Forking(), None)
        runner.train(1)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.split() == ["alive", str(-signal.SIGTERM)], done.stderr


def test_ignored_signal_stays_ignored(make_run: Any, averaging: Any) -> None:
    """A job that a shell put in the background does not hear the Ctrl-C of the one in front."""
    seen: list[Any] = []
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        make_run().setup(averaging(on_epoch=partial(note_handler, seen))).train(1, batch_size=10)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIG_IGN]


def test_stopped_run_resumes(make_run: Any, averaging: Any, tmp_path: Path) -> None:
    """What was left undone is done by the next attempt."""
    run = make_run(stop_requested=lambda: True)
    with pytest.raises(TrainingStopped, match="Stopped after 0 epochs"):
        run.setup().train(3, batch_size=10)
    asked: list[bool] = []
    run = make_run(stop_requested=lambda: len(asked) > 0)
    with pytest.raises(TrainingStopped, match=r"Stopped after 1 epoch\."):
        run.setup(averaging(on_epoch=partial(note, asked))).train(3, batch_size=10)
    run = make_run()
    run.runner.restore(str(tmp_path / "run"))
    run.runner.resume()
    assert run.runner.step_itr == 3


class LastValue:
    """Returns a value of its last epoch, as algorithms commonly do; without an epoch that is an error."""

    def train(self, loop: TrainingLoop[Any], /) -> float:
        return float(list(loop.step_epochs())[-1])


def test_algorithm_is_not_asked_to_train_for_no_epoch(make_run: Any) -> None:
    """A stop that comes before the first epoch is a stop, and no failure of the algorithm."""
    runner = make_run(stop_requested=lambda: True).setup(LastValue(), sampler_cls=None)
    with pytest.raises(TrainingStopped, match="Stopped after 0 epochs"):
        runner.train(3)


def test_run_whose_budget_is_used_up_has_nothing_left_to_do(
    make_run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Started again, it returns and says why."""
    make_run().setup(LastValue(), sampler_cls=None).train(2)
    runner = LocalRunner(
        SnapshotConfig(str(tmp_path / "run"), "all", 1), budget=Budget(seconds=1e-9), progress=True
    )
    runner.restore(str(tmp_path / "run"))
    assert runner.resume(n_epochs=4) is None
    assert capsys.readouterr().err.count("Training ends after epoch 1: ") == 1


def test_run_stopped_right_after_its_resume_says_where_it_goes_on(make_run: Any, tmp_path: Path) -> None:
    """The snapshot it came from is still there."""
    make_run().setup().train(2, batch_size=10)
    runner = make_run(stop_requested=lambda: True).runner
    runner.restore(str(tmp_path / "run"))
    with pytest.raises(TrainingStopped, match="resumes with epoch 2"):
        runner.resume(n_epochs=4)


def test_whoever_passes_stop_requested_owns_the_signals(make_run: Any, averaging: Any) -> None:
    """The runner installs no handler of its own then."""
    before = signal.getsignal(signal.SIGTERM)
    seen: list[Any] = []
    algo = averaging(on_epoch=partial(note_handler, seen))
    make_run(stop_requested=lambda: False).setup(algo).train(1, batch_size=10)
    assert seen == [before]


def test_context_of_a_run_is_asked_and_owns_the_signals(tmp_path: Path, averaging: Any) -> None:
    """It hears more signals than the runner does, and records that the run was stopped."""
    context: Any = SimpleNamespace(
        snapshot_dir=str(tmp_path), snapshot_mode="last", snapshot_gap=1, run="run", stop_requested=False
    )
    seen: list[Any] = []

    def stop(epoch: int) -> None:
        note_handler(seen, epoch)
        context.stop_requested = epoch == 1

    before = signal.getsignal(signal.SIGTERM)
    runner = LocalRunner(context, progress=False)
    runner.setup(averaging(on_epoch=stop), CountingEnv(), sampler_cls=CountingSampler, n_workers=1)
    with pytest.raises(TrainingStopped, match="Stopped after 2 epochs"):
        runner.train(5, batch_size=10)
    assert seen == [before] * 2


def test_context_that_belongs_to_no_run_owns_no_signals(tmp_path: Path, averaging: Any) -> None:
    """Nobody would tell it of them."""
    context: Any = SimpleNamespace(
        snapshot_dir=str(tmp_path), snapshot_mode="last", snapshot_gap=1, run=None, stop_requested=False
    )
    seen: list[Any] = []
    runner = LocalRunner(context, progress=False)
    algo = averaging(on_epoch=partial(note_handler, seen))
    runner.setup(algo, CountingEnv(), sampler_cls=CountingSampler, n_workers=1)
    runner.train(1, batch_size=10)
    assert seen != [signal.getsignal(signal.SIGTERM)]


def test_stop_during_the_last_epoch_is_a_finished_run(make_run: Any, averaging: Any) -> None:
    """Nothing is left to resume: training returns as usual."""
    asked: list[bool] = []
    run = make_run(stop_requested=lambda: len(asked) == 2)
    assert run.setup(averaging(on_epoch=partial(note, asked))).train(2, batch_size=10) == 10.0


def test_message_says_when_nothing_can_be_resumed(make_run: Any) -> None:
    """Without snapshots a stopped run can only begin again."""
    with pytest.raises(TrainingStopped, match=r"snapshot_mode='none'.*only begin again"):
        make_run(mode="none", stop_requested=lambda: True).setup().train(2, batch_size=10)


@pytest.mark.parametrize(
    ("first", "second", "seconds", "slurm", "ends"),
    [
        (signal.SIGTERM, signal.SIGTERM, 0.06, False, False),
        (signal.SIGTERM, signal.SIGTERM, 6.0, False, True),
        (signal.SIGTERM, signal.SIGTERM, 6.0, True, False),
        (signal.SIGTERM, signal.SIGINT, 0.0, True, True),
        (signal.SIGINT, signal.SIGTERM, 0.06, False, False),
    ],
)
def test_what_is_a_second_request(
    first: signal.Signals,
    second: signal.Signals,
    seconds: float,
    slurm: bool,
    ends: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A scheduler repeats SIGTERM for one stop; a person's Ctrl-C, and SIGTERM after some seconds, mean now."""
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    if slurm:
        monkeypatch.setenv("SLURM_JOB_ID", "1")
    now = [100.0]
    switch = StopSwitch(clock=lambda: now[0])
    with switch.listening():
        signal.raise_signal(first)
        now[0] += seconds
        if ends:
            with pytest.raises(SystemExit, match=str(128 + second)):
                signal.raise_signal(second)
        else:
            signal.raise_signal(second)
    assert switch.requested


def test_warnings_of_a_scheduler_ask_to_stop() -> None:
    """SIGUSR1 and SIGUSR2 come before the signals that end a job, and never end the process."""
    numbers = [signal.Signals.__members__.get(name) for name in ("SIGUSR1", "SIGUSR2")]
    switch = StopSwitch()
    with switch.listening():
        for number in (number for number in numbers * 2 if number is not None):
            signal.raise_signal(number)
    assert switch.requested == (numbers[0] is not None)


def test_second_signal_ends_the_process_at_once(tmp_path: Path) -> None:
    """Ctrl-C twice ends with 130, in the middle of an epoch."""
    program = textwrap.dedent(
        f"""
        import os, signal
        from rlx_runner import LocalRunner
        from rlx_snapshot import SnapshotConfig

        class Endless:
            def train(self, loop):
                for epoch in loop.step_epochs():
                    for _ in range(2):
                        os.kill(os.getpid(), signal.SIGINT)
                    print("still here", flush=True)

        runner = LocalRunner(SnapshotConfig({str(tmp_path)!r}, "last", 1), progress=False)
        runner.setup(Endless(), None)
        runner.train(3)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (130, ""), done.stderr


def test_stopped_script_exits_with_75(tmp_path: Path) -> None:
    """A script that knows nothing of it ends with the status of a run that can continue."""
    program = textwrap.dedent(
        f"""
        from rlx_runner import LocalRunner
        from rlx_snapshot import SnapshotConfig

        class Algo:
            def train(self, loop):
                list(loop.step_epochs())

        runner = LocalRunner(SnapshotConfig({str(tmp_path)!r}, "last", 1), stop_requested=lambda: True)
        runner.setup(Algo(), None)
        runner.train(3)
        print("not reached")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (75, "")
    assert "Stopped after 0 epochs" in done.stderr
