"""What environments draw on: pictures come back with their pixels, windows do not."""

from typing import Any

import pytest

from rlx_snapshot import exact_copy

pygame: Any = pytest.importorskip("pygame", reason="needs pygame")
gymnasium: Any = pytest.importorskip("gymnasium", reason="needs gymnasium")


@pytest.fixture(autouse=True)
def no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows and sounds go nowhere."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")


@pytest.mark.parametrize(("flags", "bits"), [(0, 32), (0, 24), (0, 8), (pygame.SRCALPHA, 32)])
def test_surface_comes_back_pixel_by_pixel(flags: int, bits: int) -> None:
    """Depth, colours, transparency and the transparent colour are the same."""
    surface = pygame.Surface((5, 7), flags, bits)
    surface.fill((200, 100, 50))
    surface.set_at((2, 3), (10, 20, 30, 40))
    surface.set_colorkey((1, 2, 3))
    copy = exact_copy(surface)
    assert copy.get_size() == (5, 7)
    assert (copy.get_bitsize(), copy.get_masks()) == (surface.get_bitsize(), surface.get_masks())
    assert (copy.get_colorkey(), copy.get_alpha()) == (surface.get_colorkey(), surface.get_alpha())
    assert pygame.image.tobytes(copy, "RGBA") == pygame.image.tobytes(surface, "RGBA")


def test_part_of_a_surface_comes_back() -> None:
    """Only its own pixels, as a surface of its own."""
    whole = pygame.Surface((10, 10))
    whole.fill((1, 2, 3), (4, 4, 2, 2))
    part = whole.subsurface((3, 3, 4, 4))
    assert pygame.image.tobytes(exact_copy(part), "RGB") == pygame.image.tobytes(part, "RGB")


@pytest.mark.parametrize(
    "name", ["Taxi-v4", "CliffWalking-v1", "FrozenLake-v1", "Blackjack-v1", "CartPole-v1", "Pendulum-v1"]
)
def test_environment_that_has_rendered_renders_the_same(name: str) -> None:
    """A copy shows the same picture, and steps, renders and begins again as the original does."""
    if name not in gymnasium.registry:
        pytest.skip(f"this gymnasium has no {name}")
    environment = gymnasium.make(name, render_mode="rgb_array")
    environment.reset(seed=1)
    environment.render()
    copy = exact_copy(environment)
    assert copy.render().tolist() == environment.render().tolist()
    action = environment.action_space.sample()
    for each in (environment, copy):
        each.step(action)
    assert copy.render().tolist() == environment.render().tolist()
    for each in (environment, copy):
        each.reset(seed=2)
    assert copy.render().tolist() == environment.render().tolist()


def test_window_is_left_out() -> None:
    """A copy of an environment with a window opens its own when it renders next."""
    environment = gymnasium.make("CartPole-v1", render_mode="human")
    environment.reset(seed=1)
    try:
        assert exact_copy(environment).unwrapped.screen is None
    finally:
        environment.close()


def test_default_font_comes_back() -> None:
    """Text looks the same in the copy."""
    pygame.font.init()
    font = pygame.font.Font(None, 20)
    copy = exact_copy(font)
    if copy is None:
        pytest.skip("this pygame cannot tell which font it is")
    assert copy.size("score") == font.size("score")
