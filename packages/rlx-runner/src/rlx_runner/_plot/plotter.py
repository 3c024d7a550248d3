"""Rendering an episode after an epoch, without disturbing the run."""

import importlib
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from rlx_runner._environments import copy_of
from rlx_runner._offers import evaluation_policy_of, method, offered
from rlx_runner._plot.acting import actor
from rlx_runner._random import undisturbed_random
from rlx_snapshot import exact_copy

MAX_FRAMES = 200
FRAME_MS = 40


class PlotWarning(UserWarning):
    """An episode could not be rendered; training continues without the picture."""


class EpisodePlotter:
    """Renders one episode of the policy after an epoch, as a GIF in the run folder.

    The episode runs in copies of environment and policy and leaves the global random
    generators as they were. Nothing that goes wrong here ends training.

    Args:
        directory: Where the pictures go, below ``plots/``.
        logger: Gets the frames too, where it has ``write_video``.
    """

    def __init__(self, directory: str, logger: Any) -> None:
        self._directory = Path(directory) / "plots"
        self._logger = logger
        self._told: set[str] = set()

    def plot(self, algo: Any, env: Any, epoch: int, *, max_steps: int) -> None:
        """Render one episode; warn where that is impossible, once for each reason."""
        try:
            with undisturbed_random():
                frames = _episode_frames(algo, env, epoch, max_steps)
            self._keep(frames, epoch)
        except Exception as error:  # noqa: BLE001  # whatever a renderer raises, training continues
            self._tell(epoch, f"{type(error).__name__}: {error}")

    def pause(self) -> None:
        """Wait for Enter, where somebody can press it."""
        if sys.stdin is not None and sys.stdin.isatty():
            input("Press Enter to continue. ")

    def _tell(self, epoch: int, reason: str) -> None:
        if reason not in self._told:
            self._told.add(reason)
            warnings.warn(
                f"epoch {epoch} was not rendered: {reason} (Said once; training continues.)",
                PlotWarning,
                stacklevel=3,
            )

    def _keep(self, frames: list[Any], epoch: int) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / f"epoch_{epoch}.gif"
        _write_gif(path, frames)
        write_video = method(self._logger, "write_video")
        if write_video is not None:
            write_video("info/episode", epoch, np.stack(frames))
        if has_display():
            _show(path, frames[-1])


def has_display() -> bool:
    """Whether a window could be opened here."""
    return sys.platform in ("win32", "darwin") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


def _episode_frames(algo: Any, env: Any, epoch: int, max_steps: int) -> list[Any]:
    """Return the frames of one episode, every n-th so that there are at most `MAX_FRAMES`."""
    render_env = _renderable(env)
    try:
        act = actor(exact_copy(evaluation_policy_of(algo)), epoch)  # what it remembers is not ours to change
        observation, _ = render_env.reset(seed=epoch)
        frames = [_picture(render_env)]
        for _ in range(max_steps):
            observation, _, terminated, truncated, _ = render_env.step(act(observation))
            frames.append(_picture(render_env))
            if terminated or truncated:
                break
    finally:
        render_env.close()
    if any(frame is None for frame in frames):
        raise ValueError("the environment rendered nothing; make it with render_mode='rgb_array'")
    return frames[:: -(-len(frames) // MAX_FRAMES)]


def _picture(render_env: Any) -> Any:
    try:
        return render_env.render()
    except NotImplementedError as error:  # gymnasium raises it without a word
        raise NotImplementedError(
            str(error) or "the environment has no picture of itself: give it a render() that returns an array"
        ) from error


def _renderable(env: Any) -> Any:
    """Return a copy of `env` that renders to arrays."""
    spec = offered(env, "spec")
    if offered(env, "render_mode") == "rgb_array" or spec is None:
        return copy_of(env)
    import gymnasium

    try:
        return gymnasium.make(spec, render_mode="rgb_array")
    except ValueError as error:
        raise ValueError(f"{error} Make the environment with render_mode='rgb_array'.") from error


def _write_gif(path: Path, frames: list[Any]) -> None:
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("plot=True needs pillow: pip install 'rlx-runner[plot]'") from error
    images = [Image.fromarray(np.asarray(frame, dtype=np.uint8)) for frame in frames]
    partial = path.with_name(f".{path.name}.partial")
    images[0].save(partial, format="GIF", save_all=True, append_images=images[1:], duration=FRAME_MS, loop=0)
    partial.replace(path)


def _show(path: Path, frame: Any) -> None:
    """Show the last frame in a window, without blocking."""
    plt = importlib.import_module("matplotlib.pyplot")
    figure = plt.figure("rlx")
    figure.clear()
    axes = figure.add_subplot()
    axes.imshow(frame)
    axes.set_title(path.stem)
    axes.axis("off")
    plt.show(block=False)
    figure.canvas.draw()  # a pause alone leaves a new window empty
    figure.canvas.flush_events()
