"""`gitorch status`."""

from __future__ import annotations

import sys

from gitorch.cli.arguments import JsonOption, site_here
from gitorch.cli.boundary import print_json, prints
from gitorch.cli.style import has_colors


@prints
def command(as_json: JsonOption = False) -> None:
    """Show the progress of running runs, and why the others wait."""
    from gitorch.actions.status import status
    from gitorch.cli.fit import room
    from gitorch.cli.pager import print_paged
    from gitorch.cli.render_status import render_status

    site = site_here()
    current = status(site)
    if as_json:
        print_json(current.to_json())
    else:
        text = render_status(
            current, width=room(sys.stdout), colors=has_colors(sys.stdout)
        )
        print_paged(site.repository, text, is_table=True)
