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
    add_completion=False,  # that of typer writes settings of the user's shell: see completion.py
    rich_markup_mode=None,  # help in 90 ms instead of 300
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"gitorch {version('gitorch')}")
        raise typer.Exit


def _show_completion(wanted: bool) -> None:
    if wanted:
        from gitorch.cli.completion import script
        from gitorch.cli.shell_setup import shell_of_user

        sys.stdout.write(script(shell_of_user()))
        raise typer.Exit


def _install_completion(wanted: bool) -> None:
    if wanted:
        from gitorch.cli.shell_setup import install

        install()
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
    install_completion: Annotated[
        bool,
        typer.Option(
            "--install-completion",
            callback=_install_completion,
            is_eager=True,
            help="Let your shell (bash, zsh or fish) complete commands, runs and values.",
        ),
    ] = False,
    show_completion: Annotated[
        bool,
        typer.Option(
            "--show-completion",
            callback=_show_completion,
            is_eager=True,
            help="Print the script that --install-completion installs.",
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
