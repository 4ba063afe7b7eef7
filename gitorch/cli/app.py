"""The program: its options, and its commands, each of which is loaded when it is invoked."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from gitorch.cli.boundary import report_error
from gitorch.cli.verbs import VerbGroup
from gitorch.errors import NotFound

app = typer.Typer(
    name="gitorch",
    cls=VerbGroup,
    help="Run experiments from a git repository: pinned, queued, recorded, comparable, repeatable.",
    no_args_is_help=True,
    rich_markup_mode=None,  # help in 90 ms instead of 300
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"gitorch {version('gitorch')}")
        raise typer.Exit


@app.callback()
def _options(
    directory: Annotated[
        Path | None,
        typer.Option(
            "-C",
            metavar="DIR",
            help="Work as if started in DIR.",
            show_default=False,
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    try:
        if directory is not None:
            os.chdir(directory)
        Path.cwd()
    except OSError as error:
        missing = NotFound(
            f"cannot work in {directory or 'this directory'}: {error.strerror}",
            "cd to your project",
        )
        raise typer.Exit(
            report_error(missing, as_json="--json" in sys.argv)
        ) from None
