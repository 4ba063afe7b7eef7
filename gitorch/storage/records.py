"""Records as values, read from the results branch.

A broken record is an error only for a command that names its run. A command that reads the records
of many runs leaves out the broken ones, and `gitorch doctor` explains them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from gitorch.git.store.branch_content import missing_record
from gitorch.model.run.record import Record, RecordBroken
from gitorch.model.run.record_file import parse_record, record_of
from gitorch.storage.site import Site


class HasRecords(Protocol):
    """The results branch, a view of it at one commit, or an edit of it."""

    def record(self, run_id: str) -> dict[str, Any] | None: ...


def read_record(branch: HasRecords, run_id: str) -> Record | None:
    """Return the run's record, or None if the run has none. Raises RecordBroken."""
    document = branch.record(run_id)
    return None if document is None else record_of(document, run_id)


def each_record(
    site: Site, run_ids: Sequence[str] | None = None, commit: str | None = None
) -> Iterator[tuple[str, Record | RecordBroken]]:
    """Yield the record of each run, by default of all runs, or the error if it cannot be read.

    Runs that are not on the branch are left out. `commit` is a commit of the results branch, by
    default the newest.
    """
    for run_id, data in site.results.record_files(run_ids, commit):
        yield run_id, _read(run_id, data)


def read_records(
    site: Site, run_ids: Sequence[str] | None = None, commit: str | None = None
) -> dict[str, Record | RecordBroken]:
    """Return what `each_record` yields, by run id."""
    return dict(each_record(site, run_ids, commit))


def read_sound_records(site: Site, run_ids: Sequence[str]) -> dict[str, Record]:
    """Return the records of these runs by run id, without the missing and the broken ones."""
    sound = {}
    for run_id, record in each_record(site, run_ids):
        if isinstance(record, Record):
            sound[run_id] = record
    return sound


def _read(run_id: str, data: bytes | None) -> Record | RecordBroken:
    if data is None:
        return missing_record(run_id)
    try:
        return record_of(parse_record(data, run_id), run_id)
    except RecordBroken as error:
        return error
