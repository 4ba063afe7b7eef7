"""The faults of a cluster, with a real Slurm.

Each ends with one accepted result for each task, no process left, and nothing RUNNING for ever.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import gitorch, gitorch_json, started
from tests.conftest import wait_for as wait_for_some_time
from tests.engines.slurm_cluster import SlurmCluster
from tests.engines.test_slurm import cluster, outcomes, ready, statuses
from tests.stories.test_killed import processes_of

__all__ = ["cluster"]  # a fixture


@pytest.fixture
def starts(tmp_path: Path) -> Path:
    """Return the file to which `counted` commands add the numbers of their attempts."""
    path = tmp_path / "starts"
    path.touch()
    return path


def wait_for(condition: Callable[[], object]) -> None:
    """Wait for Slurm, whose daemons are slow on a machine that does much else."""
    wait_for_some_time(condition, 50)


def counted(starts: Path, command: str) -> str:
    return f"echo $GITORCH_ATTEMPT >> {starts}; {command}"


def run_slurm(project: Path, code: int | None = 0) -> str:
    return gitorch(project, "run", code=code).stderr


def started_attempt(project: Path, starts: Path) -> subprocess.Popen[str]:
    """Start a worker, and return when its first attempt has begun."""
    before = starts.read_text()
    worker = started(project, "run")
    wait_for(lambda: starts.read_text() != before)
    return worker


def end_of(worker: subprocess.Popen[str], code: int = 0) -> str:
    """Wait for the end of a worker, and return its messages."""
    _, errors = worker.communicate(timeout=50)
    assert worker.returncode == code, errors
    return errors


def where(project: Path) -> str:
    """Return what `status` says about the place of the only run."""
    (run,) = gitorch_json(project, "status")["runs"]
    return str(run["why"])


def left_of(project: Path) -> list[int]:
    """Return the processes of attempts, on any host: the workspace's path tells them."""
    return processes_of(f"{project}.gitorch/")


def require_clean(
    slurm: SlurmCluster, project: Path, status: str, runs: int = 1
) -> None:
    """All runs have this status, and nothing is left of them anywhere."""
    assert statuses(project) == {status: runs}
    wait_for(lambda: not slurm.jobs())
    wait_for(lambda: not left_of(project))


def put_in_the_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, script: str
) -> None:
    """Let a script be called instead of a program, which is $REAL."""
    real = shutil.which(program)
    directory = tmp_path / "wrappers"
    directory.mkdir()
    path = directory / program
    path.write_text(f"#!/bin/bash\nREAL={real}\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")


