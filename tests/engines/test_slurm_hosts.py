"""The faults of a Slurm of two nodes, which have networks of their own.

Each ends with one accepted result for each task, no process left, and nothing RUNNING for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import git
from tests.engines.hosts import Hosts, why_not
from tests.engines.slurm_cluster import reason_against
from tests.engines.slurm_hosts import SlurmHosts
from tests.engines.test_slurm import outcomes, ready
from tests.engines.test_slurm_faults import (
    counted,
    end_of,
    left_of,
    put_in_the_way,
    require_clean,
    run_slurm,
    started_attempt,
    starts,
    wait_for,
    where,
)

__all__ = ["starts"]  # a fixture
_WHY_NOT = reason_against() or why_not()
pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(_WHY_NOT is not None, reason=str(_WHY_NOT)),
]


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    with closing(Hosts([])) as hosts:
        yield hosts


@pytest.fixture(scope="module")
def nodes(
    hosts: Hosts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SlurmHosts]:
    nodes = SlurmHosts(tmp_path_factory.mktemp("nodes"), hosts)
    try:
        nodes.start()
        yield nodes
    finally:
        nodes.stop()


@pytest.fixture
def cluster(
    nodes: SlurmHosts, project: Path, monkeypatch: pytest.MonkeyPatch
) -> SlurmHosts:
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, nodes.environment[name])
    nodes.restart_lost_nodes()
    git(project, "config", "gitorch.slurm.heartbeat", "0.1s")
    git(project, "config", "gitorch.engine", "slurm")
    return nodes


def test_node_lost_and_requeued(
    cluster: SlurmHosts, hosts: Hosts, project: Path, starts: Path, tmp_path: Path
) -> None:
    """The node is cut off, while the attempt on it goes on. Slurm starts its job elsewhere."""
    ready(
        project,
        counted(starts, f"until test -e {tmp_path}/go; do sleep 0.1; done"),
        settings="slurm: {requeue: true}",
    )
    worker = started_attempt(project, starts)
    node = where(project).rpartition(" ")[2]
    (number,) = cluster.jobs()
    hosts.cut(node)
    wait_for(lambda: cluster.jobs("--states=PENDING"))
    cluster.ask("scontrol", "update", f"jobid={number}", "starttime=now")
    wait_for(lambda: not cluster.jobs("--states=PENDING"))
    (tmp_path / "go").touch()
    end_of(worker)
    hosts.heal(node)
    assert starts.read_text().split() == ["1"]
    assert outcomes(project) == [("succeeded", None)]
    require_clean(cluster, project, "COMPLETE")


def test_node_that_hangs_and_comes_back(
    cluster: SlurmHosts, hosts: Hosts, project: Path, starts: Path, tmp_path: Path
) -> None:
    """The attempt on it ends as soon as it can, since another one has replaced it."""
    ready(project, counted(starts, f"test -e {tmp_path}/lost || sleep 60"))
    worker = started_attempt(project, starts)
    node = where(project).rpartition(" ")[2]
    (tmp_path / "lost").touch()
    hosts.cut(node)
    hosts.freeze(node)
    cluster.set_down(node)
    end_of(worker)
    first, second = outcomes(project)
    # Slurm sometimes requeues a job that was not to be requeued.
    assert first[0] in ("lost", "interrupted")
    assert second == ("succeeded", None)
    assert left_of(project)
    hosts.thaw(node)
    wait_for(lambda: not left_of(project))
    hosts.heal(node)
    assert starts.read_text().split() == ["1", "2"]
    require_clean(cluster, project, "COMPLETE")


def test_two_hosts_racing(
    cluster: SlurmHosts,
    project: Path,
    starts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each job is submitted twice, and both copies begin at the same time on two nodes."""
    submit = 'printf %s "$script" | "$REAL" "$@" --begin=now+1 --nodelist=$node'
    script = f"script=$(cat); for node in node1 node2; do {submit}; done"
    put_in_the_way(monkeypatch, tmp_path, "sbatch", script)
    ready(project, counted(starts, "sleep 1"), seeds=4)
    run_slurm(project)
    assert starts.read_text().split() == ["1"] * 4
    wait_for(lambda: not cluster.jobs())
    jobs = cluster.ask("squeue", "-h", "-r", "--states=all", "-o", "%T %Z")
    own = [line.split()[0] for line in jobs.splitlines() if str(project) in line]
    assert sorted(own) == ["COMPLETED"] * 4 + ["FAILED"] * 4
    require_clean(cluster, project, "COMPLETE", runs=4)
