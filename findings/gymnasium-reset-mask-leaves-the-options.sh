#!/usr/bin/env bash
# Version:   gymnasium 1.4.0, numpy 2.4.6
# Guess:     `reset(options=options)` reads the caller's dict, so the same dict can be given again: the next partial
#            reset resets the same environments, or, after `mask[:] = ...`, those that ended since.
# Behaviour: SyncVectorEnv takes `reset_mask` out of the dict it was given. The second call with the same dict has
#            no mask, and resets every environment.
# Seen:      as below `EXPECTED`.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet gymnasium==1.4.0 numpy==2.4.6

cat > program.py <<'PROGRAM'
import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

envs = gymnasium.make_vec(
    "CartPole-v1",
    num_envs=3,
    vectorization_mode="sync",
    vector_kwargs={"autoreset_mode": AutoresetMode.DISABLED},
)
envs.reset(seed=1)
before, *_ = envs.step(np.array([1, 1, 1]))
before = before.copy()
options = {"reset_mask": np.array([True, False, False])}
for call in (1, 2):
    after, _ = envs.reset(options=options)
    print(f"call {call}: reset", [not np.array_equal(a, b) for a, b in zip(before, after)], "options", sorted(options))
PROGRAM

cat > expected.txt <<'EXPECTED'
call 1: reset [True, False, False] options []
call 2: reset [True, True, True] options []
EXPECTED
venv/bin/python program.py | tee seen.txt
diff expected.txt seen.txt
