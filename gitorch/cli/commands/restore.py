"""What goes back to a run: checkout-run, revert."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitorch.cli.arguments import Run, site_here
from gitorch.cli.boundary import guarded
from gitorch.cli.style import plain, say

if TYPE_CHECKING:
    from gitorch.model.run.record import Record


@guarded
def checkout_run(
    run: Run,
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Where; else in the workspace.")
    ] = None,
) -> None:
    """A worktree at a run's commit, with config, logs and outputs."""
    from gitorch.actions.checkout_run import checkout_run as act  # noqa: PLC0415

    record, path = act(site_here(), run, directory)
    _say_of_several(record)
    print(path)


@guarded
def revert(
    run: Run,
    branch: Annotated[
        str | None, typer.Option("--branch", metavar="NAME", help="On this branch. [gitorch/<id>]")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="With a detached HEAD.")] = False,
    files: Annotated[
        bool, typer.Option("--files", help="As staged changes on the current branch.")
    ] = False,
) -> None:
    """Bring your checkout back to a run's code. Refuses to lose anything."""
    from gitorch.actions.revert import revert as act  # noqa: PLC0415

    record, done = act(site_here(), run, branch=branch, detach=detach, files=files)
    where = f"on branch {done.branch}" if done.branch else "with a detached HEAD"
    if files:
        say(
            f"Staged the code of {plain(record.label)} ({record.id}): {done.files} files differ from HEAD"
        )
        say("back with: git reset --hard")
    else:
        say(
            f"Now at the code of {plain(record.label)} ({record.id}), {record.pin.commit[:12]}, {where}"
        )
        say(f"back with: git switch {done.before}")
    _say_of_several(record)


def _say_of_several(record: Record) -> None:
    if record.several_pins:
        say(f"note: its tasks ran at several commits, this is the newest: {record.several_pins}")
