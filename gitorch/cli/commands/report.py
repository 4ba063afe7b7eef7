"""`gitorch report`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from gitorch.cli.arguments import WhereOption, site_here
from gitorch.cli.boundary import prints
from gitorch.cli.style import in_line, put, say
from gitorch.errors import Refused, UsageError


@prints
def command(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="The file to write; with --md, also none."
        ),
    ] = None,
    where: WhereOption = None,
    markdown: Annotated[
        bool,
        typer.Option(
            "--md", help="Write Markdown, for a pull request or a job summary."
        ),
    ] = False,
) -> None:
    """Write runs, plots and failures into one file.

    The file is a page that opens without a server or a network. With --md, it is Markdown, which is
    printed if no file is named.
    """
    from gitorch.page.report import html_report, markdown_report

    if file is None and not markdown:
        raise UsageError("which file is to be written?", "gitorch report FILE.html")
    site = site_here()
    text = (
        markdown_report(site, where)
        if markdown
        else html_report(site, where, os.environ)
    )
    if file is None:
        put(text)
    else:
        _write(file, text)


def _write(file: Path, text: str) -> None:
    from gitorch.tools.files import write_aside

    try:
        write_aside(file, f"{text}\n".encode("utf-8", "replace"))
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}") from None
    say(f"Wrote {in_line(str(file))}")
