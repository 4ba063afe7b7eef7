"""Runs through a real Slurm, and the faults of a cluster.

Each fault ends with one accepted result for each task, no process, and nothing RUNNING for ever.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import git, gitorch, gitorch_json, started, wait_for, write
from tests.engines.slurm_cluster import SlurmCluster


@pytest.fixture
def cluster(slurm: SlurmCluster, project: Path) -> SlurmCluster:
    """A project on a cluster, where jobs show often that they are alive."""
    git(project, "config", "gitorch.slurm.heartbeat", "0.1s")
    git(project, "config", "gitorch.engine", "slurm")
    return slurm


def ready(
    project: Path, command: str, *, seeds: int = 1, settings: str = ""
) -> None:
    """Queue runs of one task each."""
    write(
        project,
        "experiments/e.yaml",
        f"""
        gitorch: {{matrix: {{seed: 'range(0, {seeds})'}}, {settings}}}
        tasks:
          - id: t
            command: |
              {command}
        """,
    )
    gitorch(project, "ready")


def attempts(project: Path) -> list[dict[str, Any]]:
    """Return the attempts of the only run."""
    (row,) = gitorch_json(project, "list")["runs"]
    record = gitorch_json(project, "show", row["id"])["run"]
    found: list[dict[str, Any]] = record["tasks"][0]["attempts"]
    return found


def outcomes(project: Path) -> list[tuple[str, str | None]]:
    found = []
    for attempt in attempts(project):
        outcome = attempt["outcome"]
        found.append((outcome["kind"], outcome.get("message")))
    return found


def statuses(project: Path) -> dict[str, int]:
    counts: dict[str, int] = gitorch_json(project, "status")["counts"]
    return {status: count for status, count in counts.items() if count}


def test_runs_are_executed_by_jobs(cluster: SlurmCluster, project: Path) -> None:
    ready(
        project,
        "echo $SLURM_JOB_NAME $SLURM_CPUS_PER_TASK {seed} > {output}/a",
        seeds=3,
        settings="resources: {cpus: 2}, environment: ['echo $MODULE'], "
        "slurm: {setup: [export MODULE=gcc]}",
    )
    done = gitorch(project, "run", "--engine", "slurm")
    assert statuses(project) == {"COMPLETE": 3}, done.stderr
    names = set()
    for row in gitorch_json(project, "list")["runs"]:
        name, cpus, _ = gitorch(project, "cat", row["id"], "a").stdout.split()
        names.add(name)
        assert cpus == "2"
        described = gitorch_json(project, "env", row["id"])["environment"]
        assert described["commands"] == {"echo $MODULE": "gcc"}
    (name,) = names
    assert name.startswith("gitorch-")


def test_each_engine_executes_as_many_tasks_as_it_allows(
    cluster: SlurmCluster, project: Path, tmp_path: Path
) -> None:
    """On the login node, one task at a time; of Slurm, all that the site allows."""
    git(project, "config", "--unset", "gitorch.engine")
    gate = tmp_path / "gate"
    compiling = f"mkdir {tmp_path}/alone; sleep 0.2; rmdir {tmp_path}/alone"
    write(
        project,
        "experiments/mixed.yaml",
        f"""
        gitorch: {{matrix: {{seed: 'range(0, 4)'}}}}
        tasks:
          - {{id: compile, command: '{compiling}'}}
          - id: train
            command: 'until test -e {gate}; do sleep 0.1; done'
            needs: [compile]
            gitorch: {{engine: slurm}}
        """,
    )
    worker = started(project, "run", "experiments/mixed.yaml")
    wait_for(lambda: len(cluster.jobs()) == 4)
    gate.touch()
    worker.communicate(timeout=40)
    assert statuses(project) == {"COMPLETE": 4}


def test_ctrl_c_leaves_the_jobs_and_the_next_run_collects_them(
    cluster: SlurmCluster, project: Path, tmp_path: Path
) -> None:
    ready(
        project,
        f"echo {{seed}} >> {tmp_path}/starts; sleep 2; echo 1 > {{output}}/a",
        seeds=3,
    )
    worker = started(project, "run")
    wait_for(lambda: len(cluster.jobs()) == 3)
    worker.send_signal(signal.SIGINT)
    _, errors = worker.communicate(timeout=20)
    assert "3 submitted tasks continue; gitorch run collects the results" in errors
    assert len(cluster.jobs()) == 3
    gitorch(project, "run")
    assert statuses(project) == {"COMPLETE": 3}
    assert sorted((tmp_path / "starts").read_text().split()) == ["0", "1", "2"]


def test_kill_9_of_the_worker_with_twenty_jobs(
    cluster: SlurmCluster, project: Path, tmp_path: Path
) -> None:
    ready(project, f"echo {{seed}} >> {tmp_path}/starts; sleep 1", seeds=20)
    worker = started(project, "run")
    wait_for(lambda: len(cluster.jobs()) == 20)
    worker.kill()
    worker.communicate(timeout=20)
    gitorch(project, "run")
    assert statuses(project) == {"COMPLETE": 20}
    starts = (tmp_path / "starts").read_text().split()
    assert sorted(map(int, starts)) == list(range(20))


EXAMPLE = Path(__file__).with_name("cluster.yaml")


def test_the_example_of_a_config_for_a_cluster_is_valid(project: Path) -> None:
    write(project, "experiments/cluster.yaml", EXAMPLE.read_text())
    for name in ("prepare.sh", "train.py", "evaluate.py"):
        (project / name).touch()
    git(project, "add", ".")
    git(project, "commit", "-qm", "an example")
    checked = gitorch(project, "check", "experiments/cluster.yaml")
    assert "15 runs" in checked.stdout + checked.stderr
