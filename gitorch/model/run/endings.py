"""What a run's record becomes when one of its tasks ends: by an attempt, or by results that are taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gitorch.model.run.pin import Pin
from gitorch.model.run.record import (
    Attempt,
    CacheEntry,
    Change,
    Discarded,
    Output,
    Record,
    TaskRecord,
    noted,
)
from gitorch.model.run.status import Status, run_status, states


class AttemptResult(Struct, frozen=True, kw_only=True):
    """What an attempt left: the part of a record that its end changes. `status` is what its task has after it."""

    task: str
    status: Status
    attempt: Attempt
    result: Any
    metrics: Mapping[str, float | None]
    outputs: tuple[Output, ...]
    environment: Mapping[str, Any]
    discarded: tuple[Discarded, ...] = ()  # of what the task itself wrote
    cache: CacheEntry | None = None  # where what the task has left can be told from all else


class Reuse(Struct, frozen=True, kw_only=True):
    """The results of a task of another run that has computed the same: `outputs` and `discarded` are that task's."""

    task: str
    pin: Pin
    at: str
    result: Any
    metrics: Mapping[str, float | None]
    outputs: tuple[Output, ...]
    discarded: tuple[Discarded, ...]
    environment: Mapping[str, Any]
    cache: CacheEntry


def after_attempt(record: Record, collected: AttemptResult, *, by: str) -> Record:
    """`record` after the end of an attempt. Safe to repeat: an attempt that is in it already changes nothing."""
    task = record.task(collected.task)
    attempt = collected.attempt
    if any(known.token == attempt.token for known in task.attempts):
        return record
    status = Status.HOLD if record.hold and collected.status is Status.WAITING else collected.status
    done = status is Status.COMPLETE
    ended_task = replace(
        task,
        status=status,
        pin=attempt.pin,
        result=collected.result if done else task.result,
        metrics={**task.metrics, **collected.metrics},
        attempt_count=max(task.attempt_count, attempt.number),
        attempts=(attempt,),
        cache=collected.cache,
    )
    tasks = _with_task(record.tasks, ended_task)
    changed = replace(
        record,
        tasks=tasks,
        started=record.started or attempt.started,
        outputs=collected.outputs,
        discarded=(
            *(found for found in record.discarded if found.task != task.id),
            *collected.discarded,
        ),
        environment=collected.environment or record.environment,
    )
    changed = _begun(changed, at=attempt.started, by=by)
    return _settled(
        changed, at=attempt.ended, by=by, why=None if done else f"{task.id}: {attempt.outcome}"
    )


def after_reuse(record: Record, reuse: Reuse, *, by: str) -> Record:
    """`record` with a task complete that did not run. Safe to repeat: a complete task stays as it is.

    What an earlier attempt of it left is gone, so that its outputs are exactly those of the run that computed them.
    """
    task = record.task(reuse.task)
    if task.status is Status.COMPLETE:
        return record
    complete = replace(
        task,
        status=Status.COMPLETE,
        pin=reuse.pin,
        result=reuse.result,
        metrics=reuse.metrics,
        cache=reuse.cache,
    )
    gone = {*reuse.cache.removed, *(output.path for output in reuse.outputs)}
    outputs = (
        *(
            output
            for output in record.outputs
            if output.task != task.id and output.path not in gone
        ),
        *(replace(output, task=task.id) for output in reuse.outputs),
    )
    discarded = (
        *(found for found in record.discarded if found.task != task.id),
        *(replace(found, task=task.id) for found in reuse.discarded),
    )
    changed = replace(
        record,
        tasks=_with_task(record.tasks, complete),
        started=record.started or reuse.at,
        outputs=outputs,
        discarded=discarded,
        environment=record.environment or reuse.environment,
    )
    changed = _begun(changed, at=reuse.at, by=by)
    return _settled(changed, at=reuse.at, by=by, why=None)


def _begun(record: Record, *, at: str, by: str) -> Record:
    """`record` with it noted that it runs, unless that is its newest change."""
    if record.history[-1].target is Status.RUNNING:
        return record
    return noted(record, Change(at=at, source=record.status, target=Status.RUNNING, by=by))


def _settled(record: Record, *, at: str, by: str, why: str | None) -> Record:
    """`record` with the status that its tasks give it, a change of it noted."""
    status = run_status(states(record.tasks, record.needs), started=True)
    over = status not in (Status.RUNNING, Status.WAITING)
    record = replace(record, status=status, ended=at if over else None)
    if status is record.history[-1].target:
        return record
    if status is Status.ERROR:  # also of what failed before the task that ended last
        failed = [task for task in record.tasks if task.status is Status.ERROR and task.attempts]
        why = "; ".join(f"{task.id}: {task.attempts[-1].outcome}" for task in failed)
    return noted(
        record, Change(at=at, source=record.history[-1].target, target=status, by=by, why=why)
    )


def _with_task(tasks: Iterable[TaskRecord], changed: TaskRecord) -> tuple[TaskRecord, ...]:
    return tuple(changed if task.id == changed.id else task for task in tasks)
