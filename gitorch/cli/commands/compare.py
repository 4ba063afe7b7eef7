"""`gitorch compare`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, NamedTuple

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
from gitorch.cli.style import has_colors, in_line, printable, say, without_controls

if TYPE_CHECKING:
    from gitorch.actions.compare import Compared
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
PathsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--paths",
        metavar="GLOB",
        help="Compare only these files of the code and the outputs. May be repeated.",
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
    bool,
    typer.Option(
        "--outputs", help="Show only the outputs, and what differs in them."
    ),
]
LogsOption = Annotated[
    bool,
    typer.Option(
        "--logs", help="Show the diff of the logs, without times, paths and ids."
    ),
]
HtmlOption = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="FILE",
        help="Write all differences, with the diffs of code and logs, as one page.",
    ),
]
ExitCodeOption = Annotated[
    bool, typer.Option("--exit-code", help="Exit with 1 if anything differs.")
]


_MOST_OUTPUTS = 50  # of which the contents are compared


class _Diffs(NamedTuple):
    """The diffs that were asked for. `stat` asks for the changed files of the code alone."""

    code: bool
    stat: bool
    logs: bool
    outputs: bool
    paths: Sequence[str]


@prints
def command(
    runs: RunsArgument = None,
    where: WhereOption = None,
    status: StatusOption = None,
    name: NameOption = None,
    code: CodeOption = False,
    stat: StatOption = False,
    paths: PathsOption = None,
    config: ConfigOption = False,
    environment: EnvironmentOption = False,
    data: DataOption = False,
    metrics: MetricsOption = False,
    outputs: OutputsOption = False,
    logs: LogsOption = False,
    html: HtmlOption = None,
    as_json: JsonOption = False,
    exit_code: ExitCodeOption = False,
) -> int:
    """Show only the differences between runs."""
    from gitorch.actions.compare import compare

    site = site_here()
    globs = paths or []
    compared = compare(site, selection_of(runs, where, status, name), globs)
    named = {
        "config": config,
        "environment": environment,
        "data": data,
        "metrics": metrics,
        "outputs": outputs,
    }
    sections = _sections(named, has_diff=code or stat or logs)
    if html is not None:
        _write_page(html, site, compared, globs)
    if as_json:
        print_json(compared.comparison.to_json())
    elif html is None:
        asked = _Diffs(
            code=code or stat, stat=stat, logs=logs, outputs=outputs, paths=globs
        )
        _print_text(site, compared, sections, asked)
    if exit_code and not compared.comparison.same:
        return EXIT_FAILED
    return EXIT_OK


def _print_text(
    site: Site, compared: Compared, sections: Sequence[str], diffs: _Diffs
) -> None:
    from gitorch.cli.fit import room
    from gitorch.cli.fold import folded
    from gitorch.cli.pager import paged
    from gitorch.cli.render_comparison import render_comparison

    width = room(sys.stdout)
    with paged(site.repository) as out:
        if sections:
            text = render_comparison(
                compared, sections, colors=has_colors(sys.stdout), width=width
            )
            text = folded(text, width)
            out.write(printable(text, sys.stdout).encode() + b"\n")
        if diffs.code:
            _write_code_diffs(out, site, compared.records, diffs)
        if diffs.outputs:
            _write_output_diffs(out, site, compared)
        if diffs.logs:
            _write_log_diffs(out, site, compared.records)


def _sections(named: Mapping[str, bool], *, has_diff: bool) -> Sequence[str]:
    """Return the sections named by options, or all sections if no option limits the output."""
    from gitorch.cli.render_comparison import SECTIONS

    sections = [name for name, is_named in named.items() if is_named]
    if sections or has_diff:
        return sections
    return SECTIONS


def _write_code_diffs(
    out: IO[bytes], site: Site, records: Sequence[Record], diffs: _Diffs
) -> None:
    from gitorch.actions.compare import code_diffs

    for tasks, diff in code_diffs(
        site,
        records,
        color=has_colors(sys.stdout),
        stat=diffs.stat,
        paths=diffs.paths,
    ):
        if tasks:
            out.write(f"{in_line(tasks)}\n".encode())
        out.write(_shown(diff))


def _write_log_diffs(out: IO[bytes], site: Site, records: Sequence[Record]) -> None:
    from gitorch.actions.compare_contents import log_diffs

    for found in log_diffs(site, records, color=has_colors(sys.stdout)):
        verdict = "the logs differ"
        if found.is_same:
            verdict = "the same log"
        elif not found.diff:
            verdict = "the same log, except for times, paths and ids"
        out.write(f"task {in_line(found.task)}: {verdict}\n".encode())
        out.write(_shown(found.diff))


def _write_output_diffs(out: IO[bytes], site: Site, compared: Compared) -> None:
    """Write the differences inside the outputs that the first run and the last run have."""
    from gitorch.actions.compare_contents import output_diffs
    from gitorch.cli.render_comparison import places

    changed = compared.comparison.outputs.changed[:_MOST_OUTPUTS]
    color = has_colors(sys.stdout)
    for output in output_diffs(site, compared.records, changed, color=color):
        if output.found is not None:
            lines = [f"{in_line(output.path)}", *places(output.found)]
            out.write(printable("\n".join(lines), sys.stdout).encode() + b"\n")
        elif output.diff:
            out.write(f"{in_line(output.path)}\n".encode())
            out.write(_shown(output.diff))


def _write_page(
    file: Path, site: Site, compared: Compared, paths: Sequence[str]
) -> None:
    from gitorch.actions.compare import code_diffs
    from gitorch.actions.compare_contents import log_diffs
    from gitorch.cli.comparison_page import Diff, comparison_page
    from gitorch.errors import Refused
    from gitorch.tools.files import write_aside

    diffs = []
    if not compared.comparison.code.missing:
        for commits, diff in code_diffs(
            site, compared.records, color=False, paths=paths
        ):
            diffs.append(Diff(f"diff of the code {commits or ''}".strip(), diff))
    for found in log_diffs(site, compared.records, color=False):
        diffs.append(Diff(f"diff of the log of {found.task}", found.diff))
    page = comparison_page(compared, diffs)
    try:
        write_aside(file, page.encode("utf-8", "replace"))
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}") from None
    say(f"Wrote {in_line(str(file))}")


def _shown(diff: bytes) -> bytes:
    return without_controls(diff) if sys.stdout.isatty() else diff
