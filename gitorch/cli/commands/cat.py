"""`gitorch cat`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gitorch.cli.arguments import RunArgument, site_here
from gitorch.cli.boundary import prints
from gitorch.cli.style import without_controls

_BLOCK = 1 << 18


@prints
def command(
    run: RunArgument,
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH", help="The path of the output, as gitorch show has it."
        ),
    ],
) -> None:
    """Print an output of a run.

    In a pipe, the bytes are those of the file. On a terminal, control sequences are left out.
    """
    from gitorch.actions.outputs import open_output

    is_terminal = sys.stdout.isatty()
    with open_output(site_here(), run, path) as file:
        while block := file.read(_BLOCK):
            data = without_controls(block) if is_terminal else block
            sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
