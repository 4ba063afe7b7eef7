"""Records and the queue change under one lock. A crash between the two changes is repaired."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from msgspec.structs import replace

from gitorch.actions.change_status import change_status
from gitorch.actions.ready import ready
from gitorch.actions.selection import Selection
from gitorch.actions.set import set_priority
from gitorch.model.run.record import Record
from gitorch.model.run.status import Status
from gitorch.storage.recording import catch_up, recording
from gitorch.storage.site import Site
from tests.conftest import git, write


@pytest.fixture
def site(project: Path) -> Site:
    write(project, "experiments/a.yaml", "tasks: [{id: one, command: echo 1}]\n")
    site = Site.at(project)
    ready(site, [project / "experiments"], environment={"PATH": "/usr/bin:/bin"})
    return site


@pytest.fixture
def run_id(site: Site) -> str:
    [run] = site.queue.runs()
    return run.id


def record_of(site: Site, run_id: str) -> Record:
    value = site.results.record(run_id)
    assert value is not None
    return Record.from_json(value)


def queued_priority(site: Site, run_id: str) -> int:
    run = site.queue.run(run_id)
    assert run is not None
    return run.tasks[0].priority


def assert_queue_is_current(site: Site) -> None:
    assert site.queue.meta("tip") == site.results.tip()


def last_message(site: Site) -> str:
    """Return the message of the newest commit on the results branch."""
    tip = site.results.tip()
    assert tip is not None
    return git(site.repository.root, "log", "-1", "--format=%B", tip)


def test_the_queue_has_the_later_of_two_simultaneous_changes(
    site: Site, run_id: str
) -> None:
    selection = Selection(references=(run_id,))
    both_are_ready = Barrier(2)

    def change(priority: int) -> None:
        own_site = Site.at(site.repository.root)
        both_are_ready.wait()
        set_priority(own_site, selection, priority)

    for start in range(0, 40, 2):
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(change, [start + 1, start + 2]))
        assert queued_priority(site, run_id) == record_of(site, run_id).priority
        assert_queue_is_current(site)


def test_the_queue_is_updated_while_the_lock_is_held(
    site: Site, run_id: str
) -> None:
    with recording(site) as changes:
        record = changes.record(run_id)
        assert record is not None
        changes.put(replace(record, priority=7))
        assert queued_priority(site, run_id) == 0, "nothing is committed yet"
        changes.commit("a priority")
        assert queued_priority(site, run_id) == 7
        assert_queue_is_current(site)


def test_uncommitted_changes_are_discarded(site: Site, run_id: str) -> None:
    before = site.results.tip()
    with recording(site) as changes:
        record = changes.record(run_id)
        assert record is not None
        changes.put(replace(record, priority=7))
    assert site.results.tip() == before
    assert queued_priority(site, run_id) == 0


def test_a_queue_that_missed_a_commit_catches_up(site: Site, run_id: str) -> None:
    changed = replace(record_of(site, run_id), priority=7)
    # The same as a program that dies before it updates the queue.
    with site.results.changing() as branch:
        branch.put_record(changed.to_json())
        branch.commit("a priority")
    assert queued_priority(site, run_id) == 0
    catch_up(site)
    assert queued_priority(site, run_id) == 7
    assert_queue_is_current(site)


def test_a_commit_names_the_runs_that_it_changes(site: Site, run_id: str) -> None:
    change_status(site, "hold", Selection(references=(run_id,)))
    message = last_message(site)
    assert message.splitlines()[2:] == [
        f"Gitorch-Run: {run_id}",
        "Gitorch-Status: HOLD",
        f"Gitorch-Commit: {record_of(site, run_id).pin.commit}",
    ]


def test_one_commit_removes_a_killed_run_from_the_branch_and_the_queue(
    site: Site, run_id: str
) -> None:
    with recording(site) as changes:
        record = changes.record(run_id)
        assert record is not None
        changes.remove(record, mark=b"now by a test: killed\n")
        changes.commit("kill")
    assert site.results.record(run_id) is None
    assert site.queue.run(run_id) is None
    assert_queue_is_current(site)
    assert "Gitorch-Status: killed" in last_message(site)


def test_a_failed_run_leaves_the_queue(site: Site, run_id: str) -> None:
    with recording(site) as changes:
        record = changes.record(run_id)
        assert record is not None
        changes.put(replace(record, status=Status.FAILED))
        changes.commit("give up")
    assert site.queue.runs() == []
