#!/usr/bin/env bash
# Version:   mujoco 4.0.0, numpy 2.4.6
# Guess:     mj_getState with mjSTATE_FULLPHYSICS is all that the simulation needs to continue where it was.
# Behaviour: the solver starts from the last step's accelerations (qacc_warmstart), which it does not hold. As soon as
#            there are contacts, the copy leaves the original in the last bits. Only mjSTATE_INTEGRATION continues exactly.
# Seen:      as below `EXPECTED`.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet mujoco==4.0.0 numpy==2.4.6

cat > program.py <<'PROGRAM'
import mujoco
import numpy as np

BOX = '<body pos="0 {y} {z}"><freejoint/><geom type="box" size=".1 .1 .1"/></body>'
WORLD = '<mujoco><worldbody><geom type="plane" size="5 5 .1"/>{}</worldbody></mujoco>'
model = mujoco.MjModel.from_xml_string(WORLD.format(BOX.format(y=0, z=0.3) + BOX.format(y=0.05, z=0.6)))


def steps_until_they_differ(what, first_steps):
    original, copy = mujoco.MjData(model), mujoco.MjData(model)
    for _ in range(first_steps):
        mujoco.mj_step(model, original)
    state = np.empty(mujoco.mj_stateSize(model, what))
    mujoco.mj_getState(model, original, state, what)
    mujoco.mj_setState(model, copy, state, what)
    for step in range(500):
        mujoco.mj_step(model, original)
        mujoco.mj_step(model, copy)
        if not np.array_equal(original.qpos, copy.qpos):
            return "differs"
    return "equal after 500 steps"


for name in ("mjSTATE_FULLPHYSICS", "mjSTATE_INTEGRATION"):
    what = getattr(mujoco.mjtState, name)
    for moment, first_steps in (("in free fall", 10), ("in contact", 300)):
        print(f"{name} {moment}: {steps_until_they_differ(what, first_steps)}")
PROGRAM

cat > expected.txt <<'EXPECTED'
mjSTATE_FULLPHYSICS in free fall: equal after 500 steps
mjSTATE_FULLPHYSICS in contact: differs
mjSTATE_INTEGRATION in free fall: equal after 500 steps
mjSTATE_INTEGRATION in contact: equal after 500 steps
EXPECTED
venv/bin/python program.py | tee seen.txt
diff expected.txt seen.txt
