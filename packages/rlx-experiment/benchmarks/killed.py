"""What other libraries say of a run whose process was killed with SIGKILL, right after and some minutes later.

    python killed.py mlflow=/venvs/mlflow/bin/python wandb=... aim=...

Each peer runs in an interpreter of its own: it logs ten values within two seconds and is killed; another process then asks
the library. Prints a Markdown table. Nothing goes over the network: W&B is offline, the others write to the working folder.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

LATER_S: Final = 180
KILLED: Final = "\nos.kill(os.getpid(), signal.SIGKILL)\n"
RUNS: Final = {
    "rlx": """
import os, signal, time
from rlx_experiment import wrap_experiment

@wrap_experiment(log_dir="run")
def exp(ctxt, lr=0.1):
    logger = ctxt.logger("csv")
    for step in range(10):
        logger.write("info/epoch", step, {"loss": 1.0})
        time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)

exp()
""",
    "mlflow": """
import os, signal, time
import mlflow

mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.start_run()
mlflow.log_param("lr", 0.1)
for step in range(10):
    mlflow.log_metric("loss", 1.0, step=step)
    time.sleep(0.2)
"""
    + KILLED,
    "wandb": """
import os, signal, time
import wandb

run = wandb.init(mode="offline", project="p", config={"lr": 0.1})
for step in range(10):
    run.log({"loss": 1.0})
    time.sleep(0.2)
"""
    + KILLED,
    "aim": """
import os, signal, time
from aim import Run

run = Run(repo=".", system_tracking_interval=None)
run["lr"] = 0.1
for step in range(10):
    run.track(1.0, name="loss", step=step)
    time.sleep(0.2)
"""
    + KILLED,
}
QUESTIONS: Final = {
    "rlx": """
from rlx_experiment import Run
from rlx_logging import read_metrics
values = len(read_metrics("run").series["info/loss"].steps)
print(f"{Run.open('run').status.state}, {values} of 10 values")
""",
    "mlflow": """
import mlflow
mlflow.set_tracking_uri("sqlite:///mlflow.db")
client = mlflow.MlflowClient()
(run,) = client.search_runs(["0"])
values = len(client.get_metric_history(run.info.run_id, "loss"))
print(f"{run.info.status}, end time {run.info.end_time}, {values} of 10 values")
""",
    "wandb": """
from pathlib import Path
(file,) = Path("wandb").glob("offline-run-*/*.wandb")
print(f"no state without a server; the file for `wandb sync` has {file.stat().st_size} bytes")
""",
    "aim": """
from aim import Repo, Run
(name,) = Repo(".").list_all_runs()
run = Run(name, repo=".", read_only=True)
print(f"{'active' if run.active else 'ended'}, end time {run.end_time}")
""",
}


def start(python: str, source: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in `folder` to its end."""
    script = folder / "program.py"
    script.write_text(source)
    quiet = {"AIM_UI_TELEMETRY_ENABLED": "0", "WANDB_SILENT": "true"}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = (python, script.name)
    return subprocess.run(
        command, cwd=folder, env=environment | quiet, check=False, capture_output=True, text=True
    )


def answer(python: str, name: str, folder: Path) -> str:
    """Return what a library says of the run in `folder`."""
    done = start(python, QUESTIONS[name], folder)
    if done.returncode != 0:
        raise RuntimeError(f"{name} cannot be asked:\n{done.stderr}")
    return done.stdout.splitlines()[-1]


def main() -> None:
    """Kill a run of each library that has an interpreter, and ask twice."""
    pythons = {"rlx": sys.executable, **dict(word.split("=", 1) for word in sys.argv[1:])}
    with tempfile.TemporaryDirectory() as root:
        folders = {name: Path(root, name) for name in pythons}
        asked: dict[str, str] = {}
        for name, folder in folders.items():
            folder.mkdir()
            done = start(pythons[name], RUNS[name], folder)
            if done.returncode != -signal.SIGKILL:
                raise RuntimeError(
                    f"{name} ended with {done.returncode} before it was killed:\n{done.stderr}"
                )
            asked[name] = answer(pythons[name], name, folder)
        time.sleep(LATER_S)
        print(f"| who | right after the kill | {LATER_S} s later |\n|---|---|---|")
        for name, folder in folders.items():
            print(f"| {name} | {asked[name]} | {answer(pythons[name], name, folder)} |", flush=True)


if __name__ == "__main__":
    main()
