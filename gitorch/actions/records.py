"""The current records of the runs that a user refers to: the queue is laid over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gitorch.errors import NotFound
from gitorch.model.run.record import Record, RecordBroken
from gitorch.storage import records as storage
from gitorch.storage.catalog import Catalog
from gitorch.storage.site import Site


def find_record(site: Site, reference: str) -> Record:
    """Return the record of the run that `reference` means. Raises NotFound, UsageError."""
    catalog = Catalog.of(site)
    return read_records(site, catalog, [catalog.find_one(reference)])[0]


def find_records(site: Site, references: Sequence[str]) -> list[Record]:
    """Return the records of the runs in the order in which they were named, each run once.

    Raises NotFound, and UsageError if a reference is ambiguous.
    """
    if not references:
        return []
    catalog = Catalog.of(site)
    return read_records(site, catalog, catalog.find(references))


def read_records(
    site: Site, catalog: Catalog, run_ids: Iterable[str]
) -> list[Record]:
    """Return the records of these runs, in this order.

    Raises NotFound if a run was removed after its id had been looked up, and RecordBroken.
    """
    wanted = list(run_ids)
    found = storage.read_records(site, wanted)
    records = []
    for run_id in wanted:
        record = found.get(run_id)
        if record is None:
            raise NotFound(
                f"the run {run_id} no longer exists",
                hint="gitorch list shows all runs",
            )
        if isinstance(record, RecordBroken):
            raise record
        records.append(catalog.current(record))
    return records
