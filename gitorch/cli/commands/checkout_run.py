"""`gitorch checkout-run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gitorch.cli.arguments import RunArgument, site_here
from gitorch.cli.boundary import EXIT_FAILED, EXIT_OK, guarded
from gitorch.cli.style import plain, say


@guarded
def command(
    run: RunArgument,
    directory: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]", help="The new directory. Default: in the workspace."
        ),
    ] = None,
) -> int:
    """Create a worktree with a run's code, logs and outputs.

    The worktree is at the commit of the run, and also contains the config.
    """
    from gitorch.actions.checkout_run import checkout_run
    from gitorch.cli.render_run import say_several_pins

    checked_out = checkout_run(site_here(), run, directory)
    say_several_pins(checked_out.record)
    print(checked_out.path)
    for name in checked_out.missing:
        say(f"missing: {plain(name)} is a large file that is not in this clone")
    if not checked_out.missing:
        return EXIT_OK
    say(
        "hint: git lfs fetch --all brings what was pushed; then repeat this command"
    )
    return EXIT_FAILED
