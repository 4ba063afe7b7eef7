"""The comparison by value of what two runs have: metrics, outputs, results and logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gitorch.actions.logs import last_log
from gitorch.errors import NotFound
from gitorch.git.diff import changed_files
from gitorch.model.branch_layout import RunPaths, escaped
from gitorch.model.numbers import is_number
from gitorch.model.run.by_value import ByValue, Evidence
from gitorch.model.run.compare import ChangedFile, Comparison
from gitorch.model.run.metrics import MOST_NAMES
from gitorch.model.run.record import Record
from gitorch.model.run.tolerance import Tolerance
from gitorch.model.text.normal_log import normalised
from gitorch.storage.kept_logs import open_kept_log
from gitorch.storage.site import Site
from gitorch.storage.values import Pair, compare_outputs, compare_pairs, json_pair

_LONGEST_LOG = 8 << 20  # bytes; of a longer log, the beginning is compared

Records = tuple[Record, Record]


def gather_evidence(
    site: Site, records: Records, comparison: Comparison, tolerance: Tolerance
) -> Evidence:
    """Compare the values in which the two runs differ. Equal digests are not looked at again."""
    pairs: dict[tuple[str, str], Pair] = {}
    notes: dict[str, ByValue] = {}
    if comparison.metrics.changed:
        metrics = [record.metrics for record in records]
        pairs["metrics", ""] = json_pair(
            metrics[0], metrics[1], most=2 * MOST_NAMES
        )
    for task_id in _common_tasks(records):
        results = [_remainder(record.task(task_id).result) for record in records]
        if results[0] != results[1]:
            pairs["result", task_id] = json_pair(*results)
        try:
            logs = [normal_log(site, record, task_id) for record in records]
        except NotFound:
            notes[task_id] = ByValue(note="its log is not in this clone")
            continue
        if logs[0] != logs[1]:
            pairs["log", task_id] = Pair("log", logs[0], logs[1])
    answers = compare_pairs(list(pairs.values()), tolerance)
    found: dict[str, dict[str, ByValue]] = {
        "metrics": {},
        "result": {},
        "log": notes,
    }
    for (kind, task_id), answer in zip(pairs, answers, strict=True):
        found[kind][task_id] = answer
    changed = comparison.outputs.changed
    return Evidence(
        metrics=found["metrics"].get("", ByValue()),
        outputs=compare_outputs(site, records, changed, tolerance),
        results=found["result"],
        logs=found["log"],
        lines=_changed_lines(site, records) if changed else {},
    )


def _common_tasks(records: Records) -> list[str]:
    after = {task.id for task in records[1].tasks}
    return [task.id for task in records[0].tasks if task.id in after]


def _remainder(result: Any) -> Any:
    """Return a result without its numbers that are metrics, which are compared as metrics."""
    if not isinstance(result, Mapping):
        return result
    return {key: value for key, value in result.items() if not is_number(value)}


def normal_log(site: Site, record: Record, task_id: str) -> bytes:
    """Return the normalised log of the last attempt at a task. Raises NotFound."""
    logged = last_log(site, record, task_id)
    kept = None if logged is None else open_kept_log(site, *logged)
    if logged is None or kept is None:
        return b""
    with kept:
        text = kept.read(_LONGEST_LOG).decode("utf-8", "replace")
    directory = site.directory(logged.run_id)
    tokens = [attempt.token for attempt in record.task(task_id).attempts]
    places = [str(directory.tree), str(directory.output)]
    return normalised(text, [*places, *tokens, logged.run_id]).encode()


def _changed_lines(site: Site, records: Sequence[Record]) -> dict[str, ChangedFile]:
    """Return what git says about the outputs that differ, by path. Large files are left out."""
    trees = [
        f"{site.results.tip()}:{RunPaths.of(record.id).outputs}"
        for record in records
    ]
    changed = {file.path: file for file in changed_files(site.repository, *trees)}
    lines = {}
    for output in records[-1].outputs:
        name = escaped(output.path)
        if output.stored == "git" and name in changed:
            lines[output.path] = changed[name]
    return lines
