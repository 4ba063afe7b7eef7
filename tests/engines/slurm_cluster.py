"""A private Slurm on loopback, without systemd: munged, slurmctld and slurmd, on one node.

The node says that it has eight CPUs and two GPUs, which are plain files. The daemons are children
of this process and are ended with it.
"""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gitorch.tools import process

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
_UP_S = 50.0
_CONFIGURATION = """\
ClusterName=gitorchtests
SlurmctldHost={host}({address})
SlurmUser=root
SlurmdUser=root
SlurmctldPort={control_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={home}/munge.socket
CryptoType=crypto/munge
{listening}
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool.%n
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.%n.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=400
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,bf_interval=1,sched_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
SlurmdTimeout=2
SlurmctldTimeout=10
KillWait=2
MessageTimeout=3
MinJobAge=300
InactiveLimit=0
JobRequeue=1
GresTypes=gpu
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=gpu Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=9
"""
_NODE = "NodeName={} NodeAddr={} CPUs=8 RealMemory=40000 Gres=gpu:2 State=UNKNOWN"
_CONTROL_GROUPS = """\
CgroupPlugin=cgroup/v1
ConstrainCores=no
ConstrainRAMSpace=no
ConstrainDevices=no
"""


def reason_against() -> str | None:
    """Return why a private Slurm cannot run here, or None if it can."""
    for program in PROGRAMS:
        if shutil.which(program, path=_PATH) is None:
            return f"there is no {program}: apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "slurmd starts jobs only as root"
    return None


class SlurmCluster:
    """The daemons and their files, in one directory."""

    address = "127.0.0.1"  # of this machine
    listening = "CommunicationParameters=NoInAddrAny"  # not on all addresses

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {
            **os.environ,
            "PATH": _PATH,
            "SLURM_CONF": str(home / "slurm.conf"),
        }
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start the daemons, and wait until the node is idle."""
        (self.home / "state").mkdir()
        key = self.home / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        (self.home / "gpu0").touch()
        (self.home / "gpu1").touch()
        (self.home / "gres.conf").write_text(
            f"Name=gpu File={self.home}/gpu[0-1]\n"
        )
        (self.home / "cgroup.conf").write_text(_CONTROL_GROUPS)
        control_port, node_port = _free_ports()
        nodes = [_NODE.format(*node) for node in self.nodes().items()]
        configuration = _CONFIGURATION.format(
            host=_own_name(),
            address=self.address,
            listening=self.listening,
            home=self.home,
            control_port=control_port,
            node_port=node_port,
            nodes="\n".join(nodes),
        )
        (self.home / "slurm.conf").write_text(configuration)
        self._start(
            "munged",
            "--foreground",
            "--force",
            f"--key-file={key}",
            f"--socket={self.home}/munge.socket",
            f"--pid-file={self.home}/munged.pid",
            f"--log-file={self.home}/munged.log",
            f"--seed-file={self.home}/munged.seed",
        )
        _wait_until((self.home / "munge.socket").exists)
        self.start_controller()
        self.start_node()
        self.wait_until_idle()

    def nodes(self) -> dict[str, str]:
        """Return the names of the nodes, and their addresses."""
        return {_own_name(): self.address}

    def start_controller(self) -> None:
        self._start("slurmctld", "-D", "-L", f"{self.home}/slurmctld.log")

    def start_node(self) -> None:
        self._start("slurmd", "-D", "-L", f"{self.home}/slurmd.log")

    def wait_until_idle(self) -> None:
        _wait_until(
            lambda: set(self.ask("sinfo", "-h", "-o", "%T").split()) == {"idle"}
        )

    def kill(self, daemon: str) -> None:
        """Kill a daemon with SIGKILL."""
        self._daemons[daemon].kill()
        self._daemons.pop(daemon).wait()

    def ask(self, *command: str) -> str:
        """Return the output of a command of Slurm, empty if it fails."""
        done = subprocess.run(
            command,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return done.stdout.strip()

    def jobs(self, *options: str) -> list[str]:
        """Return the ids of the jobs that wait or run."""
        return self.ask("squeue", "-h", "-r", "-o", "%i", *options).split()

    def end_jobs(self) -> None:
        """Start what a test has killed, cancel all jobs and wait until none is left."""
        if "slurmctld" not in self._daemons:
            self.start_controller()
        if "slurmd" not in self._daemons:
            self.start_node()
        self.ask("scancel", "--user=root")
        _wait_until(lambda: not self.jobs())

    def forget_jobs(self, *, next_number: int) -> None:
        """Let the controller lose its state, and give the next job this number."""
        self.kill("slurmctld")
        shutil.rmtree(self.home / "state")
        (self.home / "state").mkdir()
        path = self.home / "slurm.conf"
        lines = path.read_text().splitlines()
        kept = [line for line in lines if not line.startswith("FirstJobId=")]
        path.write_text("\n".join([*kept, f"FirstJobId={next_number}", ""]))
        self.start_controller()
        self.wait_until_idle()

    def kill_jobs(self) -> None:
        """Kill the processes of all jobs at one moment."""
        found = []
        for pid in self.leftovers():
            if "SLURM_JOB_ID" in process.environment_of(pid):
                found.append(pid)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    def kill_steps(self) -> None:
        """Kill the daemons of the steps of jobs."""
        for one in process.table():
            with suppress(OSError):
                name = Path(f"/proc/{one.pid}/comm").read_text()
                if name.startswith("slurmstepd") and self._has_configuration(
                    one.pid
                ):
                    os.kill(one.pid, signal.SIGKILL)

    def repair_node(self) -> None:
        """Let the node work again after it was drained or has lost a step."""
        self.kill("slurmd")
        self.start_node()
        for state in ("down", "resume"):
            change = (f"nodename={_own_name()}", f"state={state}", "reason=test")
            self.ask("scontrol", "update", *change)

    def stop(self) -> None:
        """End the daemons, and all processes that belong to jobs."""
        if "slurmctld" in self._daemons:
            self.ask("scancel", "--user=root")
        for daemon in list(self._daemons):
            self.kill(daemon)
        for pid in self.leftovers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def leftovers(self) -> list[int]:
        """Return the processes that were started with this configuration."""
        found = []
        for one in process.table():
            if self._has_configuration(one.pid):
                found.append(one.pid)
        return found

    def _has_configuration(self, pid: int) -> bool:
        variables = process.environment_of(pid)
        is_ours = variables.get("SLURM_CONF") == str(self.home / "slurm.conf")
        return is_ours and pid != os.getpid()

    def _start(self, program: str, *options: str) -> None:
        with (self.home / f"{program}.out").open("ab") as output:
            self._daemons[program] = subprocess.Popen(
                [program, *options],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )


_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def _own_name() -> str:
    return platform.node().partition(".")[0]


def _free_ports() -> tuple[int, int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    first, second = (one.getsockname()[1] for one in sockets)
    for one in sockets:
        one.close()
    return first, second


def _wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + _UP_S
    while not condition():
        assert time.monotonic() < deadline, condition
        time.sleep(0.05)
