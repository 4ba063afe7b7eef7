"""Where the results of a task come from that may be reused: from which run, or why they were computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitorch.errors import GitorchError
from gitorch.model.run.cache import params_counted, what_differs
from gitorch.model.run.compare import differing, flattened
from gitorch.model.run.record import Record, TaskRecord
from gitorch.model.run.status import Status
from gitorch.model.text.phrases import some
from gitorch.runs.catalog import Catalog
from gitorch.runs.site import Site

_NAMED = 3  # so many of what differs


def explain_cached_tasks(site: Site, catalog: Catalog, record: Record) -> dict[str, str]:
    """In words, by task: of those that are complete and have `cache`."""
    return {
        task.id: _origin(site, catalog, record, task)
        for task in record.tasks
        if task.spec.cache and task.status is Status.COMPLETE
    }


def _origin(site: Site, catalog: Catalog, record: Record, task: TaskRecord) -> str:
    if task.cache is None:
        return "computed, and not reusable: its own results cannot be told apart, or not all could be kept"
    if task.cache.source:
        return f"from run {task.cache.source.run} ({task.cache.source.task})"
    if record.rerun_of:
        return "computed: a rerun reuses nothing"
    other = _before(site, catalog, record, task)
    if other is None:
        return "computed: first of its kind"
    differs = what_differs(record, other, task.id)
    if not differs:
        return f"computed, though run {other.id} has the same"
    if "code" in differs:
        differs["code"] = _changed_files(site, task, other.task(task.id))
    told = "; ".join(_in_words(kind, names) for kind, names in differs.items())
    return f"computed: {told} (compared with run {other.id})"


def _before(site: Site, catalog: Catalog, record: Record, task: TaskRecord) -> Record | None:
    """Of the runs of the same name that had such results before this one: the last with the most alike parameters."""
    runs = catalog.computed_like(record.name, task.id)
    earlier = runs[runs.index(record.id) + 1 :] if record.id in runs else runs
    likest = min(
        catalog.rows(earlier), key=lambda row: _unlike(record, task, row.params), default=None
    )
    found = next(iter(site.results.records_of([likest.id] if likest else [])), None)
    return Record.from_json(found) if found else None


def _unlike(record: Record, task: TaskRecord, params: Mapping[str, Any]) -> tuple[int, int]:
    """In how many parameters that count for the task another run's differ from its own; and in how many at all."""
    changed = differing([flattened(record.spec.params), flattened(params)]).changed
    counted = flattened(params_counted(record.spec, task.spec))
    return len(changed.keys() & counted.keys()), len(changed)


def _changed_files(site: Site, task: TaskRecord, other: TaskRecord) -> list[str]:
    """The files of the code that differ; none where that cannot be told: the other commit is not in this clone."""
    globs = task.spec.cache.code if task.spec.cache else None
    try:
        return list(site.code.differing(task.pin.tree, other.pin.tree, globs))
    except GitorchError:
        return []


def _in_words(kind: str, names: list[str]) -> str:
    match kind:
        case "params":
            return f"params: {some(names, _NAMED)}"
        case "before":
            return f"before: outputs of {some(names, _NAMED)} differ"
        case _ if not names:
            return f"{kind} differs"
        case _:
            return f"{kind}: {some(names, _NAMED)} differ{'s' if len(names) == 1 else ''}"
