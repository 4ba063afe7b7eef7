"""A private Slurm for the tests of the engines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engines.bench import eventually
from tests.engines.dask_site import DaskSite, dask_site
from tests.engines.slurm_cluster import SlurmCluster, reason_against


@pytest.fixture(scope="session")
def slurm_daemons(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SlurmCluster]:
    reason = reason_against()
    if reason is not None:
        pytest.skip(reason)
    cluster = SlurmCluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
    eventually(
        lambda: not cluster.leftovers()
    )  # a killed process dies a moment later


@pytest.fixture
def slurm(
    slurm_daemons: SlurmCluster, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SlurmCluster]:
    """The Slurm without jobs, known to the programs that a test starts."""
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, slurm_daemons.environment[name])
    yield slurm_daemons
    slurm_daemons.end_jobs()


@pytest.fixture(scope="session")
def dask_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskSite]:
    """Two workers of Dask, which share the file system."""
    with dask_site(tmp_path_factory.mktemp("dask")) as site:
        site.worker("one")
        site.worker("two")
        yield site


@pytest.fixture
def dask(dask_workers: DaskSite, monkeypatch: pytest.MonkeyPatch) -> DaskSite:
    """The cluster, known to the engines that a test makes."""
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", dask_workers.address)
    return dask_workers
