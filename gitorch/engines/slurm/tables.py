"""Slurm's commands as tables and pairs of pure functions: build the command, parse its answer.

The commands are those of Slurm 20.11 and newer: sbatch(1), squeue(1), scancel(1).
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, auto
from typing import Any, NamedTuple

from gitorch.engines.contract import Order
from gitorch.model.text.quantities import parse_duration

# Slurm checks limits once a minute, and may signal up to a minute early: see `--signal`.
_SIGNAL_S = 60
_MARGIN_S = 120.0
# The options of every job. The config and the settings can replace those in the second table.
_FIXED = ("--parsable", "--kill-on-invalid-dep=yes")
_DEFAULTS: dict[str, Any] = {
    "no-requeue": True,
    "open-mode": "append",
    "export": "ALL",
    "output": "/dev/null",
    "signal": f"B:USR1@{_SIGNAL_S}",
    "nodes": 1,
    "ntasks": 1,
}
# The keys of `slurm` that are not options of sbatch.
SETUP = "setup"
HEARTBEAT = "heartbeat"
JOBS = "jobs"
_OWN = frozenset({SETUP, HEARTBEAT, JOBS})
# Any of these asks for GPUs instead of `resources: {gpus: …}`.
_GPU_OPTIONS = (
    "gres",
    "gpus",
    "gpus-per-node",
    "gpus-per-task",
    "gpus-per-socket",
    "tres-per-task",
)
_MEMORY_OPTIONS = ("mem", "mem-per-cpu", "mem-per-gpu")
# The exit code of the job's script if it cannot use the attempt's directory.
NO_DIRECTORY = 66


class Request(NamedTuple):
    """The request of a job. Attempts with equal requests are submitted together, as one array."""

    options: tuple[str, ...]
    setup: tuple[str, ...]
    heartbeat_s: float
    checkpoint_s: float  # between the signal before the time limit and the limit


def request_of(order: Order) -> Request:
    """Return the request of an order. Raises ValueError if one of its options is invalid."""
    given = {str(name): value for name, value in order.options.items()}
    warning_s = _warning_s(str(given.get("signal", _DEFAULTS["signal"])))
    checkpoint_s = max(1.0, warning_s - 10.0)
    options = {**_DEFAULTS, **_wanted(order, given, checkpoint_s)}
    if given.get("requeue"):
        del options["no-requeue"]
    words = []
    for name, value in {**options, **given}.items():
        if name not in _OWN:
            words += _option(name, value)
    lines = given.get(SETUP) or ()
    setup = (lines,) if isinstance(lines, str) else tuple(map(str, lines))
    heartbeat_s = parse_duration(given.get(HEARTBEAT, "5s"))
    return Request(tuple(words), setup, heartbeat_s, checkpoint_s)


def _wanted(
    order: Order, given: Mapping[str, Any], checkpoint_s: float
) -> dict[str, Any]:
    """Return the options that follow from the resources and the time limit of a task."""
    resources = order.resources
    options: dict[str, Any] = {}
    if resources.cpus:
        options["cpus-per-task"] = math.ceil(resources.cpus)
    if resources.gpus and not any(name in given for name in _GPU_OPTIONS):
        options["gres"] = f"gpu:{resources.gpus}"
    if resources.memory_bytes and not any(
        name in given for name in _MEMORY_OPTIONS
    ):
        options["mem"] = f"{math.ceil(resources.memory_bytes / (1 << 20))}M"
    if order.timeout_s is not None:
        # The slot ends the attempt in time, and the attempt may write a checkpoint then. Slurm's
        # own limit must not be reached before.
        whole_s = order.timeout_s + checkpoint_s + order.grace_s + _MARGIN_S
        options["time"] = math.ceil(whole_s / 60)
    return options


def _option(name: str, value: Any) -> list[str]:
    if value is None or value is False:
        return []
    if value is True:
        return [f"--{name}"]
    if isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    return [f"--{name}={value}"]


def _warning_s(signal: str) -> float:
    """Return how many seconds before the time limit Slurm sends the signal of `--signal`."""
    _, at, seconds = signal.partition("@")
    return float(seconds) if at and seconds.isdecimal() else float(_SIGNAL_S)


# -- sbatch


def sbatch_command(
    request: Request, name: str, count: int, title: str
) -> list[str]:
    """Return the command that submits `count` jobs. It reads the script from its input."""
    command = ["sbatch", *_FIXED, f"--job-name={name}", f"--comment={title}"]
    command += request.options
    if count > 1:
        command.append(f"--array=0-{count - 1}")
    return command


def script(
    request: Request, directories: Sequence[str], program: Sequence[str]
) -> str:
    """Return the script of the jobs that carry out the orders in these directories.

    A requeued job has a restart count: it is another execution than the one before.
    """
    quoted = "\n".join(map(shlex.quote, directories))
    setup = "\n".join(request.setup)
    return f"""#!/bin/bash
