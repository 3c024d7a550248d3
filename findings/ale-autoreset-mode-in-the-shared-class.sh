#!/usr/bin/env bash
# Version:   ale-py 0.12.1, gymnasium 1.4.0, numpy 2.4.6
# Guess:     the autoreset mode that a vector environment was made with stands in that environment's metadata.
# Behaviour: AtariVectorEnv writes it into the dict of gymnasium's base class VectorEnv, which all vector environments
#            without metadata of their own share. The one made last decides what all of them report.
# Seen:      as below `EXPECTED`.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet ale-py==0.12.1 gymnasium==1.4.0 numpy==2.4.6

cat > program.py <<'PROGRAM'
from ale_py import AtariVectorEnv
from gymnasium.vector import AutoresetMode, VectorEnv

print("VectorEnv", VectorEnv.metadata)
first = AtariVectorEnv("pong", num_envs=1, autoreset_mode=AutoresetMode.SAME_STEP)
print("first    ", first.metadata["autoreset_mode"])
second = AtariVectorEnv("pong", num_envs=1, autoreset_mode=AutoresetMode.NEXT_STEP)
print("first    ", first.metadata["autoreset_mode"])
print("VectorEnv", VectorEnv.metadata)
PROGRAM

cat > expected.txt <<'EXPECTED'
VectorEnv {}
first     AutoresetMode.SAME_STEP
first     AutoresetMode.NEXT_STEP
VectorEnv {'autoreset_mode': <AutoresetMode.NEXT_STEP: 'NextStep'>}
EXPECTED
venv/bin/python program.py 2> log.txt | tee seen.txt
diff expected.txt seen.txt
