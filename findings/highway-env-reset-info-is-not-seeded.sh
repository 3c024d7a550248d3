#!/usr/bin/env bash
# Version:   highway-env 1.12.1, gymnasium 1.4.0, numpy 2.4.6
# Guess:     two resets with the same seed return the same observation and the same info.
# Behaviour: reset puts an action into its info that nobody took, drawn from the action space, whose generator
#            reset(seed=...) does not seed. The observations agree, the infos do not.
# Seen:      as below `EXPECTED` (20 resets with one seed).
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet highway-env==1.12.1 gymnasium==1.4.0 numpy==2.4.6

cat > program.py <<'PROGRAM'
import gymnasium
import highway_env

gymnasium.register_envs(highway_env)
env = gymnasium.make("highway-v0")
resets = [env.reset(seed=1) for _ in range(20)]
print("observations equal:", all((observation == resets[0][0]).all() for observation, _ in resets))
print("actions in the infos equal:", len({int(info["action"]) for _, info in resets}) == 1)
env.action_space.seed(1)
_, first = env.reset(seed=1)
env.action_space.seed(1)
_, second = env.reset(seed=1)
print("... with the action space seeded:", first["action"] == second["action"])
PROGRAM

cat > expected.txt <<'EXPECTED'
observations equal: True
actions in the infos equal: False
... with the action space seeded: True
EXPECTED
venv/bin/python program.py 2> log.txt | tee seen.txt
diff expected.txt seen.txt
