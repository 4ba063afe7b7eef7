"""The queue catches up with records that were committed without its knowledge."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitorch.actions.ready import ready
from gitorch.database.values import AttemptEnd
from gitorch.model.run.outcome import Succeeded
from gitorch.model.run.status import Status
from gitorch.storage.liveness import this_worker
from gitorch.storage.recording import catch_up
from gitorch.storage.site import Site
from gitorch.tools.clock import now
from tests.conftest import write


@pytest.fixture
def site(project: Path) -> Site:
    write(
        project,
        "experiments/a.yaml",
        "tasks: [{id: one, command: echo 1}, {id: two, command: echo 2}]\n",
    )
    site = Site.at(project)
    ready(site, [project / "experiments"], environment={"PATH": "/usr/bin:/bin"})
    return site


def complete_in_record(site: Site, run: str, task: str) -> None:
    """Mark a task as complete in the record, but not in the queue."""
    with site.results.changing() as change:
        record = change.record(run)
        assert record is not None
        for task_record in record["tasks"]:
            if task_record["id"] == task:
                task_record["status"] = "COMPLETE"
        change.put_record(record)
        change.commit("a commit that the queue does not know")


def test_a_task_that_is_complete_in_the_record_leaves_the_queue(site: Site) -> None:
    [run] = site.queue.runs()
    complete_in_record(site, run.id, "one")
    catch_up(site)
    [queued] = site.queue.runs()
    assert [task.id for task in queued.tasks] == ["two"]
    assert site.queue.meta("tip") == site.results.tip()


def test_a_running_task_stays_in_the_queue_until_its_worker_ends_it(
    site: Site,
) -> None:
    [run] = site.queue.runs()
    site.queue.register(this_worker("w"))
    claim = site.queue.claim("w", "token", now=now())
    assert claim is not None
    complete_in_record(site, run.id, "one")
    catch_up(site)
    end = AttemptEnd(
        run=run.id,
        task="one",
        token="token",
        status=Status.COMPLETE,
        outcome=Succeeded(),
    )
    assert site.queue.finish([end]) == [end], (
        "the attempt is still current, so the queue accepts its end"
    )


def test_a_live_run_that_the_queue_lost_is_queued_again(site: Site) -> None:
    [run] = site.queue.runs()
    site.queue.remove([run.id])
    site.queue.bring([], tip=(None, "0" * 40))
    catch_up(site)
    [queued] = site.queue.runs()
    assert [task.id for task in queued.tasks] == ["one", "two"]
    assert [task.status for task in queued.tasks] == [Status.WAITING] * 2


def test_a_run_of_another_clone_is_not_queued(site: Site) -> None:
    [run] = site.queue.runs()
    with site.results.changing() as change:
        record = change.record(run.id)
        assert record is not None
        change.put_record({**record, "id": "ffffffffffff", "clone": "another"})
        change.commit("a run of another clone")
    catch_up(site)
    assert [queued.id for queued in site.queue.runs()] == [run.id]
