"""Whether a server takes connections."""

from __future__ import annotations

import socket
import threading
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

_PORTS: Final = {"http": 80, "https": 443}


class Knock:
    """Tries in the background to connect to a server, or to the proxy on the way to it.

    Args:
        url: Address of the server.
        seconds: How long to try.

    Attributes:
        answered: Whether there was a connection; False as long as there is none.
    """

    def __init__(self, url: str, seconds: float) -> None:
        self.answered = False
        self._url = url
        self._seconds = seconds
        # a thread, because looking up a name knows no limit of time
        threading.Thread(target=self._connect, name="rlx-logging looks for a server", daemon=True).start()

    def _connect(self) -> None:
        try:
            socket.create_connection(_place(self._url), timeout=self._seconds).close()
        except OSError:
            return
        self.answered = True


def _place(url: str) -> tuple[str, int]:
    """Return host and port of the server, or of its proxy."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if proxy is not None and not proxy_bypass(parts.hostname or ""):
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 443)
