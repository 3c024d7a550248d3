"""The public face of the package."""

import rlx_sampler


def test_all_lists_every_public_name() -> None:
    """`__all__` is sorted and holds exactly what the package gives."""
    public = {name for name in vars(rlx_sampler) if not name.startswith("_")}
    assert set(rlx_sampler.__all__) == public
