"""The reason why a run is not running, for each status and each obstacle."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gitorch.actions.waiting import QueueView, explain_not_running
from gitorch.database.values import QueuedRun, QueuedTask, Running, Waiting
from gitorch.model.run.spec import Resources
from gitorch.model.run.status import Status
from gitorch.model.table.row import Row, TaskRow

RUN = "abcd11111111"
TRAIN = TaskRow(id="train", status=Status.WAITING)
ROW = Row(
    id=RUN,
    name="penguins",
    label="penguins",
    status=Status.WAITING,
    commit="c" * 40,
    params={},
    swept=(),
    metrics={},
    created="2026-01-02T00:00:00.000000Z",
    started=None,
    ended=None,
    duration_s=None,
    clone="here",
    identity="i",
    tasks=(TRAIN,),
)
VIEW = QueueView(
    clone="here",
    now="2026-01-02T00:00:10Z",
    queued={},
    workers=[],
    alive=frozenset({"worker"}),
    free=None,
    runs_ahead={},
    first=None,
    computing={},
)


def queued(state: Waiting | Running) -> dict[str, QueuedRun]:
    """Return a queue that contains the run with its one task."""
    task = QueuedTask(run=RUN, id="train", priority=0, attempts=1, state=state)
    return {RUN: QueuedRun(id=RUN, worker=None, held=False, tasks=(task,))}


def running(worker: str) -> Running:
    return Running(token="t", worker=worker, started="2026-01-02T00:00:05Z")


@pytest.mark.parametrize("status", [Status.COMPLETE, Status.FAILED])
def test_a_run_that_is_over_needs_no_reason(status: Status) -> None:
    assert explain_not_running(replace(ROW, status=status), VIEW) is None


def test_a_running_run_needs_no_reason_while_its_worker_lives() -> None:
    row = replace(ROW, status=Status.RUNNING)
    attended = replace(VIEW, queued=queued(running("worker")))
    assert explain_not_running(row, attended) is None
    orphaned = replace(VIEW, queued=queued(running("dead")))
    assert (
        explain_not_running(row, orphaned)
        == "its worker is gone: gitorch run resumes it"
    )


def test_a_run_of_another_clone_is_that_clones_business() -> None:
    assert (
        explain_not_running(replace(ROW, clone="there"), VIEW)
        == "it belongs to another clone"
    )


def test_a_held_run_says_who_holds_it() -> None:
    row = replace(ROW, status=Status.HOLD, hold="held by A: lunch")
    assert explain_not_running(row, VIEW) == "held by A: lunch"


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ([], "train: exit code 1"),
        (["test"], "train: exit code 1; test waits for it"),
        (["test", "plot"], "train: exit code 1; test, plot wait for it"),
    ],
)
def test_a_failed_run_names_the_failure_and_the_tasks_behind_it(
    others: list[str], reason: str
) -> None:
    failed = replace(TRAIN, status=Status.ERROR, failure="exit code 1")
    waiting = [
        TaskRow(id=name, status=Status.WAITING, needs=("train",)) for name in others
    ]
    row = replace(ROW, status=Status.ERROR, tasks=(failed, *waiting))
    assert explain_not_running(row, VIEW) == reason


def test_without_a_living_worker_nothing_else_matters() -> None:
    view = replace(VIEW, alive=frozenset(), runs_ahead={RUN: 3}, first="f00")
    assert explain_not_running(ROW, view) == "no worker is running: gitorch run"


def test_a_retry_waits_for_its_time() -> None:
    later = replace(VIEW, queued=queued(Waiting(not_before="2026-01-02T00:01:00Z")))
    assert (
        explain_not_running(ROW, later)
        == "train will be tried again at 2026-01-02T00:01:00Z"
    )
    due = replace(VIEW, queued=queued(Waiting(not_before="2026-01-02T00:00:05Z")))
    assert explain_not_running(ROW, due) == "a worker takes it next"


def test_a_task_waits_for_the_run_that_computes_the_same() -> None:
    view = replace(VIEW, queued=queued(Waiting(key="k")), computing={"k": "f00"})
    assert (
        explain_not_running(ROW, view)
        == "train waits for run f00, which computes the same"
    )


def test_a_task_waits_for_resources() -> None:
    wanted = Resources(cpus=1, gpus=2, memory_bytes=0)
    row = replace(ROW, tasks=(replace(TRAIN, resources=wanted),))
    view = replace(
        VIEW, free=Resources(cpus=4, gpus=1, memory_bytes=0), runs_ahead={RUN: 3}
    )
    assert explain_not_running(row, view) == "train waits for 2 gpus, 1 are free"


def test_a_run_waits_for_the_runs_ahead_of_it() -> None:
    view = replace(VIEW, runs_ahead={RUN: 2}, first="f00")
    assert explain_not_running(ROW, view) == "behind 2 runs, the first is f00"
    assert (
        explain_not_running(ROW, replace(VIEW, runs_ahead={RUN: 0}))
        == "a worker takes it next"
    )
