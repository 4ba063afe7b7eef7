"""`gitorch doctor`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from gitorch.cli.arguments import JsonOption, site_here
from gitorch.cli.boundary import EXIT_FAILED, EXIT_OK, guarded, print_json
from gitorch.cli.style import put, say


@guarded
def command(
    fix: Annotated[
        bool, typer.Option("--fix", help="Repair what can be repaired.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Check queue, records, worktrees, locks and large files.

    The exit code is 1 if a problem remains.
    """
    from gitorch.actions.doctor import doctor
    from gitorch.cli.upkeep import render_finding

    health = doctor(site_here(), environment=os.environ, fix=fix)
    if as_json:
        print_json(health.to_json())
    else:
        for finding in health.findings:
            put(render_finding(finding))
        if not health.findings:
            say("all is well")
    return EXIT_OK if health.is_well else EXIT_FAILED
