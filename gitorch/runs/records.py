"""Records as values, read from the results branch.

A broken record is an error only to the program that asked for that very run. A program that looks
at many runs leaves it out, and `gitorch doctor` reports it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

from gitorch.model.branch_layout import RunPaths
from gitorch.model.run.record import Record, RecordBroken
from gitorch.runs.site import Site


class HasRecords(Protocol):
    """The results branch, a view of it at one commit, or an edit of it."""

    def record(self, run_id: str) -> dict[str, Any] | None: ...


def read_record(branch: HasRecords, run_id: str) -> Record | None:
    """Return the run's record, or None if the run has none. Raises GitorchError if it is broken."""
    document = branch.record(run_id)
    return None if document is None else Record.from_json(document)


def read_records(
    site: Site, run_ids: Sequence[str], commit: str | None = None
) -> dict[str, Record | RecordBroken]:
    """Return by run the record, or the error if it is broken. Runs without a record are left out.

    `commit` is one of the results branch, by default the newest.
    """
    paths = [RunPaths.of(run_id).record for run_id in run_ids]
    records = {}
    for run_id, data in zip(run_ids, site.results.read_all(paths, commit), strict=True):
        if data is not None:
            records[run_id] = _parsed(run_id, data)
    return records


def read_sound_records(site: Site, run_ids: Sequence[str]) -> dict[str, Record]:
    """Return the records of these runs that exist and are not broken, by run."""
    sound = {}
    for run_id, record in read_records(site, run_ids).items():
        if isinstance(record, Record):
            sound[run_id] = record
    return sound


def _parsed(run_id: str, data: bytes) -> Record | RecordBroken:
    try:
        return Record.from_json(json.loads(data))
    except RecordBroken as error:
        return error
    except ValueError as error:
        return RecordBroken(run_id, str(error))
