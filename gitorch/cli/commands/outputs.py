"""`gitorch outputs`."""

from __future__ import annotations

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
from gitorch.cli.style import in_line, put, say, table
from gitorch.model.text.phrases import counted

if TYPE_CHECKING:
    from gitorch.actions.outputs import Placed, RunOutput

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
        _print_list(found)
    else:
        _say_placed(placed, to)
    if not found:
        say("no output matches; `**/*.png` matches in all directories")
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


def _print_list(found: Sequence[RunOutput]) -> None:
    from gitorch.cli.render_run import size

    rows = []
    for record, output in found:
        rows.append(
            [
                record.id,
                in_line(record.label),
                size(output.size),
                in_line(output.path),
            ]
        )
    if rows:
        put(
            "\n".join(
                table(rows, header=["id", "run", "size", "output"], colors=False)
            )
        )


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
