"""`gitorch collect`."""

from __future__ import annotations

from typing import Annotated

import typer

from gitorch.cli.arguments import JsonOption, site_here
from gitorch.cli.boundary import guarded, print_json
from gitorch.cli.style import put, say


@guarded
def command(
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="TIME",
            help="Give up runs that have been in ERROR for longer. [gitorch.errorRetention]",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what would be done; change nothing."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove files that nothing needs, and pack the results.

    Runs that have been in ERROR for a long time are given up first: their status becomes FAILED.
    """
    from gitorch.actions.collect import collect
    from gitorch.cli.upkeep import render_cleanup

    cleanup = collect(site_here(), older_than=older_than, dry_run=dry_run)
    if as_json:
        print_json(cleanup.to_json())
        return
    text = render_cleanup(cleanup)
    if text:
        put(text)
    else:
        say("nothing to collect")