def test_answer_of_sbatch_lost(
    cluster: SlurmCluster,
    project: Path,
    tmp_path: Path,
    starts: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = '"$REAL" "$@" >/dev/null; exit 1'
    put_in_the_way(monkeypatch, tmp_path, "sbatch", script)
    ready(project, counted(starts, "true"))
    assert "no answer from sbatch" in run_slurm(project)
    assert starts.read_text().split() == ["1"]
    require_clean(cluster, project, "COMPLETE")


def test_a_submission_that_is_lost_is_repeated(
    cluster: SlurmCluster,
    project: Path,
    tmp_path: Path,
    starts: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = f'mkdir {tmp_path}/called 2>/dev/null && exit 1; exec "$REAL" "$@"'
    put_in_the_way(monkeypatch, tmp_path, "sbatch", script)
    ready(project, counted(starts, "true"))
    run_slurm(project)
    assert starts.read_text().split() == ["1"]
    require_clean(cluster, project, "COMPLETE")


REFUSAL = """\
sbatch: error: AssocMaxSubmitJobLimit
sbatch: error: Batch job submission failed: Job violates accounting/QOS policy \
(job submit limit, user's size and/or time limits)
"""


def test_limit_max_submit_jobs_reached(
    cluster: SlurmCluster,
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusal = f"cat {tmp_path}/refusal >&2; exit 1"
    (tmp_path / "refusal").write_text(REFUSAL)
    script = (
        f'mkdir {tmp_path}/a 2>/dev/null && {{ {refusal}; }}; exec "$REAL" "$@"'
    )
    put_in_the_way(monkeypatch, tmp_path, "sbatch", script)
    ready(project, "true")
    notice = "Slurm takes no more jobs now (AssocMaxSubmitJobLimit; Job violates"
    assert notice in run_slurm(project)
    require_clean(cluster, project, "COMPLETE")


# A minute, scaled as the sign of life is: it comes fifty times as often as usual.
OUTAGE_S = 2.0


def test_squeue_unavailable_for_60_s(
    cluster: SlurmCluster,
    project: Path,
    tmp_path: Path,
    starts: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One task runs meanwhile, and the other one is given to Slurm and ends."""
    failure = "squeue: error: Unable to contact slurm controller (connect failure)"
    fails = f'test -e {tmp_path}/down && {{ echo "{failure}" >&2; exit 1; }}'
    put_in_the_way(monkeypatch, tmp_path, "squeue", f'{fails}; exec "$REAL" "$@"')
    waits = f"while test -e {tmp_path}/down; do sleep 0.1; done"
    ready(
        project,
        counted(starts, f"test {{seed}} = 1 || {waits}"),
        seeds=2,
    )
    (tmp_path / "down").touch()
    worker = started_attempt(project, starts)
    time.sleep(OUTAGE_S)
    (tmp_path / "down").unlink()
    assert "Slurm does not answer (squeue: error: Unable" in end_of(worker)
    assert starts.read_text().split() == ["1", "1"]
    require_clean(cluster, project, "COMPLETE", runs=2)


def test_slurmctld_unavailable_for_a_minute(
    cluster: SlurmCluster, project: Path, starts: Path
) -> None:
    ready(project, counted(starts, "sleep 1"))
    worker = started_attempt(project, starts)
    time.sleep(1.5)  # slurmctld saves its state
    cluster.kill("slurmctld")
    time.sleep(OUTAGE_S)
    cluster.start_controller()
    end_of(worker)
    assert starts.read_text().split() == ["1"]
    require_clean(cluster, project, "COMPLETE")


def test_slurmctld_killed_right_after_a_start(
    cluster: SlurmCluster, project: Path, starts: Path
) -> None:
    ready(project, counted(starts, "sleep 2"))
    worker = started_attempt(project, starts)
    cluster.kill("slurmctld")
    cluster.start_controller()
    end_of(worker)
    # Slurm may have ended the job that it did not know any more.
    assert starts.read_text().split() in (["1"], ["1", "2"])
    cluster.repair_node()
    require_clean(cluster, project, "COMPLETE")


def test_slurmd_killed(cluster: SlurmCluster, project: Path, starts: Path) -> None:
    ready(project, counted(starts, "sleep 1"))
    worker = started_attempt(project, starts)
    cluster.kill("slurmd")
    cluster.start_node()
    end_of(worker)
    assert starts.read_text().split() == ["1"]
    require_clean(cluster, project, "COMPLETE")


def test_stepd_killed(cluster: SlurmCluster, project: Path, starts: Path) -> None:
    """The attempt goes on, although Slurm has lost it."""
    ready(project, counted(starts, "sleep 1"))
    worker = started_attempt(project, starts)
    cluster.kill_steps()
    end_of(worker)
    assert starts.read_text().split() == ["1"]
    cluster.repair_node()
    require_clean(cluster, project, "COMPLETE")


def test_job_number_used_again(
    cluster: SlurmCluster, project: Path, starts: Path, tmp_path: Path
) -> None:
    """The worker is gone, and so is its job. Another job has the number by then."""
    ready(project, counted(starts, f"test -e {tmp_path}/again || sleep 60"))
    worker = started_attempt(project, starts)
    worker.kill()
    worker.communicate()
    (number,) = cluster.jobs()
    cluster.kill_jobs()
    wait_for(lambda: not cluster.jobs())
    cluster.forget_jobs(next_number=int(number))
    wrap = "--wrap=sleep 60"
    other = cluster.ask("sbatch", "--parsable", "--output=/dev/null", wrap)
    assert other == number
    (tmp_path / "again").touch()
    run_slurm(project)
    wait_for(lambda: cluster.jobs() == [number])
    assert starts.read_text().split() == ["1", "2"]
    message = "Slurm does not know its job any more"
    assert outcomes(project) == [("lost", message), ("succeeded", None)]


def test_preempted_and_requeued(
    cluster: SlurmCluster, project: Path, starts: Path, tmp_path: Path
) -> None:
    """The requeued job does not carry out its order again. The task is tried again."""
    ready(
        project,
        counted(starts, f"test -e {tmp_path}/urgent || sleep 60"),
        settings="slurm: {requeue: true}, resources: {cpus: 8}",
    )
    worker = started_attempt(project, starts)
    (tmp_path / "urgent").touch()
    urgent = ("-p", "urgent", "-c8", "--output=/dev/null", "--wrap=sleep 1")
    cluster.ask("sbatch", *urgent)
    end_of(worker)
    assert outcomes(project)[0][0] == "interrupted"
    assert starts.read_text().split() == ["1", "2"]
    require_clean(cluster, project, "COMPLETE")


def test_cancelled_by_somebody_else(
    cluster: SlurmCluster, project: Path, starts: Path, tmp_path: Path
) -> None:
    ready(project, counted(starts, f"test -e {tmp_path}/again || sleep 60"))
    worker = started_attempt(project, starts)
    (number,) = cluster.jobs()
    cluster.ask("scancel", number)
    end_of(worker, code=1)
    message = f"its job {number} was cancelled in Slurm"
    assert outcomes(project) == [("signal", message)]
    require_clean(cluster, project, "ERROR")
    (tmp_path / "again").touch()
    gitorch(project, "retry", "e")
    run_slurm(project)
    require_clean(cluster, project, "COMPLETE")


def test_out_of_memory(cluster: SlurmCluster, project: Path) -> None:
    """This Slurm watches the memory of jobs itself, and kills all processes of one at once."""
    program = "import time; a = bytearray(200 << 20); time.sleep(60)"
    ready(
        project,
        f'{sys.executable} -c "{program}"',
        settings="resources: {memory: 100MiB}",
    )
    run_slurm(project, code=1)
    message = "Slurm killed its job, probably because it took more memory than it asked for"
    assert outcomes(project) == [("out-of-memory", message)]
    require_clean(cluster, project, "ERROR")


def test_more_memory_than_a_node_has(cluster: SlurmCluster, project: Path) -> None:
    ready(project, "true", settings="resources: {memory: 100GiB}")
    run_slurm(project, code=1)
    ((kind, message),) = outcomes(project)
    assert kind == "could-not-start"
    assert message is not None
    assert message.startswith("sbatch: Memory specification can not be satisfied")


def test_time_limit(
    cluster: SlurmCluster, project: Path, starts: Path, tmp_path: Path
) -> None:
    """Slurm itself sends the signal of `--signal`. It looks at the limits twice a minute."""
    save = f"save() ( sleep 0.3; echo saved > {tmp_path}/checkpoint )"
    count = counted(starts, "wait || true")
    ready(
        project,
        f"{save}; trap 'save; exit 0' TERM; sleep 100 & {count}",
        settings="slurm: {time: 1}",
    )
    worker = started_attempt(project, starts)
    assert cluster.ask("squeue", "-h", "-o", "%l") == "1:00"
    end_of(worker, code=1)
    message = "the time limit of its job was near"
    assert outcomes(project) == [("timeout", message)]
    assert (tmp_path / "checkpoint").read_text() == "saved\n"
    require_clean(cluster, project, "ERROR")


def test_held(cluster: SlurmCluster, project: Path, starts: Path) -> None:
    ready(project, counted(starts, "true"), settings="slurm: {hold: true}")
    worker = started(project, "run")
    wait_for(lambda: "JobHeldUser" in where(project))
    (number,) = cluster.jobs()
    assert where(project) == f"slurm job {number} waits: JobHeldUser"
    cluster.ask("scontrol", "release", number)
    notice = (
        f"job {number} is held in Slurm (JobHeldUser): scontrol release {number}"
    )
    assert notice in end_of(worker)
    require_clean(cluster, project, "COMPLETE")


def test_dependency_never_satisfied(
    cluster: SlurmCluster, project: Path, starts: Path
) -> None:
    wrap = "--wrap=exit 1"
    failed = cluster.ask("sbatch", "--parsable", "--output=/dev/null", wrap)
    wait_for(lambda: not cluster.jobs())
    ready(
        project,
        counted(starts, "true"),
        settings=f"slurm: {{dependency: 'afterok:{failed}'}}",
    )
    run_slurm(project, code=1)
    message = "its dependency is never satisfied"
    assert outcomes(project) == [("could-not-start", message)]
    assert starts.read_text() == ""
    require_clean(cluster, project, "ERROR")


def test_the_setup_of_a_job_fails(cluster: SlurmCluster, project: Path) -> None:
    setup = "setup: ['echo module cuda is unknown >&2', 'false']"
    ready(project, "true", settings=f"slurm: {{{setup}}}")
    run_slurm(project, code=1)
    message = "its job failed before the start: module cuda is unknown"
    assert outcomes(project) == [("could-not-start", message)]


def test_kill_with_a_worker_and_without(
    cluster: SlurmCluster, project: Path, starts: Path
) -> None:
    for has_worker in (True, False):
        ready(project, counted(starts, "sleep 60"))
        worker = started_attempt(project, starts)
        assert where(project).endswith(f" on {platform.node()}")
        if not has_worker:
            worker.kill()
            worker.wait()
            assert where(project).endswith("; gitorch run collects the results")
        gitorch(project, "kill", "e")
        worker.communicate(timeout=20)
        assert statuses(project) == {}
        wait_for(lambda: not cluster.jobs())
        wait_for(lambda: not left_of(project))
