"""What people see: progress, evaluation, pictures."""

import io
import math
import os
import pty
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from rlx_protocols.testing import CountedBatch, CountingEnv, CountingSampler, MemoryLogger, SteadyPolicy
from rlx_runner import Evaluation, EvaluationWarning, LocalRunner, PlotWarning
from rlx_runner._display import Pace, PlainDisplay, SilentDisplay, choose_display, summary
from rlx_runner._progress import Progress
from rlx_snapshot import SnapshotConfig

PROGRAM = """
from rlx_runner import LocalRunner
from rlx_snapshot import SnapshotConfig

class Algo:
    def train(self, loop):
        list(loop.step_epochs())

runner = LocalRunner(SnapshotConfig({folder!r}, "none", 1))
runner.setup(Algo(), None)
runner.train(3)
"""


class TestDisplay:
    def test_line_tells_epoch_return_steps_and_time_left(self) -> None:
        """Five of ten epochs took 50 s: so will the rest."""
        pace = Pace()
        pace.start(Progress())
        now = Progress(epoch=5, env_steps=10_000, elapsed=50.0, average_return=12.25)
        line = summary(now, 10, pace)
        assert line == "epoch 5/10  return 12.2  env steps 10,000  200 steps/s  50 s left"

    def test_pace_of_a_resumed_run_counts_from_the_resume(self) -> None:
        """Time and steps of earlier attempts do not enter the pace."""
        pace = Pace()
        pace.start(Progress(epoch=5, env_steps=1000, elapsed=500.0))
        assert pace.steps_per_second(Progress(epoch=6, env_steps=1100, elapsed=501.0)) == 100.0

    def test_plain_lines_always_include_the_last_epoch(self) -> None:
        """Lines within one second are left out, but for the end."""
        stream = io.StringIO()
        display = PlainDisplay(stream)
        display.start(Progress(), 3)
        for epoch in (1, 2, 3):
            display.update(Progress(epoch=epoch), 3)
        assert [line.split()[1] for line in stream.getvalue().splitlines()] == ["1/3", "3/3"]

    def test_words_that_nobody_reads_end_nothing(self, tmp_path: Path) -> None:
        """Training ends as it would, with stderr a pipe whose reader Ctrl-C has ended first, as `tee` is."""
        program = PROGRAM.format(folder=str(tmp_path))
        reading, writing = os.pipe()
        with subprocess.Popen([sys.executable, "-c", program], stderr=writing) as process:
            os.close(writing)
            os.close(reading)
        assert process.returncode == 0

    def test_folder_of_any_name_is_shown_as_it_is(self, capsys: pytest.CaptureFixture[str]) -> None:
        """What looks like rich's markup in the name of a folder is none."""
        pytest.importorskip("rich", reason="rich is not installed here")
        from rlx_runner._display import RichDisplay

        RichDisplay().say("It resumes from runs[/bold]/lr=[0.1].")
        assert capsys.readouterr().err == "It resumes from runs[/bold]/lr=[0.1].\n"

    def test_a_narrow_terminal_shows_the_epoch(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The bar makes room for the number of the epoch, not the other way round."""
        pytest.importorskip("rich", reason="rich is not installed here")
        from rlx_runner._display import RichDisplay

        monkeypatch.setenv("COLUMNS", "44")
        display = RichDisplay()
        display.start(Progress(), 1000)
        display.update(Progress(epoch=999, env_steps=12_345_678, elapsed=100.0, average_return=1234.5), 1000)
        display.close()
        assert "epoch 999/1000 return 1234.5" in " ".join(capsys.readouterr().err.split())

    def test_silence_on_request(self) -> None:
        """False shows nothing."""
        assert isinstance(choose_display(False), SilentDisplay)

    def test_plain_lines_without_a_terminal(self) -> None:
        """Output that goes to a file has no bar in it."""
        assert isinstance(choose_display(None), PlainDisplay)

    def test_bar_at_a_terminal(self, tmp_path: Path) -> None:
        """At a real terminal a bar is drawn that ends at the last epoch."""
        pytest.importorskip("rich", reason="rich is not installed here")
        program = PROGRAM.format(folder=str(tmp_path))
        primary, secondary = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
        with subprocess.Popen([sys.executable, "-c", program], stderr=secondary, env=environment) as process:
            os.close(secondary)
            drawn = b"".join(iter(lambda: _read(primary), b""))
        assert process.returncode == 0
        assert "epoch 3/3" in drawn.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # the other side is closed
        return b""


class DrawingSampler(CountingSampler):
    """Draws from NumPy's global generator when it is built, as a factory of random environments does."""

    @classmethod
    def from_worker_factory(cls, *args: Any, **options: Any) -> Any:
        np.random.random()
        return super().from_worker_factory(*args, **options)


class DemandingSampler(CountingSampler):
    """Cannot be built without an argument of its own."""

    @classmethod
    def from_worker_factory(cls, *args: Any, **options: Any) -> Any:
        del options["demanded"]
        return super().from_worker_factory(*args, **options)


class ScriptedSampler(CountingSampler):
    """Gives rewards by a script, one a call."""

    script: ClassVar[list[float]] = []

    def obtain_samples(self, *args: Any, **options: Any) -> CountedBatch:
        batch = super().obtain_samples(*args, **options)
        return replace(batch, reward=self.script[self.calls - 1])


class TestEvaluation:
    def test_runs_every_k_epochs_with_numbers_of_its_own(self, make_run: Any) -> None:
        """Two evaluations in four epochs; the second is the best."""
        run = make_run(evaluation=Evaluation(every=2, n_episodes=10))
        run.setup().train(4, batch_size=10)
        evaluated = {
            step: row["AverageReturn"] for scope, step, row in run.logger.rows if scope == "evaluation/epoch"
        }
        assert evaluated == {1: 5.0, 3: 10.0}

    def test_does_not_count_as_training(self, make_run: Any) -> None:
        """Evaluation steps are no training steps."""
        run = make_run(evaluation=Evaluation(every=1))
        runner = run.setup()
        runner.train(2, batch_size=10)
        assert runner.total_env_steps == 20

    def test_best_policy_is_handed_over(self, make_run: Any) -> None:
        """Every evaluation here is better than the one before."""
        best: list[Any] = []
        run = make_run(evaluation=Evaluation(every=2, on_best=best.append))
        runner = run.setup()
        runner.train(4, batch_size=10)
        assert best == [runner.algo.policy, runner.algo.policy]

    def test_goes_on_after_a_resume(self, make_run: Any, tmp_path: Path) -> None:
        """The best return so far, and the evaluation's own stream, survive."""
        run = make_run(evaluation=Evaluation(every=1))
        run.setup().train(2, batch_size=10)
        run = make_run(evaluation=Evaluation(every=1))
        run.runner.restore(str(tmp_path / "run"))
        run.runner.resume(n_epochs=3)
        best = [row["BestReturn"] for scope, _, row in run.logger.rows if scope == "evaluation/epoch"]
        assert best[-1] == 15.0

    @pytest.mark.parametrize(
        ("values", "best", "words"),
        [
            ([math.nan, 1.0, 2.0, 0.5], [5.0, 10.0, 10.0], "epoch 0 is NaN"),
            ([math.inf, 1.0, 2.0, 0.5], [5.0, 10.0, 10.0], "epoch 0 is infinite"),
            ([-math.inf, 1.0, 2.0, 0.5], [5.0, 10.0, 10.0], "epoch 0 is minus infinity"),
            ([1.0, math.nan, 2.0, 0.5], [5.0, 5.0, 10.0, 10.0], "epoch 1 is NaN"),
            ([math.nan, math.nan, math.nan, math.nan], [], "is NaN"),
        ],
    )
    def test_return_that_is_no_finite_number_is_never_the_best(
        self,
        make_run: Any,
        monkeypatch: pytest.MonkeyPatch,
        values: list[float],
        best: list[float],
        words: str,
    ) -> None:
        """Later policies are compared with the best finite return; a warning says why one was left out."""
        monkeypatch.setattr(ScriptedSampler, "script", values)
        handed_over: list[Any] = []
        run = make_run(evaluation=Evaluation(every=1, on_best=handed_over.append))
        runner = run.setup(sampler_cls=ScriptedSampler)
        with pytest.warns(EvaluationWarning, match=words):
            runner.train(4, batch_size=10)
        rows = [row for scope, _, row in run.logger.rows if scope == "evaluation/epoch"]
        assert [row["BestReturn"] for row in rows if "BestReturn" in row] == best
        assert len(handed_over) == len(set(best))

    def test_worse_policy_after_a_resume_is_not_the_best(
        self, make_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The best return of before the resume stays, and the policy that earned it is not overwritten."""
        monkeypatch.setattr(ScriptedSampler, "script", [3.0, 2.0, 1.0, 4.0])
        first = make_run(evaluation=Evaluation(every=1)).setup(sampler_cls=ScriptedSampler)
        first.train(2, batch_size=10)
        handed_over: list[Any] = []
        run = make_run(evaluation=Evaluation(every=1, on_best=handed_over.append))
        run.runner.restore(str(tmp_path / "run"))
        run.runner.resume(n_epochs=4)
        best = [row["BestReturn"] for scope, _, row in run.logger.rows if scope == "evaluation/epoch"]
        assert (best[-2:], len(handed_over)) == ([15.0, 20.0], 1)

    def test_leaves_training_as_it_was(self, make_run: Any) -> None:
        """A sampler that draws from the global generator when it is built changes no number of training."""
        totals: list[float] = []
        for evaluation in (None, Evaluation(every=2)):
            np.random.seed(7)
            runner = make_run(evaluation=evaluation).setup(sampler_cls=DrawingSampler)
            np.random.seed(7)
            runner.train(6, batch_size=10)
            totals.append(runner.algo.total)
        assert totals[0] == totals[1]

    def test_resumed_run_ends_like_an_unbroken_one(self, make_run: Any, tmp_path: Path) -> None:
        """Also where the evaluation's sampler has to be built again, in the middle of training."""
        unbroken = make_run("unbroken", evaluation=Evaluation(every=2)).setup(sampler_cls=DrawingSampler)
        np.random.seed(7)
        unbroken.train(6, batch_size=10)
        np.random.seed(7)
        make_run(evaluation=Evaluation(every=2)).setup(sampler_cls=DrawingSampler).train(3, batch_size=10)
        resumed = make_run(evaluation=Evaluation(every=2)).runner
        resumed.restore(str(tmp_path / "run"))
        resumed.resume(n_epochs=6)
        assert resumed.algo.total == unbroken.algo.total

    def test_samples_with_the_arguments_of_the_run(self, make_run: Any) -> None:
        """A sampler that cannot be built without them is built for evaluation, too."""
        run = make_run(evaluation=Evaluation(every=1))
        run.setup(sampler_cls=DemandingSampler, sampler_args={"demanded": 1}).train(1, batch_size=10)
        assert [scope for scope, _, _ in run.logger.rows] == ["evaluation/epoch", "info/epoch"]

    def test_needs_a_sampler(self, make_run: Any) -> None:
        """The error says what to pass."""
        with pytest.raises(ValueError, match="pass sampler_cls"):
            make_run(evaluation=Evaluation(every=1)).setup(sampler_cls=None)

    @pytest.mark.parametrize("option", ["every", "n_episodes"])
    def test_refuses_counts_below_one(self, option: str) -> None:
        """Never, or no episodes, is no evaluation."""
        with pytest.raises(ValueError, match=f"{option} is 0"):
            Evaluation(every=int(option != "every"), n_episodes=int(option != "n_episodes"))


class Leaning:
    """Pushes the pole one way and keeps to it."""

    max_episode_length = 20

    def __init__(self) -> None:
        self.policy = self
        self.drawn = 0.0

    def get_action(self, observation: object) -> tuple[int, dict[str, Any]]:
        return 1, {}

    def train(self, loop: Any) -> None:
        for _ in loop.step_epochs():
            self.drawn = float(np.random.random())


class NoPolicy:
    """Has parameters and gives no actions."""

    def get_param_values(self) -> dict[str, Any]:
        return {}


class Drawn(CountingEnv):
    """Refuses actions that are no single number, and observations of a batch."""

    render_mode = "rgb_array"

    def step(self, action: Any) -> Any:
        assert np.shape(action) == ()
        return super().step(action)

    def render(self) -> NDArray[np.uint8]:
        return np.zeros((4, 4, 3), dtype=np.uint8)


class ManyWithNoise(NoPolicy):
    def get_actions(self, observations: Any, *, rngs: Any) -> Any:
        assert observations.shape == (1, 2)
        return np.array([rng.normal() for rng in rngs]), {}


class Many(NoPolicy):
    def get_actions(self, observations: Any) -> Any:
        assert observations.shape == (1, 2)
        return np.zeros(1), None


class OneWithNoise(NoPolicy):
    def get_action(self, observation: Any, *, rng: Any) -> Any:
        assert observation.shape == (2,)
        return rng.normal(), {}


class One(NoPolicy):
    def get_action(self, observation: Any) -> Any:
        return 1.0, {}


class Both(One):
    """Prefers its batched way only where that takes noise, as samplers do."""

    def get_actions(self, observations: Any) -> Any:
        raise AssertionError


class Remembering(ManyWithNoise):
    """Has to be reset, row by row, before it is asked."""

    rows: Any = None

    def reset(self, do_resets: Any = None) -> None:
        self.rows = np.flatnonzero(do_resets)

    def get_actions(self, observations: Any, *, rngs: Any) -> Any:
        assert self.rows.tolist() == [0]
        return super().get_actions(observations, rngs=rngs)


class ResetAtOnce(One):
    def reset(self) -> None:
        """Forget everything."""


POLICIES = [ManyWithNoise, Many, OneWithNoise, One, Both, Remembering, ResetAtOnce]


class FilmLogger(MemoryLogger):
    """Keeps films."""

    def __init__(self) -> None:
        super().__init__()
        self.films: list[tuple[str, int, Any]] = []

    def write_video(self, tag: str, step: int, frames: Any) -> None:
        self.films.append((tag, step, frames))


class TestPlots:
    def test_writes_an_animation_an_epoch(self, tmp_path: Path) -> None:
        """The picture shows the environment: frames that differ, in a GIF that pillow reads."""
        gymnasium = pytest.importorskip("gymnasium", reason="gymnasium is not installed here")
        pytest.importorskip("pygame", reason="pygame renders CartPole and is not installed here")
        from PIL import Image

        runner = LocalRunner(SnapshotConfig(str(tmp_path), "none", 1), progress=False)
        runner.setup(Leaning(), gymnasium.make("CartPole-v1"))
        runner.train(1, plot=True)
        with Image.open(tmp_path / "plots" / "epoch_0.gif") as picture:
            assert getattr(picture, "n_frames", 1) > 5
            assert picture.size == (600, 400)

    def test_leaves_the_random_streams_alone(self, tmp_path: Path) -> None:
        """A run with pictures draws the same numbers as one without."""
        gymnasium = pytest.importorskip("gymnasium", reason="gymnasium is not installed here")
        drawn: list[float] = []
        for plot in (False, True):
            runner = LocalRunner(SnapshotConfig(str(tmp_path), "none", 1), progress=False)
            np.random.seed(5)
            algo = Leaning()
            runner.setup(algo, gymnasium.make("CartPole-v1"))
            runner.train(3, plot=plot)
            drawn.append(algo.drawn)
        assert drawn[0] == drawn[1]

    def test_leaves_the_policy_alone(self, make_run: Any, averaging: Any) -> None:
        """A policy that counts its actions, to explore less and less, does not count those of the picture."""

        class Counted(SteadyPolicy):
            asked = 0

            def get_action(self, observation: object, /, *, rng: Any) -> tuple[float, dict[str, Any]]:
                self.asked += 1
                return super().get_action(observation, rng=rng)

        class Pictured(CountingEnv):
            render_mode = "rgb_array"
            rendered: ClassVar[list[int]] = []

            def render(self) -> NDArray[np.uint8]:
                self.rendered.append(1)
                return np.zeros((4, 4, 3), dtype=np.uint8)

        algo = averaging()
        algo.policy = Counted()
        runner = make_run(mode="none").runner
        runner.setup(algo, Pictured(), sampler_cls=CountingSampler, n_workers=1)
        runner.train(1, batch_size=10, plot=True)
        assert (algo.policy.asked, len(Pictured.rendered)) == (0, 6)

    @pytest.mark.parametrize("policy", POLICIES)
    def test_draws_for_every_policy_that_can_be_sampled(
        self, make_run: Any, averaging: Any, tmp_path: Path, policy: Any
    ) -> None:
        """Whichever way the policy is asked for actions, and with whatever memory."""
        algo = averaging()
        algo.policy = policy()
        runner = make_run(mode="none").runner
        runner.setup(algo, Drawn(), sampler_cls=CountingSampler, n_workers=1)
        runner.train(1, batch_size=10, plot=True)
        assert list(tmp_path.glob("**/epoch_0.gif"))

    def test_object_without_actions_is_refused_in_words(self, make_run: Any, averaging: Any) -> None:
        """The warning says what a policy must offer."""
        algo = averaging()
        algo.policy = NoPolicy()
        runner = make_run(mode="none").runner
        runner.setup(algo, Drawn(), sampler_cls=CountingSampler, n_workers=1)
        with pytest.warns(PlotWarning, match=r"NoPolicy is no policy: it has neither get_actions"):
            runner.train(1, batch_size=10, plot=True)

    def test_frames_go_to_a_logger_that_takes_films(self, tmp_path: Path) -> None:
        """One film an epoch, (frames, height, width, 3), at that epoch."""
        gymnasium = pytest.importorskip("gymnasium", reason="gymnasium is not installed here")
        pytest.importorskip("pygame", reason="pygame renders CartPole and is not installed here")
        logger = FilmLogger()
        runner = LocalRunner(SnapshotConfig(str(tmp_path), "none", 1), logger=logger, progress=False)
        runner.setup(Leaning(), gymnasium.make("CartPole-v1"))
        runner.train(2, plot=True)
        assert [(tag, step) for tag, step, _ in logger.films] == [("info/episode", 0), ("info/episode", 1)]
        assert logger.films[0][2].shape[1:] == (400, 600, 3)

    def test_custom_wrapper_is_told_how_to_be_rendered(self, tmp_path: Path) -> None:
        """The warning names the way out, and following it gives the picture."""
        gymnasium = pytest.importorskip("gymnasium", reason="gymnasium is not installed here")
        pytest.importorskip("pygame", reason="pygame renders CartPole and is not installed here")

        class Silent(gymnasium.Wrapper):  # type: ignore[misc, name-defined, unused-ignore]
            """Records nothing of how it was made."""

        def train(**options: Any) -> None:
            runner = LocalRunner(SnapshotConfig(str(tmp_path), "none", 1), progress=False)
            runner.setup(Leaning(), Silent(gymnasium.make("CartPole-v1", **options)))
            runner.train(1, plot=True)

        with pytest.warns(PlotWarning, match="render_mode='rgb_array'"):
            train()
        assert not (tmp_path / "plots" / "epoch_0.gif").exists()
        train(render_mode="rgb_array")
        assert (tmp_path / "plots" / "epoch_0.gif").exists()

    def test_failing_renderer_does_not_end_training(self, make_run: Any) -> None:
        """The warning names the epoch and the reason; the run is complete."""
        run = make_run()
        runner = run.setup()
        with pytest.warns(PlotWarning, match="epoch 0 was not rendered: AttributeError"):
            runner.train(1, batch_size=10, plot=True)
        assert len(run.logger.rows) == 1

    @pytest.mark.parametrize("reason", ["", "no display"])
    def test_one_reason_is_told_once(self, make_run: Any, averaging: Any, reason: str) -> None:
        """A run of a thousand epochs does not warn a thousand times; an error without words is explained."""

        class Unseen(CountingEnv):
            def render(self) -> Any:
                """Do as an environment of gymnasium that draws nothing."""
                raise NotImplementedError(reason)

        run = make_run()
        runner = run.runner
        runner.setup(averaging(), Unseen(), sampler_cls=CountingSampler, n_workers=1)
        with pytest.warns(PlotWarning, match=reason or "the environment has no picture of itself") as told:
            runner.train(3, batch_size=10, plot=True)
        assert len(told) == 1


def test_counting_parts_are_enough_to_train() -> None:
    """The kit's sampler and environment need no library but NumPy."""
    assert CountingSampler(3).obtain_samples(0, 7, None).n_steps == 9
    assert CountingEnv().reset(seed=1)[0].shape == (2,)


class TestPause:
    def test_waits_for_enter_at_a_terminal(self, tmp_path: Path) -> None:
        """Training continues when Enter is pressed, once an epoch."""
        primary, secondary = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-c", PAUSING, str(tmp_path)],
            stdin=secondary,
            stdout=secondary,
            stderr=secondary,
        ) as process:
            os.close(secondary)
            os.write(primary, b"\n\n")
            said = b"".join(iter(lambda: _read(primary), b""))
        os.close(primary)
        assert process.returncode == 0
        assert said.count(b"Press Enter") == 2

    def test_does_not_wait_where_nobody_can_press_it(self, tmp_path: Path) -> None:
        """Without a terminal, a run that was asked to pause runs through."""
        done = subprocess.run(
            [sys.executable, "-c", PAUSING, str(tmp_path)],
            stdin=subprocess.PIPE,
            capture_output=True,
            check=True,
        )
        assert b"Press Enter" not in done.stdout + done.stderr


PAUSING = """
import sys
import warnings

from rlx_protocols.testing import CountedBatch, CountingEnv
from rlx_runner import LocalRunner, PlotWarning
from rlx_snapshot import SnapshotConfig

warnings.simplefilter("ignore", PlotWarning)  # the environment renders nothing

class Algo:
    policy = None

    def train(self, loop):
        list(loop.step_epochs())

runner = LocalRunner(SnapshotConfig(sys.argv[1], "none", 1), progress=False)
runner.setup(Algo(), CountingEnv())
runner.train(2, plot=True, pause_for_plot=True)
"""


class TestWindow:
    """Of plots where there is a display; here an X server that draws to memory."""

    def test_shows_the_last_frame(self, tmp_path: Path, x_display: str) -> None:
        """A picture of the screen has the cart's brown pole in it."""
        pytest.importorskip("pygame", reason="pygame renders CartPole and is not installed here")
        pytest.importorskip("tkinter", reason="this Python has no tkinter, which opens matplotlib's window")
        program = textwrap.dedent(
            f"""
            import gymnasium
            from PIL import ImageGrab

            from rlx_runner import LocalRunner
            from rlx_snapshot import SnapshotConfig

            class Algo:
                max_episode_length = 5
                policy = property(lambda self: self)

                def get_action(self, observation):
                    return 1, {{}}

                def train(self, loop):
                    list(loop.step_epochs())

            runner = LocalRunner(SnapshotConfig({str(tmp_path)!r}, "none", 1), progress=False)
            runner.setup(Algo(), gymnasium.make("CartPole-v1"))
            runner.train(1, plot=True)
            ImageGrab.grab(xdisplay="").save({str(tmp_path / "screen.png")!r})
            """
        )
        environment = {**os.environ, "DISPLAY": x_display, "MPLBACKEND": "TkAgg"}
        subprocess.run([sys.executable, "-W", "error", "-c", program], env=environment, check=True)
        assert _share_of((202, 152, 101), tmp_path / "screen.png") > 0.001


@pytest.fixture
def x_display() -> Iterator[str]:
    """The name of an X display of its own."""
    server = shutil.which("Xvfb")
    if server is None:
        pytest.skip("Xvfb is not installed here, and a window needs a display")
    reader, writer = os.pipe()
    command = [server, "-displayfd", str(writer), "-screen", "0", "800x600x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL) as process:
        os.close(writer)
        with os.fdopen(reader) as told:
            yield f":{told.readline().strip()}"
        process.terminate()


def _share_of(color: tuple[int, int, int], picture: Path) -> float:
    """Return the share of the picture's pixels that have about this color."""
    from PIL import Image

    with Image.open(picture) as image:
        pixels: NDArray[np.int64] = np.asarray(image.convert("RGB"), dtype=np.int64)
    return float(np.mean((np.abs(pixels - np.array(color)) < 12).all(axis=-1)))
