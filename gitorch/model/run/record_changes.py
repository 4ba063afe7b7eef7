"""How the end of an attempt, reused results and the operator's verbs change a record.

Each function returns a new record. If the status of the run changes, the new record has an entry
for this in its history. Workers use the first part of this module. The second part implements the
verbs. The table in `status.py` has the statuses from which each verb is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from enum import Enum, auto
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gitorch.model.run.continuation import OtherCode, OtherConfig
from gitorch.model.run.metrics import MOST_NAMES, Metrics
from gitorch.model.run.pin import Pin
from gitorch.model.run.record import (
    Attempt,
    CacheEntry,
    Change,
    Discarded,
    Hold,
    Output,
    Record,
    TaskRecord,
    in_environment,
    noted,
)
from gitorch.model.run.status import Status, run_status, states
from gitorch.model.table.row import Row
from gitorch.model.text.phrases import counted

# ---- changes that workers report


class AttemptResult(Struct, frozen=True, kw_only=True):
    """The values that the end of an attempt changes in a record.

    `status` is the status of the task after the attempt. `discarded` are files that the task itself
    wrote. `outputs` is None if the attempt changed none, or if they are unknown. `cache` is None if
    the task's outputs cannot be separated from those of other tasks. `environment` is empty if it
    is unknown.
    """

    task: str
    status: Status
    attempt: Attempt
    result: Any
    metrics: Metrics
    outputs: tuple[Output, ...] | None
    environment: Mapping[str, Any]
    discarded: tuple[Discarded, ...] = ()
    cache: CacheEntry | None = None


class Reuse(Struct, frozen=True, kw_only=True):
    """The results of a task of another run with the same cache key.

    They are only those of the task itself, without those of the tasks before it.
    """

    task: str
    pin: Pin
    at: str
    result: Any
    metrics: Metrics
    outputs: tuple[Output, ...]
    discarded: tuple[Discarded, ...]
    environment: Mapping[str, Any]
    cache: CacheEntry
    environment_sha256: str | None = None


class Standing(Enum):
    """What a record says about an attempt that ends.

    CURRENT: its end is accepted. RECORDED: the record has its end. SUPERSEDED: the record has the
    end of another attempt instead.
    """

    CURRENT = auto()
    RECORDED = auto()
    SUPERSEDED = auto()


def standing(record: Record, task_id: str, number: int, token: str) -> Standing:
    """Return the standing of attempt `number` at a task. A record has no claims.

    Therefore the next attempt is current whose number the record does not have yet.
    """
    if record.status is Status.FAILED or task_id not in record.needs:
        return Standing.SUPERSEDED
    task = record.task(task_id)
    if token in [attempt.token for attempt in task.attempts]:
        return Standing.RECORDED
    if task.status is Status.COMPLETE or number <= task.attempt_count:
        return Standing.SUPERSEDED
    return Standing.CURRENT


def after_attempt(record: Record, collected: AttemptResult, *, by: str) -> Record:
    """Return `record` after the end of an attempt.

    A second call with the same attempt changes nothing, so the call is safe to repeat.
    """
    task = record.task(collected.task)
    attempt = collected.attempt
    recorded_tokens = [recorded.token for recorded in task.attempts]
    if attempt.token in recorded_tokens:
        return record
    status = collected.status
    if record.hold and status is Status.WAITING:
        status = Status.HOLD
    is_complete = status is Status.COMPLETE
    measured = _metrics_within_limit(record, task, collected.metrics)
    left_out = len(collected.metrics.keys() - measured.keys())
    attempt = _with_note_on_metrics(attempt, left_out)
    ended_task = replace(
        task,
        status=status,
        pin=attempt.pin,
        result=collected.result if is_complete else task.result,
        metrics=measured,
        attempt_count=max(task.attempt_count, attempt.number),
        attempts=(attempt,),
        earlier_s=task.duration_s or 0.0,
        cache=collected.cache,
    )
    changed = replace(
        record,
        tasks=_with_task(record.tasks, ended_task),
        started=record.started or attempt.started,
        outputs=record.outputs if collected.outputs is None else collected.outputs,
        discarded=(*_discarded_by_others(record, task), *collected.discarded),
    )
    digest = attempt.environment_sha256
    changed = in_environment(changed, collected.environment, digest)
    changed = _begun(changed, at=attempt.started, by=by)
    why = None if is_complete else f"{task.id}: {attempt.outcome}"
    return _settled(changed, at=attempt.ended, by=by, why=why)


def _with_note_on_metrics(attempt: Attempt, left_out: int) -> Attempt:
    """Return the attempt with a note that so many of its metrics are left out, if there are any."""
    if not left_out:
        return attempt
    note = (
        f"{counted(left_out, 'metric')} left out: "
        f"the tasks of a run may have at most {MOST_NAMES} together"
    )
    return replace(attempt, notes=(*attempt.notes, note))


def _metrics_within_limit(
    record: Record, task: TaskRecord, measured: Metrics
) -> Metrics:
    """Return the metrics of a task, as far as the run has at most MOST_NAMES names of metrics."""
    others: set[str] = set()
    for other in record.tasks:
        if other.id != task.id:
            others.update(other.metrics)
    within: Metrics = {}
    for name, value in {**task.metrics, **measured}.items():
        names = len(others) + len(within)
        if name in others or name in task.metrics or names < MOST_NAMES:
            within[name] = value
    return within


def after_reuse(record: Record, reuse: Reuse, *, by: str) -> Record:
    """Return `record` with one more complete task, which has the results of another run.

    A complete task does not change, so the call is safe to repeat. Outputs of earlier attempts at
    the task are removed, so that its outputs are exactly those of the task that computed them.
    """
    task = record.task(reuse.task)
    if task.status is Status.COMPLETE:
        return record
    complete_task = replace(
        task,
        status=Status.COMPLETE,
        pin=reuse.pin,
        result=reuse.result,
        metrics=reuse.metrics,
        cache=reuse.cache,
    )
    replaced_paths = {
        *reuse.cache.removed,
        *(output.path for output in reuse.outputs),
    }
    outputs = []
    for output in record.outputs:
        is_own = output.task == task.id
        is_replaced = output.path in replaced_paths
        if not is_own and not is_replaced:
            outputs.append(output)
    for output in reuse.outputs:
        outputs.append(replace(output, task=task.id))
    discarded = _discarded_by_others(record, task)
    for files in reuse.discarded:
        discarded.append(replace(files, task=task.id))
    changed = replace(
        record,
        tasks=_with_task(record.tasks, complete_task),
        started=record.started or reuse.at,
        outputs=tuple(outputs),
        discarded=tuple(discarded),
    )
    if not (record.environment or record.environment_sha256):
        digest = reuse.environment_sha256
        changed = in_environment(changed, reuse.environment, digest)
    changed = _begun(changed, at=reuse.at, by=by)
    return _settled(changed, at=reuse.at, by=by, why=None)


# ---- changes that the operator's verbs request


class ChangeRequest(Struct, frozen=True, kw_only=True):
    """The change that an operator requests: by whom, when (RFC 3339), and why.

    `source` is the present status of the run. `running` has the ids of the tasks that run now,
    because a record does not contain claims.
    """

    source: Status
    by: str
    at: str
    why: str | None = None
    running: Container[str] = ()


def held(record: Record, request: ChangeRequest) -> Record:
    """Hold the waiting tasks. Running tasks continue until they end."""
    changed = _with_status(
        record, Status.WAITING, Status.HOLD, except_for=request.running
    )
    hold = Hold(by=request.by, at=request.at, why=request.why)
    return _moved(replace(changed, hold=hold), Status.HOLD, request)


def released(record: Record, request: ChangeRequest) -> Record:
    changed = _with_status(record, Status.HOLD, Status.WAITING)
    return _moved(replace(changed, hold=None), Status.WAITING, request)


def retried(
    record: Record,
    request: ChangeRequest,
    *,
    code: OtherCode | None = None,
    config: OtherConfig | None = None,
    start: str | None = None,
) -> Record:
    """Make tasks in ERROR wait again, or hold them if the run is held.

    Complete tasks keep their results. If `code` is given, the tasks that are not complete run at
    its commit. If `config` is given, they run as it says. If `start` names a task, this task and
    all tasks that need it run again, and their results are removed from the record. The
    `attempt.json` of each earlier attempt is kept.
    """
    target = Status.HOLD if record.hold else Status.WAITING
    pin = code.pin if code else record.pin
    repeated = record.spec.with_dependents(start) if start else frozenset()
    tasks = []
    for task in record.tasks:
        if task.id in repeated:
            tasks.append(
                replace(task, status=target, pin=pin, result=None, metrics={})
            )
        elif task.status is Status.COMPLETE:
            tasks.append(task)
        else:
            tasks.append(_retried_task(task, target, pin))
    changed = replace(record, pin=pin, tasks=tuple(tasks), ended=None)
    if code:
        python = code.interpreter or record.interpreter
        changed = replace(
            changed, identity=code.identity, data=code.data, interpreter=python
        )
    if config:
        changed = replace(
            changed,
            spec=config.spec,
            interpreter=config.interpreter,
            bases=config.bases,
        )
    reasons = _reasons(record, request, pin, config, start)
    why = "; ".join(reasons) or None
    return _moved(changed, target, replace(request, why=why))


def _reasons(
    record: Record,
    request: ChangeRequest,
    pin: Pin,
    config: OtherConfig | None,
    start: str | None,
) -> Iterator[str]:
    """Yield what the history says about a retry."""
    if request.why:
        yield request.why
    if pin.commit != record.pin.commit:
        yield f"at {pin.commit[:12]} instead of {record.pin.commit[:12]}"
    if config:
        what = ", ".join(config.changes) or "nothing differs"
        yield f"with the config as it is now: {what}"
    if start:
        yield f"from {start}"


def failed(record: Record, request: ChangeRequest) -> Record:
    """Give up the run. The run leaves the queue, and its record stays."""
    return _moved(record, Status.FAILED, request)


def resubmitted(record: Record, request: ChangeRequest) -> Record:
    """Make a run that was given up wait again. This needs only its record."""
    tasks = []
    for task in record.tasks:
        if task.status is not Status.COMPLETE:
            task = replace(task, status=Status.WAITING)
        tasks.append(task)
    changed = replace(record, tasks=tuple(tasks), ended=None, hold=None)
    return _moved(changed, Status.WAITING, request)


CHANGES: Mapping[str, Callable[[Record, ChangeRequest], Record]] = {
    "hold": held,
    "release": released,
    "retry": retried,
    "fail": failed,
    "resubmit": resubmitted,
}


def has_something_to_hold(record: Record | Row, running: Container[str]) -> bool:
    return any(
        task.status is Status.WAITING and task.id not in running
        for task in record.tasks
    )


# ---- helpers of both parts


def _begun(record: Record, *, at: str, by: str) -> Record:
    """Return `record` with RUNNING as the newest entry of its history."""
    if _newest_target(record) is Status.RUNNING:
        return record
    change = Change(at=at, source=record.status, target=Status.RUNNING, by=by)
    return noted(record, change)


def _settled(record: Record, *, at: str, by: str, why: str | None) -> Record:
    """Return `record` with the status that its tasks imply, and a history entry if it changed."""
    status = run_status(states(record.tasks, record.needs), started=True)
    is_over = status not in (Status.RUNNING, Status.WAITING)
    record = replace(record, status=status, ended=at if is_over else None)
    source = _newest_target(record)
    if status is source:
        return record
    if status is Status.ERROR:
        why = _failures(record)
    change = Change(at=at, source=source, target=status, by=by, why=why)
    return noted(record, change)


def _newest_target(record: Record) -> Status | None:
    """Return the status that the run has by its history. A damaged record may have no history."""
    return record.history[-1].target if record.history else None


def _failures(record: Record) -> str:
    """Return a text that says how each task in ERROR failed, not only the last one to end."""
    failures = []
    for task in record.tasks:
        if task.status is Status.ERROR and task.attempts:
            failures.append(f"{task.id}: {task.attempts[-1].outcome}")
    return "; ".join(failures)


def _retried_task(task: TaskRecord, target: Status, pin: Pin) -> TaskRecord:
    """Return a task that is not complete, changed for a retry at `pin`."""
    status = task.status
    if status is Status.ERROR:
        status = target
    metrics = task.metrics
    if task.pin.commit != pin.commit:
        metrics = {}  # the recorded ones were measured with other code
    return replace(task, status=status, pin=pin, metrics=metrics)


def _with_status(
    record: Record,
    source: Status,
    target: Status,
    *,
    except_for: Container[str] = (),
) -> Record:
    """Return `record` with the status `target` for its tasks in `source`."""
    tasks = []
    for task in record.tasks:
        if task.status is source and task.id not in except_for:
            task = replace(task, status=target)
        tasks.append(task)
    return replace(record, tasks=tuple(tasks))


def _moved(record: Record, target: Status, request: ChangeRequest) -> Record:
    """Return `record` in the status `target`, with an entry in its history."""
    change = Change(
        at=request.at,
        source=request.source,
        target=target,
        by=request.by,
        why=request.why,
    )
    return noted(replace(record, status=target), change)


def _with_task(
    tasks: Iterable[TaskRecord], changed: TaskRecord
) -> tuple[TaskRecord, ...]:
    replaced = []
    for task in tasks:
        replaced.append(changed if task.id == changed.id else task)
    return tuple(replaced)


def _discarded_by_others(record: Record, task: TaskRecord) -> list[Discarded]:
    return [files for files in record.discarded if files.task != task.id]
