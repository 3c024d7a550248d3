"""A real Slurm on this machine, for tests: munge, a controller, several nodes, and no accounting database."""

import os
import shutil
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from waiting import until

CONFIGURATION = """
ClusterName=rlxtest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
ReturnToService=2
KillWait=10
MaxArraySize=5
MessageTimeout=5
SlurmdParameters=config_overrides
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={port1} CPUs=2 RealMemory=1000 State=UNKNOWN
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={port2} CPUs=2 RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=5 PreemptMode=OFF
PartitionName=low Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE
PartitionName=high Nodes=ALL MaxTime=60 State=UP PriorityTier=10 PreemptMode=OFF
"""
NODES = ("node1", "node2")
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch")


class SlurmCluster:
    """Two nodes of two CPUs; partitions main (the default), low, whose jobs are preempted by those of high, and high.

    Args:
        folder: Where the daemons keep what they keep; on a path that they may all read.
        port: The controller's port on loopback; those of the nodes are a hundred above.
    """

    def __init__(self, folder: Path, port: int = 16917) -> None:
        self.folder = folder
        self._own_munge = False
        host = subprocess.run(["hostname", "-s"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("state", *(f"spool/{node}" for node in NODES)):
            (folder / name).mkdir(parents=True)
        self.conf = folder / "slurm.conf"
        self.conf.write_text(
            CONFIGURATION.format(folder=folder, host=host, port=port, port1=port + 101, port2=port + 102)
        )
        # The one plugin that starts without a cgroup file system; nothing uses it: see ProctrackType and TaskPlugin.
        (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")

    def __enter__(self) -> Self:
        os.environ["SLURM_CONF"] = str(self.conf)
        self._start_munge()
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        until(
            "all nodes are idle",
            lambda: self.ask("sinfo", "-h", "-N", "-p", "main", "-o", "%T").count("idle") == 2,
        )
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(subprocess.SubprocessError):
            self.cancel_all()
        for node in NODES:
            self.stop_node(node)
        self.stop_controller()
        if self._own_munge:
            end(Path("/run/munge/munged.pid"))
        del os.environ["SLURM_CONF"]

    def ask(self, *command: str) -> str:
        """Run a command of Slurm and return what it printed."""
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    def start_controller(self) -> None:
        """Start the controller and wait until it answers."""
        subprocess.run(["slurmctld"], check=True)
        until("the controller answers", lambda: "UP" in self.ask("scontrol", "ping"))

    def stop_controller(self) -> None:
        """End the controller; jobs continue."""
        end(self.folder / "slurmctld.pid")

    def start_node(self, node: str) -> None:
        """Start a node's daemon."""
        subprocess.run(["slurmd", "-N", node], check=True)

    def stop_node(self, node: str) -> None:
        """End a node's daemon."""
        end(self.folder / f"slurmd-{node}.pid")

    def cancel_all(self) -> None:
        """Cancel every job and wait for the last one's end."""
        self.ask("scancel", "--user=root")
        until("the queue is empty", lambda: not self.ask("squeue", "-h").strip())

    def preempt(self) -> None:
        """Take all CPUs from the jobs of `low`, until they are queued again, and give them back at once."""
        blocker = self.ask("sbatch", "--parsable", "-p", "high", "-N2", "--exclusive", "-o", "/dev/null",
                           "--wrap", "sleep 300").strip()  # fmt: skip
        until(
            "the blocker runs",
            lambda: self.ask("squeue", "-h", "-j", blocker, "-o", "%T").strip() == "RUNNING",
        )
        self.ask("scancel", blocker)
        self.start_waiting()

    @contextmanager
    def one_node_down(self) -> Generator[None]:
        """Lose the node that a job runs on; the job is queued again and starts on the other one."""
        node = self.ask("squeue", "-h", "-o", "%N").strip()
        self.stop_node(node)
        self.ask("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
        until("the job has left the node", lambda: node not in self.ask("squeue", "-h", "-o", "%N"))
        try:
            self.start_waiting()
            yield
        finally:
            self.start_node(node)
            until("the node is back", lambda: self._resume(node))

    def _resume(self, node: str) -> bool:
        """Take a node into service again, unless it has come back by itself; return whether it is there."""
        if "idle" in self.ask("sinfo", "-h", "-n", node, "-o", "%T"):
            return True
        self.ask("scontrol", "update", f"NodeName={node}", "State=RESUME")
        return False

    def start_waiting(self) -> None:
        """Let jobs that were queued again start now, not two minutes later as Slurm has it.

        Not within the second: a node refuses the job's credential if it was revoked in the same one.
        """
        until("no job is ending", lambda: "COMPLETING" not in self.ask("squeue", "-h", "-o", "%T"))
        for job in self.ask("squeue", "-h", "-r", "-t", "PENDING", "-o", "%A").split():
            with suppress(subprocess.CalledProcessError):  # it has just started
                self.ask("scontrol", "update", f"JobId={job}", "StartTime=now+2")

    def _start_munge(self) -> None:
        if subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0:
            return
        key = Path("/etc/munge/munge.key")
        if not key.exists():
            subprocess.run(
                ["install", "-d", "-o", "munge", "-g", "munge", "-m", "700", key.parent], check=True
            )
            key.write_bytes(os.urandom(1024))
        shutil.chown(key, "munge", "munge")
        key.chmod(0o400)
        for folder, mode in (("/run/munge", "755"), ("/var/lib/munge", "711"), ("/var/log/munge", "700")):
            subprocess.run(["install", "-d", "-o", "munge", "-g", "munge", "-m", mode, folder], check=True)
        # --force: in a container the folders above may be anyone's.
        subprocess.run(["setpriv", "--reuid", "munge", "--regid", "munge", "--clear-groups", "munged", "--force"], check=True)  # fmt: skip
        self._own_munge = True
        until(
            "munge answers",
            lambda: subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0,
        )


def end(pid_file: Path) -> None:
    """End the daemon of a pid file and wait for it."""
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        until(f"{pid_file.stem} has ended", lambda: not Path(f"/proc/{pid}").exists(), 30)
