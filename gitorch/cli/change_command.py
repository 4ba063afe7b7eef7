"""The code that the commands share that change the status of runs: hold, release and others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from gitorch.cli.arguments import (
    AllOption,
    JsonOption,
    NameOption,
    RunsArgument,
    StatusOption,
    WhereOption,
    WhyOption,
    YesOption,
    say_none_selected,
    selection_of,
    site_here,
)
from gitorch.cli.boundary import EXIT_OK, guarded, print_json
from gitorch.cli.confirmation import confirm
from gitorch.cli.style import in_line, say
from gitorch.errors import UsageError
from gitorch.model.run.status import Status
from gitorch.model.text.phrases import counted

if TYPE_CHECKING:
    from gitorch.actions.change_status import Changed
    from gitorch.actions.selection import Selection
    from gitorch.storage.site import Site


RunNowOption = Annotated[
    bool, typer.Option("--run", help="Execute the changed runs at once.")
]


def change_command(
    verb: str, *, help: str, next_command: str | None = None
) -> Callable[..., None]:
    """Return the command that applies `verb` to the selected runs.

    `next_command` is the command that the user will probably need next.
    """

    @guarded
    def command(
        runs: RunsArgument = None,
        where: WhereOption = None,
        status: StatusOption = None,
        name: NameOption = None,
        everything: AllOption = False,
        yes: YesOption = False,
        why: WhyOption = None,
        as_json: JsonOption = False,
    ) -> None:
        site = site_here()
        selection = selection_of(runs, where, status, name, everything)
        selection = confirm(site, verb, selection, yes=yes)
        changed = _change(site, verb, selection, why)
        show_changed(site, verb, selection, changed, next_command, as_json=as_json)

    command.__doc__ = help
    return command


def _change(
    site: Site, verb: str, selection: Selection, why: str | None
) -> Changed:
    from gitorch.actions.change_status import change_status
    from gitorch.actions.kill import kill

    if verb == "kill":
        return kill(site, selection, why=why)
    return change_status(site, verb, selection, why=why)


def go_on(
    site: Site,
    verb: str,
    selection: Selection,
    changed: Changed,
    *,
    jobs: str | None,
    as_json: bool,
) -> int:
    """Show the changed runs, execute those that wait, and return the exit code."""
    from gitorch.cli.execution import execute, exit_code, say_summary

    waiting = []
    for run_id, _, target in changed.runs:
        if target is Status.WAITING:
            waiting.append(run_id)
    if not as_json:
        show_changed(site, verb, selection, changed, None, as_json=False)
    if not waiting:
        if as_json:
            print_json({**changed.to_json(), "runs": []})
        return EXIT_OK
    worked = execute(site, waiting, jobs)
    if as_json:
        print_json({**worked.to_json(), **changed.to_json()})
    else:
        say_summary(worked)
    return exit_code(worked)


def require_run(jobs: str | None, *, now: bool) -> None:
    """Raise UsageError if there is a number of jobs, but nothing is executed."""
    if jobs is not None and not now:
        raise UsageError("-j is for --run: without it, nothing is executed")


def show_changed(
    site: Site,
    verb: str,
    selection: Selection,
    changed: Changed,
    next_command: str | None,
    *,
    as_json: bool,
) -> None:
    if as_json:
        print_json(changed.to_json())
        return
    for note in changed.notes:
        say(f"note: {in_line(note)}")
    for run_id, source, target in changed.runs:
        say(f"{run_id}  {source} -> {target or 'killed'}")
    if changed.refused:
        count = counted(len(changed.refused), "run")
        say(f"{count} left unchanged: {verb} is not possible")
    elif not changed.runs:
        say_none_selected(site, selection.where)
    if changed.runs and next_command:
        say(f"next: {next_command}")
