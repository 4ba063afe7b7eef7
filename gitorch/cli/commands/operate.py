"""The operator's verbs: hold, release, kill, retry, fail, resubmit, set."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from gitorch.cli.arguments import (
    All,
    Chosen,
    Json,
    OfName,
    OfStatus,
    OfWhere,
    Why,
    Yes,
    none_selected,
    selected,
    site_here,
)
from gitorch.cli.boundary import guarded, print_json
from gitorch.cli.style import plain, say
from gitorch.model.text.phrases import counted

if TYPE_CHECKING:
    from gitorch.actions.change_status import Changed
    from gitorch.actions.selection import Selection
    from gitorch.runs.site import Site


def operator_verb(verb: str, then: str | None = None) -> Callable[..., None]:
    """The command that changes the status of the runs selected; `then` is what to do next."""

    @guarded
    def command(
        runs: Chosen = None,
        where: OfWhere = None,
        status: OfStatus = None,
        name: OfName = None,
        everything: All = False,
        yes: Yes = False,
        why: Why = None,
        json_: Json = False,
    ) -> None:
        from gitorch.actions.change_status import change_status  # noqa: PLC0415
        from gitorch.actions.kill import kill as act_kill  # noqa: PLC0415

        site = site_here()
        selection = selected(runs, where, status, name, everything)
        _confirm(site, verb, selection, yes=yes)
        changed = (
            act_kill(site, selection, why=why)
            if verb == "kill"
            else change_status(site, verb, selection, why=why)
        )
        _show(site, verb, selection, changed, then, json_=json_)

    return command


@guarded
def retry(
    runs: Chosen = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="REV", help="Run what is not finished at this commit."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="TASK", help="Repeat this task and all that need it."),
    ] = None,
    where: OfWhere = None,
    status: OfStatus = None,
    name: OfName = None,
    everything: All = False,
    yes: Yes = False,
    why: Why = None,
    json_: Json = False,
) -> None:
    """Let failed runs continue at the task that failed."""
    from gitorch.actions.retry import retry as act  # noqa: PLC0415

    site = site_here()
    selection = selected(runs, where, status, name, everything)
    _confirm(site, "retry", selection, yes=yes)
    changed = act(site, selection, environment=os.environ, at=at, start=start, why=why)
    _show(site, "retry", selection, changed, "gitorch run", json_=json_)


@guarded
def set_(
    priority: Annotated[int, typer.Option("--priority", metavar="N", help="Higher is earlier.")],
    runs: Chosen = None,
    where: OfWhere = None,
    json_: Json = False,
) -> None:
    """Change the priority of runs that are not over."""
    from gitorch.actions.set import set_priority  # noqa: PLC0415

    site = site_here()
    changed = set_priority(site, selected(runs, where), priority)
    if json_:
        print_json(changed.to_json())
        return
    for run, _, _ in changed.runs:
        say(f"{run}  priority {priority}")
    if changed.refused:
        say(f"{counted(len(changed.refused), 'run')} left alone: over, or another clone's")
    elif not changed.runs:
        say(none_selected(site, where))


def _confirm(site: Site, verb: str, selection: Selection, *, yes: bool) -> None:
    """Ask on a terminal before runs that were not named are changed."""
    from gitorch.actions.change_status import select_changeable  # noqa: PLC0415

    if not (selection.is_named or yes) and sys.stdin.isatty():
        chosen, _ = select_changeable(site, verb, selection)
        typer.confirm(f"{verb} {counted(len(chosen), 'run')}?", abort=True, err=True)


def _show(
    site: Site, verb: str, selection: Selection, changed: Changed, then: str | None, *, json_: bool
) -> None:
    if json_:
        print_json(changed.to_json())
        return
    for note in changed.notes:
        say(f"note: {plain(note)}")
    for run, source, target in changed.runs:
        say(f"{run}  {source} -> {target or 'killed'}")
    if changed.refused:
        say(f"{counted(len(changed.refused), 'run')} left alone: {verb} is not possible")
    elif not changed.runs:
        say(none_selected(site, selection.where))
    if changed.runs and then:
        say(f"next: {then}")
