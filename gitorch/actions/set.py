"""`gitorch set`: what may be changed of a run that is not over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gitorch.actions.lookup import find_records
from gitorch.actions.transition import Changed, require_own
from gitorch.errors import Refused
from gitorch.model.status import LIVE
from gitorch.worker.commit import read_record, trailers
from gitorch.worker.recover import catch_up
from gitorch.worker.site import Site


def set_priority(site: Site, references: Sequence[str], priority: int) -> Changed:
    """Begin these runs earlier or later: all of them or none. Raises NotFound, Refused."""
    catch_up(site)
    records = find_records(site, references)
    for record in records:
        require_own(site, "set", record)
        if record.status not in LIVE:
            raise Refused(
                f"{record.label} ({record.id}) is {record.status}: its priority has no meaning any more",
                hint=f"possible are: {', '.join(sorted(LIVE))}",
            )
    with site.results.changing() as branch:
        before = branch.tip
        for record in records:
            current = read_record(branch, record.id)
            if current is not None:
                branch.put_record(replace(current, priority=priority).to_json())
        names = records[0].id if len(records) == 1 else f"{len(records)} runs"
        after = branch.commit(f"{names}: priority {priority}", trailers(records))
    site.queue.set_priority([record.id for record in records], priority, tip=(before, after))
    return Changed(runs=tuple((record.id, record.status, record.status) for record in records))
