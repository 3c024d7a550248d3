"""The machine and the interpreter, asked in the cheapest way there is."""

import os
import sys


def host() -> str:
    """Return the name of this machine."""
    if sys.platform == "win32":
        import platform

        return platform.node()
    return os.uname().nodename


def system() -> str:
    """Return operating system, release and architecture."""
    if sys.platform == "win32":
        import platform

        return platform.platform()
    name = os.uname()
    return f"{name.sysname}-{name.release}-{name.machine}"


def python_version() -> str:
    """Return the version of Python, like ``3.12.1``."""
    return sys.version.partition(" ")[0]
