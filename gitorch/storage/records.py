"""Records as values, read from the results branch.

A broken record is an error only for a command that names its run. A command that reads the records
of many runs leaves out the broken ones, and `gitorch doctor` reports them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

from gitorch.model.branch_layout import RunPaths
from gitorch.model.run.record import Record, RecordBroken
from gitorch.storage.site import Site


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
    """Return the record of each run, or the error if the record is broken, by run id.

    Runs without a record are left out. `commit` is a commit of the results branch, by default the
    newest.
    """
    paths = [RunPaths.of(run_id).record for run_id in run_ids]
    records = {}
    for run_id, data in zip(
        run_ids, site.results.read_all(paths, commit), strict=True
    ):
        if data is not None:
            records[run_id] = _parsed(run_id, data)
    return records


def read_sound_records(site: Site, run_ids: Sequence[str]) -> dict[str, Record]:
    """Return the records of these runs by run id, without the missing and the broken ones."""
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
    except (ValueError, RecursionError) as error:
        return RecordBroken(run_id, str(error))
