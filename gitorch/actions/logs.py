"""`gitorch logs`: the raw output of a run's tasks, from live files or the results branch."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from typing import BinaryIO, NamedTuple

from msgspec import Struct

from gitorch.actions.records import find_record
from gitorch.errors import NotFound, Refused
from gitorch.model.run.record import Record
from gitorch.model.run.status import LIVE, Status
from gitorch.storage.kept_logs import open_kept_log
from gitorch.storage.live_log import LiveLog, live_masking
from gitorch.storage.records import read_record
from gitorch.storage.site import Site

_CHUNK = 1 << 16  # bytes
_PAUSE_S = 0.2


class LogPart(Struct, frozen=True):
    """A piece of one attempt's log. The first piece of each log has `begins` set and is empty."""

    task: str
    attempt: int
    data: bytes
    begins: bool = False
    # The run that the log belongs to, if the task's results were reused.
    source: str | None = None


class LoggedAttempt(NamedTuple):
    """An attempt that has a log. If results were reused, it is the attempt that computed them."""

    run_id: str
    task_id: str
    number: int


def logs(
    site: Site,
    reference: str,
    *,
    task: str | None = None,
    attempt: int | None = None,
    follow: bool = False,
    lines: int | None = None,
    environment: Mapping[str, str],
) -> Iterator[LogPart]:
    """Yield the logs of a run's tasks, without secrets.

    The default is the last attempt of each task. `task` and `attempt` select one of them.
    With `follow`, continue until the run stops. With `lines`, skip all but so many lines at the end
    of each log. `environment` is the caller's.
    Raises NotFound if there is no such run, task or attempt.
    """
    record = find_record(site, reference)
    require_task(record, task)
    if follow:
        yield from _follow(site, record.id, task, lines, environment)
        return
    has_log = False
    for task_id, last in last_attempts(site, record, task).items():
        chosen = last
        if attempt is not None:
            chosen = LoggedAttempt(record.id, task_id, attempt)
        for part in _read_log(site, record, task_id, chosen, lines, environment):
            has_log = True
            yield part
    if attempt is not None and not has_log:
        of_task = f" of {task}" if task else ""
        raise NotFound(f"{record.label} has no attempt {attempt}{of_task}")


def explain_no_log(site: Site, reference: str, task_id: str | None) -> str:
    """Return the message that says why a run, or one of its tasks, has no log."""
    record = find_record(site, reference)
    status = record.status
    subject = record.label
    if task_id is not None:
        subject = f"{task_id} of {record.label}"
        status = record.task(task_id).status
    reason = f"it is {status}"
    if record.status in LIVE:
        reason += "; gitorch status says why"
    return f"{subject} has not begun: {reason}"


def last_log(site: Site, record: Record, task_id: str) -> LoggedAttempt | None:
    """Return the attempt whose log is the log of a task that has ended.

    Return None if the task was never attempted, or if the run that its results came from no longer
    exists.
    """
    task = record.task(task_id)
    source = None
    if task.cache and task.status is Status.COMPLETE:
        source = task.cache.source
    if source is None:
        if task.attempt_count == 0:
            return None
        return LoggedAttempt(record.id, task_id, task.attempt_count)
    original = read_record(site.results, source.run)
    return None if original is None else last_log(site, original, source.task)


def require_task(record: Record, task_id: str | None) -> None:
    task_ids = [task.id for task in record.tasks]
    if task_id not in (None, *task_ids):
        raise NotFound(
            f"{record.label} has no task {task_id!r}",
            hint=f"its tasks are: {', '.join(task_ids)}",
        )


def last_attempts(
    site: Site, record: Record, only: str | None
) -> dict[str, LoggedAttempt]:
    """Return the last attempt of each task, or of the task `only`, if the task was attempted."""
    running = running_attempts(site, record.id)
    attempts = {}
    for task in record.tasks:
        if only not in (None, task.id):
            continue
        last = running.get(task.id) or last_log(site, record, task.id)
        if last is not None:
            attempts[task.id] = last
    return attempts


