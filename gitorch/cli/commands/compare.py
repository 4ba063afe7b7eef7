"""`gitorch compare`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Annotated

import typer

from gitorch.cli.arguments import (
    JsonOption,
    NameOption,
    StatusOption,
    WhereOption,
    selection_of,
    site_here,
)
from gitorch.cli.boundary import EXIT_FAILED, EXIT_OK, print_json, prints
from gitorch.cli.offers import runs_for_verb
from gitorch.cli.style import has_colors, in_line, printable, without_controls

if TYPE_CHECKING:
    from gitorch.model.run.record import Record
    from gitorch.storage.site import Site


RunsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[A B [C]...]",
        help="Runs: ids, names, labels, NAME~1, @, @~1 or @last.",
        autocompletion=runs_for_verb,
    ),
]
CodeOption = Annotated[
    bool, typer.Option("--code", help="Show the diff of the code.")
]
StatOption = Annotated[
    bool,
    typer.Option(
        "--stat", help="Show the changed files of the code, as git diff --stat."
    ),
]
ConfigOption = Annotated[
    bool, typer.Option("--config", help="Show only the config.")
]
EnvironmentOption = Annotated[
    bool, typer.Option("--environment", help="Show only the environment.")
]
DataOption = Annotated[bool, typer.Option("--data", help="Show only the data.")]
MetricsOption = Annotated[
    bool, typer.Option("--metrics", help="Show only the metrics.")
]
OutputsOption = Annotated[
    bool, typer.Option("--outputs", help="Show only the outputs.")
]
LogsOption = Annotated[
    bool, typer.Option("--logs", help="Show the diff of the logs.")
]
ExitCodeOption = Annotated[
    bool, typer.Option("--exit-code", help="Exit with 1 if anything differs.")
]


@prints
def command(
    runs: RunsArgument = None,
    where: WhereOption = None,
    status: StatusOption = None,
    name: NameOption = None,
    code: CodeOption = False,
    stat: StatOption = False,
    config: ConfigOption = False,
    environment: EnvironmentOption = False,
    data: DataOption = False,
    metrics: MetricsOption = False,
    outputs: OutputsOption = False,
    logs: LogsOption = False,
    as_json: JsonOption = False,
    exit_code: ExitCodeOption = False,
) -> int:
    """Show only the differences between runs."""
    from gitorch.actions.compare import compare
    from gitorch.cli.pager import paged
    from gitorch.cli.render_comparison import render_comparison

    site = site_here()
    compared = compare(site, selection_of(runs, where, status, name))
    named = {
        "config": config,
        "environment": environment,
        "data": data,
        "metrics": metrics,
        "outputs": outputs,
    }
    sections = _sections(named, has_diff=code or stat or logs)
    if as_json:
        print_json(compared.comparison.to_json())
    else:
        with paged(site.repository) as out:
            if sections:
                text = render_comparison(
                    compared, sections, colors=has_colors(sys.stdout)
                )
                out.write(printable(text, sys.stdout).encode() + b"\n")
            if code or stat:
                _write_code_diffs(out, site, compared.records, stat=stat)
            if logs:
                _write_log_diffs(out, site, compared.records)
    if exit_code and not compared.comparison.same:
        return EXIT_FAILED
    return EXIT_OK


def _sections(named: Mapping[str, bool], *, has_diff: bool) -> Sequence[str]:
    """Return the sections named by options, or all sections if no option limits the output."""
    from gitorch.cli.render_comparison import SECTIONS

    sections = [name for name, is_named in named.items() if is_named]
    if sections or has_diff:
        return sections
    return SECTIONS


def _write_code_diffs(
    out: IO[bytes], site: Site, records: Sequence[Record], *, stat: bool
) -> None:
    from gitorch.actions.compare import code_diffs

    for tasks, diff in code_diffs(
        site, records, color=has_colors(sys.stdout), stat=stat
    ):
        if tasks:
            out.write(f"{in_line(tasks)}\n".encode())
        out.write(_shown(diff))


def _write_log_diffs(out: IO[bytes], site: Site, records: Sequence[Record]) -> None:
    from gitorch.actions.compare import log_diffs

    for task, diff in log_diffs(site, records, color=has_colors(sys.stdout)):
        verdict = "the logs differ" if diff else "the same log"
        out.write(f"task {in_line(task)}: {verdict}\n".encode())
        out.write(_shown(diff))


def _shown(diff: bytes) -> bytes:
    return without_controls(diff) if sys.stdout.isatty() else diff
