"""From a config to queued runs: init, check, ready."""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from gitorch.cli.arguments import Json, Overrides, Paths, site_here
from gitorch.cli.boundary import EXIT_FAILED, EXIT_OK, guarded, print_json
from gitorch.cli.style import has_colors, plain, say, table
from gitorch.model.text.phrases import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitorch.actions.ready import Ready, Skipped
    from gitorch.actions.validate import Validated
    from gitorch.model.problem import Problem
    from gitorch.model.run.record import Record

_MOST_SKIPPED = 10  # runs that are there already and named one by one


@guarded
def init() -> None:
    """Write an example config. Optional: everything works without it."""
    from gitorch.actions.init import init as act  # noqa: PLC0415

    path = act(site_here())
    print(os.path.relpath(path))
    say("next: gitorch ready, and then gitorch run")


@guarded
def check(
    paths: Paths = None,
    overrides: Overrides = None,
    json_: Json = False,
    output_format: Annotated[str, typer.Option(help="text, github or json.")] = "text",
) -> int:
    """Validate configs; change nothing."""
    from gitorch.actions.check import check as act  # noqa: PLC0415
    from gitorch.cli.problems import render_counts, render_github, render_problem  # noqa: PLC0415
    from gitorch.errors import UsageError  # noqa: PLC0415

    if output_format not in ("text", "github", "json"):
        raise UsageError(f"--output-format is text, github or json, not {output_format!r}")
    validated = act(site_here(), paths or [], environment=os.environ, overrides=overrides or [])
    if json_ or output_format == "json":
        print_json(
            {
                "schema": "gitorch/check/v1",
                "problems": [problem.to_json() for problem in validated.problems],
            }
        )
    elif output_format == "github":
        for problem in validated.problems:
            print(render_github(problem))
    else:
        for problem in validated.problems:
            print(render_problem(problem, colors=has_colors(sys.stdout)))
        say_validated(validated)
        say_expanded(validated)
        say(
            f"Checked {counted(len(validated.configs), 'config')}: {render_counts(validated.problems)}"
        )
    return EXIT_FAILED if has_errors(validated.problems) else EXIT_OK


@guarded
def ready(
    paths: Paths = None,
    overrides: Overrides = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="REV", help="Pin this revision instead of HEAD.")
    ] = None,
    snapshot: Annotated[
        bool, typer.Option("--snapshot", help="Pin the files as they are, committed or not.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Queue also what is there already.")
    ] = False,
    hold: Annotated[bool, typer.Option("--hold", help="Queue on hold.")] = False,
    priority: Annotated[
        int | None,
        typer.Option(
            "--priority", metavar="N", help="In place of the tasks' own; higher is earlier."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be queued; change nothing.")
    ] = False,
    json_: Json = False,
) -> int:
    """Validate configs, pin the code, queue the runs."""
    from gitorch.actions.ready import ready as act  # noqa: PLC0415

    made = act(
        site_here(),
        paths or [],
        environment=os.environ,
        at=at,
        snapshot=snapshot,
        again=again,
        hold=hold,
        priority=priority,
        dry_run=dry_run,
        tell=say,
        overrides=overrides or [],
    )
    if json_:
        print_json(made.to_json())
    else:
        show_ready(made, dry_run=dry_run)
        if made.queued and not dry_run:
            say(f"next: gitorch run{' -j 2' if len(made.queued) > 1 else ''}")
    return EXIT_FAILED if has_errors(made.problems) else EXIT_OK


def show_ready(made: Ready, *, dry_run: bool, quiet: bool = False) -> None:
    from gitorch.cli.problems import render_problem  # noqa: PLC0415

    for problem in made.problems:
        say(render_problem(problem, colors=has_colors(sys.stderr)))
    say_validated(made.validated)
    say_expanded(made.validated)
    if not dry_run:
        say_skipped(made.skipped)
    if made.skipped and not made.queued:
        say("nothing new to queue; --again makes a run anew")
    broken = len(made.validated.configs) - len(made.validated.valid)
    if broken:
        say(f"Nothing was queued of {counted(broken, 'config')} with problems")
    if made.queued and made.pin:
        verb = "Would queue" if dry_run else "Queued"
        say(f"{verb} {counted(len(made.queued), 'run')} at {made.pin.commit[:12]}")
    if dry_run:
        print_expansion(made.points)
    elif not quiet:
        for record in made.queued:
            print(f"{record.id}  {plain(record.label)}")


def print_expansion(points: Sequence[Record | Skipped]) -> None:
    """A table of all runs: what is swept, and what is there already."""
    from gitorch.actions.ready import Skipped  # noqa: PLC0415
    from gitorch.model.run.spec import render_value  # noqa: PLC0415

    keys = list(dict.fromkeys(key for point in points for key in point.spec.swept))
    rows = []
    for point in points:
        swept = [
            render_value(point.spec.value(key)) if key in point.spec.swept else "" for key in keys
        ]
        state = point.why if isinstance(point, Skipped) else "new"
        rows.append([plain(cell) for cell in (point.spec.name, *swept, state)])
    if rows:
        print(
            "\n".join(
                table(rows, header=["name", *map(plain, keys), ""], colors=has_colors(sys.stdout))
            )
        )


def say_validated(validated: Validated) -> None:
    for file, text in validated.printed.items():
        for line in text.splitlines():
            say(f"{plain(file)}: {plain(line)}")
    for note in validated.notes:
        say(f"note: {plain(note)}")


def say_expanded(validated: Validated) -> None:
    """How many runs the sweeps come to; where there is one, of what."""
    sweeps = [config for config in validated.valid if config.dimensions]
    if sweeps:
        runs = sum(len(config.specs) for config in sweeps)
        of = f" ({plain(' x '.join(sweeps[0].dimensions))})" if len(sweeps) == 1 else ""
        say(f"Expanded {counted(len(sweeps), 'config')} to {counted(runs, 'run')}{of}")


def say_skipped(skipped: Sequence[Skipped]) -> None:
    """Each of a few; many are counted."""
    if len(skipped) <= _MOST_SKIPPED:
        for run in skipped:
            say(f"Skipped {plain(run.spec.label)}: {plain(run.why)}")
        return
    twins = sum(run.status is None for run in skipped)
    there = Counter(str(run.status) for run in skipped if run.status)
    if there:
        statuses = ", ".join(f"{count} {status}" for status, count in there.items())
        say(f"Skipped {there.total()} runs that are there already ({statuses})")
    if twins:
        say(f"Skipped {twins} runs that are the same as another")


def has_errors(problems: Sequence[Problem]) -> bool:
    from gitorch.model.problem import has_errors  # noqa: PLC0415

    return has_errors(list(problems))
