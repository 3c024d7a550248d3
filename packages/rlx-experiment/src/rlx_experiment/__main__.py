"""``python -m rlx_experiment``: the command line ``rlx-experiment``."""

from rlx_experiment._cli import main

raise SystemExit(main())
