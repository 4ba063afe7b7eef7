"""What the operator's verbs do to a record; each is allowed from the statuses that the table of `status.py` has."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping

from msgspec import Struct
from msgspec.structs import replace

from gitorch.model.run.pin import Pin
from gitorch.model.run.record import Change, Data, Hold, Record, TaskRecord, noted
from gitorch.model.run.status import Status
from gitorch.model.table.row import Row


class Wish(Struct, frozen=True, kw_only=True):
    """Who wants a change, when (RFC 3339), and why.

    `source` is the run's status as it is now, `running` the tasks that run: a record does not tell of claims.
    """

    source: Status
    by: str
    at: str
    why: str | None = None
    running: Container[str] = ()


def held(record: Record, wish: Wish) -> Record:
    """What waits is held; what runs goes on to its end."""
    changed = _with(record, Status.WAITING, Status.HOLD, but=wish.running)
    hold = Hold(by=wish.by, at=wish.at, why=wish.why)
    return _moved(replace(changed, hold=hold), Status.HOLD, wish)


def released(record: Record, wish: Wish) -> Record:
    return _moved(
        replace(_with(record, Status.HOLD, Status.WAITING), hold=None), Status.WAITING, wish
    )


class OtherCode(Struct, frozen=True, kw_only=True):
    """The commit at which a run goes on, and the identity and the data that the run has by it."""

    pin: Pin
    identity: str
    data: tuple[Data, ...]


def retried(
    record: Record, wish: Wish, *, code: OtherCode | None = None, start: str | None = None
) -> Record:
    """Tasks in ERROR wait again, finished ones keep their results; of a held run they are held.

    What is not finished runs at `code`, if given. `start` names a task that is done once more, with all that need it:
    their results are no longer the run's, those of earlier attempts are kept beside the record as ever.
    """
    target = Status.HOLD if record.hold else Status.WAITING
    pin = code.pin if code else record.pin
    anew = record.spec.with_dependents(start) if start else frozenset()

    def changed(task: TaskRecord) -> TaskRecord:
        if task.id in anew:
            return replace(task, status=target, pin=pin, result=None, metrics={})
        if task.status is Status.COMPLETE:
            return task
        metrics = (
            task.metrics if task.pin.commit == pin.commit else {}
        )  # measured by code that is no longer its own
        status = target if task.status is Status.ERROR else task.status
        return replace(task, status=status, pin=pin, metrics=metrics)

    reasons = (
        wish.why,
        f"at {pin.commit[:12]} instead of {record.pin.commit[:12]}" if code else None,
        f"from {start}" if start else None,
    )
    moved = replace(
        record,
        pin=pin,
        identity=code.identity if code else record.identity,
        data=code.data if code else record.data,
        tasks=tuple(map(changed, record.tasks)),
        ended=None,
    )
    return _moved(moved, target, replace(wish, why="; ".join(filter(None, reasons)) or None))


def failed(record: Record, wish: Wish) -> Record:
    """Given up: it leaves the queue, its record stays."""
    return _moved(record, Status.FAILED, wish)


def resubmitted(record: Record, wish: Wish) -> Record:
    """A given-up run waits again, from its record alone."""
    waiting = tuple(
        task if task.status is Status.COMPLETE else replace(task, status=Status.WAITING)
        for task in record.tasks
    )
    return _moved(replace(record, tasks=waiting, ended=None, hold=None), Status.WAITING, wish)


CHANGES: Mapping[str, Callable[[Record, Wish], Record]] = {
    "hold": held,
    "release": released,
    "retry": retried,
    "fail": failed,
    "resubmit": resubmitted,
}


def has_something_to_hold(record: Record | Row, running: Container[str]) -> bool:
    return any(task.status is Status.WAITING and task.id not in running for task in record.tasks)


def _with(record: Record, source: Status, target: Status, but: Container[str] = ()) -> Record:
    """`record` with its tasks in `source` in `target`."""

    def changed(task: TaskRecord) -> TaskRecord:
        return (
            replace(task, status=target) if task.status is source and task.id not in but else task
        )

    return replace(record, tasks=tuple(changed(task) for task in record.tasks))


def _moved(record: Record, target: Status, wish: Wish) -> Record:
    change = Change(at=wish.at, source=wish.source, target=target, by=wish.by, why=wish.why)
    return noted(replace(record, status=target), change)
