"""``python -m rlx_logging``: the command line ``rlx-logging``."""

from rlx_logging._cli import main

if __name__ == "__main__":
    raise SystemExit(main())
