"""What a task reports of its work: its result and its metrics. Both have limits.

The record contains them, and every listing of runs reads all records.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gitorch.model.numbers import finite
from gitorch.model.run import metrics
from gitorch.model.run.metrics import MOST_NAMES, Measured, Metrics
from gitorch.model.run.series import Series
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.event_series import large_series
from gitorch.storage.events import Events
from gitorch.storage.json_files import LARGEST_METRICS, JsonReader
from gitorch.storage.kept_series import kept_reduced

LARGEST_RESULT = 1 << 20  # bytes, as JSON


class Reports(Struct, frozen=True):
    """A task's result and metrics. `notes` says what of them is left out, and why.

    `series` are those that are kept in `series.jsonl`.
    """

    result: Any
    metrics: Metrics
    notes: tuple[str, ...]
    series: tuple[Series, ...] = ()


def read_reports(attempt: ClaimedAttempt, *, has_succeeded: bool) -> Reports:
    """Read the result, and the metrics in the order of precedence: the last of a name counts.

    The order is: events, `metrics.json`, the files that `metrics:` declares, the result.
    """
    reader = JsonReader()
    directory = attempt.directory
    events = Events(directory)
    sources = [metrics.of_events(events)]
    output = attempt.run.output
    content = reader.read(
        output / "metrics.json", output, "metrics.json", LARGEST_METRICS
    )
    sources.append(Measured(metrics.of_file(content)))
    kept = large_series(directory)
    if attempt.task.declared_metrics:
        from gitorch.storage.metric_files import read_declared_metrics  # noqa: PLC0415  2 ms, seldom

        declared = read_declared_metrics(
            attempt, reader, has_succeeded=has_succeeded
        )
        sources += declared.measured
        kept |= declared.series
    result = None
    if has_succeeded:
        result = reader.read(
            directory.result, directory.workspace, "its result", LARGEST_RESULT
        )
    sources.append(Measured(metrics.of_result(result, attempt.task.id)))
    measured = metrics.bounded(*sources)
    notes = [*events.notes, *reader.notes]
    if measured.left_out:
        notes.append(
            f"{measured.left_out} values of metrics are left out: "
            f"a task may have at most {MOST_NAMES} metrics, with names of normal length"
        )
    return Reports(
        finite(result),
        measured.metrics,
        tuple(notes),
        tuple(kept_reduced(kept).values()),
    )
