#!/usr/bin/env bash
# Version:   gymnasium 1.4.0, numpy 2.4.6
# Guess:     `make_vec` chooses how CartPole is vectorized, but `reset(options={"reset_mask": ...})` means the same for
#            each choice, or is refused.
# Behaviour: `make_vec("CartPole-v1")` without a mode takes the environment's own vector implementation, whose `reset`
#            does not know the mask: it resets all environments, without an error or a warning.
# Seen:      as below `EXPECTED`.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet gymnasium==1.4.0 numpy==2.4.6

cat > program.py <<'PROGRAM'
import gymnasium
import numpy as np


def moved_by_a_partial_reset(envs):
    envs.reset(seed=1)
    before, *_ = envs.step(np.array([1, 1, 1]))
    before = before.copy()
    after, _ = envs.reset(options={"reset_mask": np.array([True, False, False])})
    return [not np.array_equal(a, b) for a, b in zip(before, after)]


print("sync      ", moved_by_a_partial_reset(gymnasium.make_vec("CartPole-v1", num_envs=3, vectorization_mode="sync")))
print("no mode   ", moved_by_a_partial_reset(gymnasium.make_vec("CartPole-v1", num_envs=3)))
PROGRAM

cat > expected.txt <<'EXPECTED'
sync       [True, False, False]
no mode    [True, True, True]
EXPECTED
venv/bin/python -W error program.py | tee seen.txt
diff expected.txt seen.txt
