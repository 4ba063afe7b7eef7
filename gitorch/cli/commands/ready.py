"""`gitorch ready`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from gitorch.cli import offers
from gitorch.cli.arguments import (
    AgainOption,
    JsonOption,
    OverridesOption,
    PathsArgument,
    site_here,
)
from gitorch.cli.boundary import EXIT_FAILED, EXIT_OK, guarded, print_json
from gitorch.cli.style import say
from gitorch.model.numbers import LARGEST_PRIORITY

AtOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="REV",
        help="Pin this revision instead of HEAD.",
        autocompletion=offers.revisions,
    ),
]
SnapshotOption = Annotated[
    bool,
    typer.Option("--snapshot", help="Pin the files as they are, committed or not."),
]
HoldOption = Annotated[bool, typer.Option("--hold", help="Queue the runs on hold.")]
PriorityOption = Annotated[
    int | None,
    typer.Option(
        "--priority",
        min=-LARGEST_PRIORITY,
        max=LARGEST_PRIORITY,
        metavar="N",
        help="Replace the priorities of the tasks; a higher one starts earlier.",
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option("--dry-run", help="Show what would be queued; change nothing."),
]


@guarded
def command(
    paths: PathsArgument = None,
    overrides: OverridesOption = None,
    at: AtOption = None,
    snapshot: SnapshotOption = False,
    again: AgainOption = False,
    hold: HoldOption = False,
    priority: PriorityOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> int:
    """Validate configs, pin the code and queue the runs."""
    from gitorch.actions.ready import ready
    from gitorch.cli.readiness import show_ready
    from gitorch.model.problem import has_errors

    readied = ready(
        site_here(),
        paths or [],
        environment=os.environ,
        at=at,
        snapshot=snapshot,
        again=again,
        hold=hold,
        priority=priority,
        dry_run=dry_run,
        notify=say,
        overrides=overrides or [],
    )
    if as_json:
        print_json(readied.to_json())
    else:
        show_ready(readied, dry_run=dry_run)
        if readied.queued and not dry_run:
            _say_next(len(readied.queued), hold=hold)
    return EXIT_FAILED if has_errors(readied.problems) else EXIT_OK


def _say_next(count: int, *, hold: bool) -> None:
    if hold:
        say("next: gitorch release --all")
        return
    jobs = " -j 2" if count > 1 else ""
    say(f"next: gitorch run{jobs}")
