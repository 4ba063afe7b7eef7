"""The differences inside the outputs and logs of two runs: by value, or line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gitorch.actions.evidence import normal_log
from gitorch.actions.logs import LoggedAttempt, last_log
from gitorch.git.diff import diff_blobs, diff_texts
from gitorch.model.branch_layout import RunPaths
from gitorch.model.run.by_value import ByValue
from gitorch.model.run.record import Record
from gitorch.model.run.tolerance import Tolerance
from gitorch.storage.site import Site
from gitorch.storage.values import compare_outputs

_EXACT = Tolerance(relative=0.0, absolute=0.0)


class LogDifference(NamedTuple):
    """The difference between the logs of a task, without times, paths and ids.

    `is_same` is True if the logs do not even differ in these.
    """

    task: str
    is_same: bool
    diff: bytes


class OutputContents(NamedTuple):
    """The difference between two versions of an output: `found` by value, or git's `diff`."""

    path: str
    found: ByValue | None
    diff: bytes


def log_diffs(
    site: Site, records: Sequence[Record], *, color: bool
) -> Iterator[LogDifference]:
    """Yield, by task, the difference between its last log in the first run and in the last run.

    A task without a log in one of the two runs is left out.
    """
    tip = site.results.tip()
    first, last = records[0], records[-1]
    for task in first.tasks:
        old = _log_object(tip, _last_log_if_any(site, first, task.id))
        new = _log_object(tip, _last_log_if_any(site, last, task.id))
        if old is None or new is None:
            continue
        if not diff_blobs(site.repository, old, new):
            yield LogDifference(task.id, is_same=True, diff=b"")
            continue
        logs = [normal_log(site, record, task.id) for record in (first, last)]
        diff = diff_texts("log.txt", logs[0], logs[1], color=color)
        yield LogDifference(task.id, is_same=False, diff=diff)


def output_diffs(
    site: Site, records: Sequence[Record], paths: Sequence[str], *, color: bool
) -> Iterator[OutputContents]:
    """Yield the differences between these outputs of the first run and of the last run.

    JSON, CSV, YAML and NumPy files are compared by value, others line by line. A large file has
    neither, and neither has an output that one of the two runs does not have.
    """
    first, last = records[0], records[-1]
    stored = []
    for record in (first, last):
        stored.append({output.path: output.stored for output in record.outputs})
    common = [path for path in paths if path in stored[0] and path in stored[1]]
    found = compare_outputs(site, (first, last), common, _EXACT)
    tip = site.results.tip()
    for path in common:
        diff = b""
        is_in_git = all(outputs[path] == "git" for outputs in stored)
        if path not in found and is_in_git:
            names = []
            for record in (first, last):
                names.append(f"{tip}:{RunPaths.of(record.id).output(path)}")
            diff = diff_blobs(site.repository, names[0], names[1], color=color)
        yield OutputContents(path, found.get(path), diff)


def _last_log_if_any(
    site: Site, record: Record, task_id: str
) -> LoggedAttempt | None:
    """Return the last logged attempt of the task, or None if the run has no such task or log."""
    if all(task.id != task_id for task in record.tasks):
        return None
    return last_log(site, record, task_id)


def _log_object(tip: str | None, logged: LoggedAttempt | None) -> str | None:
    """Return the name by which git finds the log in the commit `tip` of the results branch."""
    if logged is None:
        return None
    return f"{tip}:{RunPaths.of(logged.run_id).attempt(logged.task_id, logged.number).log}"
