"""`gitorch retry`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from gitorch.cli import offers
from gitorch.cli.arguments import (
    AllOption,
    JobsOption,
    JsonOption,
    NameOption,
    RunsArgument,
    StatusOption,
    StrictOption,
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

FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="TASK",
        help="Repeat this task and all that need it.",
        autocompletion=offers.tasks,
    ),
]


@guarded
def command(
    runs: RunsArgument = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="REV",
            help="Run the unfinished tasks at this commit.",
            autocompletion=offers.revisions,
        ),
    ] = None,
    config: Annotated[
        bool,
        typer.Option(
            "--config", help="Run the unfinished tasks as the config says now."
        ),
    ] = False,
    start: FromOption = None,
    strict: StrictOption = False,
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
    """Continue failed runs at the task that failed.

    Differences from the environment of the earlier attempts are noted. See `gitorch rerun --help`.
    """
    from gitorch.actions.retry import retry

    require_run(jobs, now=now)
    site = site_here()
    named = selection_of(runs, where, status, name, everything)
    selection = confirm(site, "retry", named, yes=yes)
    changed = retry(
        site,
        selection,
        environment=os.environ,
        at=at,
        config=config,
        start=start,
        strict=strict,
        why=why,
    )
    if now:
        return go_on(site, "retry", selection, changed, jobs=jobs, as_json=as_json)
    show_changed(site, "retry", selection, changed, "gitorch run", as_json=as_json)
    return EXIT_OK
