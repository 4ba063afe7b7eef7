"""The current state of a run: its record with the statuses of the queue."""

from __future__ import annotations

from msgspec.structs import replace

from gitorch.model.run.status import Status
from gitorch.model.table.overlay import with_queue
from gitorch.model.table.row import TaskRow
from tests.model.table.sample import ROW

TASKS = (
    TaskRow(id="a", status=Status.WAITING),
    TaskRow(id="b", status=Status.WAITING, needs=("a",)),
)
WAITING = replace(ROW, status=Status.WAITING, tasks=TASKS)


def test_the_statuses_of_the_queue_are_newer_than_the_record() -> None:
    statuses = {"a": Status.RUNNING, "b": Status.WAITING}
    current = with_queue(WAITING, statuses, has_worker=True)
    assert [task.status for task in current.tasks] == [
        Status.RUNNING,
        Status.WAITING,
    ]
    assert current.status is Status.RUNNING


def test_a_run_that_is_not_queued_is_as_its_record_says() -> None:
    assert with_queue(WAITING, {}, has_worker=False) is WAITING


def test_a_run_that_is_over_is_not_changed_by_an_old_queue_entry() -> None:
    over = replace(WAITING, status=Status.COMPLETE)
    assert with_queue(over, {"a": Status.RUNNING}, has_worker=True) is over
