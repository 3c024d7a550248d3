"""``python -m rlx_snapshot`` is the `rlx-snapshot` command."""

import sys

from rlx_snapshot._command import main

if __name__ == "__main__":
    sys.exit(main())
