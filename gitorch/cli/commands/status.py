"""`gitorch status`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gitorch.cli.arguments import JsonOption, site_here
from gitorch.cli.boundary import print_json, prints
from gitorch.cli.style import has_colors
from gitorch.errors import UsageError

WatchOption = Annotated[
    bool,
    typer.Option("--watch", help="Show the state as it changes, until Ctrl-C."),
]


@prints
def command(watch: WatchOption = False, as_json: JsonOption = False) -> None:
    """Show the progress of running runs, and why the others wait."""
    from gitorch.actions.status import status
    from gitorch.cli.fit import room
    from gitorch.cli.pager import print_paged
    from gitorch.cli.render_status import render_status

    site = site_here()
    if watch:
        if as_json:
            raise UsageError(
                "--json prints one document: --watch shows many states",
                hint="gitorch status --json",
            )
        from gitorch.cli.watching import watch as show_changes

        show_changes(site)
        return
    current = status(site)
    if as_json:
        print_json(current.to_json())
    else:
        text = render_status(
            current, width=room(sys.stdout), colors=has_colors(sys.stdout)
        )
        print_paged(site.repository, text, is_table=True)
