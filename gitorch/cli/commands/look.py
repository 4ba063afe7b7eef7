"""What looks back, and changes nothing: status, list, show, logs, compare."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gitorch.cli.arguments import (
    Json,
    OfWhere,
    Run,
    complete_runs,
    none_selected,
    selected,
    site_here,
)
from gitorch.cli.boundary import EXIT_FAILED, EXIT_OK, guarded, print_json
from gitorch.cli.style import has_colors, say

EXPRESSIONS = (
    "EXPR is made of and, or, not, ( ), == != < <= > >=, in [1, 2] and like 'glob*'; of numbers, 'text', true, false, "
    "null; and of the names id name label status commit created started ended duration_s params.NAME metrics.NAME."
)


@guarded
def status(json_: Json = False) -> None:
    """What runs, how far it is, what waits and why."""
    from gitorch.actions.status import status as act  # noqa: PLC0415
    from gitorch.cli.render import render_status  # noqa: PLC0415

    found = act(site_here())
    if json_:
        print_json(found.to_json())
    else:
        print(render_status(found, colors=has_colors(sys.stdout)))


@guarded
def list_(
    where: Annotated[
        str | None,
        typer.Option(
            "--where",
            metavar="EXPR",
            help="Such as \"metrics.accuracy > 0.9 and status == 'COMPLETE'\".",
        ),
    ] = None,
    sort: Annotated[
        list[str] | None,
        typer.Option("--sort", metavar="KEY", help="By a column, or several; -KEY: highest first."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("-n", "--limit", metavar="N", help="The first N only.", min=1)
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="KEY", help="One line for all runs that agree in it."),
    ] = None,
    aggregate: Annotated[
        list[str] | None,
        typer.Option(
            "--aggregate",
            metavar="A",
            help="mean, std, min, max, count of the complete. [mean,count]",
        ),
    ] = None,
    all_columns: Annotated[
        bool, typer.Option("--all-columns", help="Also those in which no run differs.")
    ] = False,
    json_: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="All columns, as CSV.")] = False,
) -> None:
    """All runs, newest first; only the columns that differ."""
    from gitorch.actions.listing import listing  # noqa: PLC0415
    from gitorch.cli.listing import render_csv, render_groups, render_groups_csv, render_list  # noqa: PLC0415
    from gitorch.cli.pager import paged  # noqa: PLC0415
    from gitorch.errors import UsageError  # noqa: PLC0415

    if json_ and csv:
        raise UsageError("--json and --csv exclude each other")
    site = site_here()
    found = listing(
        site,
        where=where,
        sort=sort or (),
        limit=limit,
        group=group or (),
        aggregates=aggregate or (),
    )
    if json_:
        print_json(found.to_json())
        return
    if csv:
        text = render_csv(found.runs) if found.groups is None else render_groups_csv(found.groups)
    elif not found.runs:
        say(none_selected(site, where))
        return
    elif found.groups is not None:
        text = render_groups(found.groups, found.aggregates, colors=has_colors(sys.stdout))
    else:
        text = render_list(found.runs, all_columns=all_columns, colors=has_colors(sys.stdout))
    with paged(site.repository) as out:
        out.write(f"{text}\n".encode(sys.stdout.encoding, "gitorch"))


@guarded
def show(run: Run, json_: Json = False) -> None:
    """One run: pin, parameters, tasks, metrics, outputs, history."""
    from gitorch.actions.show import show as act  # noqa: PLC0415
    from gitorch.cli.render import render_run  # noqa: PLC0415

    found = act(site_here(), run)
    if json_:
        print_json(found.to_json())
    else:
        print(render_run(found.record, found.why, found.origins, colors=has_colors(sys.stdout)))


@guarded
def logs(
    run: Run,
    task: Annotated[
        str | None, typer.Option("--task", metavar="T", help="Only of this task.")
    ] = None,
    attempt: Annotated[
        int | None, typer.Option("--attempt", metavar="N", help="Of this attempt, not the last.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on while the run does.")
    ] = False,
) -> None:
    """A run's raw output."""
    from gitorch.actions.logs import logs as act  # noqa: PLC0415

    several = False
    for part in act(site_here(), run, task=task, attempt=attempt, follow=follow):
        if part.begins and task is None:
            origin = f" of run {part.source}" if part.source else ""
            if several:
                say()
            say(f"==> {part.task}, attempt {part.attempt}{origin} <==")
            several = True
        sys.stdout.buffer.write(part.data)
        sys.stdout.buffer.flush()


@guarded
def compare(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[A B [C]...]",
            help="Ids, names, labels, @ or @~1.",
            autocompletion=complete_runs,
        ),
    ] = None,
    where: OfWhere = None,
    code: Annotated[
        bool, typer.Option("--code", help="The difference of the code itself.")
    ] = False,
    stat: Annotated[
        bool, typer.Option("--stat", help="The changed files of the code, as git diff --stat.")
    ] = False,
    config: Annotated[bool, typer.Option("--config", help="Only the config.")] = False,
    environment: Annotated[
        bool, typer.Option("--environment", help="Only the environment.")
    ] = False,
    data: Annotated[bool, typer.Option("--data", help="Only the data.")] = False,
    metrics: Annotated[bool, typer.Option("--metrics", help="Only the metrics.")] = False,
    outputs: Annotated[bool, typer.Option("--outputs", help="Only the outputs.")] = False,
    logs_: Annotated[bool, typer.Option("--logs", help="The difference of the logs.")] = False,
    json_: Json = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 if anything differs.")
    ] = False,
) -> int:
    """What differs between runs, and nothing else."""
    from gitorch.actions.compare import code_diffs, log_diffs  # noqa: PLC0415
    from gitorch.actions.compare import compare as act  # noqa: PLC0415
    from gitorch.cli.pager import paged  # noqa: PLC0415
    from gitorch.cli.render import SECTIONS, render_comparison  # noqa: PLC0415

    site = site_here()
    compared = act(site, selected(runs, where))
    if json_:
        print_json(compared.comparison.to_json())
    else:
        colors = has_colors(sys.stdout)
        asked = {
            "config": config,
            "environment": environment,
            "data": data,
            "metrics": metrics,
            "outputs": outputs,
        }
        parts = [name for name, wanted in asked.items() if wanted]
        with paged(site.repository) as out:
            if parts or not (code or stat or logs_):
                out.write(
                    render_comparison(compared, parts or SECTIONS, colors=colors).encode() + b"\n"
                )
            if code or stat:
                for tasks, difference in code_diffs(
                    site, compared.records, color=colors, stat=stat
                ):
                    out.write(f"{tasks}\n".encode() if tasks else b"")
                    out.write(difference)
            if logs_:
                for task, difference in log_diffs(site, compared.records, color=colors):
                    out.write(
                        f"task {task}: {'the logs differ' if difference else 'the same log'}\n".encode()
                    )
                    out.write(difference)
    return EXIT_FAILED if exit_code and not compared.comparison.same else EXIT_OK
