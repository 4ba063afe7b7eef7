"""`gitorch stale`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from gitorch.cli import offers
from gitorch.cli.arguments import (
    JsonOption,
    NameOption,
    StatusOption,
    WhereOption,
    selection_of,
    site_here,
)
from gitorch.cli.boundary import print_json, prints
from gitorch.cli.style import in_line, put, say, table
from gitorch.model.text.phrases import counted, some

if TYPE_CHECKING:
    from gitorch.actions.stale import Stale

EPILOG = (
    "A run is stale if a file that one of its tasks has loaded or opened for reading differs in "
    "the commit REV, whatever is uncommitted. Without --status, COMPLETE runs are examined."
)
_COMMIT = 10
_MOST_NAMED = 3  # files of one run; --json has all


@prints
def command(
    revision: Annotated[
        str,
        typer.Argument(
            metavar="[REV]",
            help="The revision to compare with.",
            autocompletion=offers.revisions,
        ),
    ] = "HEAD",
    where: WhereOption = None,
    status: StatusOption = None,
    name: NameOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the runs that used files which have changed since."""
    from gitorch.actions.stale import find_stale

    selection = selection_of(None, where, status, name)
    stale = find_stale(site_here(), selection, revision)
    if as_json:
        print_json(stale.to_json())
        return
    if stale.runs:
        put("\n".join(_tables(stale)))
    say(_summary(stale))


def _tables(stale: Stale) -> Sequence[str]:
    files = []
    for path, count in stale.files.items():
        files.append([in_line(path), f"used by {counted(count, 'run')}"])
    rows = []
    for run in stale.runs:
        files_of_run = in_line(some(run.files, _MOST_NAMED))
        rows.append(
            [run.id, in_line(run.label), run.commit[:_COMMIT], files_of_run]
        )
    return (
        *table(files, header=["changed", ""], colors=False),
        "",
        *table(rows, header=["id", "run", "commit", "used"], colors=False),
    )


def _summary(stale: Stale) -> str:
    """Return how many runs are stale, and of how many it is not known."""
    examined = counted(stale.examined, "run")
    parts = [
        f"{len(stale.runs)} of {examined} used files that differ in "
        f"{stale.revision.commit[:_COMMIT]}"
    ]
    if stale.unknown:
        parts.append(
            f"of {len(stale.unknown)} it is not known if they used what differs"
        )
    if stale.lost:
        parts.append(f"the commits of {len(stale.lost)} are not in this clone")
    return "; ".join(parts)
