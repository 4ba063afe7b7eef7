"""`gitorch demo`."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitorch.cli.arguments import selection_of, site_here
from gitorch.cli.boundary import guarded
from gitorch.cli.style import has_colors, put, say

if TYPE_CHECKING:
    from gitorch.storage.site import Site


@guarded
def command(
    directory: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]",
            help="The new directory. [penguins]",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Create a repository with real data, run and compare it."""
    from gitorch.actions.demo import create
    from gitorch.actions.ready import ready
    from gitorch.cli.execution import execute, exit_code, say_summary
    from gitorch.cli.readiness import show_ready

    path = create(directory or Path("penguins"))
    os.chdir(path)
    say(f"Created a repository in {path}")
    site = site_here()
    show_ready(ready(site, [], environment=os.environ), dry_run=False)
    worked = execute(site, [], "2")
    say_summary(worked)
    if worked.interrupted:
        say(f"next: cd {_shortest(path)} && gitorch run")
        return exit_code(worked)
    worst, best = _show_results(site)
    say("\nnext, try:")
    for line in _commands_to_try(path, worst, best):
        say(f"  {line}")
    return exit_code(worked)


def _show_results(site: Site) -> tuple[str, str]:
    """Print the list of all runs and a comparison; return the names of the worst and best run."""
    from gitorch.actions.compare import compare
    from gitorch.actions.listing import listing
    from gitorch.cli.fit import room
    from gitorch.cli.listing import render_list
    from gitorch.cli.render_comparison import SECTIONS, render_comparison

    colors = has_colors(sys.stdout)
    listed = listing(site)
    table = render_list(
        listed, width=room(sys.stdout), all_columns=False, colors=colors
    )
    put(f"\n$ gitorch list\n{table}")
    ranked = sorted(listed.runs, key=lambda row: row.metrics.get("accuracy") or 0.0)
    worst, best = ranked[0].name, ranked[-1].name
    compared = compare(site, selection_of([worst, best]))
    put(f"\n$ gitorch compare {worst} {best}")
    put(render_comparison(compared, SECTIONS, colors=colors))
    return worst, best


def _commands_to_try(path: Path, worst: str, best: str) -> list[str]:
    return [
        f"cd {_shortest(path)}",
        f"gitorch show {best}",
        f"gitorch logs {best} --task evaluate",
        f"gitorch checkout-run {best}",
        f"gitorch rerun {worst} --verify",
        f"gitorch run -j 2 experiments/{best}.yaml -S learningRate=0.1,1.0 -S 'seed=range(1,4)'",
        "gitorch list --group name,learningRate",
        "git log gitorch/results",
    ]


def _shortest(path: Path) -> str:
    """Return the path as a word for the user's shell, relative if its directory contains it."""
    shell_directory = os.environ.get("PWD")
    if shell_directory and path.is_relative_to(shell_directory):
        path = path.relative_to(shell_directory)
    return shlex.quote(str(path))
