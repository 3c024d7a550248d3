"""``python -m rlx_logging``: the command line ``rlx-logging``."""

from rlx_logging._cli import main

raise SystemExit(main())
