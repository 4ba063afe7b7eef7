"""`gitorch check`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gitorch.cli.arguments import (
    JsonOption,
    OverridesOption,
    PathsArgument,
    site_here,
)
from gitorch.cli.boundary import EXIT_FAILED, EXIT_OK, print_json, prints
from gitorch.cli.style import has_colors, masking, put, say
from gitorch.errors import UsageError
from gitorch.model.text.phrases import counted

if TYPE_CHECKING:
    from gitorch.actions.validate import Validated


@prints
def command(
    paths: PathsArgument = None,
    overrides: OverridesOption = None,
    as_json: JsonOption = False,
    output_format: Annotated[
        str, typer.Option(help="text, github or json.")
    ] = "text",
) -> int:
    """Validate configs and change nothing."""
    from gitorch.actions.check import check
    from gitorch.cli.problems import render_github
    from gitorch.model.problem import has_errors

    if output_format not in ("text", "github", "json"):
        raise UsageError(
            f"--output-format is text, github or json, not {output_format!r}"
        )
    validated = check(
        site_here(), paths or [], environment=os.environ, overrides=overrides or []
    )
    if as_json or output_format == "json":
        problems = masking().value(
            [problem.to_json() for problem in validated.problems]
        )
        print_json({"schema": "gitorch/check/v1", "problems": problems})
    elif output_format == "github":
        for problem in validated.problems:
            put(masking().text(render_github(problem)))
    else:
        _show(validated)
    return EXIT_FAILED if has_errors(validated.problems) else EXIT_OK


def _show(validated: Validated) -> None:
    from gitorch.cli.problems import render_counts, render_problems
    from gitorch.cli.readiness import say_expanded, say_notes

    colors = has_colors(sys.stdout)
    for text in render_problems(validated.problems, colors=colors):
        put(masking().text(text))
    say_notes(validated)
    say_expanded(validated)
    configs = counted(len(validated.configs), "config")
    say(f"Checked {configs}: {render_counts(validated.problems)}")
