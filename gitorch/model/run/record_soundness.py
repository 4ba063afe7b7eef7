"""The properties that a record needs beyond the types of its fields.

Every record on the results branch can be changed or merged by anybody. A record with a wrong
property would fail later, in a command that is about other runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import ValidationError

from gitorch.model.numbers import MOST_ATTEMPTS
from gitorch.model.run.status import Status

if TYPE_CHECKING:
    from gitorch.model.run.pin import Pin
    from gitorch.model.run.record import Attempt, Output, Record, TaskRecord

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_TASK_ID = re.compile(r"[A-Za-z0-9._-]+\Z")
_MODES = frozenset({"100644", "100755", "120000"})
_STORED = frozenset({"git", "lfs"})
# Local times of these years exist in every time zone.
_YEARS = range(1900, 9000)


def require_sound(record: Record) -> None:
    """Raise ValidationError with the path of the part that is wrong, if there is one."""
    _require_tasks(record)
    for path, pin in _pins(record):
        if not _is_pin(pin):
            raise _wrong(path, "a commit and a tree")
    for path, text in _times(record):
        if not _is_time(text):
            raise _wrong(path, "a time with its zone (RFC 3339)")
    for path, text in _texts(record):
        if not _is_text(text):
            raise _wrong(path, "text")
    for path, digest in _environment_digests(record):
        if not _SHA256.match(digest):
            raise _wrong(path, "a SHA-256")
    for number, output in enumerate(record.outputs):
        if not _is_output(output):
            raise _wrong(("outputs", number), "an output")


def require_sound_attempt(attempt: Attempt) -> None:
    """Raise ValidationError if the attempt, which has a file of its own, is not sound."""
    if not _is_pin(attempt.pin):
        raise _wrong(("pin",), "a commit and a tree")
    for name, text in (("started", attempt.started), ("ended", attempt.ended)):
        if not _is_time(text):
            raise _wrong((name,), "a time with its zone (RFC 3339)")
    digest = attempt.environment_sha256
    if digest is not None and not _SHA256.match(digest):
        raise _wrong(("environment_sha256",), "a SHA-256")


# The way from a record to one of its parts: names and indices. It becomes a text only if the part
# is wrong, because an index is made from thousands of records.
_Path = tuple[str | int, ...]


def _wrong(path: _Path, expected: str) -> ValidationError:
    shown = "$"
    for part in path:
        shown += f"[{part}]" if isinstance(part, int) else f".{part}"
    return ValidationError(f"Expected {expected} - at `{shown}`")


def _require_tasks(record: Record) -> None:
    recorded = [task.id for task in record.tasks]
    if recorded != [task.id for task in record.spec.tasks]:
        raise _wrong(("tasks",), "the tasks of `$.spec.tasks`")
    if len(set(recorded)) != len(recorded):
        raise _wrong(("tasks",), "different ids")
    for number, task in enumerate(record.tasks):
        _require_task(task, number)
    earlier = set(recorded)
    for number, spec in enumerate(record.spec.tasks):
        if not earlier.issuperset(spec.needs):
            raise _wrong(("spec", "tasks", number, "needs"), "the ids of tasks")


def _require_task(task: TaskRecord, number: int) -> None:
    if not _is_task_id(task.id):
        raise _wrong(("tasks", number, "id"), "the id of a task")
    if task.status is Status.FAILED:
        raise _wrong(("tasks", number, "status"), "the status of a task")
    if not len(task.attempts) <= task.attempt_count <= MOST_ATTEMPTS:
        raise _wrong(("tasks", number, "attempt_count"), "the number of attempts")
    if task.cache is not None and not _is_text(task.cache.key):
        raise _wrong(("tasks", number, "cache", "key"), "text")


def _texts(record: Record) -> Iterator[tuple[_Path, str]]:
    """Yield the texts that the index holds, with their paths."""
    yield ("clone",), record.clone
    yield ("identity",), record.identity
    if record.rerun_of is not None:
        yield ("rerun_of",), record.rerun_of
    for number, verdict in enumerate(record.verdicts):
        yield ("verdicts", number, "verdict"), verdict.verdict
    for number, invalidation in enumerate(record.invalidations):
        yield ("invalidations", number, "why"), invalidation.why


def _environment_digests(record: Record) -> Iterator[tuple[_Path, str]]:
    if record.environment_sha256 is not None:
        yield ("environment_sha256",), record.environment_sha256
    for number, task in enumerate(record.tasks):
        for attempt in task.attempts:
            digest = attempt.environment_sha256
            if digest is not None and digest != record.environment_sha256:
                yield ("tasks", number, "attempts", "environment_sha256"), digest


def _pins(record: Record) -> Iterator[tuple[_Path, Pin]]:
    yield ("pin",), record.pin
    for number, task in enumerate(record.tasks):
        if task.pin != record.pin:
            yield ("tasks", number, "pin"), task.pin
        for index, attempt in enumerate(task.attempts):
            if attempt.pin != record.pin:
                yield ("tasks", number, "attempts", index, "pin"), attempt.pin


def _times(record: Record) -> Iterator[tuple[_Path, str]]:
    yield ("created",), record.created
    if record.sorted_at is not None:
        yield ("sorted_at",), record.sorted_at
    if record.started is not None:
        yield ("started",), record.started
    if record.ended is not None:
        yield ("ended",), record.ended
    for number, change in enumerate(record.history):
        yield ("history", number, "at"), change.at
    for number, verdict in enumerate(record.verdicts):
        yield ("verdicts", number, "at"), verdict.at
    for number, invalidation in enumerate(record.invalidations):
        yield ("invalidations", number, "at"), invalidation.at
    for number, task in enumerate(record.tasks):
        for index, attempt in enumerate(task.attempts):
            yield ("tasks", number, "attempts", index, "started"), attempt.started
            yield ("tasks", number, "attempts", index, "ended"), attempt.ended


def _is_pin(pin: Pin) -> bool:
    return bool(_COMMIT.match(pin.commit) and _COMMIT.match(pin.tree))


def _is_time(text: str) -> bool:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return False
    return moment.tzinfo is not None and moment.year in _YEARS


def _is_task_id(text: str) -> bool:
    return _TASK_ID.match(text) is not None and text not in (".", "..")


def _is_text(text: str) -> bool:
    """Return True if SQLite can store the text. It cannot store lone surrogates."""
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)


def _is_output(output: Output) -> bool:
    return (
        _SHA256.match(output.sha256) is not None
        and output.size >= 0
        and output.octal_mode in _MODES
        and output.stored in _STORED
        and output.path != ""
        and "\0" not in output.path
    )
