"""`gitorch retry`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from gitorch.cli import offers
from gitorch.cli.arguments import (
    AllOption,
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
from gitorch.cli.boundary import guarded
from gitorch.cli.change_command import show_changed
from gitorch.cli.confirmation import confirm


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
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TASK",
            help="Repeat this task and all that need it.",
            autocompletion=offers.tasks,
        ),
    ] = None,
    where: WhereOption = None,
    status: StatusOption = None,
    name: NameOption = None,
    everything: AllOption = False,
    yes: YesOption = False,
    why: WhyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Continue failed runs at the task that failed."""
    from gitorch.actions.retry import retry

    site = site_here()
    selection = selection_of(runs, where, status, name, everything)
    selection = confirm(site, "retry", selection, yes=yes)
    changed = retry(
        site,
        selection,
        environment=os.environ,
        at=at,
        config=config,
        start=start,
        why=why,
    )
    show_changed(site, "retry", selection, changed, "gitorch run", as_json=as_json)
