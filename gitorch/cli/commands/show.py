"""`gitorch show`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from gitorch.cli.arguments import JsonOption, RunArgument, site_here
from gitorch.cli.boundary import print_json, prints
from gitorch.cli.style import has_colors, say
from gitorch.model.text.phrases import counted, some

if TYPE_CHECKING:
    from gitorch.model.run.record import Record
    from gitorch.storage.site import Site

_NAMED = 3  # more paths than these are only counted


@prints
def command(run: RunArgument, as_json: JsonOption = False) -> None:
    """Show a run with its tasks, metrics, outputs and history."""
    from gitorch.actions.show import show
    from gitorch.cli.fit import room
    from gitorch.cli.fold import folded
    from gitorch.cli.pager import print_paged
    from gitorch.cli.render_run import render_run

    site = site_here()
    shown = show(site, run)
    if shown.unreadable:
        count = counted(len(shown.unreadable), "file")
        say(
            f"{count} of the run cannot be read, and left out: {some(shown.unreadable, _NAMED)}"
        )
    if as_json:
        print_json(shown.to_json())
    else:
        text = render_run(
            shown.record,
            shown.why,
            shown.origins,
            is_foreign=shown.is_foreign,
            snapshot=shown.snapshot,
            curves=_curves(site, shown.record),
            colors=has_colors(sys.stdout),
        )
        print_paged(site.repository, folded(text, room(sys.stdout)))


def _curves(site: Site, record: Record) -> dict[str, str]:
    """Return the sparkline of each metric with a curve, on a terminal that can show it."""
    from gitorch.cli.sparkline import can_show_sparklines, sparkline

    if not record.metrics or not can_show_sparklines():
        return {}
    from gitorch.actions.series import SeriesReader

    found = SeriesReader(site, record.id, os.environ).read(record)
    return {name: sparkline(series) for name, series in found.series.items()}
