#!/usr/bin/env bash
# Version:   numpy 2.4.6
# Guess:     `bit_generator.state`, put into another generator, makes it a copy: all that follows is the same.
# Behaviour: the copy draws the same numbers, but its children differ: the seed sequence that `spawn` asks, and the count
#            of those it gave already, are not in the state. A pickled generator has both.
# Seen:      as below `EXPECTED`.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet numpy==2.4.6

cat > program.py <<'PROGRAM'
import pickle

import numpy as np

original = np.random.default_rng(1)
original.spawn(2)
restored = np.random.default_rng(1)
restored.bit_generator.state = original.bit_generator.state
pickled = pickle.loads(pickle.dumps(original))
for name, rng in (("original", original), ("restored", restored), ("pickled ", pickled)):
    print(name, "draws", rng.integers(1000), "its child draws", rng.spawn(1)[0].integers(1000))
PROGRAM

cat > expected.txt <<'EXPECTED'
original draws 473 its child draws 426
restored draws 473 its child draws 15
pickled  draws 473 its child draws 426
EXPECTED
venv/bin/python program.py | tee seen.txt
diff expected.txt seen.txt
