"""`gitorch list`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gitorch.cli import offers
from gitorch.cli.arguments import JsonOption, say_none_selected, site_here
from gitorch.cli.boundary import print_json, prints
from gitorch.cli.style import has_colors, printable
from gitorch.errors import UsageError

if TYPE_CHECKING:
    from gitorch.actions.listing import Listing

EPILOG = (
    "EXPR consists of names, values and operators. The names are id, name, label, status, commit, "
    "created, started, ended, duration_s, rerun_of, params.NAME and metrics.NAME. The values are "
    "numbers, 'text', true, false and null (rerun_of == null: no reruns). The operators are and, "
    "or, not, ( ), == != < <= > >=, in [1, 2] and like 'glob*'."
)

FilterOption = Annotated[
    str | None,
    typer.Option(
        "--where",
        metavar="EXPR",
        help="List the runs for which EXPR is true, for example "
        "\"metrics.accuracy > 0.9 and status == 'COMPLETE'\".",
    ),
]


SortOption = Annotated[
    list[str] | None,
    typer.Option(
        "--sort",
        metavar="KEY",
        help="Sort by a column; -KEY: highest first. Repeatable.",
        autocompletion=offers.columns,
    ),
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        "-n", "--limit", metavar="N", help="List only the first N.", min=1
    ),
]
GroupOption = Annotated[
    list[str] | None,
    typer.Option(
        "--group",
        metavar="KEY",
        help="Show one line for all runs with the same KEY.",
        autocompletion=offers.columns,
    ),
]
AggregateOption = Annotated[
    list[str] | None,
    typer.Option(
        "--aggregate",
        metavar="A",
        help="For groups: mean, std, min, max or count of the complete runs. [mean,count]",
        autocompletion=offers.words("mean", "std", "min", "max", "count"),
    ),
]
AllColumnsOption = Annotated[
    bool,
    typer.Option(
        "--all-columns", help="Include the columns in which no runs differ."
    ),
]
AsCsvOption = Annotated[
    bool, typer.Option("--csv", help="Print all columns as CSV.")
]


@prints
def command(
    where: FilterOption = None,
    sort: SortOption = None,
    limit: LimitOption = None,
    group: GroupOption = None,
    aggregate: AggregateOption = None,
    all_columns: AllColumnsOption = False,
    as_json: JsonOption = False,
    as_csv: AsCsvOption = False,
) -> None:
    """List the runs, newest first, with the columns that differ."""
    from gitorch.actions.listing import listing
    from gitorch.cli.pager import paged

    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other")
    site = site_here()
    listed = listing(
        site,
        where=where,
        sort=sort or (),
        limit=limit,
        group=group or (),
        aggregates=aggregate or (),
    )
    if as_json:
        print_json(listed.to_json())
    elif not listed.runs and not as_csv:
        say_none_selected(site, where)
    else:
        text = _csv(listed) if as_csv else _table(listed, all_columns=all_columns)
        with paged(site.repository) as out:
            shown = printable(text, sys.stdout)
            out.write(f"{shown}\n".encode(sys.stdout.encoding, "gitorch"))


def _csv(listed: Listing) -> str:
    from gitorch.cli.listing import render_csv, render_groups_csv

    if listed.groups is None:
        return render_csv(listed.runs)
    return render_groups_csv(listed.groups)


def _table(listed: Listing, *, all_columns: bool) -> str:
    from gitorch.cli.listing import render_groups, render_list

    colors = has_colors(sys.stdout)
    if listed.groups is None:
        return render_list(listed.runs, all_columns=all_columns, colors=colors)
    return render_groups(listed.groups, listed.aggregates, colors=colors)
