"""`gitorch kill`: end what runs of a run, then remove its record and its queue entry."""

from __future__ import annotations

from gitorch.actions.change_status import Changed, select_changeable
from gitorch.actions.selection import Selection
from gitorch.errors import Refused
from gitorch.runs.recording import catch_up
from gitorch.runs.site import Site
from gitorch.worker.killing import finish_killing


def kill(site: Site, selection: Selection, *, why: str | None = None) -> Changed:
    """Kill the runs selected. Raises NotFound, UsageError, and Refused for all runs named if one of them may not."""
    catch_up(site)
    chosen, refused = select_changeable(site, "kill", selection)
    if not chosen:
        return Changed(runs=(), refused=refused)
    site.queue.request_kill(record.id for record in chosen)
    too_late = finish_killing(
        site, [record.id for record in chosen], by=site.repository.signature().name, why=why
    )
    if too_late and selection.is_named:
        names = ", ".join(f"{record.label} ({record.id})" for record in too_late)
        raise Refused(
            f"{names} had completed before it could be killed", "a COMPLETE run cannot be killed"
        )
    late = {record.id for record in too_late}
    return Changed(
        runs=tuple((record.id, record.status, None) for record in chosen if record.id not in late),
        refused=(*refused, *((run, "it had completed before it could be killed") for run in late)),
    )
