"""Runs as they are now, and which of them is meant: what most verbs begin with."""

from __future__ import annotations

from collections.abc import Container, Sequence

from gitorch.model.overlay import laid_over
from gitorch.model.record import Record
from gitorch.model.select import Named, find
from gitorch.queue.queue import QueuedRun
from gitorch.worker.liveness import living
from gitorch.worker.site import Site


def all_records(site: Site) -> list[Record]:
    """Every run, newest first, as it is now."""
    queued = queued_runs(site)
    alive = living(site.state, site.queue.workers()) if queued else frozenset()
    found = [now(Record.from_json(value), queued, alive) for value in site.results.records()]
    return sorted(found, key=lambda record: (record.created, record.id), reverse=True)


def find_records(site: Site, references: Sequence[str]) -> list[Record]:
    """The runs that are meant, in the order they were named, each once. Raises NotFound, UsageError."""
    if not references:
        return []
    records = all_records(site)
    names = [Named(record.id, record.name, record.label, record.created) for record in records]
    by_id = {record.id: record for record in records}
    return [by_id[run] for run in dict.fromkeys(find(reference, names) for reference in references)]


def find_record(site: Site, reference: str) -> Record:
    return find_records(site, [reference])[0]


def queued_runs(site: Site) -> dict[str, QueuedRun]:
    """What is in the queue, by id; reading makes no queue where there is none."""
    return {run.id: run for run in site.queue.runs()} if site.queue_path.exists() else {}


def now(record: Record, queued: dict[str, QueuedRun], alive: Container[str | None]) -> Record:
    run = queued.get(record.id)
    if run is None:
        return record
    return laid_over(record, {task.id: task.status for task in run.tasks}, in_hand=run.worker in alive)
