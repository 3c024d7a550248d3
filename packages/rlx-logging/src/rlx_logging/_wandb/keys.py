"""The keys of W&B, kept out of warnings and errors."""

from __future__ import annotations

import netrc
import os
from collections.abc import Iterator
from typing import Any, Final

_VARIABLE: Final = "WANDB_API_KEY"
_NETRC_VARIABLE: Final = "NETRC"


def without_keys(text: str, wandb: Any) -> str:
    """Return `text` with ``[key]`` in place of every key that W&B may use here."""
    for key in _keys(wandb):
        text = text.replace(key, "[key]")
    return text


def _keys(wandb: Any) -> Iterator[str]:
    """Yield the key of the environment, that of `wandb.login`, and those of the netrc file."""
    found = (os.environ.get(_VARIABLE), wandb.setup().settings.api_key, *_netrc_passwords())
    yield from (key for key in found if key)


def _netrc_passwords() -> Iterator[str | None]:
    home = os.path.expanduser("~")  # noqa: PTH111 - without a home it stays as it is, and raises nothing
    for path in (os.environ.get(_NETRC_VARIABLE), f"{home}/.netrc", f"{home}/_netrc"):
        try:
            hosts = netrc.netrc(path).hosts if path else {}
        except (OSError, netrc.NetrcParseError):
            continue
        yield from (password for _, _, password in hosts.values())
