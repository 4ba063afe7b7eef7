"""The faults of a Dask cluster during runs: list A.

Each ends with one accepted result for each task, no process left, and nothing RUNNING for ever.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import git, gitorch, gitorch_json, wait_for
from tests.engines.dask_site import DaskSite, dask_site
from tests.engines.test_slurm import outcomes, ready, statuses
from tests.engines.test_slurm_faults import (
    counted,
    end_of,
    run_slurm,
    started_attempt,
    starts,
)
from tests.stories.test_killed import processes_of

__all__ = ["starts"]  # a fixture
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def site(tmp_path: Path, project: Path) -> Iterator[DaskSite]:
    """A cluster with one worker, which executes the tasks of the project on a host of its own."""
    with dask_site(tmp_path / "dask") as site:
        site.worker("one")
        use(project, site)
        yield site


def use(project: Path, site: DaskSite) -> None:
    git(project, "config", "gitorch.engine", "dask")
    for name, value in (
        ("scheduler", site.address),
        ("private", "true"),
        ("lease", "3"),
    ):
        git(project, "config", f"gitorch.dask.{name}", value)


def ready_to_be_lost(project: Path, starts: Path) -> None:
    """Queue a task whose first attempt does not end by itself."""
    ready(project, counted(starts, "test $GITORCH_ATTEMPT = 2 || sleep 60"))


def require_one_result(project: Path, site: DaskSite) -> None:
    """The first attempt was lost, and the second one's result was accepted."""
    kinds = [kind for kind, _ in outcomes(project)]
    assert kinds == ["lost", "succeeded"]
    assert statuses(project) == {"COMPLETE": 1}
    wait_for(lambda: not attempts_on(site))


def attempts_on(site: DaskSite) -> list[int]:
    """Return the processes of attempts on all hosts."""
    with_token = processes_of("GITORCH_TOKEN=")
    return sorted({*with_token} & {*processes_of(f"{site.directory}/")})


def test_worker_killed(site: DaskSite, project: Path, starts: Path) -> None:
    ready_to_be_lost(project, starts)
    worker = started_attempt(project, starts)
    assert attempts_on(site)
    site.worker("two")
    site.kill("one")
    end_of(worker)
    assert starts.read_text().split() == ["1", "2"]
    require_one_result(project, site)


def test_killed_worker(
    tmp_path: Path, project: Path, starts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask itself gives a task up with KilledWorker, here after the first death."""
    name = "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"
    monkeypatch.setenv(name, "0")
    with dask_site(tmp_path / "dask") as site:
        site.worker("one")
        use(project, site)
        ready_to_be_lost(project, starts)
        worker = started_attempt(project, starts)
        site.worker("two")
        site.kill("one")
        end_of(worker)
        assert starts.read_text().split() == ["1", "2"]
        require_one_result(project, site)


def test_scheduler_killed(site: DaskSite, project: Path, starts: Path) -> None:
    """It comes back when Dask's client has given up to look for it, and the task is repeated."""
    ready_to_be_lost(project, starts)
    worker = started_attempt(project, starts)
    site.kill("scheduler")
    wait_for(lambda: not attempts_on(site))
    time.sleep(5)  # see _CONNECT_S
    site.start_scheduler()
    site.worker("two")
    notice = f"{site.address} does not answer: tasks wait for it"
    assert notice in end_of(worker)
    assert starts.read_text().split() == ["1", "2"]
    require_one_result(project, site)


def test_resources_that_can_never_be_met(site: DaskSite, project: Path) -> None:
    ready(project, "true", settings="resources: {gpus: 2}")
    run_slurm(project, code=1)
    ((kind, message),) = outcomes(project)
    assert kind == "could-not-start"
    assert f"no worker of {site.address} has the resources gpus=2" in str(message)
    assert statuses(project) == {"ERROR": 1}


def test_cancel_of_a_running_task(
    site: DaskSite, project: Path, starts: Path
) -> None:
    """The only worker of Dask is free for the next task, which waits meanwhile."""
    ready(project, counted(starts, "test {seed} = 1 || sleep 60"), seeds=2)
    worker = started_attempt(project, starts)

    def sleeping() -> list[dict[str, Any]]:
        runs = gitorch_json(project, "status")["runs"]
        return [
            run for run in runs if run["where"] and "seed=1" not in run["label"]
        ]

    wait_for(lambda: bool(sleeping()))  # the other run may be executed first
    (running,) = sleeping()
    assert running["status"] == "RUNNING"
    assert running["why"] == "dask on 127.0.0.1"
    gitorch(project, "kill", running["id"])
    end_of(worker, code=1)
    assert starts.read_text().split() == ["1", "1"]
    assert statuses(project) == {"COMPLETE": 1}
    wait_for(lambda: not attempts_on(site))
