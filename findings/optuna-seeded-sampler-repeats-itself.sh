#!/usr/bin/env bash
# Version:   optuna 5.0.0
# Guess:     a study that is loaded from its storage and continued by the same script, TPESampler(seed=1) included, tries
#            new points: the sampler sees the trials that are there.
# Behaviour: the sampler starts from its seed, and draws its start-up trials (the first ten of a study) without a look at
#            the others: the second half repeats the first, point by point.
# Seen:      as below `EXPECTED`.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet optuna==5.0.0

cat > program.py <<'PROGRAM'
import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(
    study_name="sweep",
    storage="sqlite:///sweep.db",
    sampler=optuna.samplers.TPESampler(seed=1),
    load_if_exists=True,
)
study.optimize(lambda trial: trial.suggest_float("rate", 0.0, 1.0), n_trials=4)
print([round(trial.params["rate"], 4) for trial in study.trials])
PROGRAM

cat > expected.txt <<'EXPECTED'
[0.417, 0.7203, 0.0001, 0.3023]
[0.417, 0.7203, 0.0001, 0.3023, 0.417, 0.7203, 0.0001, 0.3023]
EXPECTED
for _ in first second; do venv/bin/python program.py; done | tee seen.txt
diff expected.txt seen.txt