def running_attempts(site: Site, run_id: str) -> dict[str, LoggedAttempt]:
    queued = site.queue.run(run_id) if site.queue_path.exists() else None
    if queued is None:
        return {}
    running = {}
    for task in queued.tasks:
        if task.status is Status.RUNNING:
            running[task.id] = LoggedAttempt(run_id, task.id, task.attempts)
    return running


def _read_log(
    site: Site,
    record: Record,
    task_id: str,
    logged: LoggedAttempt,
    lines: int | None,
    environment: Mapping[str, str],
) -> Iterator[LogPart]:
    """Yield the committed log, or the live file if the attempt has not been committed.

    `record` and `task_id` are those that the user asked for.
    """
    source = None if logged.run_id == record.id else logged.run_id
    begin = LogPart(task_id, logged.number, b"", begins=True, source=source)
    kept = open_kept_log(site, *logged)
    if kept is not None:
        yield begin
        with kept:
            skip_to_tail(kept, lines)
            while data := kept.read(_CHUNK):
                yield LogPart(task_id, logged.number, data)
        return
    live = _open_live_log(site, record, logged, environment)
    if live is not None:
        yield begin
        with closing(live):
            skip_to_tail(live.file, lines)
            for data in live.new():
                yield LogPart(task_id, logged.number, data)
            yield LogPart(task_id, logged.number, live.rest())


def skip_to_tail(file: BinaryIO, lines: int | None) -> None:
    """Move to the start of the last lines of a file, unless `lines` is None."""
    if lines is None:
        return
    at = file.seek(0, os.SEEK_END)
    if lines == 0:
        return
    line_ends = 0
    at_end = at
    while at > 0:
        start = max(0, at - _CHUNK)
        file.seek(start)
        block = file.read(at - start)
        if at == at_end and block.endswith(b"\n"):
            line_ends = -1  # the last line end begins no other line
        newer = block.count(b"\n")
        if line_ends + newer >= lines:
            position = len(block)
            while line_ends < lines:
                position = block.rindex(b"\n", 0, position)
                line_ends += 1
            file.seek(start + position + 1)
            return
        line_ends += newer
        at = start
    file.seek(0)


def _follow(
    site: Site,
    run_id: str,
    only: str | None,
    lines: int | None,
    environment: Mapping[str, str],
) -> Iterator[LogPart]:
    """Yield every attempt from the current one on, while it is written, until the run stops.

    The files stay open, so that their last lines can be read after the directory of the finished
    run was removed.
    """
    seen: set[LoggedAttempt] = set()
    live_logs: dict[LoggedAttempt, LiveLog] = {}
    with ExitStack() as opened:
        while True:
            record = find_record(site, run_id)
            for task_id, logged in last_attempts(site, record, only).items():
                shown = LoggedAttempt(logged.run_id, task_id, logged.number)
                if shown in seen:
                    continue
                seen.add(shown)
                live = None
                if logged.run_id == run_id:
                    live = _open_live_log(site, record, logged, environment)
                if live is None:
                    yield from _read_log(
                        site, record, task_id, logged, lines, environment
                    )
                else:
                    live_logs[shown] = opened.enter_context(closing(live))
                    skip_to_tail(live.file, lines)
                    yield LogPart(task_id, logged.number, b"", begins=True)
            for shown, log in live_logs.items():
                for data in log.new():
                    yield LogPart(shown.task_id, shown.number, data)
            if _is_over(record, only):
                for shown, log in live_logs.items():
                    yield LogPart(shown.task_id, shown.number, log.rest())
                return
            time.sleep(_PAUSE_S)


def _open_live_log(
    site: Site,
    record: Record,
    logged: LoggedAttempt,
    environment: Mapping[str, str],
) -> LiveLog | None:
    masking = live_masking(site, record, environment)
    try:
        return LiveLog.open(site, *logged, masking)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(
            f"the log of {logged.task_id} cannot be read: {error}"
        ) from error


def _is_over(record: Record, only: str | None) -> bool:
    """Return True if nothing more will be written to the logs that are followed."""
    if record.status not in (Status.WAITING, Status.RUNNING):
        return True
    return only is not None and record.task(only).status in (
        Status.COMPLETE,
        Status.ERROR,
    )
