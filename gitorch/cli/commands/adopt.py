"""`gitorch adopt`."""

from __future__ import annotations

from gitorch.cli.arguments import (
    AllOption,
    JsonOption,
    NameOption,
    RunsArgument,
    StatusOption,
    WhereOption,
    WhyOption,
    selection_of,
    site_here,
)
from gitorch.cli.boundary import guarded
from gitorch.cli.change_command import show_changed


@guarded
def command(
    runs: RunsArgument = None,
    where: WhereOption = None,
    status: StatusOption = None,
    name: NameOption = None,
    everything: AllOption = False,
    why: WhyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take over runs of a clone that is gone, or from elsewhere.

    A run belongs to the clone that queued it, and other clones do not execute it. An adopted run
    is executed by this clone, as its record says. Look at it first: gitorch show ID.
    """
    from gitorch.actions.adopt import adopt

    site = site_here()
    selection = selection_of(runs, where, status, name, everything)
    changed = adopt(site, selection, why=why)
    show_changed(site, "adopt", selection, changed, "gitorch run", as_json=as_json)
