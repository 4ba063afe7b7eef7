"""`gitorch kill`: end the processes of runs, then remove their records and queue entries."""

from __future__ import annotations

from gitorch.actions.change_status import Changed, ChangedRun
from gitorch.actions.changeable import select_changeable
from gitorch.actions.selection import Selection
from gitorch.errors import Refused
from gitorch.storage.recording import catch_up
from gitorch.storage.site import Site
from gitorch.worker.killing import finish_killing

_TOO_LATE = "it had completed before it could be killed"


def kill(site: Site, selection: Selection, *, why: str | None = None) -> Changed:
    """Kill the selected runs.

    Raises NotFound, UsageError, and Refused if one of the runs that were named cannot be killed.
    """
    catch_up(site)
    chosen, refused = select_changeable(site, "kill", selection)
    if not chosen:
        return Changed(runs=(), refused=refused)
    run_ids = [row.id for row in chosen]
    site.queue.request_kill(run_ids)
    too_late = finish_killing(
        site, run_ids, by=site.repository.signature().name, why=why
    )
    if too_late and selection.is_named:
        names = ", ".join(f"{record.label} ({record.id})" for record in too_late)
        raise Refused(
            f"{names} had completed before it could be killed",
            "a COMPLETE run cannot be killed",
        )
    completed = {record.id for record in too_late}
    killed: list[ChangedRun] = []
    for row in chosen:
        if row.id in completed:
            refused += ((row.id, _TOO_LATE),)
        else:
            killed.append((row.id, row.status, None))
    return Changed(runs=tuple(killed), refused=refused)
