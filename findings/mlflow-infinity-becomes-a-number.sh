#!/usr/bin/env bash
# Version:   mlflow 3.17.2
# Guess:     a metric that was logged as inf reads back as inf, as nan reads back as nan.
# Behaviour: with a database, inf is stored as the largest double, and -inf as its negative: `math.isinf` no longer finds
#            the diverged run, and its mean over several runs is 1e308. nan comes back as nan.
# Seen:      as below `EXPECTED`.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet mlflow==3.17.2

cat > program.py <<'PROGRAM'
import math

import mlflow

mlflow.set_tracking_uri("sqlite:///metrics.db")
with mlflow.start_run() as run:
    for step, value in enumerate([math.inf, -math.inf, math.nan]):
        mlflow.log_metric("loss", value, step=step)
for metric in mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss"):
    print(metric.step, metric.value)
PROGRAM

cat > expected.txt <<'EXPECTED'
0 1.7976931348623157e+308
1 -1.7976931348623157e+308
2 nan
EXPECTED
venv/bin/python program.py 2> log.txt | tee seen.txt
diff expected.txt seen.txt
