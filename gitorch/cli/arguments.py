"""Arguments and options that several commands have, and what is made of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gitorch.actions.transition import Selection
    from gitorch.worker.site import Site

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Run = Annotated[str, typer.Argument(metavar="ID", help="An id, a prefix of it, a name, a label, @ or @~1.")]
Runs = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids, prefixes of them, names, labels, @ or @~1.")]
Chosen = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Ids, prefixes of them, names, labels, @ or @~1.")
]
OfStatus = Annotated[str | None, typer.Option("--status", metavar="S", help="Instead: all in this status.")]
OfName = Annotated[str | None, typer.Option("--name", metavar="GLOB", help="Instead: all of such a name.")]
All = Annotated[bool, typer.Option("--all", help="Instead: all that it is possible for.")]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")]
Why = Annotated[str | None, typer.Option("--why", metavar="TEXT", help="A reason, for the record.")]
Paths = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[PATH]...", help="Configs or directories of them; by default experiments/."),
]


def site_here() -> Site:
    from gitorch.worker.site import Site  # noqa: PLC0415

    return Site.at(Path.cwd())


def selected(runs: list[str] | None, status: str | None, name: str | None, everything: bool) -> Selection:
    from gitorch.actions.transition import Selection  # noqa: PLC0415
    from gitorch.errors import UsageError  # noqa: PLC0415
    from gitorch.model.status import Status  # noqa: PLC0415

    if runs and (status or name or everything):
        raise UsageError("name runs, or select them with --status, --name or --all: not both")
    if status and status.upper() not in Status.__members__:
        raise UsageError(f"{status!r} is no status", hint=f"there are: {', '.join(Status)}")
    return Selection(
        references=tuple(runs or ()),
        status=Status(status.upper()) if status else None,
        name=name,
        everything=everything,
    )
