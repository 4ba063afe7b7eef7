"""`gitorch logs`: the raw output of a run's tasks; from the attempt's own file while it lives, then from the branch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

from msgspec import Struct

from gitorch.actions.records import find_record
from gitorch.errors import NotFound
from gitorch.git.store import artifacts
from gitorch.model.branch_layout import RunPaths
from gitorch.model.run.record import Record
from gitorch.model.run.status import Status
from gitorch.runs.site import Site

_CHUNK = 1 << 16
_PAUSE_S = 0.2


class LogPart(Struct, frozen=True):
    """Some bytes of one attempt's log; the first part of each is told by `begins`.

    `source`: the log is of this run, whose results the task was given.
    """

    task: str
    attempt: int
    data: bytes
    begins: bool = False
    source: str | None = None


class Logged(NamedTuple):
    """The attempt whose log is a task's: its own last one, or that of another run which computed its results."""

    run: str
    task: str
    number: int


def logs(
    site: Site,
    reference: str,
    *,
    task: str | None = None,
    attempt: int | None = None,
    follow: bool = False,
) -> Iterator[LogPart]:
    """The last attempt of each task, or of the one named, or the attempt named; `follow` goes on until the run rests.

    Raises NotFound where there is no such run, task or attempt.
    """
    record = find_record(site, reference)
    if task is not None and all(known.id != task for known in record.tasks):
        known_tasks = ", ".join(known.id for known in record.tasks)
        raise NotFound(f"{record.label} has no task {task!r}", hint=f"its tasks are: {known_tasks}")
    if follow:
        yield from _followed(site, record.id, task)
        return
    chosen = {
        name: last if attempt is None else Logged(record.id, name, attempt)
        for name, last in _begun(site, record).items()
        if task in (None, name)
    }
    found = False
    for name, logged in chosen.items():
        for part in _attempt_log(site, record.id, name, logged):
            found = True
            yield part
    if attempt is not None and not found:
        raise NotFound(f"{record.label} has no attempt {attempt}" + (f" at {task}" if task else ""))


def last_log(site: Site, record: Record, task: str) -> Logged | None:
    """Where the log of a task is that has ended; None where it has none, or its origin is not there any more."""
    known = record.task(task)
    source = known.cache.source if known.cache and known.status is Status.COMPLETE else None
    if source is None:
        return Logged(record.id, task, known.attempt_count) if known.attempt_count else None
    found = site.results.record(source.run)
    return last_log(site, Record.from_json(found), source.task) if found else None


def _begun(site: Site, record: Record) -> dict[str, Logged]:
    """The last attempt of each task that had one."""
    queued = site.queue.run(record.id) if site.queue_path.exists() else None
    running = (
        {task.id: task.attempts for task in queued.tasks if task.status is Status.RUNNING}
        if queued
        else {}
    )
    begun = {
        task.id: Logged(record.id, task.id, running[task.id])
        if task.id in running
        else last_log(site, record, task.id)
        for task in record.tasks
    }
    return {task: logged for task, logged in begun.items() if logged}


def _attempt_log(site: Site, run: str, task: str, logged: Logged) -> Iterator[LogPart]:
    """The committed log if there is one, else the live file; `run` is the one that is asked for."""
    source = logged.run if logged.run != run else None
    number = logged.number
    committed = site.results.read(RunPaths.of(logged.run).attempt(logged.task, number).log)
    if committed is None:
        live = site.directory(logged.run).attempt(logged.task, number).log
        if live.exists():
            yield LogPart(task, number, b"", begins=True, source=source)
            with live.open("rb") as file:
                while data := file.read(_CHUNK):
                    yield LogPart(task, number, data)
        return
    yield LogPart(task, number, b"", begins=True, source=source)
    with artifacts.open_kept(site.repository, committed) as kept:
        while data := kept.read(_CHUNK):
            yield LogPart(task, number, data)


def _followed(site: Site, run: str, task: str | None) -> Iterator[LogPart]:
    """Every attempt from the present one on, as it is written, until nothing of the run goes on.

    The files are held open: their last lines can still be read when the finished run has been cleared away.
    """
    followed: dict[tuple[str, Logged], BinaryIO | None] = {}
    with ExitStack() as opened:
        while True:
            record = find_record(site, run)
            for name, logged in _begun(site, record).items():
                if task not in (None, name):
                    continue
                if (name, logged) not in followed:
                    live = (
                        _opened(site.directory(run).attempt(name, logged.number).log)
                        if logged.run == run
                        else None
                    )
                    followed[name, logged] = opened.enter_context(live) if live else None
                    if live:
                        yield LogPart(name, logged.number, b"", begins=True)
                    else:
                        yield from _attempt_log(site, run, name, logged)
            for (name, logged), file in followed.items():
                while file and (data := file.read(_CHUNK)):
                    yield LogPart(name, logged.number, data)
            rests = record.status not in (Status.WAITING, Status.RUNNING)
            if rests or (task and record.task(task).status in (Status.COMPLETE, Status.ERROR)):
                return
            time.sleep(_PAUSE_S)


def _opened(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None
