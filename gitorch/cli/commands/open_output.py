"""`gitorch open`."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from gitorch.cli.arguments import RunArgument, site_here
from gitorch.cli.boundary import prints
from gitorch.cli.style import in_line, say
from gitorch.errors import ProgramMissing, Refused, UsageError

_VARIABLE = "GITORCH_OPENER"


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
    """Open an output of a run with the program of your desktop.

    The program gets a read-only copy. It is $GITORCH_OPENER, or that of `git config
    gitorch.opener`, or xdg-open, on macOS open.
    """
    from gitorch.actions.viewed import copy_for_viewing

    site = site_here()
    words = _opener(site.settings.opener)
    copy = copy_for_viewing(site, run, path)
    say(f"opening {in_line(str(copy))}")
    _open(words, copy)


def _opener(configured: str | None) -> list[str]:
    """Return the words of the command that opens a file. Raises UsageError, ProgramMissing."""
    default = "open" if sys.platform == "darwin" else "xdg-open"
    text = os.environ.get(_VARIABLE) or configured or default
    try:
        words = shlex.split(text) or [default]
    except ValueError as error:
        raise UsageError(f"the opener {text!r} is not a command: {error}") from None
    if shutil.which(words[0]) is None:
        raise ProgramMissing(
            f"{words[0]}, which opens files, is not installed",
            "git config gitorch.opener PROGRAM names another program",
        )
    return words


def _open(words: list[str], copy: Path) -> None:
    """Start the opener and wait for its end: it may use the terminal."""
    try:
        ended = subprocess.run([*words, str(copy)], check=False)
    except OSError as error:
        raise Refused(f"{words[0]} cannot be started: {error.strerror}") from error
    if ended.returncode:
        raise Refused(
            f"{words[0]} could not open {copy}: its exit code is {ended.returncode}"
        )
