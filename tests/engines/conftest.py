"""A private Slurm for the tests of the engines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
    assert cluster.leftovers() == []


@pytest.fixture
def slurm(
    slurm_daemons: SlurmCluster, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SlurmCluster]:
    """The Slurm without jobs, known to the programs that a test starts."""
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, slurm_daemons.environment[name])
    yield slurm_daemons
    slurm_daemons.end_jobs()