directories=(
{quoted}
)
directory=${{directories[${{SLURM_ARRAY_TASK_ID:-0}}]}}
exec >>"$directory/slurm.txt" 2>&1 || exit {NO_DIRECTORY}
set -e
{setup}
set +e
exec {shlex.join(program)} "$directory" "$SLURM_JOB_ID"
"""


class Answer(Enum):
    """The meaning of an answer of sbatch."""

    SUBMITTED = auto()
    LATER = auto()  # a limit is reached, or the controller is busy
    REFUSED = auto()  # it will never be accepted
    UNKNOWN = auto()  # it may have been submitted


_LATER = re.compile(
    r"job submit limit|MaxSubmit|MaxJobs|temporarily unable|maximum number of jobs"
    r"|Resource temporarily unavailable|too many|try again|"
    r"controller is .*(?:standby|backup)",
    re.IGNORECASE,
)
# Slurm names the limit, and then says the same of all limits.
_LIMIT = re.compile(r"\b(?:Assoc|QOS)\w*Limit\b")
_LOST = re.compile(
    r"Unable to contact|timed out|Connection (?:refused|reset)|connect failure"
    r"|Zero Bytes|Communication|Transport|Unexpected message|Munge|Protocol authentication",
    re.IGNORECASE,
)
_REFUSED = re.compile(r"error|unrecognized|invalid|unable", re.IGNORECASE)


def parse_sbatch(exit_code: int, output: str, errors: str) -> tuple[Answer, str]:
    """Return the meaning of an answer of sbatch, and the job's number or the reason."""
    number, _, _ = output.strip().rpartition("\n")[2].partition(";")
    if exit_code == 0 and number.isdecimal():
        return Answer.SUBMITTED, number
    reason = _reason(errors)
    limits = _LIMIT.findall(errors)
    if any("Submit" in name for name in limits):
        return Answer.LATER, reason
    if limits:
        return Answer.REFUSED, reason
    if _LATER.search(errors):
        return Answer.LATER, reason
    if _LOST.search(errors) or not _REFUSED.search(errors):
        return Answer.UNKNOWN, reason
    return Answer.REFUSED, reason


def _reason(errors: str) -> str:
    """Return the messages of a command in one line."""
    lines = []
    for line in errors.splitlines():
        line = re.sub(r"^(?:sbatch|squeue): (?:error: )?", "", line.strip())
        line = line.removeprefix("Batch job submission failed: ")
        if line and line not in lines:
            lines.append(line)
    return "; ".join(lines) or "no answer"


# -- squeue

_COLUMNS = {
    "JobArrayID": 40,
    "Name": 80,
    "State": 24,
    "Reason": 60,
    "RestartCnt": 12,
    "NodeList": 60,
    "exit_code": 12,
}


class JobState(Enum):
    """The meaning of a state of Slurm for an attempt."""

    WAITING = auto()
    RUNNING = auto()
    OVER = auto()


# Any other state counts as running: what is unknown is not over.
_STATES = {
    "PENDING": JobState.WAITING,
    "REQUEUED": JobState.WAITING,
    "REQUEUE_HOLD": JobState.WAITING,
    "REQUEUE_FED": JobState.WAITING,
    "RESV_DEL_HOLD": JobState.WAITING,
    "SPECIAL_EXIT": JobState.WAITING,
    "BOOT_FAIL": JobState.OVER,
    "CANCELLED": JobState.OVER,
    "COMPLETED": JobState.OVER,
    "DEADLINE": JobState.OVER,
    "FAILED": JobState.OVER,
    "NODE_FAIL": JobState.OVER,
    "OUT_OF_MEMORY": JobState.OVER,
    "PREEMPTED": JobState.OVER,
    "REVOKED": JobState.OVER,
    "TIMEOUT": JobState.OVER,
}
_SIGKILLED = ("9", "0:9")
# The reasons for which a job never starts, in words.
_NEVER = {
    "DependencyNeverSatisfied": "its dependency is never satisfied",
    "BadConstraints": "no node has what its constraints ask for",
}


