"""The runs that a rerun repeats, back to the first."""

from __future__ import annotations

from collections.abc import Iterator

from gitorch.model.table.row import Row
from gitorch.storage.catalog import Catalog


def first_run(catalog: Catalog, run_id: str) -> str:
    """Return the run that was repeated first to make this run, or the run itself."""
    *_, first = _chain(catalog, run_id)
    return first.id


def first_alike(catalog: Catalog, run_id: str) -> Row:
    """Return the first run of the chain of reruns that has the parameters of this run.

    A rerun with other parameters (`-S`) begins a chain of its own. A run that was removed ends it.
    """
    chain = _chain(catalog, run_id)
    first = next(chain)
    for row in chain:
        if row.params != first.params or row.label != first.label:
            break
        first = row
    return first


def _chain(catalog: Catalog, run_id: str) -> Iterator[Row]:
    """Yield the run, the run that it repeats, and so on. A damaged chain can lead to itself."""
    seen: set[str] = set()
    following: str | None = run_id
    while following is not None and following not in seen:
        seen.add(following)
        rows = catalog.rows([following])
        if not rows:
            return
        yield rows[0]
        following = rows[0].rerun_of
