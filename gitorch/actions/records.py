"""Which runs are meant, with their whole records as they are now: what most verbs begin with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gitorch.errors import NotFound
from gitorch.model.run.record import Record
from gitorch.runs.catalog import Catalog
from gitorch.runs.site import Site


def find_records(site: Site, references: Sequence[str]) -> list[Record]:
    """The runs that are meant, in the order they were named, each once. Raises NotFound, UsageError."""
    if not references:
        return []
    catalog = Catalog.of(site)
    return read_records(site, catalog, catalog.find(references))


def find_record(site: Site, reference: str) -> Record:
    return find_records(site, [reference])[0]


def read_records(site: Site, catalog: Catalog, ids: Iterable[str]) -> list[Record]:
    """The records of these runs, in this order. Raises NotFound where one is gone by now."""
    wanted = list(ids)
    found = {value["id"]: value for value in site.results.records_of(wanted)}
    if missing := [run for run in wanted if run not in found]:
        raise NotFound(
            f"the run {missing[0]} is not there any more", hint="gitorch list shows what there is"
        )
    return [catalog.laid(Record.from_json(found[run])) for run in wanted]
