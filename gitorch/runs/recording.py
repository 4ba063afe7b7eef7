"""Results first, queue second: what every change of a record has in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gitorch.database.run_queue import NewRun, NewTask, QueuedRun
from gitorch.git import pins
from gitorch.git.store.results import BranchEdit
from gitorch.model.branch_layout import RunPaths
from gitorch.model.run.payload import Payload
from gitorch.model.run.record import Record
from gitorch.model.run.status import LIVE, Status
from gitorch.runs.site import Site


def read_record(change: BranchEdit, run: str) -> Record | None:
    """The record as it is on the branch now, under the lock."""
    found = change.record(run)
    return Record.from_json(found) if found else None


def trailers(records: Iterable[Record], status: str | None = None) -> list[tuple[str, str]]:
    """The trailers of a commit that changes these records; `status` in place of theirs."""
    return [
        trailer
        for record in records
        for trailer in (
            ("Gitorch-Run", record.id),
            ("Gitorch-Status", status or str(record.status)),
            ("Gitorch-Commit", record.pin.commit),
        )
    ]


def queue_records(
    site: Site, records: Sequence[Record], files: Sequence[Mapping[str, bytes]], subject: str
) -> None:
    """Commit new records with the files of their configs, then queue them; their pins are kept before anything names
    them.
    """
    for commit in {record.pin.commit for record in records}:
        pins.keep(site.repository, commit)
    with site.results.changing() as change:
        before = change.tip
        for record, kept in zip(records, files, strict=True):
            for path, data in kept.items():
                change.put(RunPaths.of(record.id).file(path), data)
            change.put_record(record.to_json())
        after = change.commit(subject, trailers(records))
    site.queue.add([new_run(record) for record in records], tip=(before, after))


def catch_up(site: Site) -> None:
    """Tell the queue of what was committed without its knowledge: by a crash in between, or while queue.db was gone."""
    if site.results.tip() in (None, site.queue.meta("tip")):
        return
    with site.results.changing() as change:  # nobody commits meanwhile, so nothing newer is undone
        tip, told = change.tip, site.queue.meta("tip")
        if tip is None:
            return
        clone = site.repository.clone_id()
        queued = {run.id: run for run in site.queue.runs()}
        for run in site.results.changed_runs(told, tip):
            found = change.record(run)
            record = Record.from_json(found) if found else None
            if record is None or record.clone == clone:
                _reconcile(site, run, record, queued.get(run))
        site.queue.set_tip(tip)


def new_run(record: Record) -> NewRun:
    """The queue entry of a live record, made from it alone; what was running is waiting again."""
    unfinished = [task for task in record.tasks if task.status is not Status.COMPLETE]
    return NewRun(
        id=record.id,
        payload=Payload.of(record).to_json(),
        held=record.hold is not None,
        tasks=tuple(
            NewTask(
                id=task.id,
                needs=task.spec.needs,
                status=Status.WAITING if task.status is Status.RUNNING else task.status,
                priority=task.spec.priority if record.priority is None else record.priority,
                resources=task.spec.resources,
                attempts=task.attempt_count,
                outcome=task.attempts[-1].outcome if task.status is Status.ERROR else None,
            )
            for task in unfinished
        ),
    )


def _reconcile(site: Site, run: str, record: Record | None, queued: QueuedRun | None) -> None:
    """What runs is left to its worker, which may just be about to tell, or to whoever buries it."""
    if record is None or record.status not in LIVE:
        if queued and not queued.is_running:
            site.queue.remove([run])
    else:
        site.queue.bring([new_run(record)])
