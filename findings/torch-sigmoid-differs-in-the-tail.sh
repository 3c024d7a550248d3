#!/usr/bin/env bash
# Version:   torch 2.13.0 (CPU, one thread, its AVX2 kernels), numpy 2.4.6
# Guess:     equal inputs of an elementwise function give equal outputs, wherever they stand in the array; so a policy's
#            output for one observation does not depend on how many others are in the batch.
# Behaviour: sigmoid (and SiLU, made of it) computes whole vectors by one routine and what is left at the end by another:
#            for one input in 25, the last five of 37 equal numbers differ from the first 32 in the last bit.
#            tanh and exp do not.
# Seen:      as below `EXPECTED`.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet torch==2.13.0+cpu numpy==2.4.6 --extra-index-url https://download.pytorch.org/whl/cpu

cat > program.py <<'PROGRAM'
import torch

torch.set_num_threads(1)
for function in (torch.sigmoid, torch.nn.functional.silu, torch.tanh, torch.exp):
    uneven, places = 0, set()
    for hundredths in range(-400, 400):
        outputs = function(torch.full((37,), hundredths / 100))
        differing = {place for place in range(37) if outputs[place] != outputs[0]}
        uneven += bool(differing)
        places |= differing
    print(f"{function.__name__:8}{uneven:3} of 800 inputs, at places {sorted(places)}")
PROGRAM

cat > expected.txt <<'EXPECTED'
sigmoid  33 of 800 inputs, at places [32, 33, 34, 35, 36]
silu     30 of 800 inputs, at places [32, 33, 34, 35, 36]
tanh      0 of 800 inputs, at places []
exp       0 of 800 inputs, at places []
EXPECTED
ATEN_CPU_CAPABILITY=avx2 OMP_NUM_THREADS=1 venv/bin/python program.py | tee seen.txt
diff expected.txt seen.txt
