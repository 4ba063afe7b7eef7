"""`gitorch list`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gitorch.cli import offers
from gitorch.cli.arguments import (
    JsonOption,
    NameOption,
    StatusOption,
    say_none_selected,
    selection_of,
    site_here,
)
from gitorch.cli.boundary import print_json, prints
from gitorch.cli.style import has_colors, in_line, say
from gitorch.errors import UsageError
from gitorch.model.text.phrases import counted

if TYPE_CHECKING:
    from gitorch.actions.listing import Listing
    from gitorch.storage.site import Site

EPILOG = (
    "EXPR consists of names, values and operators. The names are id, name, label, status, commit, "
    "created, started, ended, duration_s, rerun_of, verified, invalid, params.NAME and "
    "metrics.NAME; also NAME alone, where it is unambiguous. The values are numbers, 'text', true, "
    "false and null (rerun_of == null: no reruns). After == and !=, a word that is not a name is "
    "text. The operators are and, or, not, ( ), == != < <= > >=, in [1, 2] and like 'glob*'."
)

FilterOption = Annotated[
    str | None,
    typer.Option(
        "--where",
        metavar="EXPR",
        help="List the runs for which EXPR is true, for example "
        '"accuracy > 0.9 and status == COMPLETE".',
    ),
]


SortOption = Annotated[
    list[str] | None,
    typer.Option(
        "--sort",
        metavar="KEY",
        help="Sort by a column, or groups by 'accuracy max'; -KEY: highest first. Repeatable.",
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
ColumnsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        metavar="KEY[,KEY]",
        help="Show these columns, in this order.",
    ),
]
AllColumnsOption = Annotated[
    bool,
    typer.Option(
        "--all-columns",
        help="Show every column, even if it is the same in all runs or does not fit.",
    ),
]
AsCsvOption = Annotated[
    bool, typer.Option("--csv", help="Print all columns, or those named, as CSV.")
]


@prints
def command(
    where: FilterOption = None,
    status: StatusOption = None,
    name: NameOption = None,
    sort: SortOption = None,
    limit: LimitOption = None,
    group: GroupOption = None,
    aggregate: AggregateOption = None,
    columns: ColumnsOption = None,
    all_columns: AllColumnsOption = False,
    as_json: JsonOption = False,
    as_csv: AsCsvOption = False,
) -> None:
    """List the runs, newest first, with the columns that differ."""
    from gitorch.actions.listing import listing
    from gitorch.cli.pager import print_paged

    _check_options(
        columns, as_json=as_json, as_csv=as_csv, has_all=all_columns or bool(group)
    )
    site = site_here()
    listed = listing(
        site,
        selection=selection_of(None, where, status, name),
        hides_failed=not (as_json or as_csv),
        sort=sort,
        limit=limit,
        group=group,
        aggregates=aggregate,
        columns=columns,
    )
    if as_json:
        print_json(listed.to_json())
    elif listed.hidden and not listed.runs:
        from gitorch.cli.listing import hidden_line

        say(*hidden_line(listed))
    elif not listed.runs and not as_csv:
        say_none_selected(site, where)
    else:
        text = _csv(listed) if as_csv else _table(listed, all_columns=all_columns)
        print_paged(site.repository, text, is_table=True)
    if not (as_json or as_csv):
        _say_elsewhere(site)


def _say_elsewhere(site: Site) -> None:
    """Say which remotes have runs that were fetched, and are not in the list."""
    from gitorch.actions.listing import runs_elsewhere

    for remote, count in runs_elsewhere(site).items():
        runs = counted(count, "run that is", "runs that are")
        say(f"{in_line(remote)} has {runs} not here: gitorch help sharing")


def _check_options(
    columns: list[str] | None, *, as_json: bool, as_csv: bool, has_all: bool
) -> None:
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other")
    if columns and (as_json or has_all):
        raise UsageError(
            "--columns does not go with --json, --group or --all-columns"
        )


def _csv(listed: Listing) -> str:
    from gitorch.actions.listing_csv import render_csv, render_groups_csv

    if listed.groups is None:
        return render_csv(listed)
    return render_groups_csv(listed.groups)


def _table(listed: Listing, *, all_columns: bool) -> str:
    from gitorch.cli.fit import room

    if listed.groups is None:
        from gitorch.cli.listing import render_list as render
    else:
        from gitorch.cli.group_table import render_groups as render
    return render(
        listed,
        width=room(sys.stdout),
        all_columns=all_columns,
        colors=has_colors(sys.stdout),
    )
