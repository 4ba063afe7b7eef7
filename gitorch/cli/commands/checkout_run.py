"""`gitorch checkout-run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gitorch.cli.arguments import RunArgument, site_here
from gitorch.cli.boundary import guarded


@guarded
def command(
    run: RunArgument,
    directory: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]", help="The new directory. Default: in the workspace."
        ),
    ] = None,
) -> None:
    """Create a worktree with a run's code, logs and outputs.

    The worktree is at the commit of the run, and also contains the config.
    """
    from gitorch.actions.checkout_run import checkout_run
    from gitorch.cli.render_run import say_several_pins

    record, path = checkout_run(site_here(), run, directory)
    say_several_pins(record)
    print(path)
