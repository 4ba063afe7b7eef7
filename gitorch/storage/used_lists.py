"""The lists of used files that the results branch has for the tasks of runs.

Many runs have the same list, which git stores once, so each is read once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from gitorch.git.store.objects import oids_of_blobs, read_bounded
from gitorch.model.branch_layout import RunPaths
from gitorch.model.run.record import Record, TaskRecord
from gitorch.model.run.used import Used
from gitorch.storage.records import read_sound_records
from gitorch.storage.site import Site

_LARGEST = 32 << 20  # bytes

# None: it is not known what the task used.
UsedByTask = Mapping[tuple[str, str], Used | None]


def read_used_lists(site: Site, records: Sequence[Record]) -> UsedByTask:
    """Return what each task of these runs used, by run and task.

    The list is that of the last attempt. A task whose results are from another run has the list of
    that run's task. Tasks with equal lists have the same object.
    """
    origins = _origins(site, records)
    names: dict[tuple[str, str], str] = {}
    tip = site.results.tip()
    for record in records:
        for task in record.tasks:
            place = _place(record.id, task, origins)
            if place is not None:
                names[record.id, task.id] = f"{tip}:{place}"
    oids = oids_of_blobs(site.repository.root, list(names.values()))
    of_task = dict(zip(names, oids, strict=True))
    distinct = [oid for oid in dict.fromkeys(oids) if oid is not None]
    lists: dict[str | None, Used | None] = {}
    contents = read_bounded(site.repository.root, distinct, _LARGEST + 1)
    for oid, data in zip(distinct, contents, strict=True):
        lists[oid] = _parsed(data or b"")
    used: dict[tuple[str, str], Used | None] = {}
    for record in records:
        for task in record.tasks:
            key = record.id, task.id
            used[key] = lists.get(of_task.get(key))
    return used


def _origins(site: Site, records: Sequence[Record]) -> Mapping[str, Record]:
    """Return the runs from which tasks have their results, by id."""
    run_ids: dict[str, None] = {}
    for record in records:
        for task in record.tasks:
            if task.cache is not None and task.cache.source is not None:
                run_ids[task.cache.source.run] = None
    return read_sound_records(site, list(run_ids)) if run_ids else {}


def _place(
    run_id: str, task: TaskRecord, origins: Mapping[str, Record]
) -> str | None:
    """Return the path of a task's list on the branch, None if it has no attempt."""
    if task.cache is not None and task.cache.source is not None:
        source = task.cache.source
        origin = origins.get(source.run)
        others = origin.tasks if origin else ()
        for other in others:
            if other.id == source.task:
                run_id, task = source.run, other
    if not task.attempts:
        return None
    return RunPaths.of(run_id).attempt(task.id, task.attempts[-1].number).used


def _parsed(data: bytes) -> Used | None:
    """Return the list with this JSON, None if it is none that this version can read."""
    if len(data) > _LARGEST:
        return None
    try:
        return Used.from_json(json.loads(data))
    except (ValueError, RecursionError):
        return None
