"""Changes of a record: by attempts and verbs, and comparisons of the results."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from gitorch.model.run import record_changes
from gitorch.model.run.compare import CodeDifference, compare_records
from gitorch.model.run.identity import run_identity
from gitorch.model.run.outcome import (
    ExitCode,
    Interrupted,
    Lost,
    Outcome,
    Succeeded,
)
from gitorch.model.run.pin import Origin, Pin
from gitorch.model.run.policy import after
from gitorch.model.run.record import (
    HISTORY_KEPT,
    Attempt,
    Change,
    Output,
    Record,
    TaskRecord,
)
from gitorch.model.run.record_changes import (
    AttemptResult,
    ChangeRequest,
    Standing,
    after_attempt,
    standing,
)
from gitorch.model.run.spec import RunSpec, TaskSpec
from gitorch.model.run.status import Status
from gitorch.model.table.overlay import with_queue

SUCCEEDED = Succeeded()
FAILED = ExitCode(exit_code=1)
PIN = Pin(commit="c" * 40, tree="d" * 40, origin=Origin.SNAPSHOT)


def record(**params: Any) -> Record:
    tasks = (
        TaskSpec(id="a", command="true"),
        TaskSpec(id="b", command=("ls", "-l"), needs=("a",)),
    )
    spec = RunSpec(
        name="whales",
        document={"tasks": [], **params},
        tasks=tasks,
        swept=tuple(params),
        link=("data",),
    )
    return Record(
        id="0123456789ab",
        spec=spec,
        status=Status.WAITING,
        clone="c1",
        source="experiments/whales.yaml",
        pin=PIN,
        identity="1",
        interpreter="/usr/bin/python3",
        output_name="whales/1",
        created="2026-01-01T00:00:00.000000Z",
        tasks=tuple(
            TaskRecord(id=task.id, status=Status.WAITING, pin=PIN) for task in tasks
        ),
        history=(
            Change(
                at="2026-01-01T00:00:00.000000Z",
                source=None,
                target=Status.WAITING,
                by="A",
            ),
        ),
    )


def collected(
    task: str, outcome: Outcome = SUCCEEDED, number: int = 1, **metrics: float
) -> AttemptResult:
    attempt = Attempt(
        number=number,
        token=f"{task}{number}",
        started="2026-01-01T00:00:01.000Z",
        ended="2026-01-01T00:00:03.000Z",
        duration_s=2.0,
        host="host",
        outcome=outcome,
        pin=PIN,
        modified=("x",),
        notes=("n",),
    )
    output = Output(
        path=f"{task}.txt",
        size=1,
        sha256="e" * 64,
        stored="git",
        task=task,
        octal_mode="100755",
    )
    follows = after(attempt.outcome, None, retries=0, losses=0, lost_limit=3)
    return AttemptResult(
        task=task,
        status=follows.status,
        attempt=attempt,
        result=[1],
        metrics=metrics,
        outputs=(output,),
        environment={"python": "3.11"},
    )


def request(record: Record, why: str | None = None) -> ChangeRequest:
    return ChangeRequest(
        source=record.status, by="A", at="2026-01-02T00:00:00.000Z", why=why
    )


def test_a_run_from_waiting_to_complete() -> None:
    first = after_attempt(record(), collected("a", loss=1.0), by="w")
    assert (first.status, first.ended, first.task("a").status) == (
        Status.RUNNING,
        None,
        Status.COMPLETE,
    )
    last = after_attempt(first, collected("b", loss=0.5), by="w")
    assert (last.status, last.ended) == (
        Status.COMPLETE,
        "2026-01-01T00:00:03.000Z",
    )
    assert (last.metrics, last.duration_s) == ({"loss": 0.5}, 4.0)
    assert [(change.source, change.target) for change in last.history] == [
        (None, Status.WAITING),
        (Status.WAITING, Status.RUNNING),
        (Status.RUNNING, Status.COMPLETE),
    ]


def test_an_attempt_that_is_recorded_twice_counts_once() -> None:
    once = after_attempt(record(), collected("a"), by="w")
    assert after_attempt(once, collected("a"), by="another") == once


def test_a_record_accepts_one_end_of_each_attempt() -> None:
    new = record()
    assert standing(new, "a", 1, "mine") is Standing.CURRENT
    lost = after_attempt(new, collected("a", Lost()), by="w")
    [last] = lost.task("a").attempts
    assert standing(lost, "a", 1, last.token) is Standing.RECORDED
    assert standing(lost, "a", 1, "late") is Standing.SUPERSEDED
    assert standing(lost, "a", 2, "next") is Standing.CURRENT
    complete = after_attempt(lost, collected("a", number=2), by="w")
    assert standing(complete, "a", 3, "another") is Standing.SUPERSEDED
    assert standing(complete, "unknown", 1, "any") is Standing.SUPERSEDED
    failed = replace(new, status=Status.FAILED)
    assert standing(failed, "a", 1, "late") is Standing.SUPERSEDED


def test_a_failure_and_its_retry() -> None:
    failed = after_attempt(record(), collected("a", FAILED), by="w")
    assert (failed.status, failed.task("b").status) == (
        Status.ERROR,
        Status.WAITING,
    )
    assert failed.history[-1].why == "a: exit code 1"
    retried = record_changes.retried(failed, request(failed, why="fixed"))
    assert (retried.status, retried.ended, retried.task("a").status) == (
        Status.WAITING,
        None,
        Status.WAITING,
    )
    assert retried.history[-1].why == "fixed"
    assert (
        after_attempt(retried, collected("a", number=2), by="w")
        .task("a")
        .attempt_count
        == 2
    )


@pytest.mark.parametrize("outcome", [Lost(), Interrupted()])
def test_a_lost_or_interrupted_task_waits_again(outcome: Outcome) -> None:
    back = after_attempt(record(), collected("a", outcome), by="w")
    assert back.task("a").status is Status.WAITING
    assert (
        with_queue(
            back, {"a": Status.WAITING, "b": Status.WAITING}, has_worker=False
        ).status
        is Status.WAITING
    )


def test_a_lost_task_of_a_held_run_is_held() -> None:
    held = record_changes.held(record(), request(record(), why="for a look"))
    assert (held.status, held.hold and held.hold.why) == (Status.HOLD, "for a look")
    lost = after_attempt(held, collected("a", Lost()), by="w")
    assert (lost.status, lost.task("a").status) == (Status.HOLD, Status.HOLD)
    failed = after_attempt(held, collected("a", FAILED), by="w")
    assert record_changes.retried(failed, request(failed)).status is Status.HOLD
    released = record_changes.released(held, request(held))
    assert (released.status, released.hold) == (Status.WAITING, None)


def test_a_resubmitted_run_keeps_its_complete_tasks() -> None:
    failed = after_attempt(
        after_attempt(record(), collected("a"), by="w"),
        collected("b", FAILED),
        by="w",
    )
    given_up = record_changes.failed(failed, request(failed))
    again = record_changes.resubmitted(given_up, request(given_up))
    assert [task.status for task in again.tasks] == [
        Status.COMPLETE,
        Status.WAITING,
    ]


def test_a_record_is_read_as_it_was_written() -> None:
    whole = record_changes.held(
        after_attempt(record(seed=1), collected("a", loss=1.0), by="w"),
        request(record()),
    )
    assert (
        Record.from_json(json.loads(json.dumps(whole.to_json(), allow_nan=False)))
        == whole
    )


def test_the_history_has_a_largest_length() -> None:
    now = record()
    for number in range(HISTORY_KEPT):
        now = after_attempt(now, collected("a", FAILED, number + 1), by="w")
        now = record_changes.retried(now, request(now))
    assert len(now.history) == HISTORY_KEPT


def test_the_statuses_of_the_queue_replace_those_of_the_record() -> None:
    running = with_queue(
        record(), {"a": Status.RUNNING, "b": Status.WAITING}, has_worker=True
    )
    assert running.status is Status.RUNNING
    assert with_queue(record(), {}, has_worker=False) == record()


def test_a_comparison_has_only_what_differs() -> None:
    one = after_attempt(
        record(seed=1, model={"depth": 2}), collected("a", loss=1.0), by="w"
    )
    two = after_attempt(
        record(seed=2, model={"depth": 3}),
        collected("a", loss=0.5, extra=1.0),
        by="w",
    )
    two = replace(
        two,
        outputs=(replace(two.outputs[0], sha256="f" * 64),),
        environment={"python": "3.12"},
    )
    found = compare_records([one, two], CodeDifference())
    assert json.loads(json.dumps(found.to_json()))["config"] == {
        "same": False,
        "changed": {"seed": [1, 2], "model.depth": [2, 3]},
    }
    assert found.metrics.changed == {"loss": (1.0, 0.5), "extra": (None, 1.0)}
    assert found.outputs.changed == ("a.txt",)
    assert found.environment.changed == {"python": ("3.11", "3.12")}
    assert not found.same
    assert compare_records([one, one], CodeDifference()).same


def test_values_that_only_look_alike_differ() -> None:
    found = compare_records([record(x=1), record(x=True)], CodeDifference())
    assert found.config.changed == {"x": (1, True)}


def test_the_identity_does_not_depend_on_the_name() -> None:
    spec = record(seed=1).spec
    assert run_identity(spec, "code") == run_identity(
        replace(spec, name="other", swept=()), "code"
    )
    assert run_identity(spec, "code") != run_identity(spec, "other code")
    assert run_identity(spec, "code") != run_identity(record(seed=2).spec, "code")