class Job(NamedTuple):
    """A job as squeue shows it. `number` has the index, as in 12_3."""

    number: str
    name: str
    state: str
    reason: str
    nodes: str
    exit_code: str = "0"  # of the job's script, as wait(2) has it or as in 0:9

    @property
    def array_index(self) -> int:
        _, _, index = self.number.partition("_")
        return int(index) if index.isdecimal() else 0

    @property
    def meaning(self) -> JobState:
        return _STATES.get(self.state, JobState.RUNNING)

    @property
    def never_starts(self) -> str | None:
        """Return why the job never starts, or None if it may."""
        return _NEVER.get(self.reason)

    @property
    def was_killed(self) -> bool:
        """Return True if the job has failed by SIGKILL, and not by a request to cancel it."""
        return self.state == "FAILED" and self.exit_code in _SIGKILLED

    @property
    def is_held(self) -> bool:
        return self.meaning is JobState.WAITING and "held" in self.reason.lower()


def squeue_command(names: Iterable[str], user: int) -> list[str]:
    """Return the command that lists the jobs of these names, those that have ended too."""
    columns = ",".join(f"{name}:{width}" for name, width in _COLUMNS.items())
    command = [
        "squeue",
        "--noheader",
        "--array",
        "--states=all",
        f"--Format={columns}",
    ]
    listed = ",".join(names)
    if len(listed) > _LONGEST_LIST:
        return [*command, f"--user={user}"]
    return [*command, f"--name={listed}"]


_LONGEST_LIST = 10_000


def parse_squeue(output: str) -> list[Job]:
    """Return the jobs that squeue has listed."""
    jobs = []
    for line in output.splitlines():
        if not line.strip():
            continue
        cells = {}
        start = 0
        for name, width in _COLUMNS.items():
            cells[name] = line[start : start + width].strip()
            start += width
        job = Job(
            number=cells["JobArrayID"],
            name=cells["Name"],
            state=cells["State"].partition(" ")[0],
            reason=cells["Reason"],
            nodes=cells["NodeList"],
            exit_code=cells["exit_code"],
        )
        jobs.append(job)
    return jobs


# -- scancel


def scancel_commands(jobs: Sequence[Job], *, at_once: bool) -> list[list[str]]:
    """Return the commands that end jobs, of which each has its name: numbers are used again.

    A running job is asked to end itself, unless it is to be ended `at_once`.
    """
    commands = []
    for name in dict.fromkeys(job.name for job in jobs):
        waiting: list[str] = []
        running: list[str] = []
        for job in jobs:
            if job.name == name and job.meaning is not JobState.OVER:
                is_running = job.meaning is JobState.RUNNING
                (running if is_running else waiting).append(job.number)
        command = ["scancel", "--quiet", f"--name={name}"]
        if at_once and running + waiting:
            commands.append([*command, *waiting, *running])
            continue
        if waiting:
            commands.append([*command, "--state=PENDING", *waiting])
        if running:
            commands.append([*command, "--batch", "--signal=TERM", *running])
    return commands


# -- the limits of the site

CONFIGURATION_COMMAND = ("scontrol", "show", "config")


def limits_commands(user: str) -> tuple[Sequence[str], Sequence[str]]:
    """Return the commands that ask for the configuration and for the user's own limits."""
    fields = "format=MaxSubmitJobs"
    associations = ["sacctmgr", "-n", "-P", "show", "assoc", f"user={user}", fields]
    return CONFIGURATION_COMMAND, associations


class Limits(NamedTuple):
    """The largest array, and the most jobs that may be queued at once."""

    array: int
    jobs: int


def parse_limits(configuration: str, associations: str) -> Limits:
    """Return the limits of the site. What it does not say is assumed to be Slurm's default."""
    found = dict(re.findall(r"^(\w+)\s*=\s*(\d+)", configuration, re.MULTILINE))
    array = int(found.get("MaxArraySize", 1001))
    jobs = int(found.get("MaxJobCount", 10_000))
    own = [int(line) for line in associations.split() if line.isdecimal()]
    return Limits(array=max(1, array - 1), jobs=max(1, min([jobs, *own])))


def parse_kills_over_memory(configuration: str) -> bool:
    """Return True if Slurm itself kills jobs that take more memory than they asked for."""
    pattern = r"^JobAcctGatherParams\s*=.*\bOverMemoryKill\b"
    flags = re.IGNORECASE | re.MULTILINE
    return re.search(pattern, configuration, flags) is not None
