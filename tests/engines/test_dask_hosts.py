"""Attempts on hosts with networks and files of their own, whose cables are cut: list C."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitorch.engines.dask import transfer as dask_transfer
from gitorch.engines.dask.engine import DaskEngine
from gitorch.model.run.outcome import Lost, Succeeded
from tests.conftest import commit_files, wait_for
from tests.engines.bench import carry_out, log_of, next_ends
from tests.engines.dask_site import DaskSite, Runs, begun, dask_site, living
from tests.engines.hosts import Hosts, why_not

pytestmark = [
    pytest.mark.timeout(90),
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
]


class Cluster:
    """A scheduler on this machine, and a worker on each host."""

    def __init__(self, directory: Path, hosts: Hosts, site: DaskSite) -> None:
        self.hosts = hosts
        self.site = site
        self.runs = Runs(directory, site.address)
        del self.runs.options["private"]  # the hosts do not see the files
        self._directory = directory

    def add(self, host: str) -> None:
        log = self._directory / f"{host}.log"
        cache = self.runs.workspace / "cache"
        self.hosts.start(
            host,
            log,
            "Registered to",
            *("env", f"GITORCH_HOST_CACHE={cache}", "HOME=/", sys.executable, "-m"),
            *(
                "distributed.cli.dask_worker",
                self.site.address,
                "--host",
                "{address}",
            ),
            *("--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", host),
            *("--local-directory", str(self.runs.workspace / "scratch")),
        )

    def engine(self) -> DaskEngine:
        return DaskEngine(2, self._directory / "lock")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    hosts = Hosts([tmp_path / "workspace", tmp_path / "project"])
    try:
        os.environ["DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL"] = "5s"
        with dask_site(tmp_path / "dask", hosts.address) as site:
            cluster = Cluster(tmp_path, hosts, site)
            cluster.runs.workspace.mkdir()
            yield cluster
    finally:
        del os.environ["DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL"]
        hosts.close()


def cut_at(
    monkeypatch: pytest.MonkeyPatch, cluster: Cluster, function: str, seconds: float
) -> list[str]:
    """Cut the cable of host1 for some seconds, at the first call of a function there."""
    cuts: list[str] = []
    ask = dask_transfer.Transfer.ask

    def asked(transfer: Any, name: str, *arguments: Any) -> Any:
        if name == function and not cuts:
            cuts.append(name)
            cluster.hosts.cut("host1")
            threading.Timer(seconds, cluster.hosts.heal, ["host1"]).start()
        return ask(transfer, name, *arguments)

    monkeypatch.setattr(dask_transfer.Transfer, "ask", asked)
    return cuts


def test_cable_cut_during_fetch(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host fetches the code when its cable is cut, which is then healed."""
    carry_out_with_a_cut(cluster, monkeypatch, "receive")


def test_cable_cut_during_the_return_of_results(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out_with_a_cut(cluster, monkeypatch, "read")


def carry_out_with_a_cut(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, during: str
) -> None:
    cluster.add("host1")
    commit_files(cluster.runs.root, {"large": "x" * 9_000_000})
    cuts = cut_at(monkeypatch, cluster, during, 1.0)
    script = "hostname; wc -c < large; seq 1000000 | tee $GITORCH_OUTPUT_DIR/copy | wc -c"
    with cluster.engine() as dask:
        order = cluster.runs.shell("a" * 12, script)
        [ended] = carry_out(dask, [order]).values()
    assert ended.outcome == Succeeded()
    assert log_of(order) == "host1\n9000000\n6888896\n"
    copy = cluster.runs.workspace / ("a" * 12) / "output/copy"
    assert copy.stat().st_size == 6_888_896
    assert cuts == [during]
    wait_for(lambda: living(order) == [])


def test_two_hosts_racing(cluster: Cluster) -> None:
    """A host that was given up has a result too, and comes back while the other one works."""
    cluster.add("host1")
    runs = cluster.runs
    script = "echo began; sleep 1; hostname > $GITORCH_OUTPUT_DIR/winner"
    with cluster.engine() as dask:
        order = begun(dask, runs.shell("a" * 12, script))
        cluster.hosts.cut("host1")
        cluster.add("host2")
        [ended] = next_ends(dask, 1)
        assert isinstance(ended.outcome, Lost)
        wait_for(lambda: living(order) == [])
        again = begun(dask, runs.shell("a" * 12, script, number=2))
        cluster.hosts.heal("host1")
        [ended] = next_ends(dask, 1)
        assert (ended.token, ended.outcome) == (again.token, Succeeded())
        assert dask.poll() == []
    winner = runs.workspace / ("a" * 12) / "output/winner"
    assert winner.read_text() == "host2\n"
    assert living(again) == []


def test_host_powered_off(cluster: Cluster) -> None:
    cluster.add("host1")
    runs = cluster.runs
    with cluster.engine() as dask:
        order = begun(dask, runs.endless("a" * 12))
        cluster.add("host2")
        cluster.hosts.power_off("host1")
        wait_for(lambda: living(order) == [])
        [ended] = next_ends(dask, 1)
        assert isinstance(ended.outcome, Lost)
        again = runs.shell("a" * 12, "hostname", number=2)
        [ended] = carry_out(dask, [again]).values()
    assert ended.outcome == Succeeded()
    assert log_of(again) == "host2\n"


def test_partition_then_heal(cluster: Cluster) -> None:
    cluster.add("host1")
    runs = cluster.runs
    with cluster.engine() as dask:
        order = begun(dask, runs.endless("a" * 12))
        cluster.add("host2")
        cluster.hosts.cut("host1")
        [ended] = next_ends(dask, 1)
        assert isinstance(ended.outcome, Lost)
        again = runs.shell("a" * 12, "hostname", number=2)
        [second] = carry_out(dask, [again]).values()
        assert second.outcome == Succeeded()
        # The first copy ends by itself, although nobody can tell it to.
        wait_for(lambda: living(order) == [])
        cluster.hosts.heal("host1")
        time.sleep(1)
        assert dask.poll() == []
    assert log_of(again) == "host2\n"
