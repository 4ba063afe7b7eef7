"""`gitorch checkout-run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gitorch.cli.arguments import RunArgument, site_here
from gitorch.cli.boundary import EXIT_CODES, EXIT_OK, guarded
from gitorch.errors import Refused


@guarded
def command(
    run: RunArgument,
    directory: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]", help="The new directory. Default: in the workspace."
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit with 4 if something is missing."),
    ] = False,
) -> int:
    """Create a worktree with a run's code, logs and outputs.

    The worktree is at the commit of the run, and also contains the config. What cannot be fetched
    is left out with a warning: a large file is its pointer, a submodule is an empty directory.
    """
    from gitorch.actions.checkout_run import checkout_run
    from gitorch.cli.missing import say_missing
    from gitorch.cli.render_run import say_several_pins

    checked_out = checkout_run(site_here(), run, directory)
    say_several_pins(checked_out.record)
    print(checked_out.path)
    say_missing(checked_out.warnings, checked_out.hints)
    if strict and checked_out.warnings:
        return EXIT_CODES[Refused.kind]
    return EXIT_OK
