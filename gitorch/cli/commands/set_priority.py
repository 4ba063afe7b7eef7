"""`gitorch set`."""

from __future__ import annotations

from typing import Annotated

import typer

from gitorch.cli.arguments import (
    AllOption,
    JsonOption,
    NameOption,
    RunsArgument,
    StatusOption,
    WhereOption,
    WhyOption,
    say_none_selected,
    selection_of,
    site_here,
)
from gitorch.cli.boundary import guarded, print_json
from gitorch.cli.style import say
from gitorch.model.numbers import LARGEST_PRIORITY
from gitorch.model.text.phrases import counted


@guarded
def command(
    priority: Annotated[
        int,
        typer.Option(
            "--priority",
            metavar="N",
            help="A run with a higher N starts earlier.",
            min=-LARGEST_PRIORITY,
            max=LARGEST_PRIORITY,
        ),
    ],
    runs: RunsArgument = None,
    where: WhereOption = None,
    status: StatusOption = None,
    name: NameOption = None,
    everything: AllOption = False,
    why: WhyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change the priority of unfinished runs."""
    from gitorch.actions.set import set_priority

    site = site_here()
    selection = selection_of(runs, where, status, name, everything)
    changed = set_priority(site, selection, priority, why=why)
    if as_json:
        print_json(changed.to_json())
        return
    for run_id, _, _ in changed.runs:
        say(f"{run_id}  priority {priority}")
    if changed.refused:
        count = counted(len(changed.refused), "run")
        say(f"{count} left unchanged: finished, or of another clone")
    elif not changed.runs:
        say_none_selected(site, where)
