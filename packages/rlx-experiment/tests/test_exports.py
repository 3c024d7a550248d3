"""The public face of the package."""

import rlx_experiment


def test_every_public_name_is_importable() -> None:
    """Each name in `__all__` can be had from the package, and nothing else is offered."""
    assert sorted(rlx_experiment.__all__) == dir(rlx_experiment)
    for name in rlx_experiment.__all__:
        assert getattr(rlx_experiment, name) is not None
