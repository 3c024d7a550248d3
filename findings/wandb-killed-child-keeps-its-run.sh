#!/usr/bin/env bash
# Version:   wandb 0.31.0
# Guess:     a training that was killed can be started again with its run's id and `resume="allow"`, whoever starts it.
# Behaviour: a process that uses W&B tells its children by `WANDB_SERVICE` to use its service. The service keeps the run of
#            a child that was killed open, so that the child's next attempt is refused as long as the parent lives.
#            Without the variable the child starts a service of its own, and continues the run.
# Seen:      as below `EXPECTED`.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet wandb==0.31.0

cat > child.py <<'PROGRAM'
import os
import signal
import sys

import wandb

try:
    run = wandb.init(mode="offline", project="p", id=sys.argv[1], resume="allow", settings=wandb.Settings(silent=True))
except Exception as error:
    print("refused:", error)
    sys.exit()
run.log({"loss": 0.5})
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
run.finish()
print("finished")
PROGRAM

cat > parent.py <<'PROGRAM'
import os
import subprocess
import sys
import time

import wandb

with wandb.init(mode="offline", project="p", settings=wandb.Settings(silent=True)):
    for name in ("parents-service", "own-service"):
        if name == "own-service":
            del os.environ["WANDB_SERVICE"]
        print(name, flush=True)
        for end in ("killed", "finished"):
            subprocess.run([sys.executable, "child.py", name, end], check=False)
            time.sleep(1.1)  # W&B names folders by the second
PROGRAM

cat > expected.txt <<'EXPECTED'
parents-service
refused: run ID parents-service is in use
own-service
finished
EXPECTED
venv/bin/python parent.py 2>/dev/null | tee seen.txt
diff expected.txt seen.txt
