"""The origin of a cached task's results: the run they were reused from, or why they are new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gitorch.errors import GitorchError
from gitorch.model.run.cache import params_counted, what_differs
from gitorch.model.run.compare import differing
from gitorch.model.run.record import Record, TaskRecord
from gitorch.model.run.status import Status
from gitorch.model.table.row import Row
from gitorch.model.text.phrases import some
from gitorch.model.values import flattened
from gitorch.storage.catalog import Catalog
from gitorch.storage.records import read_record
from gitorch.storage.site import Site

_NAMED = 3  # the most differing names in an explanation


def explain_cached_tasks(
    site: Site, catalog: Catalog, record: Record
) -> dict[str, str]:
    """Return the origin of the results of each complete task that has `cache`, by task id."""
    explanations = {}
    for task in record.tasks:
        if record.spec.task(task.id).cache and task.status is Status.COMPLETE:
            explanations[task.id] = _explain(site, catalog, record, task)
    return explanations


def _explain(site: Site, catalog: Catalog, record: Record, task: TaskRecord) -> str:
    if task.cache is None:
        return (
            "computed, and not reusable: its results are mixed with those of other tasks, "
            "or were not kept completely"
        )
    if task.cache.source:
        return f"from run {task.cache.source.run} ({task.cache.source.task})"
    if record.rerun_of:
        return "computed: a rerun reuses nothing"
    other = _most_similar_earlier_run(site, catalog, record, task)
    if other is None:
        return "computed: first of its kind"
    differences = what_differs(record, other, task.id)
    if not differences:
        return f"computed, though run {other.id} has the same"
    if "code" in differences:
        differences["code"] = _changed_files(
            site, record, task, other.task(task.id)
        )
    reasons = [_in_words(kind, names) for kind, names in differences.items()]
    return f"computed: {'; '.join(reasons)} (compared with run {other.id})"


def _most_similar_earlier_run(
    site: Site, catalog: Catalog, record: Record, task: TaskRecord
) -> Record | None:
    """Return the earlier run of the same name that has the fewest other parameters, or None.

    Only runs in which this task is complete and cached count. Of several equally similar runs the
    newest is returned.
    """
    run_ids = catalog.computed_like(record.name, task.id)
    if record.id in run_ids:
        run_ids = run_ids[run_ids.index(record.id) + 1 :]  # newest first

    def distance(row: Row) -> tuple[int, int]:
        return _parameter_distance(record, task, row.params)

    most_similar = min(catalog.rows(run_ids), key=distance, default=None)
    if most_similar is None:
        return None
    return read_record(site.results, most_similar.id)


def _parameter_distance(
    record: Record, task: TaskRecord, params: Mapping[str, Any]
) -> tuple[int, int]:
    """Return how many parameters that the cache key contains differ, and how many differ at all."""
    changed = differing([flattened(record.spec.params), flattened(params)]).changed
    in_key = flattened(params_counted(record.spec, record.spec.task(task.id)))
    changed_in_key = changed.keys() & in_key.keys()
    return len(changed_in_key), len(changed)


def _changed_files(
    site: Site, record: Record, task: TaskRecord, other: TaskRecord
) -> list[str]:
    """Return the changed code files, or an empty list if the other commit is not in this clone."""
    cache = record.spec.task(task.id).cache
    globs = cache.code if cache else None
    try:
        return list(site.code.differing(task.pin.tree, other.pin.tree, globs))
    except GitorchError:
        return []


def _in_words(kind: str, names: Sequence[str]) -> str:
    match kind:
        case "params":
            return f"params: {some(names, _NAMED)}"
        case "before":
            return f"before: outputs of {some(names, _NAMED)} differ"
        case _ if not names:
            return f"{kind} differs"
        case _:
            verb = "differs" if len(names) == 1 else "differ"
            return f"{kind}: {some(names, _NAMED)} {verb}"
