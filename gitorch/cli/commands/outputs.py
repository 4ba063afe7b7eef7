"""`gitorch outputs`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
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
from gitorch.cli.boundary import EXIT_FAILED, EXIT_OK, guarded, print_json
from gitorch.cli.style import has_colors, in_line, say
from gitorch.model.text.phrases import counted

if TYPE_CHECKING:
    from gitorch.actions.outputs import Placed, RunOutput
    from gitorch.storage.site import Site

EPILOG = (
    "Examples: gitorch outputs @ '**/*.png' lists the pictures of the latest run. gitorch outputs "
    "--status COMPLETE '**/*tfevents*' --to runs puts event files into directories "
    "for tensorboard --logdir runs."
)


@guarded
def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]... [GLOB]",
            help="Runs, and a glob of outputs: `*` matches in one directory, `**/*` in all.",
            autocompletion=offers.runs_for_verb,
        ),
    ] = None,
    where: WhereOption = None,
    status: StatusOption = None,
    name: NameOption = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="DIR",
            help="Copy them into DIR, into directories named by label; overwrite nothing.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """List the outputs of runs, or copy them into directories."""
    from gitorch.actions.outputs import find_outputs, place_outputs

    site = site_here()
    selection = selection_of(None, where, status, name)
    found = find_outputs(site, words or (), selection)
    placed = [] if to is None else place_outputs(site, found, to)
    if as_json:
        print_json(_document(found, placed))
    elif to is None:
        _print_list(site, found)
    else:
        _say_placed(placed, to)
    if not found:
        _say_none(words or (), selects=bool(where or status or name))
    has_problem = any(entry.problem for entry in placed)
    return EXIT_FAILED if has_problem else EXIT_OK


def _document(
    found: Sequence[RunOutput], placed: Sequence[Placed]
) -> dict[str, object]:
    outputs = [entry.to_json() for entry in found]
    for output, place in zip(outputs, placed, strict=False):
        output["to"] = str(place.path)
        output["problem"] = place.problem
    return {"schema": "gitorch/outputs/v1", "outputs": outputs}


def _print_list(site: Site, found: Sequence[RunOutput]) -> None:
    """Print a table. On a terminal, the runs are not named in each line if there is only one."""
    from gitorch.cli.fit import Column, cut, fitted_table, room
    from gitorch.cli.pager import print_paged
    from gitorch.cli.render_run import size

    if not found:
        return
    width = room(sys.stdout)
    columns = [
        Column("id", 0),
        Column("run", 0, is_text=True, keeps_end=True),
        Column("size", 0),
        Column("output", 0, is_text=True, keeps_end=True),
    ]
    rows = []
    for record, output in found:
        label = in_line(record.label)
        rows.append([record.id, label, size(output.size), in_line(output.path)])
    title = []
    if width is not None and len({row[0] for row in rows}) == 1:
        run, label, *_ = rows[0]
        title = [cut(f"{run}  {label}", width)]
        columns = columns[2:]
        rows = [row[2:] for row in rows]
    fitted = fitted_table(rows, columns, width=width, colors=has_colors(sys.stdout))
    print_paged(site.repository, "\n".join([*title, *fitted.lines]), is_table=True)


def _say_none(words: Sequence[str], *, selects: bool) -> None:
    """Say that nothing was found. A single word that follows no option names a run."""
    if len(words) > (0 if selects else 1):
        say("no output matches; `**/*.png` matches in all directories")
    else:
        say("no outputs")


def _say_placed(placed: Sequence[Placed], directory: Path) -> None:
    for entry in placed:
        if entry.problem:
            say(f"not copied: {in_line(str(entry.path))}: {in_line(entry.problem)}")
    copied = [entry for entry in placed if entry.problem is None]
    runs = {entry.found.record.id for entry in copied}
    where = in_line(str(directory))
    say(
        f"{counted(len(copied), 'output')} of {counted(len(runs), 'run')} in {where}"
    )
