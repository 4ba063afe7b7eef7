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
        _require(_is_pin(pin), "a commit and a tree", path)
    for path, text in _times(record):
        _require(_is_time(text), "a time with its zone (RFC 3339)", path)
    for path in ("clone", "identity", "rerun_of"):
        text = getattr(record, path)
        _require(text is None or _is_text(text), "text", path)
    for path, text in _texts_of_labels(record):
        _require(_is_text(text), "text", path)
    for path, digest in _environment_digests(record):
        _require(_SHA256.match(digest) is not None, "a SHA-256", path)
    for number, output in enumerate(record.outputs):
        _require(_is_output(output), "an output", f"outputs[{number}]")


def require_sound_attempt(attempt: Attempt) -> None:
    """Raise ValidationError if the attempt, which has a file of its own, is not sound."""
    _require(_is_pin(attempt.pin), "a commit and a tree", "pin")
    for path, text in (("started", attempt.started), ("ended", attempt.ended)):
        _require(_is_time(text), "a time with its zone (RFC 3339)", path)
    digest = attempt.environment_sha256
    is_digest = digest is None or _SHA256.match(digest) is not None
    _require(is_digest, "a SHA-256", "environment_sha256")


def _require(is_met: bool, expected: str, path: str) -> None:
    if not is_met:
        raise ValidationError(f"Expected {expected} - at `$.{path}`")


def _require_tasks(record: Record) -> None:
    recorded = [task.id for task in record.tasks]
    specified = [task.id for task in record.spec.tasks]
    _require(recorded == specified, "the tasks of `$.spec.tasks`", "tasks")
    _require(len(set(recorded)) == len(recorded), "different ids", "tasks")
    earlier: set[str] = set()
    for number, task in enumerate(record.tasks):
        _require_task(task, f"tasks[{number}]")
        earlier.add(task.id)
    for number, spec in enumerate(record.spec.tasks):
        known = earlier.issuperset(spec.needs)
        _require(known, "the ids of tasks", f"spec.tasks[{number}].needs")


def _require_task(task: TaskRecord, path: str) -> None:
    _require(_is_task_id(task.id), "the id of a task", f"{path}.id")
    is_possible = task.status is not Status.FAILED
    _require(is_possible, "the status of a task", f"{path}.status")
    is_counted = len(task.attempts) <= task.attempt_count <= MOST_ATTEMPTS
    _require(is_counted, "the number of attempts", f"{path}.attempt_count")
    if task.cache is not None:
        _require(_is_text(task.cache.key), "text", f"{path}.cache.key")


def _texts_of_labels(record: Record) -> Iterator[tuple[str, str]]:
    """Yield the texts of labels that the index holds, with their paths."""
    for number, verdict in enumerate(record.verdicts):
        yield f"verdicts[{number}].verdict", verdict.verdict
    for number, invalidation in enumerate(record.invalidations):
        yield f"invalidations[{number}].why", invalidation.why


def _environment_digests(record: Record) -> Iterator[tuple[str, str]]:
    if record.environment_sha256 is not None:
        yield "environment_sha256", record.environment_sha256
    for number, task in enumerate(record.tasks):
        for attempt in task.attempts:
            if attempt.environment_sha256 is not None:
                path = f"tasks[{number}].attempts.environment_sha256"
                yield path, attempt.environment_sha256


def _pins(record: Record) -> Iterator[tuple[str, Pin]]:
    yield "pin", record.pin
    for number, task in enumerate(record.tasks):
        if task.pin != record.pin:
            yield f"tasks[{number}].pin", task.pin
        for index, attempt in enumerate(task.attempts):
            if attempt.pin != record.pin:
                yield f"tasks[{number}].attempts[{index}].pin", attempt.pin


def _times(record: Record) -> Iterator[tuple[str, str]]:
    yield "created", record.created
    if record.sorted_at is not None:
        yield "sorted_at", record.sorted_at
    if record.started is not None:
        yield "started", record.started
    if record.ended is not None:
        yield "ended", record.ended
    for number, change in enumerate(record.history):
        yield f"history[{number}].at", change.at
    for number, verdict in enumerate(record.verdicts):
        yield f"verdicts[{number}].at", verdict.at
    for number, invalidation in enumerate(record.invalidations):
        yield f"invalidations[{number}].at", invalidation.at
    for number, task in enumerate(record.tasks):
        for index, attempt in enumerate(task.attempts):
            path = f"tasks[{number}].attempts[{index}]"
            yield f"{path}.started", attempt.started
            yield f"{path}.ended", attempt.ended


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
