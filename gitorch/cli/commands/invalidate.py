"""`gitorch invalidate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gitorch.cli.arguments import (
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
from gitorch.cli.style import in_line, say
from gitorch.errors import UsageError
from gitorch.model.text.phrases import counted, some

if TYPE_CHECKING:
    from gitorch.actions.invalidate import Invalidated

_NAMED = 3  # more runs than these are only counted


@guarded
def command(
    runs: RunsArgument = None,
    where: WhereOption = None,
    status: StatusOption = None,
    name: NameOption = None,
    why: WhyOption = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take the mark back.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Mark complete runs as not to be trusted.

    The runs stay COMPLETE. All commands say that they are invalid. They are left out of groups and
    of the cache, and gitorch ready makes them anew.
    """
    from gitorch.actions.invalidate import invalidate, validate_again

    if not undo and not why:
        raise UsageError(
            "--why is missing: the reason is what others will read",
            'gitorch invalidate ID --why "the labels were shifted"',
        )
    site = site_here()
    selection = selection_of(runs, where, status, name)
    if why and not undo:
        done = invalidate(site, selection, why)
    else:
        done = validate_again(site, selection, why)
    site.named_runs.clear()  # what follows says which runs are invalid now
    if as_json:
        print_json(done.to_json())
        return
    _say_done(done)
    if not done.runs and not done.refused:
        say_none_selected(site, where)


def _say_done(done: Invalidated) -> None:
    what = "invalid" if done.invalid else "no longer invalid"
    for row in done.runs:
        say(f"{row.id}  {in_line(row.label)}  {what}")
    if done.refused:
        say(f"{counted(len(done.refused), 'run')} left unchanged")
    if done.reusers:
        count = counted(len(done.reusers), "run")
        named = some(done.reusers, _NAMED)
        say(f"note: {count} took results of these from the cache: {named}")
