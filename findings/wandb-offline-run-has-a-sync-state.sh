#!/usr/bin/env bash
# Version:   wandb 0.30.0, and 0.31.0, which behaves as one guesses
# Guess:     `.syncstate` beside the file of an offline run says that `wandb sync` has read some of it: who looks for it
#            knows which files a server has seen.
# Behaviour: with 0.30.0 the run itself leaves one when it ends, before anything was synced.
#            0.31.0 leaves none.
# Seen:      as below `EXPECTED`.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"

cat > program.py <<'PROGRAM'
import glob
import os

import wandb

with wandb.init(mode="offline", project="p", settings=wandb.Settings(silent=True)) as run:
    run.log({"loss": 0.5})
files = sorted(glob.glob("wandb/offline-run-*/run-*"))
print(wandb.__version__, *(".".join(os.path.basename(name).split(".")[1:]) for name in files))
PROGRAM

cat > expected.txt <<'EXPECTED'
0.30.0 wandb wandb.syncstate
0.31.0 wandb
EXPECTED
for version in 0.30.0 0.31.0; do
  python3 -m venv "venv-$version"
  "venv-$version/bin/pip" install --quiet "wandb==$version"
  mkdir "$version"
  (cd "$version" && "../venv-$version/bin/python" ../program.py)
done | tee seen.txt
diff expected.txt seen.txt
