"""`gitorch resubmit`."""

from __future__ import annotations

from gitorch.cli.arguments import (
    AllOption,
    JobsOption,
    JsonOption,
    NameOption,
    RunsArgument,
    StatusOption,
    WhereOption,
    WhyOption,
    YesOption,
    selection_of,
    site_here,
)
from gitorch.cli.boundary import EXIT_OK, guarded
from gitorch.cli.change_command import (
    RunNowOption,
    go_on,
    require_run,
    show_changed,
)
from gitorch.cli.confirmation import confirm


@guarded
def command(
    runs: RunsArgument = None,
    now: RunNowOption = False,
    jobs: JobsOption = None,
    where: WhereOption = None,
    status: StatusOption = None,
    name: NameOption = None,
    everything: AllOption = False,
    yes: YesOption = False,
    why: WhyOption = None,
    as_json: JsonOption = False,
) -> int:
    """Queue FAILED runs again."""
    from gitorch.actions.change_status import change_status

    require_run(jobs, now=now)
    site = site_here()
    selection = selection_of(runs, where, status, name, everything)
    selection = confirm(site, "resubmit", selection, yes=yes)
    changed = change_status(site, "resubmit", selection, why=why)
    if now:
        return go_on(
            site, "resubmit", selection, changed, jobs=jobs, as_json=as_json
        )
    show_changed(
        site, "resubmit", selection, changed, "gitorch run", as_json=as_json
    )
    return EXIT_OK
