"""The current records of the runs that a user refers to: the queue is laid over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gitorch.errors import NotFound
from gitorch.model.run.record import Record
from gitorch.storage.catalog import Catalog
from gitorch.storage.site import Site


def find_record(site: Site, reference: str) -> Record:
    """Return the record of the run that `reference` means. Raises NotFound, UsageError."""
    return find_records(site, [reference])[0]


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

    Raises NotFound if a run was removed after its id had been looked up.
    """
    wanted = list(run_ids)
    documents = {
        document["id"]: document for document in site.results.records_of(wanted)
    }
    records = []
    for run_id in wanted:
        document = documents.get(run_id)
        if document is None:
            raise NotFound(
                f"the run {run_id} no longer exists",
                hint="gitorch list shows all runs",
            )
        records.append(catalog.current(Record.from_json(document)))
    return records
