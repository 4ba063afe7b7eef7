"""`gitorch revert`."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from gitorch.cli.arguments import RunArgument, site_here
from gitorch.cli.boundary import guarded
from gitorch.cli.style import in_line, say


@guarded
def command(
    run: RunArgument,
    branch: Annotated[
        str | None,
        typer.Option(
            "--branch", metavar="NAME", help="Create this branch. [gitorch/<id>]"
        ),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Create no branch: detach HEAD.")
    ] = False,
    files: Annotated[
        bool,
        typer.Option(
            "--files", help="Stage the code as changes on the current branch."
        ),
    ] = False,
) -> None:
    """Bring your checkout back to the code of a run.

    The command refuses to lose anything that is not committed.
    """
    from gitorch.actions.revert import revert
    from gitorch.cli.missing import say_missing
    from gitorch.cli.render_run import say_several_pins

    restored = revert(site_here(), run, branch=branch, detach=detach, files=files)
    record, reverted = restored.record, restored.reverted
    name = f"{in_line(record.label)} ({record.id})"
    if files:
        say(f"Staged the code of {name}: {reverted.files} files differ from HEAD")
        say("to go back: git reset --hard")
    else:
        head = (
            f"on branch {reverted.branch}"
            if reverted.branch
            else "with a detached HEAD"
        )
        say(f"Now at the code of {name}, {record.pin.commit[:12]}, {head}")
        say(f"to go back: git switch {reverted.before}")
    for config in restored.configs:
        if config.was_written:
            say(
                f"Wrote {in_line(config.path)}, which was not committed when the run was readied"
            )
        else:
            say(
                f"note: {in_line(config.path)} stays as it is; the run had another: "
                f"git show {shlex.quote(in_line(config.stored))}"
            )
    say_several_pins(record)
    say_missing(restored.warnings, restored.hints)
