"""`gitorch status`."""

from __future__ import annotations

import sys

from gitorch.cli.arguments import JsonOption, site_here
from gitorch.cli.boundary import print_json, prints
from gitorch.cli.style import has_colors, put


@prints
def command(as_json: JsonOption = False) -> None:
    """Show the progress of running runs, and why the others wait."""
    from gitorch.actions.status import status
    from gitorch.cli.render_status import render_status

    current = status(site_here())
    if as_json:
        print_json(current.to_json())
    else:
        put(render_status(current, colors=has_colors(sys.stdout)))
