"""`gitorch env`."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from gitorch.cli.arguments import JsonOption, RunArgument, site_here
from gitorch.cli.boundary import print_json, prints
from gitorch.cli.style import has_colors, put, say
from gitorch.errors import UsageError
from gitorch.model.text.phrases import counted


class Form(StrEnum):
    """The values of `--as`."""

    REQUIREMENTS = "requirements"


@prints
def command(
    run: RunArgument,
    form: Annotated[
        Form | None,
        typer.Option("--as", help="Print a requirements file for pip and uv."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a run ran with.

    That is the interpreter, its packages, the variables, and the machine. Secrets are masked. With
    --as requirements, a package that is not from an index has its address and its commit. A package
    that pip cannot install, such as an editable one, is a comment with the reason.
    """
    from gitorch.actions.env import env
    from gitorch.cli.pager import print_paged
    from gitorch.cli.render_environment import render_environment
    from gitorch.model.run.requirements import requirements, without_requirement

    if form is not None and as_json:
        raise UsageError("--as and --json exclude each other")
    site = site_here()
    found = env(site, run)
    if form is not None:
        put(requirements(found.environment, found.id).rstrip("\n"))
        left_out = list(without_requirement(found.environment, found.id))
        if left_out:
            say(f"note: {counted(len(left_out), 'package')} only as a comment")
    elif as_json:
        print_json(found.to_json())
    else:
        text = render_environment(found, colors=has_colors(sys.stdout))
        print_paged(site.repository, text)
