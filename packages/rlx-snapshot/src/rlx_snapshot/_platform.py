"""What differs between operating systems, asked in one place."""

import os
import sys
from typing import Final

WINDOWS: Final[bool] = os.name == "nt"
"""There an open file cannot be renamed or replaced, a mapped one neither, and directories cannot be fsynced."""

LINUX: Final[bool] = sys.platform.startswith("linux")
"""There the kernel can tell which pages changed, and whether a file is in use."""
