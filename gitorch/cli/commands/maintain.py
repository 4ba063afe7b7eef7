"""What keeps the place in order: collect, doctor."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from gitorch.cli.arguments import Json, site_here
from gitorch.cli.boundary import EXIT_FAILED, EXIT_OK, guarded, print_json
from gitorch.cli.style import say


@guarded
def collect(
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than", metavar="TIME", help="In ERROR for so long. [gitorch.errorRetention]"
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")
    ] = False,
    json_: Json = False,
) -> None:
    """Give up what failed long ago, remove what nothing needs, pack the results."""
    from gitorch.actions.collect import collect as act  # noqa: PLC0415
    from gitorch.cli.upkeep import render_collected  # noqa: PLC0415

    done = act(site_here(), older_than=older_than, dry_run=dry_run)
    if json_:
        print_json(done.to_json())
    elif text := render_collected(done):
        print(text)
    else:
        say("nothing to collect")


@guarded
def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended.")] = False,
    json_: Json = False,
) -> int:
    """Check queue, records, worktrees, pins, locks and large files; exit with 1 if anything is left to mend."""
    from gitorch.actions.doctor import doctor as act  # noqa: PLC0415
    from gitorch.cli.upkeep import render_finding  # noqa: PLC0415

    health = act(site_here(), environment=os.environ, fix=fix)
    if json_:
        print_json(health.to_json())
    else:
        for finding in health.findings:
            print(render_finding(finding))
        if not health.findings:
            say("all is well")
    return EXIT_OK if health.is_well else EXIT_FAILED
