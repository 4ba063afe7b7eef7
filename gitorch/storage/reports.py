"""What a task reports of its work: its result and its metrics. Both have limits.

The record contains them, and every listing of runs reads all records.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from msgspec import Struct

from gitorch.model.numbers import finite
from gitorch.model.run import metrics
from gitorch.model.run.metrics import MOST_NAMES, Measured, Metrics
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.events import Events
from gitorch.tools.untrusted import read_plain, reason

LARGEST_RESULT = 1 << 20  # bytes, as JSON
LARGEST_METRICS_FILE = 4 << 20  # bytes
DEEPEST = 100  # levels of mappings and lists


class Reports(Struct, frozen=True):
    """A task's result and metrics. `notes` says what of them is left out, and why."""

    result: Any
    metrics: Metrics
    notes: tuple[str, ...]


def read_reports(attempt: ClaimedAttempt, *, has_succeeded: bool) -> Reports:
    """Read the result, and the metrics in events, in files of the outputs and in the result."""
    reader = _ReportReader()
    directory = attempt.directory
    events = Events(directory)
    sources = [metrics.of_events(events)]
    for name in ("metrics.json", *attempt.task.metrics):
        path = attempt.run.output / name
        content = reader.read(path, attempt.run.output, name, LARGEST_METRICS_FILE)
        sources.append(Measured(metrics.of_file(content)))
    result = None
    if has_succeeded:
        result = reader.read(
            directory.result, directory.workspace, "its result", LARGEST_RESULT
        )
    sources.append(Measured(metrics.of_result(result)))
    measured = metrics.bounded(*sources)
    notes = [*events.notes, *reader.notes]
    if measured.left_out:
        notes.append(
            f"{measured.left_out} values of metrics are left out: "
            f"a task may have at most {MOST_NAMES} metrics, with names of normal length"
        )
    return Reports(finite(result), measured.metrics, tuple(notes))


class _ReportReader:
    """Reads JSON files, and notes what is wrong with them."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def read(self, path: Path, below: Path, name: str, limit: int) -> Any:
        """Return the JSON at `path`. Return None if the file is missing or cannot be used."""
        try:
            value = json.loads(read_plain(path, limit, below=below))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.notes.append(f"{name} is not read: {reason(error)}")
            return None
        except ValueError as error:
            self.notes.append(f"{name} is not read: it is not JSON ({error})")
            return None
        except RecursionError:
            value = None
            is_deep = True
        else:
            is_deep = _is_deep(value)
        if is_deep:
            self.notes.append(
                f"{name} is not read: it is nested more than {DEEPEST} levels deep"
            )
            return None
        return value


def _is_deep(value: Any) -> bool:
    """Return True if mappings and lists are nested more than DEEPEST levels deep."""
    level = [value]
    for _ in range(DEEPEST + 1):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return False
        level = below
    return True
